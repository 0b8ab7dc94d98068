"""Repeated errors: the first ones pass, then every Mth, then one summary with the count.

Errors repeat when logger, level, message template, exception type and raising line are the same.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

OTHER_PATTERNS = "other patterns"

# Bounds of what one pattern may hold in memory, in characters.
_MAX_TEXT = 200
# Summaries that wait for due(); what comes after them is counted together as OTHER_PATTERNS.
_MAX_ENDED = 100

_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Summary:
    """What was held back of one pattern in one window that ended.

    Attributes:
        logger: Name of the logger; empty for `OTHER_PATTERNS`.
        level: `error` or `critical`.
        message: Message template, at most 200 characters, or `OTHER_PATTERNS`.
        exception: Qualified name of the exception's type; empty without one.
        where: `file:line` that raised; empty without a traceback.
        suppressed: Errors of the window that were held back.
        count: All errors of the window, held back or not.
        first_seen: Unix time of the window's first error.
        last_seen: Unix time of the window's last error.
    """

    logger: str
    level: str
    message: str
    exception: str
    where: str
    suppressed: int
    count: int
    first_seen: float
    last_seen: float


class _Pattern:
    """Counts of one pattern, over its life and in the window that is open."""

    __slots__ = ("count", "first_seen", "last_seen", "started", "suppressed", "window")

    def __init__(self, started: float, seen: float) -> None:
        self.count = 0
        self.suppressed = 0
        self.first_seen = self.last_seen = seen
        self.started = started
        self.window = _Window(seen)


class _Window:
    __slots__ = ("count", "first_seen", "suppressed")

    def __init__(self, seen: float) -> None:
        self.count = 0
        self.suppressed = 0
        self.first_seen = seen


class FlowControl:
    """Counts every error and holds back those that repeat; safe to use from several threads."""

    def __init__(
        self,
        first: int = 1000,
        every: int = 100,
        window_s: float = 60.0,
        max_patterns: int = 1000,
        suppress: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Set the bounds.

        Args:
            first: How many errors of a pattern pass in a window.
            every: After those, every Mth passes; 0 lets none pass.
            window_s: How long a window lasts, from its first error on.
            max_patterns: How many patterns are remembered; the one not seen for longest goes first.
            suppress: False only counts: every error passes.
            clock: Seconds that never go back; windows are measured with it.
            wall: Unix time; `first_seen` and `last_seen` come from it.
        """
        self._first = first
        self._every = every
        self._window_s = window_s
        self._max_patterns = max(1, max_patterns)
        self._suppress = suppress
        self._clock = clock
        self._wall = wall
        self.reset_lock()

    def reset_lock(self) -> None:
        """Start clean in a forked child: a new lock, and no counts that the parent reports."""
        # Re-entrant: a signal handler or a __del__ may log an error while one is being counted.
        self._lock = threading.RLock()
        self._patterns: OrderedDict[_Key, _Pattern] = OrderedDict()
        self._ended: list[Summary] = []
        self._other: Summary | None = None
        self._total = 0
        self._total_suppressed = 0
        # Held back and not yet summed up; and when the first window with such lines ends.
        self._held = 0
        self._next_due = float("inf")

    @property
    def has_pending(self) -> bool:
        """Tell whether errors were held back that no summary has named yet; costs nothing."""
        return self._held > 0

    def admit(
        self, logger: str, level: str, template: str, exception: BaseException | None
    ) -> bool:
        """Count one error or critical line and tell whether it is to be written.

        Args:
            logger: Name of the logger.
            level: `error` or `critical`; other levels do not belong here.
            template: The message before values are put into it.
            exception: The exception that the line is about, if any.

        Returns:
            False when the line is held back.
        """
        kind, where = _origin(exception)
        key = (logger[:_MAX_TEXT], level, template[:_MAX_TEXT], kind, where)
        now, seen = self._clock(), self._wall()
        with self._lock:
            pattern = self._find(key, now, seen)
            if now - pattern.started >= self._window_s:
                self._end_window(key, pattern)
                pattern.started, pattern.window = now, _Window(seen)
            return self._count(pattern, seen)

    def due(self, *, everything: bool = False) -> list[Summary]:
        """Return the summaries that are to be written now, each once.

        Args:
            everything: Also close the windows that are still open, as at exit.
        """
        if not self._held:
            return []
        now = self._clock()
        with self._lock:
            if everything or now >= self._next_due:
                self._end_windows(now, everything)
            summaries, self._ended = self._ended, []
            if self._other is not None:
                summaries.append(self._other)
                self._other = None
            self._held -= sum(summary.suppressed for summary in summaries)
            return summaries

    def stats(self) -> dict[str, Any]:
        """Return the counts so far.

        Returns:
            `total_error_patterns` (remembered now), `total_error_count` and `total_suppressed`
            (of all errors ever, also of patterns no longer remembered) and `patterns`, the most
            frequent first, each with its counts and when it was first and last seen.
        """
        with self._lock:
            patterns = [_described(key, pattern) for key, pattern in self._patterns.items()]
            total, suppressed = self._total, self._total_suppressed
        patterns.sort(key=lambda pattern: -pattern["count"])
        return {
            "total_error_patterns": len(patterns),
            "total_error_count": total,
            "total_suppressed": suppressed,
            "patterns": patterns,
        }

    def _find(self, key: _Key, now: float, seen: float) -> _Pattern:
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns.setdefault(key, _Pattern(now, seen))
            while len(self._patterns) > self._max_patterns:
                self._end_window(*self._patterns.popitem(last=False))
        else:
            self._patterns.move_to_end(key)
        return pattern

    def _count(self, pattern: _Pattern, seen: float) -> bool:
        self._total += 1
        pattern.count += 1
        pattern.last_seen = seen
        window = pattern.window
        window.count += 1
        beyond = window.count - self._first
        if not self._suppress or beyond <= 0 or (self._every > 0 and beyond % self._every == 0):
            return True
        window.suppressed += 1
        pattern.suppressed += 1
        self._total_suppressed += 1
        self._held += 1
        self._next_due = min(self._next_due, pattern.started + self._window_s)
        return False

    def _end_windows(self, now: float, everything: bool) -> None:
        self._next_due = float("inf")
        for key, pattern in list(self._patterns.items()):
            if not pattern.window.suppressed:
                continue
            end = pattern.started + self._window_s
            if everything or now >= end:
                self._end_window(key, pattern)
                # The next error opens a window of its own.
                pattern.started = float("-inf")
                pattern.window = _Window(pattern.last_seen)
            else:
                self._next_due = min(self._next_due, end)

    def _end_window(self, key: _Key, pattern: _Pattern) -> None:
        window = pattern.window
        if not window.suppressed:
            return
        counts = window.suppressed, window.count, window.first_seen, pattern.last_seen
        if len(self._ended) < _MAX_ENDED:
            self._ended.append(Summary(*key, *counts))
        else:
            self._other = _joined(
                self._other, Summary("", "error", OTHER_PATTERNS, "", "", *counts)
            )


def _origin(exception: BaseException | None) -> tuple[str, str]:
    """Return the exception's type and the line that raised it, as texts of bounded length."""
    if exception is None:
        return "", ""
    kind = type(exception)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    trace = exception.__traceback__
    if trace is None:
        return f"{module}{kind.__qualname__}"[:_MAX_TEXT], ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename[-_MAX_TEXT:]}:{trace.tb_lineno}"
    return f"{module}{kind.__qualname__}"[:_MAX_TEXT], where


def _joined(one: Summary | None, two: Summary) -> Summary:
    if one is None:
        return two
    return Summary(
        two.logger,
        two.level,
        two.message,
        two.exception,
        two.where,
        suppressed=one.suppressed + two.suppressed,
        count=one.count + two.count,
        first_seen=min(one.first_seen, two.first_seen),
        last_seen=max(one.last_seen, two.last_seen),
    )


def _described(key: _Key, pattern: _Pattern) -> dict[str, Any]:
    logger, level, message, exception, where = key
    return {
        "logger": logger,
        "level": level,
        "message": message,
        "exception": exception,
        "where": where,
        "count": pattern.count,
        "suppressed": pattern.suppressed,
        "first_seen": _iso(pattern.first_seen),
        "last_seen": _iso(pattern.last_seen),
    }


def _iso(seen: float) -> str:
    return datetime.fromtimestamp(seen, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
