"""What Loki's query frontend makes of a metric query before it runs it.

It takes a query apart to run its parts on shards. On little data there is a single shard, but the
query is still another one, and its answer is too: `avg_over_time` of grouped series divides by all
lines, also those without the label, and the limit on series counts for each part. The same happens
here (loki: pkg/logql/shardmapper.go).
"""

from __future__ import annotations

from dataclasses import replace

from loglane.devserver.engine.stage_order import may_merge_streams
from loglane.devserver.logql.nodes import (
    Binary,
    ConstantVector,
    Grouping,
    LabelReplace,
    Matching,
    Metric,
    Part,
    RangeAggregation,
    Scalar,
    VectorAggregation,
)

_SHARDED_OVER_TIME = frozenset(
    {
        "avg_over_time", "count_over_time", "first_over_time", "last_over_time", "rate",
        "bytes_over_time", "bytes_rate", "sum_over_time", "max_over_time", "min_over_time",
        "quantile_over_time",
    }
)  # fmt: skip
# Sharded in principle, but only with settings that are off by default.
_LEFT_ALONE = frozenset({"quantile_over_time", "first_over_time", "last_over_time"})


def make_plan(query: Metric) -> Metric:
    """Return the query that Loki runs, with its parts marked."""
    mapped = _map(query, top=True)
    return Part(query) if mapped is query and not isinstance(query, Scalar) else mapped


def _map(node: Metric, *, top: bool) -> Metric:
    match node:
        case VectorAggregation():
            return _map_vector(node, top=top)
        case RangeAggregation():
            return _map_range(node, top=top)
        case LabelReplace():
            return _with_operand(node, _map(node.operand, top=top))
        case Binary():
            left, right = _side(node.left, top=top), _side(node.right, top=top)
            return replace(node, left=left, right=right)
        case _:
            return node


def _side(node: Metric, *, top: bool) -> Metric:
    if isinstance(node, Scalar | ConstantVector):
        return node
    mapped = _map(node, top=top)
    return Part(node) if mapped is node else mapped


def _map_vector(node: VectorAggregation, *, top: bool) -> Metric:
    if _is_sharded(node, top=top):
        if node.op == "avg":
            total = replace(node, op="sum")
            return Binary("/", Part(total), Part(replace(node, op="count")), Matching())
        if node.op == "sum" or not _reduces_labels(node.operand):
            return Part(node)
    return _with_operand(node, _map(node.operand, top=False))


def _with_operand(node: VectorAggregation | LabelReplace, operand: Metric) -> Metric:
    if operand is node.operand:
        return node
    return replace(node, operand=operand)


def _map_range(node: RangeAggregation, *, top: bool) -> Metric:
    if not _is_sharded(node, top=top) or node.op in _LEFT_ALONE:
        return node
    grouping = node.grouping
    is_plain = grouping is None or (grouping.without and not grouping.names)
    if node.op != "avg_over_time" or (is_plain and not _reduces_labels(node)):
        return Part(node)
    return _average(node, grouping or Grouping(without=True))


def _average(node: RangeAggregation, grouping: Grouping) -> Metric:
    total = replace(node, op="sum_over_time", grouping=None)
    lines = replace(node, op="count_over_time", grouping=None, unwrap=None)
    counted = grouping
    if grouping.without and node.unwrap is not None:
        counted = Grouping((*grouping.names, node.unwrap.label), without=True)
    return Binary(
        "/",
        Part(VectorAggregation("sum", total, grouping)),
        Part(VectorAggregation("sum", lines, counted)),
        Matching(),
    )


def _is_sharded(node: Metric, *, top: bool) -> bool:
    match node:
        case RangeAggregation(op=op):
            return op in _SHARDED_OVER_TIME and (top or op != "quantile_over_time")
        case VectorAggregation(op=op, operand=operand):
            return _is_sharded(operand, top=top) and _is_distributive(op, operand)
        case Binary(op=op, matching=matching):
            if matching.on or matching.names or op not in {"+", "*"}:
                return False
            return _is_sharded(node.left, top=top) and _is_sharded(node.right, top=top)
        case _:
            return isinstance(node, Scalar)


def _is_distributive(op: str, operand: Metric) -> bool:
    match op:
        case "sum":
            is_extreme = isinstance(operand, VectorAggregation) and operand.op in {"min", "max"}
            return not is_extreme
        case "count" | "avg":
            return not _reduces_labels(operand)
        case "min" | "max":
            return isinstance(operand, RangeAggregation) and _is_sharded(operand, top=False)
        case _:
            return False


def _reduces_labels(node: Metric) -> bool:
    match node:
        case RangeAggregation(grouping=grouping, query=query):
            is_grouped = grouping is not None and bool(grouping.names)
            return is_grouped or may_merge_streams(query.stages)
        case VectorAggregation(grouping=grouping, operand=operand):
            return bool(grouping.names) or _reduces_labels(operand)
        case LabelReplace(operand=operand):
            return _reduces_labels(operand)
        case Binary(left=left, right=right):
            return _reduces_labels(left) or _reduces_labels(right)
        case _:
            return False
