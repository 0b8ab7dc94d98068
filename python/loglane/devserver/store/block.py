"""Blocks: up to a thousand entries of one stream, compressed, in order of time.

Most of what is asked needs a part of a block only: its times, or whether its text has a word.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cramjam
import orjson

from loglane.devserver.store.entries import EVERYTHING, NO_METADATA, NewEntry, Prefilter

# A full block: large enough to compress well, small enough that reading one for a single line
# costs no more than a fraction of a millisecond.
MAX_ENTRIES = 1024
MAX_BYTES = 512 << 10

# No UTF-8 text has this byte, so that joined lines can be told apart, and no search crosses them.
_SEPARATOR = b"\xff"
_LEVEL = 1
_SORTED = orjson.OPT_SORT_KEYS

Row = tuple[int, int, int, bytes, dict[str, str]]


class Content(NamedTuple):
    """The columns of a block: times as 64-bit integers, the others as Zstandard frames.

    `metadata` is a JSON array with an object or null for each entry; None when all are null.
    """

    times: bytes
    metadata: bytes | None
    text: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is known of a block without reading it.

    Attributes:
        id: Grows with arrival: of two blocks of a stream, the higher came later.
        first_ns: The oldest timestamp.
        last_ns: The newest timestamp.
        count: The number of entries.
        size: The bytes of their lines.
        names: The names of structured metadata that any of them has.
        content: Kept for a block that may yet be merged into another, so that a reader which
            holds this block needs no database to go on.
    """

    id: int
    first_ns: int
    last_ns: int
    count: int
    size: int
    names: frozenset[str]
    content: Content | None = None

    @property
    def full(self) -> bool:
        """Whether nothing is added to it any more."""
        return is_full(self.count, self.size)

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether an entry may lie in `start_ns <= ts < end_ns`."""
        return self.first_ns < end_ns and self.last_ns >= start_ns


def is_full(count: int, size: int) -> bool:
    """Tell whether a block of so many entries and bytes takes no more."""
    return count >= MAX_ENTRIES or size >= MAX_BYTES


def pack(id_: int, entries: Sequence[NewEntry]) -> tuple[Block, Content]:
    """Make a block of entries that are in order of time."""
    times, lines, metadata = zip(*entries, strict=True)
    text = _SEPARATOR.join(lines)
    size = len(text) - len(lines) + 1
    names: frozenset[str] = frozenset()
    packed = None
    if any(metadata):
        names = frozenset(name for item in metadata if item for name in item)
        packed = _compress(orjson.dumps([item or None for item in metadata], option=_SORTED))
    content = Content(array("q", times).tobytes(), packed, _compress(text))
    kept = None if is_full(len(times), size) else content
    return Block(id_, times[0], times[-1], len(times), size, names, kept), content


def unpack(content: Content) -> list[NewEntry]:
    """Return all entries of a block, oldest first."""
    metadata = _metadata(content)
    times, lines = unpack_times(content.times), _lines(content)
    if metadata is None:
        return [NewEntry(ts, line, None) for ts, line in zip(times, lines, strict=True)]
    return [NewEntry(*columns) for columns in zip(times, lines, metadata, strict=True)]


def unpack_times(packed: bytes) -> array[int]:
    """Return the timestamps of a block, oldest first."""
    times = array("q")
    times.frombytes(packed)
    return times


def unpack_sizes(content: Content) -> list[int]:
    """Return the number of bytes of each line, oldest first."""
    return list(map(len, _lines(content)))


def select_rows(
    block: Block, content: Content, first: int, last: int, wanted: Prefilter = EVERYTHING
) -> list[Row]:
    """Return the entries of the places `first <= place < last` that the prefilter lets pass.

    A row is (timestamp, block, place, line, metadata), so that rows sort by time, then arrival.
    """
    raw = None if content.metadata is None else _decompress(content.metadata)
    if wanted.metadata and (raw is None or not _has_each(raw, wanted.metadata)):
        return []
    text = _decompress(content.text)
    if not _has_each(text, wanted.lines):
        return []
    lines = text.split(_SEPARATOR)
    places = _places(lines, range(first, last), wanted)
    if not places:
        return []
    times = unpack_times(content.times)
    if raw is None:
        return [(times[n], block.id, n, lines[n], NO_METADATA) for n in places]
    metadata = orjson.loads(raw)
    return [(times[n], block.id, n, lines[n], metadata[n] or NO_METADATA) for n in places]


def _has_each(data: bytes, groups: tuple[tuple[bytes, ...], ...]) -> bool:
    return all(any(word in data for word in words) for words in groups)


def _places(lines: list[bytes], places: Sequence[int], wanted: Prefilter) -> Sequence[int]:
    for words in wanted.lines:
        if len(words) == 1:
            (word,) = words
            places = [n for n in places if word in lines[n]]
        else:
            places = [n for n in places if any(word in lines[n] for word in words)]
    return places


def _lines(content: Content) -> list[bytes]:
    return _decompress(content.text).split(_SEPARATOR)


def _metadata(content: Content) -> list[dict[str, str] | None] | None:
    if content.metadata is None:
        return None
    found: list[dict[str, str] | None] = orjson.loads(_decompress(content.metadata))
    return found


def _compress(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data, _LEVEL))


def _decompress(data: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(data))
