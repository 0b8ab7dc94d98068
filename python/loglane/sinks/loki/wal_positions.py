"""How far the segments of one directory are delivered, in a small file that outlives its writer.

The file has two slots that are written in turn, so one is whole whenever the writer is killed. A
slot is, little-endian: magic (8 bytes), number of the segment (u64), offset in it (u64), zero
(u32), crc32 of these 28 bytes (u32). A position never moves back: the greater one is the newer.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from loglane.sinks.loki.wal_blocks import HEADER_BYTES

_MAGIC = b"\xfflogack1"
_SLOT = struct.Struct("<8sQQI")
_CRC = struct.Struct("<I")
_SLOT_BYTES = _SLOT.size + _CRC.size
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class Position(NamedTuple):
    """A place between two blocks; `records` counts those before it in the same segment."""

    segment: int
    offset: int = HEADER_BYTES
    records: int = 0


class PositionFile:
    """Keeps one position on the disk; used by one thread.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Set the place; the file is opened when it is used.

        Args:
            path: The file.
        """
        self.path = path
        self._fd = -1
        self._next_slot = 0

    def make(self) -> None:
        """Make the file with the first position in both slots.

        Raises:
            OSError: It cannot be made.
        """
        self._fd = os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self.write(Position(0))
            self.write(Position(0))
        finally:
            self.close()

    def read(self) -> tuple[Position, str]:
        """Return the newest position and what is wrong with the file, empty when nothing is.

        Without a good slot the position is the first one: what was delivered is read again.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            return Position(0), error.strerror or str(error)
        slots = [_parse(data[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        known = [slot or Position(-1) for slot in slots]
        self._next_slot = known.index(min(known))
        problem = "" if None not in slots else f"damaged, {len(data)} bytes"
        return max(Position(0), *known), problem

    def write(self, position: Position) -> None:
        """Note a position; the system has it when this returns.

        Raises:
            OSError: It cannot be written; the one before it stands.
        """
        if self._fd < 0:
            self._fd = os.open(self.path, _FLAGS | os.O_CREAT, 0o600)
        slot = _SLOT.pack(_MAGIC, position.segment, position.offset, 0)
        os.lseek(self._fd, self._next_slot * _SLOT_BYTES, os.SEEK_SET)
        os.write(self._fd, slot + _CRC.pack(crc32(slot)))
        self._next_slot = 1 - self._next_slot

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _parse(slot: bytes) -> Position | None:
    if slot[_SLOT.size :] != _CRC.pack(crc32(slot[: _SLOT.size])):
        return None
    magic, segment, offset, _ = _SLOT.unpack_from(slot)
    return Position(segment, offset) if magic == _MAGIC else None
