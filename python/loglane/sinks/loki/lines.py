"""Lines that wait in memory, bounded by their number and by their bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from loglane.fields import LEVELS
from loglane.sinks.loki.bell import Bell
from loglane.sinks.loki.record import Record

# What Python keeps for a line besides its text: the bytes object, the tuple, the number of its
# time and its place in the queue (tracemalloc on CPython 3.11 says 140; a test checks it).
OVERHEAD = 160
# Taken or put back under one hold of the lock, which a log call may wait for.
_MOVED_AT_ONCE = 256


class LineQueue:
    """A queue that never blocks: beyond its bounds the oldest line of the lowest level goes.

    Attributes:
        items: Lines in it.
        bytes: What they occupy, with what Python keeps for each.
        some: Set while there are lines.
        enough: Set while there are enough for a batch, or the queue is half full.
    """

    def __init__(self, max_items: int, max_bytes: int, batch_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        # A queue that is smaller than a batch would drop lines before anybody sends them; a line
        # has at least its overhead, so this bounds their number too, without asking for it.
        self._batch_bytes = min(batch_bytes, max_bytes // 2, max_items * OVERHEAD // 2)
        self._last_ns = 0
        self.start_child()

    def start_child(self) -> None:
        """Begin anew in a forked child: empty, with free locks and nothing dropped yet."""
        # Re-entrant: a signal handler may log while its own thread puts a line. Python runs it
        # after calls and at jumps, so what belongs together here has none in between; a handler
        # that raises, as that of Ctrl-C does, leaves numbers that have to be counted anew.
        self._lock = threading.RLock()
        self._is_moving = self._is_mixed = False
        self.some = Bell()
        self.enough = Bell()
        self._levels: tuple[deque[Record], ...] = tuple(deque() for _ in LEVELS)
        self.items = self.bytes = 0
        self._dropped = [0] * len(LEVELS)

    @property
    def dropped(self) -> dict[str, int]:
        """Lines that had to go, by level."""
        return {level: n for level, n in zip(LEVELS, self._dropped, strict=True) if n}

    def put(self, line: bytes, rank: int) -> None:
        """Append a line of a level, stamped with a time later than that of all before it."""
        size = len(line) + OVERHEAD
        with self._lock:
            try:
                # Two lines with the same text and time would be one for Loki.
                now = time.time_ns()
                if now <= self._last_ns:
                    now = self._last_ns + 1
                self._last_ns = now
                self.items += 1
                self.bytes += size
                self._levels[rank].append((now, rank, line))
                if self.bytes > self._max_bytes or self.items > self._max_items:
                    self._make_room_for(size, rank)
                if not self.some.rings:
                    self.some.set()
                if self.bytes >= self._batch_bytes and not self.enough.rings:
                    self.enough.set()
            except BaseException:
                self._count()
                raise

    def wake(self) -> None:
        """Let whoever waits for lines return; taking sets the events right again."""
        self.some.set()
        self.enough.set()

    def follow_clock(self) -> None:
        """Stamp by the clock again when it was set back, unless lines wait that are ahead of it."""
        with self._lock:
            if not self.items:
                self._last_ns = min(self._last_ns, time.time_ns())

    def take(self, max_bytes: int) -> list[Record]:
        """Remove the oldest lines, about this many bytes of text and at least one if there is."""
        taken: list[Record] = []
        room = max_bytes
        while room > 0:
            with self._moving():
                found, size = self._take_some(room)
                if not self.items:
                    self.some.clear()
                if self.bytes < self._batch_bytes:
                    self.enough.clear()
            if not found:
                break
            taken += found
            room -= size
        return taken

    def put_back(self, records: Sequence[Record]) -> None:
        """Return what was taken last and could not be sent; the bounds hold for it again."""
        for end in range(len(records), 0, -_MOVED_AT_ONCE):
            with self._moving():
                for record in reversed(records[max(end - _MOVED_AT_ONCE, 0) : end]):
                    size = len(record[2]) + OVERHEAD
                    level = self._levels[record[1]]
                    self._is_mixed |= bool(level) and level[0] < record
                    level.appendleft(record)
                    self.items += 1
                    self.bytes += size
                if self._is_mixed and end <= _MOVED_AT_ONCE:
                    self._sort()
                self._make_room()
                if self.items:
                    self.some.set()
                if self.bytes >= self._batch_bytes:
                    self.enough.set()

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Hold the lock; a signal handler of the same thread then only appends."""
        with self._lock:
            self._is_moving = True
            try:
                yield
            except BaseException:
                self._count()
                raise
            finally:
                self._is_moving = False

    def _count(self) -> None:
        sizes = [len(line) + OVERHEAD for level in self._levels for _, _, line in level]
        self.items, self.bytes = len(sizes), sum(sizes)
        self.wake()

    def _sort(self) -> None:
        """Set the order of time right: two have taken lines, and the later ones came back last."""
        self._is_mixed = False
        for level in self._levels:
            found = []
            while level:
                found.append(level.popleft())
            # To the left of what a signal handler appends meanwhile.
            level.extendleft(sorted(found, reverse=True))

    def _take_some(self, room: int) -> tuple[list[Record], int]:
        """Remove all lines up to one moment; return them, in order, and the bytes of their text.

        Every level is in order of time.
        """
        waiting = [level for level in self._levels if level]
        if not waiting:
            return [], 0
        # By the mean size, so that a portion is about as large as it should be.
        wanted = room * self.items // max(1, self.bytes * len(waiting))
        most = min(max(1, wanted), _MOVED_AT_ONCE)
        found: list[Record] = []
        # A signal handler of this thread that sends what is left leaves nothing here.
        with suppress(IndexError):
            # No level gives more than this, however far its lines reach into the past.
            until = min(level[min(most, len(level)) - 1][0] for level in waiting)
            for level in waiting:
                while level and level[0][0] <= until:
                    found.append(level.popleft())
        # Counted first: no call may come between reading and writing a number.
        count = len(found)
        size = sum([len(line) for _, _, line in found])
        occupied = size + OVERHEAD * count
        self.items -= count
        self.bytes -= occupied
        if len(waiting) > 1:
            found.sort()
        return found, size

    def _make_room_for(self, size: int, rank: int) -> None:
        if self._is_moving:
            # The next line makes room for this one, too.
            return
        if size > self._max_bytes:
            # All others would have to go before it, and then itself.
            self._levels[rank].pop()
            self.items -= 1
            self.bytes -= size
            self._dropped[rank] += 1
        self._make_room()

    def _make_room(self) -> None:
        for rank, level in enumerate(self._levels):
            while self.bytes > self._max_bytes or self.items > self._max_items:
                try:
                    _, _, line = level.popleft()
                except IndexError:
                    break
                size = len(line) + OVERHEAD
                self.items -= 1
                self.bytes -= size
                self._dropped[rank] += 1
