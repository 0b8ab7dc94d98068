"""What the direct push has to reach, and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.shipping.rounds import BURST_SINK, FORCED_HANDLER, QUEUE_BYTES, Figures

LIMIT = "limit, protobuf"
SINK = "loglane, sink.write"
# The batch at work is not in the queue: its lines, their fields, the request of each encoding.
BATCH_BYTES = 16 * 2**20
# Each with the sink's run that it is compared with.
HANDLERS = {"python-logging-loki 0.3.1": SINK, "loki-logger-handler 1.1.2": BURST_SINK}


class Verdict(NamedTuple):
    """One goal with what was measured; `value` is None when that was not possible."""

    title: str
    value: float | None
    limit: float
    unit: str = "x"
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.2f}{self.unit}"
        wanted = f"{'at most' if self.at_most else 'at least'} {self.limit:g}{self.unit}"
        return f"{self.title:<58}{value:>12}, {wanted:<15}{'yes' if self.met else 'NO'}"


def judge(found: Mapping[str, Figures], grown_bytes: float) -> list[Verdict]:
    """Return a verdict for each goal."""
    verdicts = [Verdict("sink, of the limit", ratio(found[SINK].rate, found[LIMIT].rate), 0.8)]
    for name, sink in HANDLERS.items():
        value = ratio(found[sink].rate, found[name].rate) if name in found else None
        verdicts.append(Verdict(f"sink, of {name}", value, 50))
    # One sink in the place of the other; both together are in the table.
    own = found["loglane, log call, push alone"].call_ns
    for stdout in ("stdout to null", "stdout a pipe"):
        base = found[f"loglane without push, {stdout}"].call_ns
        title = f"app's call, of the one with {stdout}"
        verdicts.append(Verdict(title, ratio(own, base), 1.3, at_most=True))
    mib = 2**20
    bound = (QUEUE_BYTES + BATCH_BYTES) // mib
    title = f"memory, queue.max_bytes {QUEUE_BYTES // mib} MiB and {BATCH_BYTES // mib} for a batch"
    verdicts.append(Verdict(title, grown_bytes / mib, bound, " MiB", at_most=True))
    return verdicts


def without_timer(found: Mapping[str, Figures]) -> str:
    """Say how the sink compares with the batching handler when that waits for nothing.

    No goal: fifty times as much is more than Loki takes over one connection.
    """
    if FORCED_HANDLER not in found:
        return f"{FORCED_HANDLER}: not measured"
    times = ratio(found[SINK].rate, found[FORCED_HANDLER].rate)
    return f"sink, of {FORCED_HANDLER}: {times:.1f}x"


def ratio(own: list[float], base: list[float]) -> float:
    """Return the median of the rounds' own ratios: what slows a round down slows both."""
    return statistics.median(mine / other for mine, other in zip(own, base, strict=True))
