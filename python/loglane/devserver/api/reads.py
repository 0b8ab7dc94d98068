"""The read endpoints: queries, labels, series and what Grafana asks besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loglane.devserver.api import params as p
from loglane.devserver.api.encoding import (
    encode_data,
    encode_matrix,
    encode_scalar,
    encode_stats,
    encode_streams,
    encode_vector,
)
from loglane.devserver.api.length import check_length, check_ranges
from loglane.devserver.engine.query import is_sorted, run_instant, run_range
from loglane.devserver.engine.streams import run_log_query
from loglane.devserver.logql import longest_range, parse, parse_matchers
from loglane.devserver.logql.nodes import (
    ConstantVector,
    LogQuery,
    Matcher,
    Scalar,
)
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Store, Stream

_LOG_QUERY_AS_INSTANT = (
    "log queries are not supported as an instant query type, please change your query to a "
    "range query type"
)
# What labels and series say when the end is before the start.
_INVERTED_LABELS = "this data is no longer available, it is past now - max_query_lookback (0s)"


@dataclass(frozen=True, slots=True)
class Reads:
    """Answers of one store; every method takes the tenant and the request's parameters."""

    store: Store

    def query_range(self, tenant: str, params: Mapping[str, str], *, categorise: bool) -> bytes:
        """Answer a log query with streams, a metric query with a matrix."""
        bounds, window = p.read_range(params)
        limit = p.read_limit(params)
        backward = p.read_backward(params)
        query = parse(params.get("query", ""))
        check_length(bounds)
        if isinstance(query, Scalar | ConstantVector):
            steps = window.aligned().ends()
            return encode_matrix({(): [(ts_ns, query.value) for ts_ns in steps]})
        if isinstance(query, LogQuery):
            p.check_limit(limit)
            streams = run_log_query(
                self.store,
                tenant,
                query,
                start_ns=bounds.start_ns,
                end_ns=bounds.end_ns,
                limit=limit,
                backward=backward,
                categorise=categorise,
            )
            return encode_streams(streams, categorise=categorise)
        check_ranges(window.aligned(), longest_range(query))
        matrix_or_number = run_range(self.store, tenant, query, window.aligned())
        if isinstance(matrix_or_number, float):  # pragma: no cover - literals are answered above
            raise TypeError("a vector operation gave a number")
        return encode_matrix(matrix_or_number)

    def query(self, tenant: str, params: Mapping[str, str]) -> bytes:
        """Answer a metric query at one instant; Loki refuses a log query here."""
        p.read_limit(params)
        ts_ns = p.read_instant(params)
        p.read_backward(params)
        query = parse(params.get("query", ""))
        if isinstance(query, LogQuery):
            raise Refused(_LOG_QUERY_AS_INSTANT)
        result = run_instant(self.store, tenant, query, ts_ns)
        if isinstance(result, float):
            return encode_scalar(result, ts_ns)
        return encode_vector(result, ts_ns, is_sorted=is_sorted(query))

    def labels(self, tenant: str, params: Mapping[str, str]) -> bytes:
        """List the label names of the streams of a time range."""
        names = {name for stream in self._streams(tenant, params) for name in stream.labels}
        return encode_data(sorted(names) or None)

    def label_values(self, tenant: str, name: str, params: Mapping[str, str]) -> bytes:
        """List the values of one label in the streams of a time range."""
        streams = self._streams(tenant, params)
        values = {stream.labels[name] for stream in streams if name in stream.labels}
        return encode_data(sorted(values) or None)

    def series(self, tenant: str, params: Mapping[str, str], selectors: list[str]) -> bytes:
        """List the label sets of the streams that any of the selectors matches."""
        bounds = p.read_bounds(params)
        if [text.replace(" ", "") for text in selectors] == ["{}"]:
            selectors = []
        groups: list[tuple[Matcher, ...]] = [parse_matchers(text) for text in selectors]
        p.check_order(bounds, _INVERTED_LABELS)
        check_length(bounds)
        found: dict[int, Stream] = {}
        for group in groups or [()]:
            for stream in self.store.select(tenant, group, bounds.start_ns, bounds.end_ns):
                found[stream.id] = stream
        return encode_data([found[id_].labels for id_ in sorted(found)])

    def index_stats(self, tenant: str, params: Mapping[str, str]) -> bytes:
        """Count what a query would read; Grafana shows it beside the query."""
        bounds = p.read_bounds(params)
        matchers = parse_matchers(params.get("query", ""))
        p.check_order(bounds)
        check_length(bounds)
        streams = self.store.select(tenant, matchers, bounds.start_ns, bounds.end_ns)
        entries, size = self.store.measure(streams, bounds.start_ns, bounds.end_ns)
        return encode_stats(len(streams), entries, size)

    def _streams(self, tenant: str, params: Mapping[str, str]) -> list[Stream]:
        bounds = p.read_bounds(params)
        query = params.get("query", "")
        matchers = parse_matchers(query) if query else ()
        p.check_order(bounds, _INVERTED_LABELS)
        check_length(bounds)
        return self.store.select(tenant, matchers, bounds.start_ns, bounds.end_ns)
