"""Lines of a tail in order of time, so that one place in them says what was given before.

A tail gives lines about in order, because they reach Loki over several ways. A short wait puts them
in order: by time, and within a nanosecond by digest. Then 'after this line' is all that a reader
who comes back has to say, to any worker of the app.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass

from loglane.query import LogEntry

_PLACE = re.compile(r"(\d{1,19})(?:-([0-9a-f]{16}))?\Z", re.ASCII)
# Beyond this many the oldest are given without the wait: order is a nicety, memory is not.
MAX_HELD = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a tail: behind the line of this time and digest; without one before that time."""

    timestamp_ns: int
    digest: bytes = b""

    def __str__(self) -> str:
        return f"{self.timestamp_ns}-{self.digest.hex()}" if self.digest else f"{self.timestamp_ns}"


def read_place(text: str) -> Place:
    """Read a place.

    Raises:
        ValueError: It is none.
    """
    found = _PLACE.match(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no id of an event of this tail")
    return Place(int(found[1]), bytes.fromhex(found[2] or ""))


class Ordering:
    """Holds lines back until those before them must have come.

    Args:
        after: Where the reader stands; what he was given at that moment is left out.
        settle_ns: How long after its time a line may come and still be put in order.
        clock_ns: The time.

    Attributes:
        place: Behind the line that was given last.
    """

    def __init__(self, after: Place, settle_ns: int, clock_ns: Callable[[], int]) -> None:
        self.place = after
        self._after = after
        self._settle_ns = settle_ns
        self._clock_ns = clock_ns
        self._held: list[tuple[Place, int, LogEntry]] = []
        self._added = 0
        self._latest_ns = 0

    def add(self, entry: LogEntry) -> None:
        """Take a line from the tail."""
        place = Place(entry.timestamp_ns, entry.digest())
        # Lines of before that moment come only if they reached Loki since, so they are new.
        if entry.timestamp_ns == self._after.timestamp_ns and place <= self._after:
            return
        self._latest_ns = entry.timestamp_ns
        self._added += 1
        heapq.heappush(self._held, (place, self._added, entry))

    def ready(self, *, paused: bool) -> list[tuple[Place, LogEntry]]:
        """Return the lines whose time has come, each with the place behind it.

        Args:
            paused: Whether the tail gives nothing at the moment. If it does, more lines of the
                nanosecond that came last may follow.
        """
        until_ns = self._clock_ns() - self._settle_ns
        if not paused:
            until_ns = min(until_ns, self._latest_ns - 1)
        found = []
        while self._held and (
            self._held[0][0].timestamp_ns <= until_ns or len(self._held) > MAX_HELD
        ):
            place, _, entry = heapq.heappop(self._held)
            # A line that comes late does not move the reader back.
            self.place = max(self.place, place)
            found.append((self.place, entry))
        return found

    def wait_s(self) -> float | None:
        """Return how long until a line is ready; None when none is held."""
        if not self._held:
            return None
        due_ns = self._held[0][0].timestamp_ns + self._settle_ns - self._clock_ns()
        return max(0.0, due_ns / 1e9)
