"""Segment files: written by one thread, read by another, counted when they are found."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from loglane.sinks.loki import wal_blocks
from loglane.sinks.loki.record import Record

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

Report = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Segment:
    """One file.

    Attributes:
        number: Its place in the order of its directory.
        path: The file.
        end: Bytes that are completely written.
        records: Records up to there.
        open: Whether more may be appended; when this is false, `end` is final.
    """

    number: int
    path: Path
    end: int
    records: int = 0
    open: bool = False


class SegmentWriter:
    """Appends blocks to a new segment file."""

    def __init__(self, number: int, path: Path) -> None:
        """Make the file with its header.

        Args:
            number: Its place in the order of its directory.
            path: The file; it must not exist.

        Raises:
            OSError: It cannot be made; nothing is left of it.
        """
        self._fd = os.open(path, _FLAGS, 0o600)
        self.segment = Segment(number, path, end=0, open=True)
        try:
            self.append(wal_blocks.make_header(), 0)
        except BaseException:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def has_room(self, size: int, segment_bytes: int) -> bool:
        """Tell whether a block of this size belongs here; a segment has one, however long."""
        end = self.segment.end
        return self.segment.open and (end <= wal_blocks.HEADER_BYTES or end + size <= segment_bytes)

    def append(self, data: bytes, records: int) -> None:
        """Append a block; when that fails, what was written of it is cut off.

        Raises:
            OSError: The disk is full, or the like.
        """
        segment = self.segment
        try:
            rest = memoryview(data)
            # One write; a second one only tells why the first was short.
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except BaseException:
            self._cut(segment.end)
            raise
        segment.records += records
        segment.end += len(data)

    def close(self) -> None:
        """Close the file; nothing more is appended."""
        fd, self._fd = self._fd, -1
        self.segment.open = False
        if fd >= 0:
            os.close(fd)

    def _cut(self, end: int) -> None:
        try:
            os.ftruncate(self._fd, end)
            os.lseek(self._fd, end, os.SEEK_SET)
        except OSError:
            # The half block stays, as the last thing in this file.
            self.close()


class Reading(NamedTuple):
    """Records, where they end, and how many bytes there were damaged and passed over."""

    records: list[Record]
    end: int
    damaged: int = 0


def read_segment(path: Path, start: int, end: int, max_bytes: int) -> Reading:
    """Return the records of whole blocks from a place between two blocks.

    Args:
        path: The file.
        start: First byte.
        end: First byte that is not read.
        max_bytes: About how many bytes are read; one block at least, however long.

    Returns:
        Either records, or the number of damaged bytes that began at `start`.

    Raises:
        OSError: The file cannot be opened or read.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        data = _read_up_to(file.fileno(), min(max_bytes, end - start))
        records: list[Record] = []
        at = 0
        while (block := wal_blocks.find_block(data, at)) is not None:
            records += wal_blocks.read_block(data, block)
            at = block.end
        if records:
            return Reading(records, start + at)
        data += _read_up_to(file.fileno(), end - start - len(data))
    block = wal_blocks.find_block(data, 0)
    if block is not None:
        return Reading(wal_blocks.read_block(data, block), start + block.end)
    found = wal_blocks.search_block(data, 1)
    stop = end if found is None else start + found
    return Reading([], stop, damaged=stop - start)


def load_segment(number: int, path: Path, start: int) -> Segment | None:
    """Return a segment that another process wrote, with what it holds from `start` counted.

    Returns:
        None for a file of another version, which is left alone.

    Raises:
        OSError: The file cannot be opened or read.
    """
    data = path.read_bytes()
    if wal_blocks.check_header(data) is wal_blocks.Header.OTHER_VERSION:
        return None
    segment = Segment(number, path, end=len(data))
    at: int | None = start
    while at is not None:
        block = wal_blocks.find_block(data, at)
        if block is None:
            at = wal_blocks.search_block(data, at + 1)
        else:
            segment.records += block.records
            at = block.end
    return segment


def _read_up_to(fd: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(fd, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
