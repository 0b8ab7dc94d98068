"""Audit records in memory: those that wait, bounded, and those that somebody has in hand."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from loglane.sinks.audit.outbox import Outbox

# What Python keeps for a record besides its text: the bytes object, the tuple, the time and its
# place in the queue (tracemalloc on CPython 3.11 says 140; a test checks it).
OVERHEAD = 160
_NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Row:
    """Where a record is that is in an outbox, too."""

    outbox: Outbox
    id: int


# The record, when it came (by the monotonic clock), and where it is on the disk, if it is.
Record = tuple[bytes, float, Row | None]


class Waiting:
    """A queue of records; any thread may put and take."""

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.start_child()

    def start_child(self) -> None:
        """Begin anew in a forked child: empty, with free locks; the parent has its own."""
        # Re-entrant: a signal handler spills what waits, whatever its own thread is doing.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._waiters = 0
        self._records: deque[Record] = deque()
        self._hands: dict[int, list[Record]] = {}
        self._bytes = 0
        self._rings_at = _NEVER

    def __len__(self) -> int:
        return len(self._records)

    @property
    def size(self) -> int:
        """Bytes that the records that wait occupy."""
        return self._bytes

    @property
    def in_hand(self) -> int:
        """How many records were taken and are not settled yet."""
        with self._lock:
            return sum(map(len, self._hands.values()))

    def age_s(self) -> float:
        """Return how long the oldest record has waited; 0 when there is none."""
        try:
            return monotonic() - self._records[0][1]
        except IndexError:
            return 0.0

    def lag_s(self) -> float:
        """Return the age of the oldest record, those in hand among them; 0 when there is none."""
        with self._lock:
            firsts = [one[0][1] for one in (*self._hands.values(), self._records) if one]
        return monotonic() - min(firsts) if firsts else 0.0

    def put(self, line: bytes) -> bool | None:
        """Append a record.

        Returns:
            None when there is no room for it; True when whoever takes them is to be woken.
        """
        size = len(line) + OVERHEAD
        with self._lock:
            records = self._records
            if self._bytes + size > self.max_bytes or len(records) >= self.max_items:
                return None
            # At once, not from a value of before: a signal handler may put one in between.
            self._bytes += size
            records.append((line, monotonic(), None))
            if len(records) < self._rings_at:
                return False
            self._rings_at = _NEVER
            return True

    def put_when_free(self, line: bytes, timeout_s: float) -> bool | None:
        """Append a record as soon as there is room; otherwise as `put`."""
        if len(line) + OVERHEAD > self.max_bytes:
            return None
        until = monotonic() + timeout_s
        with self._lock:
            self._waiters += 1
            try:
                while (woken := self.put(line)) is None:
                    left = until - monotonic()
                    if left <= 0 or not self._room.wait(left):
                        return self.put(line)
                return woken
            finally:
                self._waiters -= 1

    def room(self) -> int:
        """Return how many records may still be put."""
        return 0 if self._bytes >= self.max_bytes else max(0, self.max_items - len(self))

    def extend(self, records: Iterable[Record]) -> bool:
        """Append records whatever the bounds are; return whether the taker is to be woken."""
        with self._lock:
            for record in records:
                self._records.append(record)
                self._bytes += len(record[0]) + OVERHEAD
            return self._is_enough()

    def arm(self, count: int) -> bool:
        """Ask to be woken at so many records; return False when there are so many already."""
        with self._lock:
            self._rings_at = count
            return not self._is_enough()

    def take(self, limit: int) -> list[Record]:
        """Take the oldest records into one's hands, until they are settled or put back."""
        with self._lock:
            taken = [self._records.popleft() for _ in range(min(limit, len(self._records)))]
            if taken:
                # In this order, nothing that a signal spills meanwhile is missing.
                self._hands[id(taken)] = taken
                self._count(taken, -1)
        return taken

    def settle(self, taken: list[Record]) -> None:
        """Let go of what `take` returned: it is stored, or written elsewhere."""
        with self._lock:
            self._hands.pop(id(taken), None)

    def put_back(self, taken: list[Record]) -> None:
        """Let what `take` returned wait again, before all others."""
        with self._lock:
            if self._hands.pop(id(taken), None) is not None:
                self._records.extendleft(reversed(taken))
                self._count(taken, 1)

    def all(self) -> list[Record]:
        """Return what is in hand and what waits, and leave it where it is."""
        with self._lock:
            return [record for hand in self._hands.values() for record in hand] + [*self._records]

    def remove(self, records: Sequence[Record]) -> None:
        """Remove those records of `all` that still wait: they are somewhere else now.

        What is in hand stays there: whoever has it goes on with it.
        """
        gone = {id(record) for record in records}
        with self._lock:
            left = [record for record in self._records if id(record) not in gone]
            self._records = deque(left)
            self._bytes = 0
            self._count(left, 1)

    def _count(self, records: Sequence[Record], sign: int) -> None:
        self._bytes += sign * sum([len(record[0]) + OVERHEAD for record in records])
        if self._waiters:
            self._room.notify_all()

    def _is_enough(self) -> bool:
        if len(self._records) < self._rings_at:
            return False
        self._rings_at = _NEVER
        return True
