"""The bar chart, as SVG. Pure: no I/O.

Horizontal bars, a group for each case; a line over each bar shows the spread. Readable at 800 px, and in the light as well
as in the dark scheme of the reader."""

from xml.sax.saxutils import escape

from figures import ALONE, CASES, PACES, PRESENT, TITLES, TOOLS

WIDTH, LEFT, RIGHT = 800, 96, 150
BAR, GAP, HEAD, BETWEEN, TOP = 18, 4, 26, 18, 66

STYLE = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e } .line { stroke: #1f2328; stroke-width: 1.5 }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .bad { fill: #b3261e }
  .blog { fill: #9a6700 } .helmfile { fill: #6e7781 } .ansible { fill: #8250df } .arcctl { fill: #0969da }
  text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; font-size: 14px }
  .title { font-size: 18px; font-weight: 600 } .case { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 } .line { stroke: #f0f6fc }
    .grid { stroke: #3d444d } .bad { fill: #ff8e86 }
    .blog { fill: #d29922 } .helmfile { fill: #8b949e } .ansible { fill: #a371f7 } .arcctl { fill: #4493f8 }
  }
"""


def groups(found):
    """The (pace, case) that something was measured of, in order. What one tool alone does is not drawn."""
    every = [(pace, case) for pace in PACES for case in CASES if case not in ALONE]
    return [key for key in every if any((*key, tool) in found for tool in TOOLS)]


def step(longest):
    """The distance of the grid's lines, in seconds, so that there are at most six."""
    for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600):
        if longest / size <= 6:
            return size
    return 3600


def label(one):
    """What stands beside a bar."""
    if one.median is None:
        return ("not mended" if one.wrong else "failed") + f" ({one.runs - one.well} of {one.runs})"
    bad = f", {one.runs - one.well} of {one.runs} failed" if one.well < one.runs else ""
    return f"{one.median:.1f} s{bad}" if one.median >= 1 else f"{one.median:.2f} s{bad}"


def svg(found, subtitle=""):
    """The chart of `figures.summaries`; one without bars where nothing was measured."""
    keys = groups(found)
    scales = {pace: max([one.high for (of, _, _), one in found.items() if of == pace and one.high] or [1.0]) for pace in PACES}
    parts, y, pace_of = [], TOP, None
    for pace, case in keys:
        longest = scales[pace]
        if pace != pace_of:
            y += BETWEEN if pace_of else 0
            parts.append(text(16, y + 16, "Images on the nodes" if pace == PRESENT else "Images still to be pulled", "text title"))
            y, pace_of = y + 34, pace
        tools = [tool for tool in TOOLS if (pace, case, tool) in found]
        height = len(tools) * (BAR + GAP)
        parts.append(text(16, y + 15, TITLES[case], "text case"))
        y += HEAD
        ticks = [number * step(longest) for number in range(int(longest / step(longest)) + 1)]
        for x in [place(tick, longest) for tick in ticks]:
            parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{y - 2}" y2="{y + height}"/>')
        if case == [last for of, last in keys if of == pace][-1]:
            parts += [text(place(tick, longest), y + height + 14, f"{tick:g}", "soft", "middle") for tick in ticks]
        for tool in tools:
            parts += bar(found[pace, case, tool], tool, y, longest)
            y += BAR + GAP
        y += BETWEEN + 6
    head = [text(16, 28, "Seconds until the runners are as wanted: the median, and from the shortest to the longest run", "text"),
            text(16, 48, subtitle, "soft")]
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    body = "\n".join([f'<rect class="page" width="{WIDTH}" height="{y}"/>', *head, *parts])
    name = "Times of the blog's commands, helmfile, Ansible and arcctl"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(name)}">\n'
            f"<title>{escape(name)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n")


def place(seconds, longest):
    """Where a time is on the axis."""
    return round(LEFT + seconds / longest * (WIDTH - LEFT - RIGHT), 1)


def bar(one, tool, y, longest):
    """A bar with the tool's name before it and its time behind it."""
    parts = [text(LEFT - 8, y + 14, tool, "text", "end")]
    if one.median is None:
        return [*parts, text(LEFT + 6, y + 14, label(one), "bad")]
    end = place(one.median, longest)
    parts.append(f'<rect class="{tool}" x="{LEFT}" y="{y}" width="{max(round(end - LEFT, 1), 1)}" height="{BAR}" rx="2"/>')
    low, high, middle = place(one.low, longest), place(one.high, longest), y + BAR / 2
    if high - low >= 2:
        parts.append(f'<line class="line" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
    parts.append(text(max(end, high) + 6, y + 14, label(one), "text" if one.well == one.runs else "bad"))
    return parts


def text(x, y, words, style, anchor="start"):
    """A line of text."""
    return f'<text class="{style}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
