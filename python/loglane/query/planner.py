"""What each method of the query service asks Loki, without any I/O."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from loglane.query.cursor import read_cursor
from loglane.query.entry import LogEntry
from loglane.query.exchange import Plan, ask
from loglane.query.filters import Places
from loglane.query.logql import Query, check_name, is_log_query
from loglane.query.moments import Moment, Span
from loglane.query.search import LOOK_BACK_FOR_ID_NS, Reader, Search
from loglane.query.series import Series, read_series
from loglane.query.stretches import list_names
from loglane.query.tailing import Tail
from loglane.query.tally import tally
from loglane.query.walk import Walk


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of a query, and how to get those after them.

    Attributes:
        entries: In the order of the direction.
        cursor: Give it to the same query to go on; None when there are no more.
    """

    entries: list[LogEntry]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Volume:
    """How much one service wrote at one level; `bytes` are those of the lines."""

    service: str
    level: str
    lines: int
    bytes: int


class Planner:
    """Plans of every question; `LogService` and `AsyncLogService` carry them out."""

    def __init__(
        self,
        selector: Mapping[str, str] | None,
        labels: Sequence[str],
        metadata: Sequence[str],
        page_size: int,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if page_size < 2:
            raise ValueError(f"page_size must be at least 2, not {page_size}")
        contract = Places()
        places = Places(contract.labels.union(labels), contract.metadata.union(metadata))
        base = Query()
        for name, value in (selector or {}).items():
            base = base.label(name, value)
        self._reader = Reader(places, base, clock_ns)
        self._page_size = page_size
        self.search = self._reader.search
        self.span = self._reader.span

    def raw_search(
        self, logql: str, start: Moment | None, end: Moment | None, **paging: Any
    ) -> Search:
        """Read the arguments of a method that takes LogQL."""
        return Search(logql, self.span(start, end), **paging)

    def search_by(self, name: str, value: Any, options: Mapping[str, Any]) -> Search:
        """Read the arguments of a method that asks for one field."""
        return self.search(
            options,
            by={name: value},
            look_back_ns=LOOK_BACK_FOR_ID_NS,
            limit=100,
            offset=0,
            direction="backward",
        )

    def page_search(self, options: Mapping[str, Any], cursor: str | None) -> Search:
        """Read the arguments of `page`."""
        found = self.search(options, limit=100, direction="backward")
        return replace(found, cursor=cursor)

    def iter_search(self, options: Mapping[str, Any], cursor: str | None) -> Search:
        """Read the arguments of `iter_logs`."""
        found = self.search(options, limit=None, direction="forward")
        return replace(found, cursor=cursor)

    def tail_search(self, options: Mapping[str, Any]) -> Search:
        """Read the arguments of `tail`."""
        if "end_time" in options:
            raise TypeError("end_time: a tail has no end")
        return self.search({"start_time": "now", **options})

    def tail(self, search: Search) -> Tail:
        """Return the tail of a question."""
        return Tail(str(search.query), search.span.start_ns, page_size=self._page_size)

    def walk(self, search: Search) -> Walk:
        """Return the walk through the entries of a question.

        Raises:
            ValueError: Its cursor is damaged, or of another question.
        """
        text, backward = str(search.query), search.backward
        cursor = search.cursor
        return Walk(
            text,
            search.span.start_ns,
            search.span.end_ns,
            backward=backward,
            limit=search.limit,
            position=None if cursor is None else read_cursor(cursor, text, backward=backward),
            page_size=self._page_size,
        )

    def entries(self, search: Search) -> Plan[list[LogEntry]]:
        """Plan to read the entries of a question, without the first `offset`."""
        limit = search.limit and search.offset + search.limit
        walk = self.walk(replace(search, limit=limit))
        left_out, kept = 0, []
        while found := (yield from walk.next_page()):
            skipped = min(search.offset - left_out, len(found))
            left_out += skipped
            kept += found[skipped:]
        return kept

    def page(self, search: Search) -> Plan[Page]:
        """Plan to read one page, and where the next one begins."""
        walk = self.walk(search)
        entries: list[LogEntry] = []
        while found := (yield from walk.next_page()):
            entries += found
        return Page(entries, entries[-1].cursor if entries and walk.more else None)

    def raw(self, search: Search, step_s: float | None) -> Plan[list[LogEntry] | list[Series]]:
        """Plan to ask LogQL of either kind over a time range."""
        if is_log_query(str(search.query)):
            return (yield from self.entries(search))
        span = search.span
        data = yield from ask(
            "/query_range", query=search.query, start=span.start_ns, end=span.end_ns, step=step_s
        )
        return read_series(data)

    def instant(self, logql: str, at: Moment | None) -> Plan[list[Series]]:
        """Plan to ask a metric query for one moment."""
        data = yield from ask("/query", query=logql, time=self.span(None, at).end_ns)
        return read_series(data)

    def count(self, search: Search) -> Plan[int]:
        """Plan to count the entries of a question."""
        groups = yield from self._tally(search, "count")
        return sum(groups.values())

    def count_by(self, name: str, search: Search) -> Plan[dict[str, int]]:
        """Plan to count the entries of a question by the values of a field."""
        labels, query = [name], search.query
        places = self._reader.places
        if isinstance(query, Query) and name not in places.labels | places.metadata:
            query, labels = query.extracted(name)
        groups = yield from self._tally(replace(search, query=query), "count", *labels)
        found: Counter[str] = Counter()
        for group, count in groups.items():
            found[next(filter(None, group), "")] += count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def stats(self, search: Search) -> Plan[list[Volume]]:
        """Plan to add up lines and bytes by service and level."""
        lines = yield from self._tally(search, "count", "service", "level")
        sizes = yield from self._tally(search, "measure", "service", "level")
        found = [
            Volume(service, level, count, sizes.get((service, level), 0))
            for (service, level), count in lines.items()
        ]
        return sorted(found, key=lambda volume: (-volume.lines, volume.service, volume.level))

    def labels(self, span: Span) -> Plan[list[str]]:
        """Plan to list the names of labels."""
        found = yield from list_names("/labels", span, self._bound())
        return sorted(name for name in found if not name.startswith("__"))

    def label_values(self, name: str, span: Span) -> Plan[list[str]]:
        """Plan to list the values of a label.

        Raises:
            ValueError: It is no name of a label.
        """
        check_name(name)
        return sorted((yield from list_names(f"/label/{name}/values", span, self._bound())))

    def _bound(self) -> Query | None:
        base = self._reader.base
        return base if base.matchers else None

    def _tally(
        self, search: Search, what: Literal["count", "measure"], *by: str
    ) -> Plan[dict[tuple[str, ...], int]]:
        assert isinstance(search.query, Query)  # noqa: S101 - LogQL of a caller is never counted
        return (yield from tally(search.query, what, search.span, by, self._page_size))
