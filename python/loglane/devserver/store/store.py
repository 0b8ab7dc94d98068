"""Reading and writing entries; safe to use from several threads."""

from __future__ import annotations

import threading
from array import array
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TypeAlias

import orjson

from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.store.block import Block, Content, unpack_sizes, unpack_times
from loglane.devserver.store.entries import EVERYTHING, Behind, Entry, NewEntry, Prefilter
from loglane.devserver.store.index import LabelIndex, Stream
from loglane.devserver.store.intake import Addition, plan_addition
from loglane.devserver.store.reading import places_between, read_blocks
from loglane.devserver.store.schema import open_database

_SORTED = orjson.OPT_SORT_KEYS
Listener: TypeAlias = "Callable[[str, Stream, Sequence[NewEntry]], None]"


class Store:
    """One SQLite database of streams and entries of any number of tenants.

    Args:
        path: A database file, created when missing; None keeps everything in memory.

    Raises:
        LoglaneError: The file is not a database of this server.
    """

    def __init__(self, path: str | None = None) -> None:
        self._connection = open_database(path)
        # Writers wait for one another; readers only for a statement at a time.
        self._writing = threading.RLock()
        self._lock = threading.RLock()
        self._indexes: defaultdict[str, LabelIndex] = defaultdict(LabelIndex)
        self._ids: dict[tuple[str, bytes], Stream] = {}
        self._listeners: tuple[Listener, ...] = ()
        self._load()

    def close(self) -> None:
        """Close the database; the store must not be used afterwards."""
        with self._writing, self._lock:
            self._connection.close()

    def add(
        self,
        tenant: str,
        streams: Iterable[tuple[dict[str, str], Sequence[NewEntry]]],
        max_behind_ns: int,
    ) -> list[Behind]:
        """Store entries in one transaction; an entry that is already stored stays single.

        Returns:
            What was not stored, because it is more than `max_behind_ns` older than the newest
            entry of its stream.
        """
        with self._writing:
            pushed: dict[bytes, tuple[dict[str, str], list[NewEntry]]] = {}
            for labels, entries in streams:
                pushed.setdefault(_packed(labels), (labels, []))[1].extend(entries)
            additions = [
                plan_addition(
                    self._ids.get((tenant, key)) or Stream(next(self._stream_ids), labels),
                    entries,
                    max_behind_ns,
                    self._fetch,
                    self._block_ids,
                )
                for key, (labels, entries) in pushed.items()
                if entries
            ]
            with self._lock, self._connection:
                for addition in additions:
                    self._write(tenant, addition)
            for addition in additions:
                self._publish(tenant, addition)
        return [
            Behind(a.stream.labels, a.late, len(pushed[_packed(a.stream.labels)][1]))
            for a in additions
            if a.late
        ]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep everybody else from adding entries for the length of a block."""
        with self._writing:
            yield

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the tenant, the stream and its new entries after each push.

        Returns:
            What ends it.
        """
        with self._writing:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._writing:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def select(
        self, tenant: str, matchers: Iterable[Matcher], start_ns: int, end_ns: int
    ) -> list[Stream]:
        """Return the streams that match and may have entries in `start_ns <= ts < end_ns`."""
        with self._lock:
            index = self._indexes.get(tenant)
            if index is None:
                return []
            return [s for s in index.select(matchers) if s.overlaps(start_ns, end_ns)]

    def read(
        self,
        stream: Stream,
        start_ns: int,
        end_ns: int,
        *,
        backward: bool = False,
        wanted: Prefilter = EVERYTHING,
    ) -> Generator[Entry, None, None]:
        """Yield a stream's entries of `start_ns <= ts < end_ns`, oldest first unless `backward`.

        Entries that the prefilter rules out may be missing; others may still be among them.
        Reads in portions, so a caller that stops early has not read the rest.
        """
        return read_blocks(
            stream.blocks, self._fetch, (start_ns, end_ns), wanted, backward=backward
        )

    def metadata_names(self, stream: Stream, start_ns: int, end_ns: int) -> frozenset[str]:
        """Return names of structured metadata that entries of the range may have."""
        blocks = (b for b in stream.blocks if b.overlaps(start_ns, end_ns))
        return frozenset().union(*(block.names for block in blocks))

    def times(self, stream: Stream, start_ns: int, end_ns: int) -> Sequence[int]:
        """Return the timestamps in `start_ns <= ts < end_ns`, rising, without reading a line."""
        times = array("q")
        rising = True
        for block, first, last in self._parts(stream, start_ns, end_ns):
            found = unpack_times(self._fetch_times(block))[first:last]
            rising = rising and (not times or times[-1] <= found[0])
            times += found
        return times if rising else sorted(times)

    def sizes(
        self, stream: Stream, start_ns: int, end_ns: int
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return the timestamps as `times` does, and the bytes of the line at each."""
        found: list[tuple[int, int]] = []
        for block, first, last in self._parts(stream, start_ns, end_ns):
            content = self._fetch(block)
            pairs = zip(unpack_times(content.times), unpack_sizes(content), strict=True)
            found += list(pairs)[first:last]
        found.sort()
        return [ts for ts, _ in found], [size for _, size in found]

    def measure(self, streams: Iterable[Stream], start_ns: int, end_ns: int) -> tuple[int, int]:
        """Count the entries in `start_ns <= ts < end_ns`, and the bytes of their lines."""
        entries = size = 0
        for stream in streams:
            for block, first, last in self._parts(stream, start_ns, end_ns):
                entries += last - first
                if last - first == block.count:
                    size += block.size
                else:
                    size += sum(unpack_sizes(self._fetch(block))[first:last])
        return entries, size

    def _parts(
        self, stream: Stream, start_ns: int, end_ns: int
    ) -> Generator[tuple[Block, int, int], None, None]:
        bounds = (start_ns, end_ns)
        for block in stream.blocks:
            if block.overlaps(*bounds):
                inside = start_ns <= block.first_ns and block.last_ns < end_ns
                times = b"" if inside else self._fetch_times(block)
                first, last = places_between(block, times, bounds)
                if first < last:
                    yield block, first, last

    def _fetch(self, block: Block) -> Content:
        if block.content is not None:
            return block.content
        sql = "SELECT times, metadata, text FROM blocks WHERE id = ?"
        with self._lock:
            return Content(*self._connection.execute(sql, (block.id,)).fetchone())

    def _fetch_times(self, block: Block) -> bytes:
        if block.content is not None:
            return block.content.times
        sql = "SELECT times FROM blocks WHERE id = ?"
        with self._lock:
            found: bytes = self._connection.execute(sql, (block.id,)).fetchone()[0]
        return found

    def _write(self, tenant: str, addition: Addition) -> None:
        stream = addition.stream
        if addition.added and not stream.blocks:
            self._connection.execute(
                "INSERT INTO streams (id, tenant, labels) VALUES (?, ?, ?)",
                (stream.id, tenant, _packed(stream.labels).decode()),
            )
        self._connection.executemany(
            "DELETE FROM blocks WHERE id = ?", [(block.id,) for block in addition.removed]
        )
        self._connection.executemany(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    block.id, stream.id, block.first_ns, block.last_ns, block.count, block.size,
                    orjson.dumps(sorted(block.names)).decode(), *content,
                )
                for block, content in addition.added
            ],
        )  # fmt: skip

    def _publish(self, tenant: str, addition: Addition) -> None:
        if not addition.added:
            return
        stream = addition.stream
        kept = stream.blocks[: len(stream.blocks) - len(addition.removed)]
        with self._lock:
            if not stream.blocks:
                self._register(tenant, stream)
            stream.blocks = kept + tuple(block for block, _ in addition.added)
            stream.first_ns = min(stream.first_ns, addition.fresh[0][0])
            stream.last_ns = max(stream.last_ns, addition.fresh[-1][0])
        for listener in self._listeners:
            listener(tenant, stream, addition.fresh)

    def _register(self, tenant: str, stream: Stream) -> None:
        self._ids[tenant, _packed(stream.labels)] = stream
        self._indexes[tenant].add(stream)

    def _load(self) -> None:
        rows = self._connection.execute("SELECT id, tenant, labels FROM streams").fetchall()
        streams = {id_: Stream(id_, orjson.loads(labels)) for id_, _, labels in rows}
        blocks: dict[int, list[Block]] = {id_: [] for id_ in streams}
        known = self._connection.execute(
            "SELECT id, stream, first_ns, last_ns, count, size, names FROM blocks ORDER BY id"
        ).fetchall()
        for id_, stream_id, first_ns, last_ns, number, size, names in known:
            found = frozenset(orjson.loads(names))
            block = Block(id_, first_ns, last_ns, number, size, found)
            if not block.full:
                block = replace(block, content=self._fetch(block))
            blocks[stream_id].append(block)
        for id_, tenant, _ in rows:
            stream = streams[id_]
            stream.blocks = tuple(blocks[id_])
            stream.first_ns = min(block.first_ns for block in stream.blocks)
            stream.last_ns = max(block.last_ns for block in stream.blocks)
            self._register(tenant, stream)
        self._stream_ids = count(max(streams, default=0) + 1)
        self._block_ids = count(known[-1][0] + 1 if known else 1)


def _packed(labels: dict[str, str]) -> bytes:
    return orjson.dumps(labels, option=_SORTED)
