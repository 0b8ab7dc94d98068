"""Entries of one stream out of its blocks, in order of time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable
from operator import itemgetter

from loglane.devserver.store.block import Block, Content, Row, select_rows, unpack_times
from loglane.devserver.store.entries import Entry, Prefilter

Fetch = Callable[[Block], Content]


def read_blocks(
    blocks: Iterable[Block],
    fetch: Fetch,
    bounds: tuple[int, int],
    wanted: Prefilter,
    *,
    backward: bool,
) -> Generator[Entry, None, None]:
    """Yield the entries of `bounds[0] <= ts < bounds[1]`, those of one nanosecond as they arrived.

    A block is fetched when its turn has come, so a caller that stops early has not read the rest.
    Blocks may overlap, because entries may arrive out of order: what comes out of one is held back
    as long as the next may have something earlier.
    """
    chosen = [block for block in blocks if block.overlaps(*bounds)]
    if backward:
        chosen.sort(key=lambda block: (-block.last_ns, -block.id))
    else:
        chosen.sort(key=lambda block: (block.first_ns, block.id))
    held: list[Row] = []
    for number, block in enumerate(chosen):
        found = _rows(block, fetch, bounds, wanted)
        if backward:
            found.reverse()
        if held:
            found = sorted(held + found, reverse=backward)
        safe = len(found)
        if number + 1 < len(chosen):
            safe = _safe(found, chosen[number + 1], backward=backward)
        for ts, _, _, line, metadata in found[:safe]:
            yield Entry(ts, line.decode(), metadata)
        held = found[safe:]


def _rows(block: Block, fetch: Fetch, bounds: tuple[int, int], wanted: Prefilter) -> list[Row]:
    content = fetch(block)
    first, last = places_between(block, content.times, bounds)
    return select_rows(block, content, first, last, wanted) if first < last else []


def _safe(rows: list[Row], following: Block, *, backward: bool) -> int:
    """Count the rows that nothing of the following blocks comes before."""
    if backward:
        # Newest first, so the timestamps fall: their negatives rise.
        return bisect_left(rows, -following.last_ns, key=lambda row: -row[0])
    return bisect_left(rows, following.first_ns, key=itemgetter(0))


def places_between(block: Block, times: bytes, bounds: tuple[int, int]) -> tuple[int, int]:
    """Return the first place of a block in the bounds, and the first one after them."""
    start, end = bounds
    if start <= block.first_ns and block.last_ns < end:
        return 0, block.count
    unpacked = unpack_times(times)
    return bisect_left(unpacked, start), bisect_left(unpacked, end)
