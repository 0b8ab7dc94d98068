"""The bytes of a segment file: a header, then checksummed blocks of records.

All numbers are little-endian.

    file    magic (8 bytes), version (u16), zero (u16), crc32 of these 12 bytes (u32)
    block   magic (4 bytes), payload bytes (u32), records (u32), crc32 (u32), payload
    payload timestamps (i64 each), line lengths (u32 each), ranks (u8 each), the lines

The crc32 of a block covers the 12 bytes before it and the payload.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

from loglane.sinks.loki.record import Record

VERSION = 1
HEADER_BYTES = 16
BLOCK_HEADER_BYTES = 16
RECORD_BYTES = 13

# 0xff is in no UTF-8 text, so a line cannot look like the start of a block.
_FILE_MAGIC = b"\xffloglane"
_BLOCK_MAGIC = b"\xffblk"
_FILE_HEAD = struct.Struct("<8sHH")
_BLOCK_HEAD = struct.Struct("<4sII")
_CRC = struct.Struct("<I")


class Header(Enum):
    """What the first bytes of a segment file say."""

    OURS = "ours"
    OTHER_VERSION = "other version"
    DAMAGED = "damaged"


class Block(NamedTuple):
    """Where a block with a good checksum lies in the bytes it was found in."""

    payload: int
    end: int
    records: int


def make_header(version: int = VERSION) -> bytes:
    """Return the first bytes of a segment file."""
    head = _FILE_HEAD.pack(_FILE_MAGIC, version, 0)
    return head + _CRC.pack(crc32(head))


def check_header(data: bytes) -> Header:
    """Tell what the first bytes of a file are; another version has a good checksum too."""
    if len(data) < HEADER_BYTES or data[12:HEADER_BYTES] != _CRC.pack(crc32(data[:12])):
        return Header.DAMAGED
    magic, version, _ = _FILE_HEAD.unpack_from(data)
    return Header.OURS if (magic, version) == (_FILE_MAGIC, VERSION) else Header.OTHER_VERSION


def make_block(records: Sequence[Record]) -> bytes:
    """Return the records, at least one, as one block."""
    timestamps, ranks, lines = zip(*records, strict=True)
    columns = struct.pack(_columns(len(lines)), *timestamps, *map(len, lines), *ranks)
    payload = b"".join((columns, *lines))
    head = _BLOCK_HEAD.pack(_BLOCK_MAGIC, len(payload), len(lines))
    return b"".join((head, _CRC.pack(crc32(payload, crc32(head))), payload))


def find_block(data: bytes, at: int) -> Block | None:
    """Return the block that begins at a byte; None when no whole and good one does."""
    payload = at + BLOCK_HEADER_BYTES
    if payload > len(data):
        return None
    magic, length, count = _BLOCK_HEAD.unpack_from(data, at)
    end = payload + length
    if magic != _BLOCK_MAGIC or end > len(data) or count * RECORD_BYTES > length:
        return None
    with memoryview(data) as view:
        checksum = crc32(view[payload:end], crc32(view[at : at + _BLOCK_HEAD.size]))
    if _CRC.unpack_from(data, at + _BLOCK_HEAD.size) != (checksum,):
        return None
    return Block(payload, end, count)


def search_block(data: bytes, at: int) -> int | None:
    """Return where the first good block at or after a byte begins."""
    while (at := data.find(_BLOCK_MAGIC, at)) >= 0:
        if find_block(data, at) is not None:
            return at
        at += 1
    return None


def read_block(data: bytes, block: Block) -> list[Record]:
    """Return the records of a block that was found in these bytes."""
    count = block.records
    numbers = struct.unpack_from(_columns(count), data, block.payload)
    lengths = numbers[count : 2 * count]
    starts = accumulate(lengths, initial=block.payload + count * RECORD_BYTES)
    lines = [data[at : at + length] for at, length in zip(starts, lengths, strict=False)]
    return [*zip(numbers[:count], numbers[2 * count :], lines, strict=True)]


def _columns(count: int) -> str:
    return f"<{count}q{count}I{count}B"
