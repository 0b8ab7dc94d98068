"""One case's Loki, its app processes, and what became of their lines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.faults.counting import PAGE, Stored, Tally, read_back, tally
from benchmarks.faults.plan import AppPlan, Counts, Plan, Writer
from benchmarks.loki_process import ROOT, LokiProcess

_POLL_S = 0.01
_TIMEOUT_S = 600.0
_REPORT_S = 120.0
DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a case is.

    Attributes:
        lines: Numbered lines in all.
        rate: Lines a second.
        away_s: How long a stopped Loki is away.
        delay_s: How long a slow Loki takes for a request.
        settle_s: How long an app waits for its queue to be sent.
    """

    lines: int = 100_000
    rate: int = 10_000
    away_s: float = 30.0
    delay_s: float = 5.0
    settle_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines of one case.

    Attributes:
        lines: What the apps wrote.
        lost: Lines that Loki has not.
        doubled: Entries in Loki beyond the first one of a line.
        said: Lines that the sinks said they dropped.
        seconds: From the first app's start to the last one's end.
        note: What else was measured.
        problems: What is not as it has to be; empty when all is well.
    """

    lines: int
    lost: int
    doubled: int
    said: int
    seconds: float
    note: str = ""
    problems: tuple[str, ...] = ()


Run = Callable[["Bench"], Outcome]
"""A case: does what it does to a bench, and tells what became of the lines."""


class AppProcess:
    """A running app: a module that is run with its plan."""

    def __init__(self, plan: AppPlan, module: str = "benchmarks.faults.app") -> None:
        self.plan = plan
        self._counts = Counts(plan.counts_file)
        self._stderr = Path(plan.folder) / f"{plan.name}.stderr"
        command = [sys.executable, "-m", module, plan.to_json()]
        with self._stderr.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=ROOT,
                env=environment(),
                # Its children are ended with it.
                start_new_session=True,
            )

    @property
    def begun(self) -> int:
        """Calls that have begun."""
        return self._counts.read()[0]

    @property
    def returned(self) -> int:
        """Calls that have returned: lines that the app handed over."""
        return self._counts.read()[1]

    @property
    def stderr(self) -> str:
        """What it said on stderr so far."""
        return self._stderr.read_text(errors="replace")

    def wait_for(self, share: float) -> None:
        """Wait until it has written a share of its lines."""
        wanted = share * self.plan.lines
        poll(lambda: self.returned >= wanted or self.process.poll() is not None, "lines")

    def wait(self, code: int | None = 0) -> None:
        """Wait for its end.

        Raises:
            AssertionError: It ended with another code.
        """
        found = self.process.wait(_TIMEOUT_S)
        if code is not None and found != code:
            raise AssertionError(f"{self.plan.name} ended with {found}, not {code}: {self.stderr}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    def end(self) -> None:
        """Kill whatever is left of it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Bench:
    """What a case works with; `writer` is the package or a naive sink."""

    def __init__(
        self, folder: Path, loki: LokiProcess, scale: Scale, writer: Writer = "loglane"
    ) -> None:
        self.folder = folder
        self.loki = loki
        self.scale = scale
        self._writer = writer
        self._apps: list[AppProcess] = []
        self._began = time.monotonic()
        self._began_ns = time.time_ns()

    @property
    def seconds(self) -> float:
        """How long the case has run."""
        return time.monotonic() - self._began

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a sink that reaches Loki directly."""
        return {"url": self.loki.url, "timeouts": {"drain_s": DRAIN_S}}

    def start(
        self, name: str = "app", loki: Mapping[str, Any] | None = None, **changes: Any
    ) -> AppProcess:
        """Start an app.

        Args:
            name: Its name as a writer.
            loki: Settings of the sink besides `settings`.
            **changes: Of its plan.
        """
        plan: dict[str, Any] = {
            "lines": self.scale.lines,
            "rate": self.scale.rate,
            "writer": self._writer,
        }
        plan |= {"settle_s": self.scale.settle_s, **changes}
        settings = {**self.settings, **(loki or {})}
        app = AppProcess(Plan(name, str(self.folder), loki=settings, **plan))
        self._apps.append(app)
        return app

    def report(self, name: str) -> dict[str, Any]:
        """Wait for what a process reported at its end; a child may end later than its parent."""
        file = Plan(name, str(self.folder)).report_file
        poll(lambda: file.exists() and file.stat().st_size > 0, f"the report of {name}", _REPORT_S)
        report: dict[str, Any] = json.loads(file.read_bytes())
        return report

    def said(self, *names: str) -> int:
        """Return how many lines these processes said they dropped."""
        return sum(dropped(self.report(name)) for name in names)

    def has(self, writer: str, seq: int) -> bool:
        """Tell whether Loki has a line."""
        found = read_back(self.loki.url, self._began_ns, f'|= `"seq":{seq},`')
        return any((entry.writer, entry.seq) == (writer, seq) for entry in found)

    def stored(self) -> list[Stored]:
        """Return every line that Loki has."""
        return read_back(self.loki.url, self._began_ns)

    def outcome(
        self,
        written: Mapping[str, int],
        said: int,
        problems: Sequence[str] = (),
        note: str = "",
        is_ordered: bool = True,
    ) -> Outcome:
        """Count what Loki has, and compare it with what was written and said.

        Args:
            written: Lines of each writer.
            said: Lines that the sinks said they dropped.
            problems: What was found wrong already.
            note: Of the outcome.
            is_ordered: Whether the numbers of a writer were written in their order.
        """
        seconds = self.seconds
        stored = self.stored()
        tallies = [tally(stored, name, range(count)) for name, count in written.items()]
        if not is_ordered:
            tallies = [replace(one, disordered=0) for one in tallies]
        return judge(tallies, said, seconds, problems, note)

    def close(self) -> None:
        """End every app that is left."""
        for app in self._apps:
            app.end()


def judge(
    tallies: Sequence[Tally],
    said: int,
    seconds: float,
    problems: Sequence[str] = (),
    note: str = "",
) -> Outcome:
    """Add tallies up; what was lost must have been said, and nothing may be doubled."""
    lost = sum(len(one.missing) for one in tallies)
    doubled = sum(one.doubled for one in tallies)
    disordered = sum(one.disordered for one in tallies)
    found = list(problems)
    if lost != said:
        found.append(f"{lost} lines are missing, {said} were said to be dropped")
    if doubled:
        found.append(f"{doubled} entries are doubled")
    if disordered:
        found.append(f"{disordered} entries are not in the order they were written in")
    lines = sum(one.written for one in tallies)
    return Outcome(lines, lost, doubled, said, seconds, note, tuple(found))


def dropped(report: Mapping[str, Any]) -> int:
    """Return how many lines a report says were dropped, for whatever reason."""
    return sum(report["stats"]["dropped"].values())


def poll(ready: Callable[[], bool], what: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Wait until it is so.

    Raises:
        AssertionError: It was not within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s for {what}")
        time.sleep(_POLL_S)


def environment() -> dict[str, str]:
    """Return this process's environment without what would configure the package."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGGING_", "LOGLANE_"))
    }
    # Lines are read back, so they are JSON, wherever this runs.
    path = os.pathsep.join([str(ROOT), str(ROOT / "python")])
    return kept | {"PYTHONPATH": path, "LOGGING_MODE": "container"}


# Reading a run back takes few queries.
LIMITS = {"max_entries_limit_per_query": PAGE, "reject_old_samples_max_age": "7d"}


@contextlib.contextmanager
def open_bench(folder: Path, scale: Scale, writer: Writer = "loglane") -> Iterator[Bench]:
    """Start a Loki of one case's own; everything is ended afterwards."""
    (folder / "loki").mkdir(parents=True)
    loki = LokiProcess(folder / "loki", LIMITS)
    bench = None
    try:
        loki.start()
        bench = Bench(folder, loki, scale, writer)
        yield bench
    finally:
        if bench is not None:
            bench.close()
        loki.kill()
