"""Counting without reading the lines: sums that Loki computes, exact to the nanosecond."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from loglane.errors import QueryError
from loglane.query.entry import LogEntry
from loglane.query.exchange import Plan, ask
from loglane.query.logql import Query
from loglane.query.moments import Span
from loglane.query.series import read_series
from loglane.query.stretches import MAX_SPAN_NS
from loglane.query.walk import Walk

_MILLISECOND_NS = 10**6


def tally(
    query: Query,
    what: Literal["count", "measure"],
    span: Span,
    by: Sequence[str],
    page_size: int,
) -> Plan[Counter[tuple[str, ...]]]:
    """Plan to sum up over a time range.

    Args:
        query: What to sum up.
        what: `count` adds up entries, `measure` the bytes of their lines.
        span: The time range.
        by: Labels to group by.
        page_size: How many entries to read at once where Loki cannot count.

    Returns:
        The sum of each group, by its values of `by`; an absent label is `""`.
    """
    groups: Counter[tuple[str, ...]] = Counter()
    # A range of LogQL has whole milliseconds and ends with its moment: (moment - range, moment].
    start_ns = span.start_ns + (span.end_ns - span.start_ns) % _MILLISECOND_NS
    end_ns = span.end_ns
    while start_ns < end_ns:
        size_ns = min(MAX_SPAN_NS, end_ns - start_ns)
        span_ms = size_ns // _MILLISECOND_NS
        # Loki counts a month day by day, and an empty one takes it as long as a full one.
        older = end_ns < span.end_ns
        if older and (yield from _is_empty(query, end_ns - size_ns, end_ns)):
            end_ns -= size_ns
            continue
        metric = query.count(span_ms, by) if what == "count" else query.measure(span_ms, by)
        data = yield from ask("/query", query=metric, time=end_ns - 1)
        for series in read_series(data):
            groups[tuple(series.labels.get(name, "") for name in by)] += int(series.value)
        end_ns -= size_ns
    walk = Walk(str(query), span.start_ns, start_ns, backward=False, page_size=page_size)
    while entries := (yield from walk.next_page()):
        for entry in entries:
            groups[_group(entry, by)] += len(entry.raw.encode()) if what == "measure" else 1
    return groups


def _is_empty(query: Query, start_ns: int, end_ns: int) -> Plan[bool]:
    try:
        data = yield from ask(
            "/query_range", apart=False, query=query, start=start_ns, end=end_ns, limit=1
        )
    except QueryError:
        # Of this length Loki may refuse lines, and counts them all the same.
        return False
    return not data["result"]


def _group(entry: LogEntry, by: Sequence[str]) -> tuple[str, ...]:
    kinds = (entry.labels, entry.metadata, entry._parsed)
    return tuple(next((kind[name] for kind in kinds if name in kind), "") for name in by)
