"""What a marked log call costs in a request, beside a plain one: `python -m benchmarks.audit.call`.

Plain and marked calls take turns, in bursts that are smaller than a batch: while a burst is timed,
the worker's thread waits, and between two bursts it may store what came. So the time is that of
the call alone. Then calls come at a steady rate while the worker stores, and each is timed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

import loglane
from loglane.audit import AuditWorker, audit_stats

REPORT = "call.json"
# Fewer than the batch, which would wake the worker up.
BURST = 40
ROUNDS = 300
_WARM_UP = 20
_STEADY_S = 5.0
_STEADY_RATE = 500
_IDLE_S = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """Microseconds of a call.

    Attributes:
        plain: Median of the bursts.
        marked: The same of marked calls.
        more: Median of what a marked burst took more than the plain one beside it, for each call.
        steady: `p50` and `p99` of single calls at a steady rate: plain, then marked.
    """

    plain: float
    marked: float
    more: float
    steady: dict[str, list[float]]


def measure(log_plain: Callable[[], None], log_marked: Callable[[], None]) -> Call:
    """Time both calls."""
    plain, marked = [], []
    for turn in range(_WARM_UP + ROUNDS):
        wait_until_idle()
        times = _burst(log_plain), _burst(log_marked)
        if turn >= _WARM_UP:
            plain.append(times[0])
            marked.append(times[1])
    more = statistics.median(b - a for a, b in zip(plain, marked, strict=True))
    steady = [_steady(log_plain), _steady(log_marked)]
    return Call(
        statistics.median(plain),
        statistics.median(marked),
        more,
        {name: [_quantile(one, share) for one in steady] for name, share in _SHARES.items()},
    )


_SHARES = {"p50": 0.5, "p99": 0.99}


def wait_until_idle() -> None:
    """Wait until every record is stored."""
    deadline = time.monotonic() + _IDLE_S
    while _is_busy() and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_busy() -> bool:
    stats = audit_stats()
    return bool(stats.get("queued") or stats.get("in_hand"))


def _burst(log: Callable[[], None]) -> float:
    began = time.perf_counter_ns()
    for _ in range(BURST):
        log()
    return (time.perf_counter_ns() - began) / BURST / 1000


def _steady(log: Callable[[], None]) -> list[float]:
    taken = []
    began = time.monotonic()
    for number in range(int(_STEADY_S * _STEADY_RATE)):
        time.sleep(max(began + number / _STEADY_RATE - time.monotonic(), 0))
        start = time.perf_counter_ns()
        log()
        taken.append((time.perf_counter_ns() - start) / 1000)
    return taken


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Measure with the database of the command line; the result is JSON in the file it names."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    loglane.configure(
        mode="container", service="audit-call", flow_control={"enabled": False},
        audit={
            "enabled": True, "url": url, "outbox": {"path": str(folder / "outbox.db")},
            # A burst is stored soon, so that the next one begins with an empty queue.
            "batch": {"max_wait_s": 0.05},
        },
    )  # fmt: skip
    log = loglane.get_logger("call")
    with AuditWorker():
        found = measure(
            lambda: log.info("role_changed", user_id=1),
            lambda: log.info("role_changed", user_id=1, persist_db=True),
        )
    (folder / REPORT).write_bytes(orjson.dumps(found))


if __name__ == "__main__":
    main()
