"""An app that logs numbered lines: `python -m benchmarks.faults.app PLAN`.

Nothing here knows what goes wrong around it. Its stdout goes nowhere; it reports to files.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from benchmarks.faults.counting import SERVICE
from benchmarks.faults.naive import NaiveSink
from benchmarks.faults.plan import Counts, Plan
from benchmarks.shipping.lines import level_of

_POLL_S = 0.05
_TICKS_PER_SECOND = 100

Log = Callable[[str, dict[str, Any]], None]
Stats = Callable[[], dict[str, Any]]


class Clock:
    """The clock of the process, which can be set back."""

    def __init__(self) -> None:
        self.behind_ns = 0
        real_ns = time.time_ns
        time.time_ns = lambda: real_ns() - self.behind_ns
        time.time = lambda: (real_ns() - self.behind_ns) / 1e9


class App:
    """One process that follows a plan."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._counts = Counts(plan.counts_file)
        # Nanoseconds of each call.
        self._took = array("Q")
        self._began = time.monotonic()
        # Runs after the package's own, which sends what is left.
        atexit.register(self._report)
        self._log, self._stats = _open(plan)

    def run(self) -> None:
        """Write the lines, and wait as the plan says."""
        plan = self._plan
        began, pause = time.monotonic(), max(plan.rate // _TICKS_PER_SECOND, 1)
        for number in range(plan.lines):
            self._happen(number)
            if plan.rate and number % pause == 0:
                time.sleep(max(began + number / plan.rate - time.monotonic(), 0))
            self._write(number)
        self._settle()
        while plan.waits:
            signal.pause()

    def _write(self, number: int) -> None:
        fields = {
            "writer": self._plan.name, "seq": number,
            "trace_id": f"{number:032x}", "log_category": "orders", "amount": number / 100,
        }  # fmt: skip
        self._counts.write(number + 1, number)
        began = time.perf_counter_ns()
        self._log(level_of(number), fields)
        self._took.append(time.perf_counter_ns() - began)
        self._counts.write(number + 1, number + 1)

    def _happen(self, number: int) -> None:
        plan = self._plan
        if number == plan.clock_back_at:
            self._clock.behind_ns = int(plan.clock_back_s * 1e9)
        if number == plan.tight_from:
            _limit_files(plan.tight_bytes)
        if number == plan.tight_to:
            _limit_files(resource.RLIM_INFINITY)
        if number == plan.fork_at and os.fork() == 0:
            self._become_child(number)

    def _become_child(self, number: int) -> None:
        """Go on as a writer of its own; the parent's plan is no longer this process's."""
        left = self._plan.lines - number
        plan = replace(self._plan, name=f"{self._plan.name}-child", lines=left, fork_at=None)
        self._plan, self._took = plan, array("Q")
        self._counts = Counts(plan.counts_file)
        self.run()
        sys.exit()

    def _settle(self) -> None:
        deadline = time.monotonic() + self._plan.settle_s
        while time.monotonic() < deadline and _has_work(self._stats()):
            time.sleep(_POLL_S)

    def _report(self) -> None:
        took = sorted(self._took)
        report = {"stats": self._stats(), "seconds": time.monotonic() - self._began}
        if took:
            shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
            report["micros"] = {
                name: took[min(int(len(took) * share), len(took) - 1)] / 1000
                for name, share in shares.items()
            }
        self._plan.report_file.write_bytes(orjson.dumps(report))


def _open(plan: Plan) -> tuple[Log, Stats]:
    return _open_package(plan) if plan.writer == "loglane" else _open_naive(plan)


def _open_package(plan: Plan) -> tuple[Log, Stats]:
    import loglane

    # Repeated errors are numbered lines here, too.
    flow = {"enabled": False}
    loglane.configure(
        mode="container", service=SERVICE, env="dev", level="debug", flow_control=flow,
        loki={"enabled": True, "level": "debug", **plan.loki},
    )  # fmt: skip
    logger = loglane.get_logger("faults")
    methods = {
        name: getattr(logger, name) for name in ("debug", "info", "warning", "error", "critical")
    }

    def log(level: str, fields: dict[str, Any]) -> None:
        methods[level]("a numbered line", **fields)

    return log, loglane.loki_sink_stats


def _open_naive(plan: Plan) -> tuple[Log, Stats]:
    sink = NaiveSink(plan.loki["url"], resend=plan.writer == "resending")
    atexit.register(sink.close)

    def log(level: str, fields: dict[str, Any]) -> None:
        sink.write(level=level, message="a numbered line", **fields)

    return log, sink.stats


def _has_work(stats: dict[str, Any]) -> bool:
    waiting = ("queued", "in_hand", "wal_lines", "is_away")
    return any(stats.get(name) for name in waiting)


def _limit_files(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


if __name__ == "__main__":
    App(Plan.from_json(sys.argv[1]), Clock()).run()
