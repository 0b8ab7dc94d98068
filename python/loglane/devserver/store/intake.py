"""What a push adds to a stream: late entries and duplicates left out, the rest in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter, lt
from typing import TypeAlias

from loglane.devserver.store.block import (
    MAX_BYTES,
    MAX_ENTRIES,
    Block,
    Content,
    is_full,
    pack,
    unpack,
    unpack_times,
)
from loglane.devserver.store.entries import NewEntry
from loglane.devserver.store.index import Stream

Fetch: TypeAlias = Callable[[Block], Content]
_Key: TypeAlias = tuple[int, bytes, "tuple[tuple[str, str], ...]"]
_time = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Addition:
    """How a stream changes.

    Attributes:
        stream: The stream.
        late: Timestamps that were too far behind, each with the oldest acceptable one.
        fresh: The entries that were not stored yet, oldest first.
        removed: Its last blocks, which the new ones take in.
        added: New blocks with their content.
    """

    stream: Stream
    late: list[tuple[int, int]]
    fresh: list[NewEntry]
    removed: tuple[Block, ...]
    added: list[tuple[Block, Content]]


def plan_addition(
    stream: Stream,
    entries: Sequence[NewEntry],
    max_behind_ns: int,
    fetch: Fetch,
    ids: Iterator[int],
) -> Addition:
    """Decide what of some entries is stored in a stream, and in which blocks."""
    kept, late = _in_time(entries, stream.last_ns, max_behind_ns)
    fresh = _without_duplicates(kept, stream, fetch)
    if not fresh:
        return Addition(stream, late, [], (), [])
    removed = _taken_in(stream.blocks, len(fresh))
    merged = [entry for block in removed for entry in unpack(fetch(block))]
    if merged:
        merged += fresh
        merged.sort(key=_time)
    added = [pack(next(ids), part) for part in _cut(merged or fresh)]
    return Addition(stream, late, fresh, removed, added)


def _in_time(
    entries: Sequence[NewEntry], last_ns: int, max_behind_ns: int
) -> tuple[Sequence[NewEntry], list[tuple[int, int]]]:
    """Return the entries in order of time, and which are too late at the moment they arrive."""
    if _rises(entries) and entries[0][0] >= last_ns - max_behind_ns:
        return entries, []
    kept: list[NewEntry] = []
    late: list[tuple[int, int]] = []
    for entry in entries:
        ts = entry[0]
        if ts < last_ns - max_behind_ns:
            late.append((ts, last_ns - max_behind_ns))
            continue
        last_ns = max(last_ns, ts)
        kept.append(entry)
    kept.sort(key=_time)
    return kept, late


def _rises(entries: Sequence[NewEntry]) -> bool:
    times = list(map(_time, entries))
    return all(map(lt, times, islice(times, 1, None)))


def _without_duplicates(
    entries: Sequence[NewEntry], stream: Stream, fetch: Fetch
) -> list[NewEntry]:
    if not entries:
        return []
    stored: set[_Key] = set()
    if entries[0][0] <= stream.last_ns:
        stored = _stored_at({entry[0] for entry in entries}, stream, fetch)
    if not stored and _rises(entries):
        return list(entries)
    fresh = []
    for entry in entries:
        key = _key(*entry)
        if key not in stored:
            stored.add(key)
            fresh.append(entry)
    return fresh


def _stored_at(times: set[int], stream: Stream, fetch: Fetch) -> set[_Key]:
    """Return what a stream has at any of these nanoseconds."""
    first, end = min(times), max(times) + 1
    found: set[_Key] = set()
    for block in stream.blocks:
        if block.overlaps(first, end):
            content = fetch(block)
            if not times.isdisjoint(unpack_times(content.times)):
                found.update(_key(*entry) for entry in unpack(content) if entry[0] in times)
    return found


def _key(ts: int, line: bytes, metadata: Mapping[str, str] | None) -> _Key:
    return ts, line, tuple(sorted(metadata.items())) if metadata else ()


def _taken_in(blocks: tuple[Block, ...], count: int) -> tuple[Block, ...]:
    """Return the last blocks that are not full and no larger than what comes.

    So an entry is packed again a few times only, however small the pushes are, and of the blocks
    that are not full each is larger than the next: there are ten at most.
    """
    number = 0
    while number < len(blocks):
        block = blocks[-1 - number]
        if block.full or block.count > count:
            break
        count += block.count
        number += 1
    return blocks[len(blocks) - number :]


def _cut(entries: list[NewEntry]) -> Iterator[list[NewEntry]]:
    """Cut entries into full blocks and a rest."""
    if len(entries) <= MAX_ENTRIES and sum(len(entry[1]) for entry in entries) <= MAX_BYTES:
        yield entries
        return
    start = size = 0
    for place, entry in enumerate(entries):
        size += len(entry[1])
        if is_full(place + 1 - start, size):
            yield entries[start : place + 1]
            start, size = place + 1, 0
    if start < len(entries):
        yield entries[start:]
