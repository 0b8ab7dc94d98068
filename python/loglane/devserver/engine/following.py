"""Entries that a log query selects as they arrive, until a client has taken them."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import NamedTuple

from loglane.devserver.engine.labels import Categorised, LabelSet
from loglane.devserver.engine.pipeline import log_pipeline
from loglane.devserver.engine.streams import open_log_query, run_line
from loglane.devserver.logql.nodes import LogQuery
from loglane.devserver.logql.patterns import compile_matcher
from loglane.devserver.store import NewEntry, Store, Stream

# So many entries wait for a slow client, and so many that found no room any more are named to it.
MAX_WAITING = 10_000
MAX_DROPPED = 1000


class Followed(NamedTuple):
    """An entry to send."""

    ts: int
    line: str
    labels: Categorised


class Dropped(NamedTuple):
    """An entry that a slow client did not get."""

    ts: int
    labels: dict[str, str]


class Following:
    """What a tail has to send.

    Args:
        store: Where entries arrive.
        tenant: Whose entries.
        query: What they must match.
        categorise: Whether labels are to be told apart by where they came from.
        notify: Called from any thread when there is more to take.

    Raises:
        Refused: A pattern of the query is bad.
    """

    def __init__(
        self,
        store: Store,
        tenant: str,
        query: LogQuery,
        *,
        categorise: bool,
        notify: Callable[[], None],
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._query = query
        self._categorise = categorise
        self._notify = notify
        self._pipeline = log_pipeline(query.stages)
        self._tests = [(matcher.name, compile_matcher(matcher)) for matcher in query.matchers]
        self._accepted: dict[int, bool] = {}
        self._lock = threading.Lock()
        self._order = count()
        self._waiting: list[tuple[int, int, Followed]] = []
        self._dropped: list[Dropped] = []

    def start(self, start_ns: int, end_ns: int, limit: int) -> Callable[[], None]:
        """Take the newest entries of a time range, and from now on each that arrives.

        Returns:
            What ends it.
        """
        bounds = (start_ns, end_ns)
        # What is in the store now comes from there, what arrives later from the subscription.
        with self._store.paused():
            opened = open_log_query(self._store, self._tenant, self._query, bounds, backward=True)
            end = self._store.subscribe(self._receive)
        try:
            with opened as found:
                newest = [Followed(*entry) for entry in islice(found, limit)]
        except BaseException:
            end()
            raise
        self._add(newest[::-1])
        return end

    def take(self, before_ns: int, limit: int) -> tuple[list[Followed], list[Dropped]]:
        """Return the oldest entries before a time, and with them what was dropped meanwhile."""
        taken: list[Followed] = []
        with self._lock:
            while self._waiting and len(taken) < limit and self._waiting[0][0] < before_ns:
                taken.append(heapq.heappop(self._waiting)[2])
            if not taken:
                return [], []
            dropped, self._dropped = self._dropped, []
        return taken, dropped

    def next_ns(self) -> int | None:
        """Return the timestamp of the oldest entry that waits."""
        with self._lock:
            return self._waiting[0][0] if self._waiting else None

    def _receive(self, tenant: str, stream: Stream, entries: Sequence[NewEntry]) -> None:
        if tenant == self._tenant and self._accepts(stream):
            found = self._select(stream, entries)
            if found:
                self._add(found)

    def _accepts(self, stream: Stream) -> bool:
        known = self._accepted.get(stream.id)
        if known is None:
            known = all(test(stream.labels.get(name, "")) for name, test in self._tests)
            self._accepted[stream.id] = known
        return known

    def _select(self, stream: Stream, entries: Sequence[NewEntry]) -> list[Followed]:
        if not self._query.stages and not self._categorise:
            # Without stages Loki forgets the metadata of what arrives (pkg/ingester/tailer.go).
            plain = Categorised(dict(stream.labels), {}, {})
            return [Followed(ts, line.decode(), plain) for ts, line, _ in entries]
        found = []
        labels = LabelSet(stream.labels, self._pipeline.hints)
        for ts, raw, metadata in entries:
            labels.reset(metadata or {})
            line = run_line(self._pipeline, ts, raw.decode(), labels)
            if line is not None:
                found.append(Followed(ts, line, labels.categorised()))
        return found

    def _add(self, entries: list[Followed]) -> None:
        with self._lock:
            for entry in entries:
                if len(self._waiting) < MAX_WAITING:
                    heapq.heappush(self._waiting, (entry.ts, next(self._order), entry))
                elif len(self._dropped) < MAX_DROPPED:
                    self._dropped.append(Dropped(entry.ts, entry.labels.stream))
        self._notify()
