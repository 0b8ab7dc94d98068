"""Vector aggregations: `sum`, `avg`, `min`, `max`, `count`, `topk` and `bottomk`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from loglane.devserver.engine.ranges import group_labels
from loglane.devserver.engine.series import Labels, Vector
from loglane.devserver.logql.nodes import VectorAggregation


def aggregate(node: VectorAggregation, vector: Vector) -> Vector:
    """Aggregate one vector by the groups of the node."""
    groups: defaultdict[Labels, list[tuple[Labels, float]]] = defaultdict(list)
    for labels, value in vector.items():
        groups[group_labels(labels, node.grouping)].append((labels, value))
    if node.k is not None:
        return {
            labels: value
            for members in groups.values()
            for labels, value in _best(members, node.k, largest=node.op == "topk")
        }
    return {labels: _reduce(node.op, [v for _, v in group]) for labels, group in groups.items()}


def _reduce(op: str, values: list[float]) -> float:
    match op:
        case "sum":
            return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
        case "count":
            return float(len(values))
        case "avg":
            return _mean(values)
        case "max":
            return max(_numbers(values), default=math.nan)
        case _:
            return min(_numbers(values), default=math.nan)


def _mean(values: Iterable[float]) -> float:
    mean = 0.0
    for number, value in enumerate(values, start=1):
        mean += (value - mean) / number
    return mean


def _numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _best(
    members: list[tuple[Labels, float]], k: int, *, largest: bool
) -> list[tuple[Labels, float]]:
    # NaN is the worst of both orders.
    def rank(member: tuple[Labels, float]) -> tuple[bool, float]:
        value = member[1]
        return math.isnan(value), -value if largest else value

    return sorted(sorted(members), key=rank)[:k]
