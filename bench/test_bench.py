"""Tests of the pure parts: python3 -B -m unittest discover -s bench"""

import datetime
import pathlib
import unittest
from xml.etree import ElementTree

import cases
import chart
import figures
import measure
import table
import world
from figures import ABSENT, AGAIN, ANSIBLE, ARCCTL, BLOG, FRESH, HELMFILE, PRESENT, SCALED, TEARDOWN


def row(tool, case, seconds, number=1, pace=PRESENT, **more):
    """A raw figure."""
    outcome = {"outcome": "ok", "seconds": seconds} if seconds is not None else {"outcome": "failed", "problem": "exit code 1: no"}
    return {"run": number, "pace": pace, "tool": tool, "case": case, **outcome, **more}


def found(*rows):
    """Their summaries."""
    return figures.summaries(rows)


class Figures(unittest.TestCase):
    def test_a_summary_has_median_and_spread(self):
        one = figures.summary([row(BLOG, FRESH, seconds) for seconds in (21.0, 19.0, 25.0, 20.0)])
        self.assertEqual((one.median, one.low, one.high, one.well, one.runs), (20.5, 19.0, 25.0, 4, 4))

    def test_a_failed_run_has_no_time_and_is_counted(self):
        one = figures.summary([row(BLOG, FRESH, 3.0), row(BLOG, FRESH, None, 2)])
        self.assertEqual((one.median, one.well, one.runs, one.problems), (3.0, 1, 2, ("run 2: exit code 1: no",)))

    def test_without_a_good_run_there_is_no_median(self):
        one = figures.summary([row(BLOG, FRESH, None)])
        self.assertEqual((one.median, one.low, one.high), (None, None, None))

    def test_a_ratio_needs_both(self):
        one, none = figures.summary([row(BLOG, FRESH, 2.0)]), figures.summary([])
        self.assertEqual(figures.ratio(one, figures.summary([row(BLOG, FRESH, 8.0)])), 0.25)
        for pair in ((one, none), (none, one), (one, None), (None, one)):
            self.assertIsNone(figures.ratio(*pair))

    def test_a_budget_is_met_missed_failed_or_not_measured(self):
        for own, blog, expected in (
                ([6.0], [10.0], ("met", 0.6)), ([6.1], [10.0], ("missed", 0.61)),
                ([1.0, None], [10.0], ("failed", 0.1)), ([None], [10.0], ("failed", None)),
                ([], [10.0], ("not measured", None)), ([1.0], [None], ("not measured", None))):
            rows = [row(ARCCTL, FRESH, it) for it in own] + [row(BLOG, FRESH, it) for it in blog]
            words, share = figures.verdict(found(*rows), PRESENT, FRESH)
            self.assertEqual((words, share and round(share, 3)), expected, (own, blog))

    def test_paces_are_not_mixed(self):
        rows = found(row(ARCCTL, FRESH, 1.0, pace=ABSENT), row(BLOG, FRESH, 2.0))
        self.assertEqual(figures.verdict(rows, PRESENT, FRESH)[0], "not measured")
        self.assertEqual(figures.verdict(rows, ABSENT, FRESH)[0], "not measured")

    def test_a_peer_that_never_gets_there_is_behind(self):
        rows = found(row(ARCCTL, SCALED, 3.0), row(HELMFILE, SCALED, None), row(ANSIBLE, SCALED, 2.5))
        self.assertEqual(figures.behind(rows, PRESENT, SCALED), ([ANSIBLE], []))
        self.assertEqual(figures.behind(found(row(ARCCTL, SCALED, 3.0)), PRESENT, SCALED), ([], [HELMFILE, ANSIBLE]))

    def test_the_critical_path_goes_back_from_the_last_end(self):
        def event(name, begin, seconds, waited_for):
            return {"name": name, "ts": begin * 1e6, "dur": seconds * 1e6, "args": {"waitedFor": waited_for}}
        trace = {"traceEvents": [event("c", 6, 3, "b"), event("a", 0, 2, None), event("b", 2, 4, "a"), event("x", 0, 8, None)]}
        self.assertEqual(figures.critical_path(trace), [("a", 2.0), ("b", 4.0), ("c", 3.0)])
        self.assertEqual(figures.critical_path({}), [])
        ring = {"traceEvents": [event("a", 0, 1, "b"), event("b", 0, 1, "a")]}
        self.assertEqual(len(figures.critical_path(ring)), 2)
        self.assertEqual(figures.path_line([("a", 2.0), ("b", 0.05)]), "2.0 s a")

    def test_the_typical_run_is_the_one_nearest_to_the_median(self):
        rows = [row(ARCCTL, FRESH, seconds, number) for number, seconds in enumerate((9.0, 1.0, 8.0, None))]
        self.assertEqual(figures.typical(rows, PRESENT, FRESH)["run"], 2)
        self.assertIsNone(figures.typical(rows, PRESENT, AGAIN))


class Tables(unittest.TestCase):
    def test_a_cell_never_shows_only_the_good_runs(self):
        self.assertEqual(table.cell(None), "—")
        self.assertEqual(table.cell(figures.summary([row(BLOG, FRESH, 20.0)])), "20.0 s")
        mixed = figures.summary([row(BLOG, FRESH, 0.5), row(BLOG, FRESH, 0.7), row(BLOG, FRESH, None)])
        self.assertEqual(table.cell(mixed), "0.60 s (0.50 s to 0.70 s); **1 of 3 failed**")
        self.assertEqual(table.cell(figures.summary([row(BLOG, FRESH, None)])), "**failed**, 1 of 1")
        wrong = {**row(HELMFILE, SCALED, None), "outcome": "wrong"}
        self.assertEqual(table.cell(figures.summary([wrong])), "**not mended**, 1 of 1")

    def test_the_document_has_verdicts_failures_and_the_critical_path(self):
        trace = {"traceEvents": [{"name": "webhook/-/x", "ts": 0, "dur": 4e6, "args": {}}]}
        rows = [row(BLOG, FRESH, 10.0), row(ARCCTL, FRESH, 9.0, trace=trace), row(ANSIBLE, FRESH, None), row(HELMFILE, FRESH, 8.0)]
        text = table.document(rows, figures.summaries(rows), {"sentence": "Measured.", "offline": [("a", "1 ms", "2 ms")]}, "p.svg")
        for part in ("| fresh | 10.0 s | 8.0 s | **failed**, 1 of 1 | 9.0 s | 0.90 | 0.60: **missed** |", "![", "(p.svg)",
                     "present, fresh (9.0 s): 4.0 s webhook/-/x", "present, ansible, fresh: run 1: exit code 1: no", "Not measured.",
                     "present, fresh: not faster than helmfile", "| a | 1 ms | 2 ms |"):
            self.assertIn(part, text)

    def test_the_words_are_the_outcomes(self):
        rows = [row(BLOG, AGAIN, 5.0, steps=[{"result": "there", "tries": 0}, {"result": "ok", "tries": 2}]),
                row(ARCCTL, AGAIN, 0.2, requests={name: {"writes": 0} for name in ("kubernetes", "aws", "github")} | {"helm": 0})]
        text = table.document(rows, figures.summaries(rows), {"sentence": ""})
        self.assertIn("2 commands; 1 failed because their work is done, 2 tries were repeated", text)
        self.assertIn("at most 0 writes and 0 helm processes", text)
        self.assertIn("Every run went well.", text)
        self.assertIn("0.040 | 0.05: met |", text)

    def test_the_document_changes_between_the_markers_only(self):
        before = f"a\n{table.BEGIN}\nold\n{table.END}\nb\n"
        after = table.put(before, "new\n")
        self.assertEqual(after, f"a\n{table.BEGIN}\n\nnew\n\n{table.END}\nb\n")
        self.assertEqual(table.put(after, "new\n"), after)
        for wrong in ("", table.BEGIN, f"{table.END}{table.BEGIN}", before + before):
            with self.assertRaises(ValueError):
                table.put(wrong, "new")

    def test_the_documentation_has_the_markers(self):
        self.assertIn("new", table.put(measure.DOCUMENT.read_text(encoding="utf-8"), "new"))


class Chart(unittest.TestCase):
    def texts(self, drawn):
        return [it.text for it in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]

    def test_it_is_well_formed_whatever_was_measured(self):
        for rows in ([], [row(BLOG, FRESH, None)], [row(BLOG, FRESH, 0.0)], [row(ARCCTL, TEARDOWN, 1e4, pace=ABSENT)],
                     [row(tool, case, 3.0, number, pace) for tool in figures.TOOLS for case in figures.CASES
                      for number in (1, 2) for pace in figures.PACES]):
            drawn = chart.svg(figures.summaries(rows), "a < b & c")
            root = ElementTree.fromstring(drawn)
            self.assertEqual(root.get("width"), "800")
            self.assertIn("a < b & c", self.texts(drawn))

    def test_bars_are_as_long_as_their_times(self):
        drawn = chart.svg(found(row(BLOG, FRESH, 20.0), row(ARCCTL, FRESH, 10.0)))
        bars = {it.get("class"): float(it.get("width")) for it in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}rect")}
        self.assertAlmostEqual(bars["blog"], 2 * bars["arcctl"], delta=0.2)
        self.assertLess(chart.LEFT + bars["blog"] + 60, chart.WIDTH)

    def test_a_failure_is_written_where_its_bar_would_be(self):
        drawn = chart.svg(found(row(BLOG, FRESH, 20.0), row(BLOG, FRESH, None), row(HELMFILE, FRESH, None)))
        self.assertIn("20.0 s, 1 of 2 failed", self.texts(drawn))
        self.assertIn("failed (1 of 1)", self.texts(drawn))

    def test_it_has_both_colour_schemes(self):
        self.assertIn("prefers-color-scheme: dark", chart.svg({}))

    def test_the_grid_has_few_lines(self):
        for longest in (0.05, 0.9, 7, 21, 140, 5000):
            self.assertLessEqual(longest / chart.step(longest), 6)


class Runs(unittest.TestCase):
    def test_each_tool_is_first_in_its_turn(self):
        orders = [measure.turns(list("abcd"), number) for number in range(4)]
        self.assertEqual([order[0] for order in orders], list("abcd"))
        self.assertEqual({tuple(sorted(order)) for order in orders}, {tuple("abcd")})

    def test_the_minimum_follows_the_weekend_in_seoul(self):
        def at(text):
            return world.least(datetime.datetime.fromisoformat(text))
        self.assertEqual([at("2026-11-27T14:59:00+00:00"), at("2026-11-27T15:00:00+00:00")], [2, 1])
        self.assertEqual([at("2026-11-29T14:59:00+00:00"), at("2026-11-29T15:00:00+00:00")], [1, 2])

    def test_many_pools_come_from_one(self):
        text = measure.many_pools("a: 1\npools:\n  - name: one\n    min: 1\n", 3)
        self.assertEqual(text.count("  - name: one-"), 3)
        self.assertEqual(text.count("    min: 1"), 3)
        self.assertTrue(text.startswith("a: 1\npools:\n  - name: one-1\n"))

    def test_a_command_that_takes_too_long_is_stopped_with_its_children(self):
        with open("/dev/null", "w", encoding="utf-8") as log:
            code, _ = cases.run(["sh", "-c", "sleep 30 & wait"], {"PATH": "/usr/bin:/bin"}, "/", log, 0.1)
            self.assertIsNone(code)
            self.assertEqual(cases.run(["sh", "-c", "echo a; exit 3"], {"PATH": "/usr/bin:/bin"}, "/", log, 10), (3, "a\n"))

    def test_a_state_that_never_comes_is_told(self):
        _, problems = cases.until(lambda: ["no runner"], 0, 0)
        self.assertEqual(problems, ["no runner"])
        _, problems = cases.until(lambda: {}["x"], 0, 0)
        self.assertIn("the state cannot be read", problems[0])

    def test_all_tools_apply_the_same_manifests(self):
        names = {file.name for file in (pathlib.Path(cases.HERE) / "blog").iterdir()}
        for tool in (HELMFILE, ANSIBLE):
            own = {file.name for file in (pathlib.Path(cases.HERE) / tool).iterdir()}
            self.assertEqual(own & names - {"install.sh", "teardown.sh"}, set())


if __name__ == "__main__":
    unittest.main()
