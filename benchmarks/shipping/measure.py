"""What a peer's own process measures; needs the standard library alone.

A process is told what to do by one argument, a `Task` as JSON, and writes its figures to a file.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

# How often a paced app pauses.
_TICKS_PER_SECOND = 100
_SAMPLES = 20_000
# Ready-made lines are written once, and the label of a run is in them.
_SERVICE = b'"service":"shop"'


@dataclass(frozen=True)
class Task:
    """What a process does.

    Attributes:
        peer: Who writes the lines.
        mode: `flat` writes as fast as it can, `paced` at `rate`, `memory` while Loki is down.
        lines: How many.
        rate: Lines a second of `paced`.
        url: Where Loki is.
        service: Label of the lines.
        texts: File of ready-made lines: a level, a tab and the text on each.
        out: Where the figures go.
        options: More of the peer's own.
    """

    peer: str
    mode: Literal["flat", "paced", "memory"]
    lines: int
    rate: int
    url: str
    service: str
    texts: str
    out: str
    options: dict[str, Any]

    def to_json(self) -> str:
        """Return the task for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls) -> Task:
        """Return the task of this process."""
        return cls(**json.loads(sys.argv[1]))

    def ready_lines(self) -> list[tuple[str, bytes]]:
        """Return as many ready-made lines as are written, each with its level."""
        found = []
        own = f'"service":"{self.service}"'.encode()
        with Path(self.texts).open("rb") as file:
            for row, _ in zip(file, range(self.lines), strict=False):
                level, _, text = row.rstrip(b"\n").partition(b"\t")
                found.append((level.decode(), text.replace(_SERVICE, own)))
        assert len(found) == self.lines, f"{len(found)} lines are there, not {self.lines}"
        return found

    def measure(self, call: Callable[[int], None], finish: Callable[[], None]) -> None:
        """Measure calls and write the figures.

        Args:
            call: Writes the line of a number.
            finish: Returns when Loki has confirmed every line.
        """
        figures = _paced(self, call) if self.mode == "paced" else _flat(self, call, finish)
        if self.mode == "paced":
            finish()
        Path(self.out).write_text(json.dumps(figures))


def _flat(task: Task, call: Callable[[int], None], finish: Callable[[], None]) -> dict[str, float]:
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(task.lines):
        call(number)
    called = time.perf_counter()
    finish()
    ended = time.perf_counter()
    return {
        "seconds": ended - began,
        "called_s": called - began,
        "cpu_s": time.process_time() - cpu,
    }


def _paced(task: Task, call: Callable[[int], None]) -> dict[str, float]:
    took = []
    group = max(task.rate // _TICKS_PER_SECOND, 1)
    began = time.perf_counter()
    for number in range(task.lines):
        if number % group == 0:
            time.sleep(max(began + number / task.rate - time.perf_counter(), 0))
        before = time.perf_counter_ns()
        call(number)
        took.append(time.perf_counter_ns() - before)
    return {"median_ns": statistics.median(took) - _timer_ns()}


def _timer_ns() -> float:
    """Return what looking at the clock twice takes."""
    took = []
    for _ in range(_SAMPLES):
        before = time.perf_counter_ns()
        took.append(time.perf_counter_ns() - before)
    return statistics.median(took)


def resident_bytes(largest: bool = False) -> int:
    """Return how much memory the process has now, or had at most (Linux).

    `getrusage` would count what the parent had when it started this process.
    """
    name = "VmHWM:" if largest else "VmRSS:"
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in status if row.startswith(name)) * 1024
