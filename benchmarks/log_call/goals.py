"""What loglane has to reach (issue 3), and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOGLANE = "loglane_defaults"
STRUCTLOG = "structlog_fast"
STDLIB = "structlog_stdlib"
FLOOR = "floor"

# 'No slower than' cannot be measured closer than this here.
NOISE = 1.05


@dataclass(frozen=True)
class Goal:
    """loglane's time of `case` is to be at most `limit` times the peer's of `base_case`."""

    title: str
    case: str
    base_case: str
    base_peer: str
    limit: float
    # How far above the limit still counts, where the limit itself lies within the noise.
    noise: float = 1.0


GOALS = (
    Goal("five fields, of structlog's fast path", "five", "five", STRUCTLOG, 0.5),
    Goal("five fields, of the floor", "five", "five", FLOOR, 2.2),
    Goal("disabled level, of structlog's", "disabled", "disabled", STRUCTLOG, 1.0, NOISE),
    Goal("50 foreign variables, of its own five", "foreign", "five", LOGLANE, 1.0, NOISE),
    Goal("exception, of structlog-stdlib", "exception", "exception", STDLIB, 1.0, NOISE),
)
IMPORT_MS = 15.0
IMPORT_MB = 10.0

Times = Mapping[str, Mapping[str, Sequence[float]]]
"""Microseconds of one call in each round: `{case: {peer: [micros]}}`."""


def ratio(own: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the rounds' own ratios.

    The ratio of the medians is less steady: where the machine has a fast and a slow mode, one
    median may fall into the one and one into the other.
    """
    return statistics.median(mine / other for mine, other in zip(own, base, strict=True))


@dataclass(frozen=True)
class Verdict:
    """One goal with what was measured; `value` is None when that was not possible."""

    title: str
    unit: str
    value: float | None
    limit: float
    # What still counts, where the limit itself lies within the noise.
    allowed: float

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value is not None and self.value <= self.allowed


def judge(times: Times, import_ms: float | None, import_mb: float | None) -> list[Verdict]:
    """Return a verdict for each goal, in the order of the issue.

    Args:
        times: Times of each case and peer.
        import_ms: Milliseconds that importing loglane takes longer than importing structlog.
        import_mb: Megabytes that it takes more.
    """
    verdicts = []
    for goal in GOALS:
        own = times.get(goal.case, {}).get(LOGLANE)
        base = times.get(goal.base_case, {}).get(goal.base_peer)
        value = None if own is None or base is None else ratio(own, base)
        verdicts.append(Verdict(goal.title, "x", value, goal.limit, goal.limit * goal.noise))
    return [
        *verdicts,
        Verdict("import, over structlog's", " ms", import_ms, IMPORT_MS, IMPORT_MS),
        Verdict("import, over structlog's", " MB", import_mb, IMPORT_MB, IMPORT_MB),
    ]
