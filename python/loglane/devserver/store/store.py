"""Reading and writing entries; safe to use from several threads."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

import orjson

from loglane.devserver.logql.nodes import Matcher
from loglane.devserver.store.index import LabelIndex, Stream
from loglane.devserver.store.schema import open_database

_FETCH = 512
_NO_METADATA: dict[str, str] = {}


class Entry(NamedTuple):
    """A stored line with its timestamp in nanoseconds and its structured metadata."""

    ts: int
    line: str
    metadata: dict[str, str]


class NewEntry(NamedTuple):
    """A line to store; `metadata` has no empty values."""

    ts: int
    line: str
    metadata: Mapping[str, str] | None


class Behind(NamedTuple):
    """Entries of one stream that were too far behind its newest one to be stored.

    `entries` holds each one's timestamp and the oldest acceptable one, `total` counts all entries
    that were pushed to the stream.
    """

    labels: dict[str, str]
    entries: list[tuple[int, int]]
    total: int


class Store:
    """One SQLite database of streams and entries of any number of tenants.

    Args:
        path: A database file, created when missing; None keeps everything in memory.

    Raises:
        LoglaneError: The file is not a database of this server.
    """

    def __init__(self, path: str | None = None) -> None:
        self._connection = open_database(path)
        self._lock = threading.RLock()
        self._indexes: defaultdict[str, LabelIndex] = defaultdict(LabelIndex)
        self._ids: dict[tuple[str, bytes], Stream] = {}
        # Starts at the clock, so entries pushed after a restart come after those from before.
        self._sequence = count(time.time_ns())
        self._load()

    def close(self) -> None:
        """Close the database; the store must not be used afterwards."""
        with self._lock:
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
        behind: list[Behind] = []
        with self._lock:
            try:
                with self._connection:
                    for labels, entries in streams:
                        stream = self._stream(tenant, labels)
                        late = self._insert(stream, entries, max_behind_ns)
                        if late:
                            behind.append(Behind(labels, late, len(entries)))
            except BaseException:
                # The transaction is undone, so the index must forget its streams too.
                self._load()
                raise
        return behind

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
        self, stream: Stream, start_ns: int, end_ns: int, *, backward: bool = False
    ) -> Generator[Entry, None, None]:
        """Yield a stream's entries of `start_ns <= ts < end_ns`, oldest first unless `backward`.

        Reads in portions, so a caller that stops early has not read the rest.
        """
        order = "DESC" if backward else "ASC"
        sql = (
            "SELECT ts, line, metadata FROM entries WHERE stream = ? AND ts >= ? AND ts < ? "  # noqa: S608
            f"ORDER BY ts {order}, seq {order}"
        )
        with self._lock:
            cursor = self._connection.execute(sql, (stream.id, start_ns, end_ns))
        try:
            while True:
                with self._lock:
                    rows = cursor.fetchmany(_FETCH)
                if not rows:
                    return
                for ts, line, metadata in rows:
                    yield Entry(ts, line, orjson.loads(metadata) if metadata else _NO_METADATA)
        finally:
            with self._lock:
                cursor.close()

    def measure(self, streams: Iterable[Stream], start_ns: int, end_ns: int) -> tuple[int, int]:
        """Count the entries in `start_ns <= ts < end_ns`, and the bytes of their lines."""
        sql = (
            "SELECT count(*), coalesce(sum(length(CAST(line AS BLOB))), 0) FROM entries "
            "WHERE stream = ? AND ts >= ? AND ts < ?"
        )
        entries = size = 0
        with self._lock:
            for stream in streams:
                row = self._connection.execute(sql, (stream.id, start_ns, end_ns)).fetchone()
                entries, size = entries + row[0], size + row[1]
        return entries, size

    def _insert(
        self, stream: Stream, entries: Sequence[NewEntry], max_behind_ns: int
    ) -> list[tuple[int, int]]:
        kept: list[NewEntry] = []
        late: list[tuple[int, int]] = []
        first, last = stream.first_ns, stream.last_ns
        for entry in entries:
            ts = entry[0]
            if ts < last - max_behind_ns:
                late.append((ts, last - max_behind_ns))
                continue
            first, last = min(first, ts), max(last, ts)
            kept.append(entry)
        self._connection.executemany(
            "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)",
            self._rows(stream.id, kept),
        )
        stream.first_ns, stream.last_ns = first, last
        return late

    def _rows(
        self, stream_id: int, entries: Sequence[NewEntry]
    ) -> Iterator[tuple[int, int, bytes, int, str, str | None]]:
        sequence = self._sequence
        for ts, line, metadata in entries:
            text = None
            hashed = blake2b(line.encode(), digest_size=12)
            if metadata:
                packed = orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)
                hashed.update(b"\0" + packed)
                text = packed.decode()
            yield stream_id, ts, hashed.digest(), next(sequence), line, text

    def _stream(self, tenant: str, labels: dict[str, str]) -> Stream:
        key = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
        stream = self._ids.get((tenant, key))
        if stream is None:
            cursor = self._connection.execute(
                "INSERT INTO streams (tenant, labels) VALUES (?, ?)", (tenant, key.decode())
            )
            stream = Stream(cursor.lastrowid or 0, labels, 2**63, -(2**63))
            self._register(tenant, key, stream)
        return stream

    def _register(self, tenant: str, key: bytes, stream: Stream) -> None:
        self._ids[tenant, key] = stream
        self._indexes[tenant].add(stream)

    def _load(self) -> None:
        self._ids.clear()
        self._indexes.clear()
        rows = self._connection.execute(
            "SELECT id, tenant, labels, "
            "(SELECT min(ts) FROM entries WHERE stream = id), "
            "(SELECT max(ts) FROM entries WHERE stream = id) FROM streams"
        ).fetchall()
        for id_, tenant, labels, first_ns, last_ns in rows:
            if first_ns is not None:
                stream = Stream(id_, orjson.loads(labels), first_ns, last_ns)
                self._register(tenant, labels.encode(), stream)
