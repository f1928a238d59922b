"""The tables and sentences about the figures, as Markdown. Pure: no I/O."""

from figures import (
    ALONE, ANSIBLE, ARCCTL, BLOG, BUDGETS, CASES, HELMFILE, PACES, PRESENT, TITLES, TOOLS,
    behind, critical_path, path_line, ratio, typical, verdict)

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADINGS = {PRESENT: "Images on the nodes", "absent": "Images still to be pulled"}


def seconds(value):
    """A time; two digits behind the point below a second."""
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def cell(one):
    """A median with its spread, and what went wrong; never only the good runs."""
    if one is None:
        return "—"
    if one.median is None:
        return f"**{'not mended' if one.wrong == one.runs else 'failed'}**, {one.runs - one.well} of {one.runs}"
    spread = f" ({seconds(one.low)} to {seconds(one.high)})" if one.well > 1 else ""
    bad = f"; **{one.runs - one.well} of {one.runs} failed**" if one.well < one.runs else ""
    return seconds(one.median) + spread + bad


def share(value):
    """A ratio."""
    return "—" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def judged(found, pace, case):
    """The budget of a case with its verdict."""
    if (pace, case) not in BUDGETS:
        return ""
    words, _ = verdict(found, pace, case)
    return f"{BUDGETS[pace, case]:.2f}: " + (words if words == "met" else f"**{words}**")


def tables(found):
    """A table for each pace."""
    lines = []
    for pace in PACES:
        cases = [case for case in CASES if any((pace, case, tool) in found for tool in TOOLS)]
        if not cases:
            lines += [f"### {HEADINGS[pace]}", "", "Not measured.", ""]
            continue
        lines += [f"### {HEADINGS[pace]}", "",
                  "| case | the blog's commands | helmfile | Ansible | arcctl | arcctl's share of the blog's | budget |",
                  "|---|---|---|---|---|---|---|"]
        for case in cases:
            own = found.get((pace, case, ARCCTL))
            cells = [cell(found.get((pace, case, tool))) for tool in (BLOG, HELMFILE, ANSIBLE, ARCCTL)]
            part = share(ratio(own, found.get((pace, case, BLOG))))
            lines.append(f"| {TITLES[case]} | {' | '.join(cells)} | {part} | {judged(found, pace, case)} |")
        lines.append("")
    return lines


def failures(found):
    """Every run that did not go well, with its reason."""
    lines = [f"- {pace}, {tool}, {TITLES[case]}: {problem}"
             for (pace, case, tool), one in found.items() for problem in one.problems]
    return ["Runs that did not go well:", "", *lines, ""] if lines else ["Every run went well.", ""]


def standing(found):
    """Where arcctl is not ahead of a peer, and where a budget is not met."""
    lines = []
    for pace, case in [(pace, case) for pace in PACES for case in CASES if case not in ALONE and (pace, case, ARCCTL) in found]:
        slower, _ = behind(found, pace, case)
        lines += [f"- {pace}, {TITLES[case]}: not faster than {tool}" for tool in slower]
    for pace, case in BUDGETS:
        words, part = verdict(found, pace, case)
        if words != "met":
            lines.append(f"- {pace}, {TITLES[case]}: the budget of {BUDGETS[pace, case]:.2f} is {words}" +
                         (f", with {share(part)}" if part is not None else ""))
    return ["Not as it should be:", "", *lines, ""] if lines else []


def paths(rows, found):
    """The critical path of arcctl for each budget that it missed, of the run nearest to the median."""
    lines = []
    for pace, case in BUDGETS:
        row = typical(rows, pace, case)
        if verdict(found, pace, case)[0] in ("missed", "failed") and row and row.get("trace"):
            line = path_line(critical_path(row["trace"]))
            lines.append(f"- {pace}, {TITLES[case]} ({seconds(row['seconds'])}): {line or 'no step took 0.1 s'}")
    return ["What arcctl waited for, one after the other:", "", *lines, ""] if lines else []


def notes(rows):
    """What else is to be known of the runs: repeated and failed commands, and what an unchanged `up` has done."""
    lines = []
    for tool in TOOLS:
        for case in CASES:
            of = [row for row in rows if row["tool"] == tool and row["case"] == case and row.get("steps")]
            if not of:
                continue
            steps = of[-1]["steps"]
            there = sum(step["result"] == "there" for step in steps)
            again = sum(step["tries"] for step in steps)
            if there or again:
                lines.append(f"- {tool}, {TITLES[case]}: {len(steps)} commands; {there} failed because their work is done, "
                             f"{again} tries were repeated (last run)")
    requests = [row["requests"] for row in rows if (row["tool"], row["case"]) == (ARCCTL, "again") and row.get("requests")]
    if requests:
        lines.append(f"- arcctl, {TITLES['again']}: at most {max(map(writes, requests))} writes and "
                     f"{max(it['helm'] for it in requests)} helm processes")
    return ["Beside the times:", "", *lines, ""] if lines else []


def writes(requests):
    """All writes of a run of arcctl, to all systems."""
    return sum(requests[system]["writes"] for system in ("kubernetes", "aws", "github"))


def offline(figures):
    """What needs no cluster: (name, value, budget) each."""
    if not figures:
        return []
    lines = [f"| {name} | {value} | {budget} |" for name, value, budget in figures]
    return ["### Without a cluster", "", "| what | measured | budget |", "|---|---|---|", *lines, ""]


def document(rows, found, facts, image=None):
    """The whole section of docs/performance.md."""
    head = [facts["sentence"], ""]
    picture = [f"![times of all four as bars]({image})", ""] if image else []
    parts = [*head, *picture, *tables(found), *offline(facts.get("offline")), *standing(found), *paths(rows, found),
             *failures(found), *notes(rows)]
    return "\n".join(parts).rstrip() + "\n"


def put(text, section):
    """`text` with `section` between the two markers; an error where they are not there once each, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the document must have the lines {BEGIN} and {END} once each, in this order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{section}\n{END}{rest.split(END)[1]}"
