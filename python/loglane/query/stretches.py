"""Time ranges that are longer than Loki lets one query be."""

from __future__ import annotations

import re

from loglane.errors import QueryError
from loglane.query.exchange import Plan, ask
from loglane.query.moments import DAY_NS, Span, duration_ns

# Loki's default `max_query_length` is 30d1h (loki: pkg/validation/limits.go).
MAX_SPAN_NS = 30 * DAY_NS

# loki: pkg/validation/validate.go; the limit is written as Prometheus does, `30d1h`.
_LENGTH_REFUSED = re.compile(
    r"query time range exceeds the limit \(query length: [^,]*, limit: ((?:\d+[a-z]+)+)\)"
)


def shorter_ns(error: QueryError, asked_ns: int) -> int:
    """Return how long a query of this Loki may be, after it refused one of `asked_ns`.

    Raises:
        QueryError: The error itself; it was refused for something else.
    """
    refused = _LENGTH_REFUSED.search(str(error))
    allowed_ns = duration_ns(refused[1]) if refused else 0
    if not 0 < allowed_ns < asked_ns:
        raise error
    return allowed_ns


def list_names(path: str, span: Span, query: object) -> Plan[set[str]]:
    """Plan to list names or values that a time range has, however long it is.

    Args:
        path: Of Loki's API.
        span: The time range.
        query: A selector that narrows it, or None.
    """
    names: set[str] = set()
    end_ns, longest_ns = span.end_ns, MAX_SPAN_NS
    while True:
        start_ns = max(span.start_ns, end_ns - longest_ns)
        try:
            data = yield from ask(path, start=start_ns, end=end_ns, query=query)
        except QueryError as error:
            longest_ns = shorter_ns(error, end_ns - start_ns)
            continue
        names.update(data or ())
        if start_ns <= span.start_ns:
            return names
        end_ns = start_ns
