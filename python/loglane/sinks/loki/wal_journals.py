"""What one process has written, and how far it is delivered."""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from pathlib import Path

from loglane.sinks.loki import wal_directories
from loglane.sinks.loki.record import Record
from loglane.sinks.loki.wal_blocks import HEADER_BYTES
from loglane.sinks.loki.wal_positions import Position, PositionFile
from loglane.sinks.loki.wal_segments import (
    Report,
    Segment,
    SegmentWriter,
    load_segment,
    read_segment,
)

_SEGMENT = re.compile(r"(\d{10})\.segment\Z")


class Journal:
    """The segments of one directory and the position up to which they are delivered.

    One thread appends, holding `lock`, and one other calls the rest.

    Attributes:
        path: The directory.
        disk_bytes: Size of its segments.
        pending_bytes: Bytes of blocks that are not acknowledged.
        pending_records: Records that are not acknowledged.
    """

    def __init__(self, path: Path, claim: int, lock: threading.RLock, report: Report) -> None:
        """Begin without segments.

        Args:
            path: The directory.
            claim: The descriptor that holds its lock.
            lock: Guards what the appending thread changes.
            report: Called with each problem.
        """
        self.path = path
        self.disk_bytes = self.pending_bytes = self.pending_records = 0
        self._claim = claim
        self._lock = lock
        self._report = report
        self._position_file = PositionFile(path / wal_directories.POSITION)
        self._segments: list[Segment] = []
        self._writer: SegmentWriter | None = None
        self._number = 0
        self._delivered = self._read = Position(0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no segment."""
        return not self._segments

    def load(self) -> None:
        """Find what a process has left that is gone."""
        position, problem = self._position_file.read()
        for path in sorted(self.path.iterdir()):
            match = _SEGMENT.match(path.name)
            if match:
                self._load_segment(int(match[1]), path, position)
        if problem and self._segments:
            self._report(f"{self._position_file.path}: {problem}; lines may be sent again")
        self._delivered = self._read = position
        self._free()

    def append(self, block: bytes, count: int, segment_bytes: int) -> None:
        """Append a block of `count` records, to a new segment when it does not fit.

        Raises:
            OSError: It cannot be written; nothing of it is left.
        """
        writer = self._writer
        if writer is None or not writer.has_room(len(block), segment_bytes):
            writer = self._begin_segment()
        writer.append(block, count)
        self.disk_bytes += len(block)
        self.pending_bytes += len(block)
        self.pending_records += count

    def read(self, max_bytes: int) -> tuple[list[Record], Position] | None:
        """Return the next records and where they end; None when there are none now."""
        while True:
            with self._lock:
                at = self._read.segment
                segment = next((one for one in self._segments if one.number >= at), None)
                if segment is None:
                    return None
                end, is_open = segment.end, segment.open
            if segment.number != at:
                self._read = Position(segment.number)
            if self._read.offset < end:
                records = self._read_segment(segment, end, max_bytes)
                if records is None:
                    return None
                if records:
                    return records, self._read
            elif is_open:
                return None
            else:
                self._read = Position(segment.number + 1)

    def rewind(self) -> None:
        """Read again from what is delivered."""
        self._read = self._delivered

    def acknowledge(self, position: Position | None = None) -> None:
        """Note that all up to a position is delivered, or all that was read; free the room."""
        position = self._read if position is None else position
        if self._claim < 0 or position <= self._delivered:
            return  # when it is closed, the directory may have another owner
        self._delivered = position
        self._read = max(self._read, position)
        try:
            self._position_file.write(position)
        except FileNotFoundError:
            pass  # somebody removed the directory: nothing in it can come back
        except OSError as error:
            self._report(
                f"{self._position_file.path}: {error.strerror}; "
                "delivered lines may be sent again after a restart"
            )
        self._free()

    def close(self) -> None:
        """Leave the directory to whoever takes it; without segments it is removed."""
        if self._writer is not None:
            self._writer.close()
        self._position_file.close()
        claim, self._claim = self._claim, -1
        wal_directories.release_directory(self.path, claim)

    def abandon(self) -> None:
        """Close the descriptors and touch nothing else."""
        claim, self._claim = self._claim, -1
        wal_directories.close_claim(claim)
        with contextlib.suppress(OSError):
            self._position_file.close()
        with contextlib.suppress(OSError):
            if self._writer is not None:
                self._writer.close()

    def _begin_segment(self) -> SegmentWriter:
        if self._writer is not None:
            self._writer.close()
        number = self._number + 1
        writer = SegmentWriter(number, self.path / f"{number:010d}.segment")
        self._number, self._writer = number, writer
        self._segments.append(writer.segment)
        self.disk_bytes += writer.segment.end
        return writer

    def _load_segment(self, number: int, path: Path, position: Position) -> None:
        start = position.offset if number == position.segment else HEADER_BYTES
        try:
            segment = load_segment(number, path, start)
        except OSError as error:
            self._report(f"{path}: {error.strerror}; its lines are not sent")
        else:
            if segment is None:
                self._report(f"{path}: written by another version; left as it is")
            else:
                self._segments.append(segment)

    def _read_segment(self, segment: Segment, end: int, max_bytes: int) -> list[Record] | None:
        """Return records, none for a damaged stretch, None when reading may work another time."""
        start = self._read
        try:
            reading = read_segment(segment.path, start.offset, end, max_bytes)
        except OSError as error:
            self._report(f"{segment.path}: {error.strerror}; its lines cannot be read")
            if error.errno not in (errno.ENOENT, errno.EIO):
                return None
            self._give_up(segment)
            return []
        if reading.damaged:
            self._report(
                f"{segment.path}: {reading.damaged} damaged bytes at byte {start.offset}, skipped"
            )
        count = start.records + len(reading.records)
        self._read = Position(segment.number, reading.end, count)
        return reading.records

    def _give_up(self, segment: Segment) -> None:
        with self._lock:
            # What is appended from now on goes to a file that is there.
            if self._writer is not None and self._writer.segment is segment:
                self._writer.close()
            self._read = Position(segment.number, segment.end, segment.records)

    def _free(self) -> None:
        """Remove the segments that are delivered and count the others."""
        with self._lock:
            done = [one for one in self._segments if self._is_done(one)]
            self._segments = [one for one in self._segments if one not in done]
            if self._writer is not None and self._writer.segment in done:
                self._writer.close()
            self._count()
        for one in done:
            try:
                one.path.unlink(missing_ok=True)
            except OSError as error:
                self._report(f"{one.path}: {error.strerror}; delivered, but it cannot be removed")

    def _is_done(self, segment: Segment) -> bool:
        delivered = self._delivered
        if segment.number == delivered.segment:
            return delivered.offset >= segment.end
        return segment.number < delivered.segment

    def _count(self) -> None:
        delivered, segments = self._delivered, self._segments
        self.disk_bytes = sum(one.end for one in segments)
        self.pending_bytes = self.disk_bytes - HEADER_BYTES * len(segments)
        self.pending_records = sum(one.records for one in segments)
        # The others are not begun: those before it are gone.
        if segments and segments[0].number == delivered.segment:
            self.pending_bytes -= delivered.offset - HEADER_BYTES
            self.pending_records -= delivered.records
