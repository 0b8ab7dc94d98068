"""Metric queries as a whole: the syntax tree over all steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from loglane.devserver.engine.binary import combine
from loglane.devserver.engine.plan import make_plan
from loglane.devserver.engine.ranges import run_range_aggregation
from loglane.devserver.engine.replacement import replace_labels
from loglane.devserver.engine.series import Labels, Vector
from loglane.devserver.engine.splitting import split_range
from loglane.devserver.engine.vectors import aggregate
from loglane.devserver.engine.window import Window
from loglane.devserver.logql.nodes import (
    Binary,
    Concatenation,
    ConstantVector,
    LabelReplace,
    Metric,
    Part,
    RangeAggregation,
    Scalar,
    VectorAggregation,
)
from loglane.devserver.refusal import Refused, unsupported
from loglane.devserver.store import Store

# A series: its samples as (nanoseconds, value), oldest first.
Matrix: TypeAlias = dict[Labels, list[tuple[int, float]]]

# limits_config.max_query_series of the stack; Loki's own default is 500.
MAX_SERIES = 5000
# Loki groups while it reads, which also decides what a parser has to extract.
_GROUPED_WHILE_READ = frozenset(
    {"bytes_over_time", "bytes_rate", "sum_over_time", "rate", "count_over_time"}
)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    store: Store
    tenant: str
    window: Window

    def run(self, node: Metric) -> list[Vector] | float:
        match node:
            case Scalar(value=value):
                result: list[Vector] | float = value
            case ConstantVector(value=value):
                result = [{(): value} for _ in self.window.ends()]
            case RangeAggregation():
                result = run_range_aggregation(self.store, self.tenant, node, self.window)
            case VectorAggregation():
                result = self._aggregate_vector(node)
            case LabelReplace(operand=operand):
                result = [replace_labels(node, vector) for vector in self._steps(operand)]
            case Binary():
                result = self._combine(node)
            case Concatenation():
                raise unsupported("`label_replace()` of a parsed range of more than an hour")
            case Part(query=query):
                result = _sent(self._steps(query))
        return result

    def _aggregate_vector(self, node: VectorAggregation) -> list[Vector]:
        inner = node.operand
        if (
            node.op == "sum"
            and isinstance(inner, RangeAggregation)
            and inner.grouping is None
            and inner.op in _GROUPED_WHILE_READ
        ):
            vectors = run_range_aggregation(
                self.store, self.tenant, inner, self.window, node.grouping
            )
        elif isinstance(inner, Concatenation):
            parts = [self._steps(query) for query in inner.queries]
            together = (
                chain.from_iterable(map(dict.items, step)) for step in zip(*parts, strict=True)
            )
            return [aggregate(node, samples) for samples in together]
        else:
            vectors = self._steps(inner)
        return [aggregate(node, vector.items()) for vector in vectors]

    def _combine(self, node: Binary) -> list[Vector]:
        left, right = self.run(node.left), self.run(node.right)
        if isinstance(left, float):
            return [combine(node, left, vector) for vector in _vectors(right, self.window)]
        if isinstance(right, float):
            return [combine(node, vector, right) for vector in left]
        return [combine(node, one, other) for one, other in zip(left, right, strict=True)]

    def _steps(self, node: Metric) -> list[Vector]:
        return _vectors(self.run(node), self.window)


def run_instant(store: Store, tenant: str, node: Metric, ts_ns: int) -> Vector | float:
    """Evaluate a metric query at one instant; a literal gives a number, all else a vector.

    Returns:
        A number, or a vector whose order counts when the query sorts (`is_sorted`).

    Raises:
        Refused: A pipeline error, too many series, or series that match more than once.
    """
    result = _Evaluation(store, tenant, Window.at(ts_ns)).run(split_range(node, ts_ns))
    if isinstance(result, float):
        return result
    _check_series(result)
    return result[0]


def run_range(store: Store, tenant: str, node: Metric, window: Window) -> Matrix | float:
    """Evaluate a metric query at each step; a literal gives a number, all else a matrix.

    Raises:
        Refused: A pipeline error, too many series, or series that match more than once.
    """
    result = _Evaluation(store, tenant, window).run(make_plan(node))
    if isinstance(result, float):
        return result
    _check_series(result)
    matrix: Matrix = {}
    for ts_ns, vector in zip(window.ends(), result, strict=True):
        for labels, value in vector.items():
            matrix.setdefault(labels, []).append((ts_ns, value))
    return matrix


def is_sorted(node: Metric) -> bool:
    """Tell whether a query has `sort` or `sort_desc`, so that the order of a vector counts."""
    match node:
        case VectorAggregation(op=op, operand=operand):
            return op in {"sort", "sort_desc"} or is_sorted(operand)
        case LabelReplace(operand=operand):
            return is_sorted(operand)
        case Binary(left=left, right=right):
            return is_sorted(left) or is_sorted(right)
        case _:
            return False


def _vectors(result: list[Vector] | float, window: Window) -> list[Vector]:
    if isinstance(result, float):
        return [{(): result} for _ in window.ends()]
    return result


def _sent(vectors: list[Vector]) -> list[Vector]:
    """Check the number of series; zeros lose their sign, as Loki sends them without."""
    _check_series(vectors)
    return [{labels: value + 0.0 for labels, value in vector.items()} for vector in vectors]


def _check_series(vectors: list[Vector]) -> None:
    if len(set().union(*vectors)) > MAX_SERIES:
        raise Refused(
            f"maximum number of series ({MAX_SERIES}) reached for a single query; consider "
            "reducing query cardinality by adding more specific stream selectors, reducing the "
            "time range, or aggregating results with functions like sum(), count() or topk()"
        )
