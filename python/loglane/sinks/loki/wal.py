"""Lines on the disk until Loki has them, so that a killed process loses none it handed over.

Each process writes to a directory of its own below the folder, and holds a lock in it for its
life. A directory whose lock is free belongs to a process that is gone: whoever takes the lock
first delivers what is in it. What the operating system has is safe from `kill -9`; nothing is
forced to the disk, so a power cut can take the last seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loglane.sinks.loki import wal_directories
from loglane.sinks.loki.record import Record
from loglane.sinks.loki.wal_blocks import (
    BLOCK_HEADER_BYTES,
    HEADER_BYTES,
    RECORD_BYTES,
    make_block,
)
from loglane.sinks.loki.wal_journals import Journal
from loglane.sinks.loki.wal_positions import Position
from loglane.sinks.loki.wal_segments import Report

# Each taken directory costs a descriptor; the others wait until these are delivered.
_MAX_ADOPTED = 64
_SEGMENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Records in the order they were appended, and the place they end at.

    Attributes:
        records: At least one.
        end: For `Wal.acknowledge`.
    """

    records: list[Record]
    journal: Journal
    end: Position


class Wal:
    """What one process has written and not yet delivered, and what dead processes left behind.

    Any thread may append; one thread calls the rest. The directory is made by the first append.
    """

    def __init__(
        self, folder: Path, max_bytes: int, *, report: Report, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        """Set the place; nothing is made or read yet.

        Args:
            folder: Holds one directory a process; made with mode 0700.
            max_bytes: Most that this process's segments, with those it has taken over, may take.
            report: Called with each problem, once, from the thread that meets it.
            segment_bytes: Size at which a new file is begun. Room is freed by whole files, so it
                is at most an eighth of `max_bytes`.
        """
        self._folder = folder.absolute()
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max_bytes // 8)
        self._report_to = report
        self._reported: set[str] = set()
        # A signal handler that logs inside an append must not wait for that append.
        self._lock = threading.RLock()
        self._appending = False
        self._own: Journal | None = None
        self._adopted: list[Journal] = []
        self._more_to_adopt = False
        self._unacknowledged: deque[Portion] = deque()
        self._closed = False

    @property
    def pending_bytes(self) -> int:
        """Bytes of the blocks that are not acknowledged."""
        return sum(journal.pending_bytes for journal in self._journals())

    @property
    def pending_records(self) -> int:
        """Records that are not acknowledged; damage that was not met yet is not counted."""
        return sum(journal.pending_records for journal in self._journals())

    @property
    def disk_bytes(self) -> int:
        """Bytes that count against `max_bytes`: whole segments, also what is delivered of them."""
        return sum(journal.disk_bytes for journal in self._journals())

    def append(self, records: Sequence[Record]) -> int:
        """Write records as one block.

        Returns:
            How many were taken, from the first on: fewer than given when `max_bytes` is reached,
            none when it was closed, or from a signal handler that interrupts an append.

        Raises:
            OSError: The disk is full, cannot be written, has no locks, ...; none were taken and
                a later append may work.
        """
        with self._lock:
            if self._appending or self._closed:
                return 0
            self._appending = True
            try:
                return self._append(records)
            finally:
                self._appending = False

    def read(self, max_bytes: int) -> Portion | None:
        """Return the oldest records that were not read since the start or the last `rewind`.

        Args:
            max_bytes: About how many bytes to read; at least one block, however long.

        Returns:
            None when there are no more now. A portion ends where a segment ends, so one may be
            small while more are left.
        """
        for journal in self._journals():
            found = journal.read(max_bytes)
            if found is not None:
                portion = Portion(found[0], journal, found[1])
                self._unacknowledged.append(portion)
                return portion
        if not self._unacknowledged:
            self._settle()
            if self._more_to_adopt and not self._adopted and self.adopt():
                return self.read(max_bytes)
        return None

    def rewind(self) -> None:
        """Read again what is not acknowledged."""
        self._unacknowledged.clear()
        for journal in self._journals():
            journal.rewind()

    def acknowledge(self, portion: Portion) -> None:
        """Note that a portion and all that were read before it are delivered.

        The system has the note when this returns: only a process that is killed before that leaves
        them to be read again. A note that cannot be written is reported.
        """
        ends = {portion.journal: portion.end}
        if portion in self._unacknowledged:
            while (earlier := self._unacknowledged.popleft()) is not portion:
                ends[earlier.journal] = max(earlier.end, ends.get(earlier.journal, earlier.end))
        for journal, end in ends.items():
            journal.acknowledge(end)
        self._release_empty()

    def adopt(self) -> int:
        """Take over what processes left that are gone.

        Returns:
            How many records were found. A folder with very many directories is taken over in
            parts, the next one when this one is delivered.
        """
        records = 0
        known = {journal.path for journal in self._journals()}
        self._more_to_adopt = False
        for path in wal_directories.list_directories(self._folder, self._report):
            if path in known:
                continue
            if len(self._adopted) >= _MAX_ADOPTED:
                self._more_to_adopt = True
                break
            journal = self._take(path)
            if journal is not None:
                records += journal.pending_records
        return records

    def close(self) -> None:
        """Leave what is not delivered to the next process; remove directories without lines."""
        with self._lock:
            self._closed = True
            journals = self._journals()
            self._own, self._adopted = None, []
        self._unacknowledged.clear()
        for journal in journals:
            journal.close()

    def abandon(self) -> None:
        """Close what a forked child inherited; its parent's lock, files and lines stay.

        Takes no lock: a thread that held it is not in the child.
        """
        self._closed = True
        for journal in self._journals():
            journal.abandon()
        self._own, self._adopted = None, []

    def _journals(self) -> list[Journal]:
        own = self._own
        return self._adopted if own is None else [*self._adopted, own]

    def _append(self, records: Sequence[Record]) -> int:
        room = self._max_bytes - self.disk_bytes - HEADER_BYTES
        size = BLOCK_HEADER_BYTES + sum([RECORD_BYTES + len(line) for _, _, line in records])
        if size > room:
            records = _fitting(records, room)
        if not records:
            return 0
        block = make_block(records)
        try:
            self._take_own().append(block, len(records), self._segment_bytes)
        except FileNotFoundError:
            # Somebody removed the directory: what can still be read of it, and a new one.
            self._adopted = [*self._adopted, self._take_own()]
            self._own = None
            self._take_own().append(block, len(records), self._segment_bytes)
        return len(records)

    def _take_own(self) -> Journal:
        if self._own is None:
            path, claim = wal_directories.make_directory(self._folder)
            self._own = Journal(path, claim, self._lock, self._report)
        return self._own

    def _take(self, path: Path) -> Journal | None:
        try:
            claim = wal_directories.take_directory(path)
            if claim is None:
                return None
            journal = Journal(path, claim, self._lock, self._report)
            try:
                journal.load()
            except OSError:
                journal.close()
                raise
        except OSError as error:
            self._report(f"{path}: {error.strerror}; the lines in it are not sent")
            return None
        if journal.is_empty:
            journal.close()
            return None
        with self._lock:
            self._adopted = [*self._adopted, journal]
        return journal

    def _settle(self) -> None:
        """Free what was passed over because it is damaged."""
        for journal in self._journals():
            journal.acknowledge()
        self._release_empty()

    def _release_empty(self) -> None:
        with self._lock:
            empty = [journal for journal in self._adopted if journal.is_empty]
            self._adopted = [journal for journal in self._adopted if journal not in empty]
        for journal in empty:
            journal.close()

    def _report(self, problem: str) -> None:
        if problem not in self._reported:
            self._reported.add(problem)
            self._report_to(problem)


def _fitting(records: Sequence[Record], room: int) -> Sequence[Record]:
    """Return as many of the first records as fit into a block of this size."""
    room -= BLOCK_HEADER_BYTES
    for count, (_, _, line) in enumerate(records):
        room -= RECORD_BYTES + len(line)
        if room < 0:
            return records[:count]
    return records
