"""The cases of one tool in one sandbox: prepares each, runs the tool's command, and waits until the state is there."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import world
from figures import (
    ABSENT, AGAIN, ALONE, ANSIBLE, ARCCTL, CASES, CHANGED, DIRECT, DOCTOR, FRESH, PATCHED, SCALED, STATUS, TEARDOWN)

HERE = pathlib.Path(__file__).resolve().parent
TOOLS_DIRECTORY = HERE.parent / ".tools" / "bin"

# Seconds that a command may take, and that the state may be late after it.
LIMIT, ABSENT_LIMIT, GRACE = 300, 1200, 60
# Seconds after the last write to it in which the simulated IAM may show what was there before: a second run follows a first one
# by more than that.
LATE = 15
# A pool's maximum at first, once it is changed, and once it is changed by the one right command.
FIRST, SECOND, THIRD = 16, 12, 10


class Tool:
    """A tool with the directory of its files, as its user has it."""

    def __init__(self, name, directory, arcctl):
        self.name, self.directory, self.arcctl = name, pathlib.Path(directory), arcctl
        self.trace, self.steps = self.directory / "trace.json", self.directory / "steps.tsv"
        self.home = self.directory / "home"
        self.home.mkdir(parents=True)
        if name == ARCCTL:
            self.file = self.directory / "arcctl.yaml"
            shutil.copy(os.environ["ARCCTL_SANDBOX_AWS_PROFILE"], self.file)
            return
        # All three apply the same manifests.
        for source in ("blog", name):
            # Ansible would take scripts beside its playbook for lists of machines, and run them.
            for file in (HERE / source).glob("*.yaml" if name == ANSIBLE and source == "blog" else "*"):
                shutil.copy(file, self.directory)
        self.file = self.directory / "autoscaler.yaml"

    def set_maximum(self, value):
        """Edits the file that the pool's maximum is in."""
        text, count = re.subn(r"(?m)^(\s+max(?:Replicas)?:) \d+$", rf"\1 {value}", self.file.read_text())
        if count != 1:
            raise ValueError(f"{self.file.name} has {count} lines with a maximum: it must have one")
        self.file.write_text(text)

    def command(self, case):
        """What its user types in a case."""
        if self.name == ARCCTL:
            if case in (STATUS, DOCTOR):
                return [self.arcctl, case, "-f", self.file, "-q", "-o", "json"]
            if case == TEARDOWN:
                return [self.arcctl, "teardown", "-f", self.file, "--yes", "-q", "-o", "json"]
            return [self.arcctl, "up", "-f", self.file, "--yes", "-q", "-o", "json", "--trace", self.trace]
        if self.name == ANSIBLE:
            return ["ansible-playbook", "-i", "localhost,", "teardown.yaml" if case == TEARDOWN else "install.yaml"]
        return [{TEARDOWN: "./teardown.sh", DIRECT: "./change.sh"}.get(case, "./install.sh")]

    def environment(self):
        """The environment of its commands: the sandbox's, with a home of its own and what the files ask for."""
        profile = pathlib.Path(os.environ["ARCCTL_SANDBOX_AWS_PROFILE"]).read_text()
        first, *rest = os.environ["PATH"].split(os.pathsep)
        own = {
            "PATH": os.pathsep.join([first, str(TOOLS_DIRECTORY), *rest]),
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "BENCH_CHARTS": re.search(r"(?m)^  controller: (http\S+)$", profile)[1],
            "BENCH_GITHUB": os.environ["ARCCTL_SANDBOX_GITHUB_URL"],
            "BENCH_SERVER_GROUP": re.search(r"securityGroup: ([\w-]+)", profile)[1],
            "BENCH_ACCOUNT": world.ACCOUNT,
            "BENCH_RUNNERS": str(world.least()),
            "BENCH_STEPS": str(self.steps),
            "BENCH_HEADER": str(self.directory / "header"),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "ansible" / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
        }
        # What the user of this machine has set for these programs must not count.
        foreign = re.compile(r"^(HELM|HELMFILE|ANSIBLE|K8S_AUTH|AWS_PROFILE|AWS_CONFIG|AWS_SHARED)")
        rest = {key: value for key, value in os.environ.items() if not foreign.match(key)}
        return {**rest, **own}

    def extras(self, output):
        """What it has noted of itself: the commands, or what `arcctl -o json` and `--trace` tell."""
        found = {}
        if self.steps.exists():
            fields = [line.split("\t") for line in self.steps.read_text().splitlines()]
            found["steps"] = [
                {"seconds": float(seconds), "result": result, "tries": int(tries), "command": command}
                for seconds, result, tries, command in fields]
            self.steps.unlink()
        if self.name == ARCCTL:
            if self.trace.exists():
                found["trace"] = json.loads(self.trace.read_text())
                self.trace.unlink()
            try:
                document = json.loads(output)
                found["requests"] = document.get("requests")
                found["error"] = (document.get("error") or {}).get("message")
            except json.JSONDecodeError:
                found["error"] = "its output is no JSON document"
        return found


def run(command, environment, directory, log, limit):
    """Runs a command with a time limit: its exit code (`None` when it was stopped) and its output. What it starts is
    stopped with it."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(  # its own session, so that its children can be stopped too
            [str(word) for word in command], env=environment, cwd=directory, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=log)
        try:
            code = child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            code = None
        output.seek(0)
        return code, output.read()


def until(look, began, grace):
    """Looks until nothing is missing, for `grace` seconds at most: when it looked last, in seconds since `began`, and what
    was missing then."""
    deadline = time.monotonic() + grace
    while True:
        at = time.monotonic()
        try:
            problems = look()
        except (OSError, subprocess.TimeoutExpired, KeyError, IndexError, ValueError) as error:
            problems = [f"the state cannot be read: {error!r}"]
        if not problems or time.monotonic() >= deadline:
            return at - began, problems
        time.sleep(0.1)


def measure(tool, case, pace, log):
    """One case: prepares it, runs the command, and waits for the state. The raw figure without its names."""
    maximum = {CHANGED: SECOND, DIRECT: THIRD}.get(case)
    if maximum:
        tool.set_maximum(maximum)
    if case in (SCALED, PATCHED):
        world.drift(case)
    if case == AGAIN:
        time.sleep(LATE)
    wanted = int(re.search(r"(?m)^\s+max(?:Replicas)?: (\d+)$", tool.file.read_text())[1])
    limit = ABSENT_LIMIT if pace == ABSENT and case == FRESH else LIMIT
    environment = tool.environment()
    world.token_header(environment["BENCH_HEADER"])
    log.write(f"== {case}\n")
    log.flush()
    began = time.monotonic()
    code, output = run(tool.command(case), environment, tool.directory, log, limit)
    returned = time.monotonic() - began
    log.write(output)
    log.flush()
    figure = {"returned": round(returned, 3), "exit": code, **tool.extras(output)}
    if code is None:
        return {**figure, "outcome": "failed", "problem": f"it was stopped after {limit} s"}
    if code != 0:
        last = [step["command"] for step in figure.get("steps", []) if step["result"] == "failed"]
        said = figure.get("error") or f"{last[0] if last else 'it'} failed: read the log"
        return {**figure, "outcome": "failed", "problem": f"exit code {code}: {said}"}
    look = world.removed if case == TEARDOWN else lambda: world.installed(wanted)
    reached, problems = until(look, began, GRACE)
    # AWS is not part of the time: every tool returns once it has written there.
    problems += world.wiring(case != TEARDOWN, environment["BENCH_SERVER_GROUP"])
    if problems:
        if case in (SCALED, PATCHED):
            world.mend(case, wanted)
            until(lambda: world.installed(wanted), began, GRACE)
        return {**figure, "outcome": "wrong", "problem": "exit code 0, but " + "; ".join(problems[:3])}
    return {**figure, "outcome": "ok", "seconds": round(max(reached, returned), 3)}


def all_of(name, pace, arcctl, out, log_file, wanted):
    """Runs the cases of one tool in the sandbox that this process is in, and writes a line of JSON for each to `out`."""
    with tempfile.TemporaryDirectory(prefix="arcctl-bench-") as directory, \
            open(out, "a", encoding="utf-8") as figures, open(log_file, "w", encoding="utf-8") as log:
        tool, broken = Tool(name, pathlib.Path(directory) / "files", arcctl), None
        for case in [case for case in CASES if case in wanted and ALONE.get(case, name) == name]:
            load = os.getloadavg()[0]
            if broken == FRESH or (broken and case != TEARDOWN):
                figure = {"outcome": "not-run", "problem": f"not run: {broken} did not go well"}
            else:
                figure = measure(tool, case, pace, log)
            if figure["outcome"] != "ok" and case in (FRESH, CHANGED):
                broken = broken or case
            figures.write(json.dumps({"tool": name, "pace": pace, "case": case, "load": round(load, 2), **figure}) + "\n")
            figures.flush()
