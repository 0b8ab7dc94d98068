"""Keep a share of the lines; errors are never sampled away.

A line with a trace id is kept or dropped by the id alone, so a trace stays whole at a given rate
in every process: the first 8 bytes of the SHA-256 of the id's UTF-8 text, read as a big-endian
number and divided by 2**64, are compared with the rate. Another language gets the same answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from loglane.fields import ERROR_LEVELS

_SPAN = 2.0**64


class Sampler:
    """Decides which lines are kept, and counts those that are not, by level.

    The most specific rule counts: the longest of `loggers` that is the logger's name or a parent
    of it, else the rule for the level, else the rate for all.
    """

    def __init__(
        self,
        rate: float = 1.0,
        levels: Mapping[str, float] = {},
        loggers: Mapping[str, float] = {},
    ) -> None:
        """Set the rules.

        Args:
            rate: Share of lines to keep, 0 to 1, where no other rule fits.
            levels: Rates by level; those for error and critical have no effect.
            loggers: Rates by dotted logger name; `shop` fits `shop` and `shop.orders`.
        """
        self._rate = rate
        self._levels = dict(levels)
        self._loggers = dict(loggers)
        self._active = any(
            one < 1.0
            for one in (
                rate,
                *(value for level, value in levels.items() if level not in ERROR_LEVELS),
                *loggers.values(),
            )
        )
        self.reset_lock()

    def reset_lock(self) -> None:
        """Start clean in a forked child: a new lock, and none of the parent's counts."""
        self._lock = threading.RLock()
        self._dropped: dict[str, int] = {}

    @property
    def active(self) -> bool:
        """Tell whether any rule drops lines; if not, `keep` need not be asked."""
        return self._active

    @property
    def dropped(self) -> dict[str, int]:
        """Return how many lines of each level were dropped so far."""
        with self._lock:
            return dict(self._dropped)

    def keep(self, level: str, logger: str, trace_id: str | None) -> bool:
        """Tell whether a line is to be kept; one that is not is counted.

        Args:
            level: The line's level; error and critical are always kept.
            logger: The dotted name of its logger.
            trace_id: The id of its trace; without one, chance decides.
        """
        if not self._active or level in ERROR_LEVELS:
            return True
        rate = self._rate_of(level, logger)
        if rate >= 1.0 or (rate > 0.0 and _position(trace_id) < rate):
            return True
        with self._lock:
            self._dropped[level] = self._dropped.get(level, 0) + 1
        return False

    def _rate_of(self, level: str, logger: str) -> float:
        name = logger if self._loggers else ""
        while name:
            rate = self._loggers.get(name)
            if rate is not None:
                return rate
            name = name.rpartition(".")[0]
        return self._levels.get(level, self._rate)


def _position(trace_id: str | None) -> float:
    """Return where a trace lies in [0, 1), or any place there for a line without one."""
    if not trace_id:
        import random

        return random.random()  # noqa: S311 - no secret depends on it
    import hashlib

    digest = hashlib.sha256(trace_id.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") / _SPAN
