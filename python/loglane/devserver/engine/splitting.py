"""An instant query over more than an hour, as Loki's query frontend cuts it into hours.

The hours are put together again by the aggregation that stands around them, which is not always
the same as one look at the whole range: `max(rate({...}[2h]))` adds the maximum of each hour. The
same happens here (loki: pkg/logql/rangemapper.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from loglane.devserver.engine.plan import make_plan
from loglane.devserver.logql.nodes import (
    Binary,
    Concatenation,
    Grouping,
    JsonStage,
    LabelReplace,
    LogfmtStage,
    Matching,
    Metric,
    Part,
    RangeAggregation,
    Scalar,
    VectorAggregation,
)
from loglane.devserver.refusal import unsupported

# limits_config.split_instant_metric_queries_by_interval, aligned to full hours as the stack has it.
_HOUR_NS = 3600 * 10**9
# Each hour is a query of its own: a range of centuries would keep the server busy for ever.
_MAX_RANGE_NS = 2 * 366 * 24 * _HOUR_NS
_SECOND = 10**9

_VECTORS = frozenset({"sum", "count", "max", "min", "avg", "topk", "sort", "sort_desc"})
# Aggregations that run on all hours together only; the others run on each hour already.
_NOT_PUSHED_DOWN = frozenset({"count", "topk", "sort", "sort_desc"})
_MERGED_BY = {
    "sum_over_time": "sum",
    "bytes_over_time": "sum",
    "count_over_time": "sum",
    "max_over_time": "max",
    "min_over_time": "min",
}
_RATES = {"rate": "count_over_time", "bytes_rate": "bytes_over_time"}


def split_range(query: Metric, ts_ns: int) -> Metric:
    """Return what Loki runs for the query at `ts_ns`: hours put together, or the query's plan."""
    if _is_splittable(query):
        split = _Splitter(ts_ns).map(query, None)
        if split != query:
            return split
    return make_plan(query)


@dataclass(frozen=True, slots=True)
class _Splitter:
    ts_ns: int

    def map(self, node: Metric, outer: VectorAggregation | None) -> Metric:
        match node:
            case VectorAggregation():
                return self._map_vector(node)
            case RangeAggregation():
                return self._map_range(node, outer)
            case LabelReplace():
                return replace(node, operand=self.map(node.operand, outer))
            case Binary():
                left, right = self.map(node.left, outer), self.map(node.right, outer)
                kept_left = left == node.left and not isinstance(left, Scalar)
                kept_right = right == node.right and not isinstance(right, Scalar)
                return node if kept_left or kept_right else replace(node, left=left, right=right)
            case _:
                return node

    def _map_vector(self, node: VectorAggregation) -> Metric:
        if _last_interval(node) <= _HOUR_NS:
            return node
        pushed = node.op not in _NOT_PUSHED_DOWN and not isinstance(node.operand, Binary)
        return replace(node, operand=self.map(node.operand, node if pushed else None))

    def _map_range(self, node: RangeAggregation, outer: VectorAggregation | None) -> Metric:
        parses = any(isinstance(s, JsonStage | LogfmtStage) for s in node.query.stages)
        if node.interval_ns <= _HOUR_NS or node.op not in {*_RATES, *_MERGED_BY}:
            return node
        if outer is None and node.grouping is None and parses:
            return node
        if node.op in _RATES:
            if parses and (outer is None or outer.op != "sum"):
                return node
            return self._rate(node, outer)
        hours = self._hours(node, outer or node)
        if parses and node.op in {"bytes_over_time", "count_over_time"}:
            return hours
        grouping = node.grouping or Grouping(without=True)
        return VectorAggregation(_MERGED_BY[node.op], hours, grouping)

    def _rate(self, node: RangeAggregation, outer: VectorAggregation | None) -> Metric:
        total = "sum_over_time" if node.unwrap is not None else _RATES[node.op]
        counted: Metric = replace(node, op=total)
        if outer is not None:
            # Loki forgets the parameter here, so that `bottomk` gives nothing.
            k = None if outer.k is None else 0
            counted = VectorAggregation(outer.op, counted, outer.grouping, k)
        hours = self._hours(node, counted)
        together = VectorAggregation("sum", hours, Grouping(without=True))
        return Binary("/", together, Scalar(node.interval_ns / _SECOND), Matching())

    def _hours(self, node: RangeAggregation, query: Metric) -> Concatenation:
        if node.interval_ns > _MAX_RANGE_NS:
            raise unsupported("an instant query over more than two years")
        # The last hour comes first in Loki's list, and the order of floats with it.
        spans = list(self._spans(node.interval_ns, node.offset_ns))
        return Concatenation(
            tuple(Part(make_plan(_over(query, *span))) for span in reversed(spans))
        )

    def _spans(self, interval_ns: int, offset_ns: int) -> Iterator[tuple[int, int]]:
        """Yield intervals and offsets, newest first: up to a full hour, hours, and the rest."""
        rest = interval_ns
        span = self.ts_ns % _HOUR_NS or _HOUR_NS
        while rest > 0:
            yield min(span, rest), offset_ns
            offset_ns += span
            rest -= span
            span = _HOUR_NS


def _over(query: Metric, interval_ns: int, offset_ns: int) -> Metric:
    match query:
        case RangeAggregation():
            # An offset of zero leaves the one that is there.
            offset = offset_ns or query.offset_ns
            return replace(query, interval_ns=interval_ns, offset_ns=offset)
        case VectorAggregation() | LabelReplace():
            return replace(query, operand=_over(query.operand, interval_ns, offset_ns))
        case _:
            return query


def _is_splittable(node: Metric) -> bool:
    match node:
        case VectorAggregation(op=op, operand=operand):
            return op in _VECTORS and _is_splittable(operand)
        case RangeAggregation(op=op):
            return op in _RATES or op in _MERGED_BY
        case LabelReplace(operand=operand):
            return _is_splittable(operand)
        case Binary(left=left, right=right):
            if _is_splittable(left) or isinstance(right, Scalar):
                return True
            return isinstance(left, Scalar) and _is_splittable(right)
        case _:
            return False


def _last_interval(node: Metric) -> int:
    """Return the interval of the last range in the query's text."""
    match node:
        case RangeAggregation(interval_ns=interval_ns):
            return interval_ns
        case VectorAggregation(operand=operand) | LabelReplace(operand=operand):
            return _last_interval(operand)
        case Binary(left=left, right=right):
            return _last_interval(right) or _last_interval(left)
        case _:
            return 0
