"""Measures arcctl beside the blog's commands, helmfile and Ansible, in sandboxes of this machine.

  python3 -B bench/measure.py run --programs DIR --out DIR [--runs 5] [--tools …] [--paces …] [--cases …]
      one sandbox after the other, a tool in each, the tools in turns; raw figures into OUT/TIME/figures.jsonl, a line for
      each case, and the summary, table.md and chart.svg beside them; OUT/latest leads there
  python3 -B bench/measure.py report DIR
      the summary of the raw figures in DIR again
  python3 -B bench/measure.py publish DIR
      puts table and chart of DIR into docs/performance.md

`make bench` does the first with optimised programs, `make bench-publish` the last. Only the standard library is needed."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import cases
import chart
import figures
import table

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
# What is measured where by default: once the images are there, only the first case differs.
DEFAULT_CASES = {figures.PRESENT: list(figures.CASES), figures.ABSENT: [figures.FRESH]}
# A sandbox whose cases are all as slow as they may be.
SANDBOX_LIMIT = 3600


def say(line):
    """Progress, on stderr."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def sandbox_flags(sandbox, pace):
    """The flags for a pace; `None` where this sandbox cannot simulate it. Nobody else writes to the account: the conflict
    that the simulated IAM has ready for every first write would be counted against those who call it one by one."""
    flags = ["--aws", "--aws-alone"]
    if pace == figures.PRESENT:
        return flags
    told = subprocess.run([sandbox, "run", "--help"], capture_output=True, text=True, timeout=20, check=True).stdout
    return [*flags, "--images", "absent"] if "--images" in told else None


def turns(tools, number):
    """The tools in the order of a run: each is first in its turn."""
    shift = number % len(tools)
    return tools[shift:] + tools[:shift]


def one_sandbox(arguments, directory, number, pace, tool, flags):
    """One sandbox with one tool. Its raw figures; a line with the reason where there is none."""
    name = f"{number + 1}-{pace}-{tool}"
    wanted = [case for case in DEFAULT_CASES[pace] if case in arguments.cases]
    with tempfile.TemporaryDirectory(prefix="arcctl-bench-") as temporary:
        out = pathlib.Path(temporary) / "figures.jsonl"
        inside = [sys.executable, "-B", __file__, "inside", "--tool", tool, "--pace", pace, "--cases", *wanted, "--out", str(out),
                  "--log", str(directory / "logs" / f"{name}.log"), "--arcctl", str(arguments.programs / "arcctl")]
        command = [str(arguments.programs / "arcctl-sandbox"), "run", *flags, "--", *inside]
        with open(directory / "logs" / f"{name}-sandbox.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                code = child.wait(timeout=SANDBOX_LIMIT)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                stop(child)
        rows = read(out) if out.exists() else []
    done = {row["case"] for row in rows}
    reason = f"the sandbox ended with {'a time limit' if code is None else f'exit code {code}'}: read logs/{name}-sandbox.log"
    missing = [case for case in wanted if case not in done and figures.ALONE.get(case, tool) == tool]
    rows += [{"tool": tool, "pace": pace, "case": case, "outcome": "not-run", "problem": reason} for case in missing]
    return [{"run": number + 1, **row} for row in rows]


def stop(child):
    """Ends a sandbox that still runs: it stops what it has started."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=60)
        if child.poll() is None:
            child.kill()


def read(path):
    """The raw figures of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def version(*command):
    """The first line that a program says of itself."""
    environment = {**os.environ, "PATH": f"{cases.TOOLS_DIRECTORY}{os.pathsep}{os.environ['PATH']}"}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        return (ended.stdout + ended.stderr).strip().splitlines()[0]
    return "not known"


def facts(arguments):
    """Where and with what is measured."""
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": version("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "cores": os.cpu_count(),
        "runs": arguments.runs,
        "build": arguments.programs.name,
        "versions": {
            "helm": version("helm3", "version", "--short"),
            "kubectl": version("kubectl", "version", "--client"),
            "aws": version("aws", "--version"),
            "helmfile": version("helmfile", "--version"),
            "ansible": version("ansible-playbook", "--version"),
        },
    }


def timed(command, directory=None):
    """How long a command takes, in milliseconds: the median of five."""
    times = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=directory)
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def many_pools(text, count):
    """A profile with `count` pools like its last one."""
    before, _, pool = text.rpartition("\n  - name: ")
    name, _, rest = pool.partition("\n")
    pools = [f"\n  - name: {name}-{number}\n{rest.rstrip()}" for number in range(1, count + 1)]
    return before + "".join(pools) + "\n"


def offline(programs):
    """What needs no cluster: (name, value, budget)."""
    arcctl = str(programs / "arcctl")
    with tempfile.TemporaryDirectory(prefix="arcctl-bench-") as directory:
        profile = pathlib.Path(directory) / "pools.yaml"
        profile.write_text(many_pools((ROOT / "profiles" / "repository.yaml").read_text(), 500))
        lint = timed([arcctl, "plan", "--offline", "-q", "-f", str(profile)], directory)
    size = (programs / "arcctl").stat().st_size / 1e6
    return [
        ("`arcctl --version`", f"{timed([arcctl, '--version']):.0f} ms", "10 ms"),
        ("500 pools linted offline", f"{lint:.0f} ms", "100 ms"),
        ("the program", f"{size:.1f} MB", "45 MB"),
    ]


def sentence(known, rows):
    """What the figures are, in words."""
    loads = [row["load"] for row in rows if "load" in row]
    load = f"; load of the machine before the cases: {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    build = "" if known["build"] == "release" else f" **Not an optimised build ({known['build']}): no figures to compare.**"
    versions = ", ".join(f"{name}: {words}" for name, words in known["versions"].items())
    return (f"Measured on {known['began']} at commit {known['commit']}, {known['cores']} cores, runs of each: {known['runs']}, the tools "
            f"in turns{load}. Each cell: the median, and from the shortest to the longest run.{build}\n\nWith {versions}.")


def report(directory, image=None):
    """Summary of the raw figures in a directory: the document and the chart; writes both beside them."""
    rows, known = read(directory / "figures.jsonl"), json.loads((directory / "facts.json").read_text())
    found = figures.summaries(rows)
    known["sentence"] = sentence(known, rows)
    document = table.document(rows, found, known, image)
    picture = chart.svg(found, f"{known['began']}, {known['runs']} runs of each, {known['cores']} cores")
    (directory / "table.md").write_text(document, encoding="utf-8")
    (directory / "chart.svg").write_text(picture, encoding="utf-8")
    return rows, document, picture


def run(arguments):
    """Measures; 1 if a run of arcctl went wrong."""
    directory = arguments.out / datetime.datetime.now().strftime("%Y-%m-%dT%H%M%S")
    (directory / "logs").mkdir(parents=True)
    known = facts(arguments)
    known["offline"] = offline(arguments.programs)
    (directory / "facts.json").write_text(json.dumps(known, indent=2))
    (directory / "figures.jsonl").touch()
    latest = arguments.out / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(directory.name)
    if os.getloadavg()[0] > 1:
        say(f"this machine has something else to do (load {os.getloadavg()[0]:.1f}): the figures will not be comparable")
    flags = {pace: sandbox_flags(str(arguments.programs / "arcctl-sandbox"), pace) for pace in arguments.paces}
    for pace in [pace for pace, of in flags.items() if of is None]:
        say(f"this arcctl-sandbox has no --images: the pace `{pace}` is not measured")
    for number in range(arguments.runs):
        for pace in [pace for pace in arguments.paces if flags[pace] is not None]:
            for tool in turns(arguments.tools, number):
                rows = one_sandbox(arguments, directory, number, pace, tool, flags[pace])
                with open(directory / "figures.jsonl", "a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
                for row in rows:
                    what = f"{row['seconds']:.2f} s" if row["outcome"] == "ok" else f"{row['outcome']}: {row['problem']}"
                    say(f"run {number + 1} of {arguments.runs}, images {pace}, {tool}, {row['case']}: {what}")
    rows, document, _ = report(directory)
    print(document)
    say(f"raw figures, logs, table and chart: {directory}")
    return int(any(row["outcome"] != "ok" for row in rows if row["tool"] == figures.ARCCTL))


def publish(directory):
    """Puts the figures into the documentation."""
    rows, document, picture = report(directory, PICTURE.name)
    if not rows:
        raise SystemExit("bench: nothing was measured: run `make bench` first")
    build = json.loads((directory / "facts.json").read_text())["build"]
    if build != "release":
        raise SystemExit(f"bench: these are figures of a build that is not optimised ({build}): run `make bench` first")
    DOCUMENT.write_text(table.put(DOCUMENT.read_text(encoding="utf-8"), document), encoding="utf-8")
    PICTURE.write_text(picture, encoding="utf-8")
    say(f"written: {DOCUMENT.relative_to(ROOT)}, {PICTURE.relative_to(ROOT)}")


def parsed():
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    path = lambda text: pathlib.Path(text).resolve()
    one = commands.add_parser("run")
    one.add_argument("--programs", type=path, required=True, help="where arcctl and arcctl-sandbox are")
    one.add_argument("--out", type=path, required=True)
    one.add_argument("--runs", type=int, default=5)
    one.add_argument("--tools", nargs="+", choices=figures.TOOLS, default=list(figures.TOOLS))
    one.add_argument("--paces", nargs="+", choices=figures.PACES, default=list(figures.PACES))
    one.add_argument("--cases", nargs="+", choices=figures.CASES, default=list(figures.CASES))
    for name in ("report", "publish"):
        commands.add_parser(name).add_argument("directory", type=path)
    inside = commands.add_parser("inside", description="the cases of one tool, in the environment of a sandbox")
    inside.add_argument("--tool", choices=figures.TOOLS, required=True)
    inside.add_argument("--pace", choices=figures.PACES, required=True)
    inside.add_argument("--cases", nargs="+", required=True)
    for name in ("--out", "--log", "--arcctl"):
        inside.add_argument(name, type=path, required=True)
    return parser.parse_args()


def main():
    """Does what the arguments say; the exit code."""
    arguments = parsed()
    if arguments.command == "run":
        return run(arguments)
    if arguments.command == "publish":
        publish(arguments.directory)
    elif arguments.command == "report":
        print(report(arguments.directory)[1])
    else:
        cases.all_of(arguments.tool, arguments.pace, arguments.arcctl, arguments.out, arguments.log, arguments.cases)
    return 0


if __name__ == "__main__":
    sys.exit(main())
