"""What the raw figures say: medians, spread, ratios, verdicts, and arcctl's critical path. Pure: no I/O.

A raw figure is a dictionary, one for each case of each run:
  run, pace, tool, case   which one it is
  outcome                 ok; failed (the program, or the time limit); wrong (it says done, and the state is another);
                          not-run (an earlier case failed)
  seconds                 until the state was there; absent where it never was
  problem                 what was wrong, in words
"""

import statistics
from dataclasses import dataclass

BLOG, HELMFILE, ANSIBLE, ARCCTL = TOOLS = ("blog", "helmfile", "ansible", "arcctl")
PRESENT, ABSENT = PACES = ("present", "absent")

# The cases in the order in which they are measured in one sandbox.
FRESH, AGAIN, CHANGED, DIRECT, SCALED, PATCHED, STATUS, DOCTOR, TEARDOWN = CASES = (
    "fresh", "again", "changed", "changed-directly", "drifted-controller", "drifted-autoscaler", "status", "doctor", "teardown")

# The cases of one tool alone, which there is nothing to compare with.
ALONE = {DIRECT: BLOG, STATUS: ARCCTL, DOCTOR: ARCCTL}

TITLES = {
    FRESH: "fresh",
    AGAIN: "again, with nothing to do",
    CHANGED: "one value changed (a pool's maximum)",
    DIRECT: "the same, by the one right command",
    SCALED: "one object drifted: the controller's Deployment",
    PATCHED: "one object drifted: the autoscaler",
    STATUS: "`status`",
    DOCTOR: "`doctor`",
    TEARDOWN: "teardown",
}

# DESIGN, section 7: arcctl's share of the time of the blog's commands, at most.
BUDGETS = {
    (PRESENT, FRESH): 0.60,
    (ABSENT, FRESH): 0.60,
    (PRESENT, AGAIN): 0.05,
    (PRESENT, CHANGED): 0.25,
    (PRESENT, SCALED): 0.25,
    (PRESENT, PATCHED): 0.25,
}


@dataclass(frozen=True)
class Summary:
    """One case of one tool over all runs. `median`, `low` and `high` are of the runs that went well, in seconds; `None`
    without one."""
    median: float | None
    low: float | None
    high: float | None
    well: int
    runs: int
    problems: tuple[str, ...] = ()
    wrong: int = 0


def summary(rows):
    """The summary of the raw figures of one case of one tool."""
    times = [row["seconds"] for row in rows if row["outcome"] == "ok"]
    problems = tuple(f"run {row['run']}: {row.get('problem') or row['outcome']}" for row in rows if row["outcome"] != "ok")
    return Summary(
        median=statistics.median(times) if times else None,
        low=min(times, default=None),
        high=max(times, default=None),
        well=len(times),
        runs=len(rows),
        problems=problems,
        wrong=sum(row["outcome"] == "wrong" for row in rows),
    )


def summaries(rows):
    """By (pace, case, tool); what was not measured is not in it."""
    groups = {}
    for row in rows:
        groups.setdefault((row["pace"], row["case"], row["tool"]), []).append(row)
    return {key: summary(group) for key, group in groups.items()}


def ratio(part, whole):
    """How much of `whole` the median of `part` is; `None` where one of them has none."""
    if part is None or whole is None or part.median is None or not whole.median:
        return None
    return part.median / whole.median


def verdict(found, pace, case):
    """What has become of a budget: `met`, `missed`, `failed` (arcctl did, at least once), or `not measured`; with the
    ratio, where there is one."""
    own, blog = found.get((pace, case, ARCCTL)), found.get((pace, case, BLOG))
    share = ratio(own, blog)
    if own is not None and own.well < own.runs:
        return "failed", share
    if share is None:
        return "not measured", None
    return ("met" if share <= BUDGETS[pace, case] else "missed"), share


def behind(found, pace, case):
    """The peers of which arcctl is not ahead, and those that cannot be told: two lists. A peer of which no run went well is
    behind arcctl, where arcctl's did."""
    slower, unknown = [], []
    own = found.get((pace, case, ARCCTL))
    for tool in (HELMFILE, ANSIBLE):
        peer = found.get((pace, case, tool))
        if own is None or own.median is None or peer is None:
            unknown.append(tool)
        elif peer.median is not None and own.median >= peer.median:
            slower.append(tool)
    return slower, unknown


def critical_path(trace):
    """The steps that a run of arcctl waited for, the first one first, as (step, seconds): from the last one to end back to
    one that waited for none. `trace` is the document of `arcctl up --trace`."""
    events = {event["name"]: event for event in trace.get("traceEvents", [])}
    path, name = [], None
    if events:
        name = max(events.values(), key=lambda event: event["ts"] + event["dur"])["name"]
    while name in events and len(path) < len(events):
        path.append((name, events[name]["dur"] / 1e6))
        name = events[name]["args"].get("waitedFor")
    return path[::-1]


def path_line(path, least=0.1):
    """The parts of a critical path that took at least `least` seconds, in one line."""
    return ", ".join(f"{seconds:.1f} s {step}" for step, seconds in path if seconds >= least)


def typical(rows, pace, case, tool=ARCCTL):
    """The run whose time is nearest to the median; `None` without one."""
    times = [row for row in rows if (row["pace"], row["case"], row["tool"], row["outcome"]) == (pace, case, tool, "ok")]
    if not times:
        return None
    median = statistics.median(row["seconds"] for row in times)
    return min(times, key=lambda row: abs(row["seconds"] - median))
