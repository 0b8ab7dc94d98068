"""Where the sender has its lines from: the queue in memory, or the folder that outlives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from loglane.sinks.loki.lines import LineQueue
from loglane.sinks.loki.record import Record

if TYPE_CHECKING:
    from loglane.sinks.loki import wal


@dataclass(frozen=True, slots=True)
class Portion:
    """Lines in the sender's hand; `stored` tells those that are in the folder too."""

    records: Sequence[Record]
    stored: wal.Portion | None = None


class Source(Protocol):
    """Gives out lines in order of time, and keeps those that could not be sent."""

    def wait(self, timeout_s: float) -> None:
        """Return when there are lines, or the time is over."""

    def wait_for_batch(self, timeout_s: float) -> None:
        """Return when there are enough lines for a batch, or the time is over."""

    def wake(self) -> None:
        """Let whoever waits return now."""

    def has_batch(self) -> bool:
        """Tell whether there are enough lines for a batch now."""

    def is_empty(self) -> bool:
        """Tell whether nothing waits, apart from what the sender has in its hand."""

    def take(self, max_bytes: int) -> Portion | None:
        """Give out the oldest lines, of about so many bytes."""

    def put_back(self, portions: Sequence[Portion]) -> None:
        """Take back what was given out last and not acknowledged, oldest first."""

    def acknowledge(self, portion: Portion) -> None:
        """Forget lines that have been dealt with."""

    def follow_clock(self) -> None:
        """Stamp lines by the clock again, as soon as that leaves them in order."""


class MemorySource:
    """The queue alone."""

    def __init__(self, queue: LineQueue) -> None:
        self._queue = queue

    def wait(self, timeout_s: float) -> None:
        """Return when there are lines, or the time is over."""
        self._queue.some.wait(timeout_s)

    def wait_for_batch(self, timeout_s: float) -> None:
        """Return when there are enough lines for a batch, or the time is over."""
        self._queue.enough.wait(timeout_s)

    def wake(self) -> None:
        """Let whoever waits return now."""
        self._queue.wake()

    def has_batch(self) -> bool:
        """Tell whether there are enough lines for a batch now."""
        return self._queue.enough.rings

    def is_empty(self) -> bool:
        """Tell whether nothing waits, apart from what the sender has in its hand."""
        return not self._queue.items

    def take(self, max_bytes: int) -> Portion | None:
        """Give out the oldest lines, of about so many bytes."""
        records = self._queue.take(max_bytes)
        return Portion(records) if records else None

    def put_back(self, portions: Sequence[Portion]) -> None:
        """Take back what was given out last and not acknowledged, oldest first."""
        for portion in reversed(portions):
            self._queue.put_back(portion.records)

    def acknowledge(self, _portion: Portion) -> None:
        """Forget lines that have been dealt with: they are in no place any more."""

    def follow_clock(self) -> None:
        """Stamp lines by the clock again, as soon as that leaves them in order."""
        self._queue.follow_clock()
