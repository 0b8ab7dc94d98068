"""Metric queries as a whole: the syntax tree over all steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from loglane.devserver.engine.binary import combine
from loglane.devserver.engine.ranges import run_range_aggregation
from loglane.devserver.engine.series import Labels, Vector
from loglane.devserver.engine.vectors import aggregate
from loglane.devserver.engine.window import Window
from loglane.devserver.logql.nodes import (
    Binary,
    ConstantVector,
    Grouping,
    Metric,
    RangeAggregation,
    Scalar,
    VectorAggregation,
)
from loglane.devserver.store import Store

# A series: its samples as (nanoseconds, value), oldest first.
Matrix: TypeAlias = dict[Labels, list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    store: Store
    tenant: str
    window: Window

    def run(self, node: Metric) -> list[Vector] | float:
        match node:
            case Scalar(value=value):
                return value
            case ConstantVector(value=value):
                return [{(): value} for _ in self.window.ends()]
            case RangeAggregation():
                return self._aggregate_range(node, None)
            case VectorAggregation():
                return self._aggregate_vector(node)
            case Binary():
                return self._combine(node)

    def _aggregate_range(self, node: RangeAggregation, grouping: Grouping | None) -> list[Vector]:
        return run_range_aggregation(self.store, self.tenant, node, self.window, grouping)

    def _aggregate_vector(self, node: VectorAggregation) -> list[Vector]:
        inner = node.operand
        if node.op == "sum" and isinstance(inner, RangeAggregation):
            # Loki groups while it reads, which also decides what `| json` has to extract.
            vectors: list[Vector] | float = self._aggregate_range(inner, node.grouping)
        else:
            vectors = self.run(inner)
        return [aggregate(node, vector) for vector in self._steps(vectors)]

    def _combine(self, node: Binary) -> list[Vector]:
        left, right = self.run(node.left), self.run(node.right)
        if isinstance(left, float):
            return [combine(node, left, vector) for vector in self._steps(right)]
        if isinstance(right, float):
            return [combine(node, vector, right) for vector in left]
        return [combine(node, one, other) for one, other in zip(left, right, strict=True)]

    def _steps(self, vectors: list[Vector] | float) -> list[Vector]:
        if isinstance(vectors, float):
            return [{(): vectors} for _ in self.window.ends()]
        return vectors


def run_instant(store: Store, tenant: str, node: Metric, ts_ns: int) -> Vector | float:
    """Evaluate a metric query at one instant; a literal gives a number, all else a vector.

    Raises:
        Refused: A pipeline error, or series that match more than once.
    """
    result = _Evaluation(store, tenant, Window.at(ts_ns)).run(node)
    return result if isinstance(result, float) else result[0]


def run_range(store: Store, tenant: str, node: Metric, window: Window) -> Matrix | float:
    """Evaluate a metric query at each step; a literal gives a number, all else a matrix.

    Raises:
        Refused: A pipeline error, or series that match more than once.
    """
    result = _Evaluation(store, tenant, window).run(node)
    if isinstance(result, float):
        return result
    matrix: Matrix = {}
    for ts_ns, vector in zip(window.ends(), result, strict=True):
        for labels, value in vector.items():
            matrix.setdefault(labels, []).append((ts_ns, value))
    return matrix
