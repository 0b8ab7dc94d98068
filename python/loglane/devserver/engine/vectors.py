"""Vector aggregations: `sum`, `avg`, `topk`, `sort` and the like, at one step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

from loglane.devserver.engine.over_time import square_root
from loglane.devserver.engine.samples import group_labels
from loglane.devserver.engine.series import Labels, Vector, without_empty
from loglane.devserver.logql.nodes import VectorAggregation

_Members = list[tuple[Labels, float]]


def aggregate(node: VectorAggregation, vector: Iterable[tuple[Labels, float]]) -> Vector:
    """Aggregate the samples of a step by the groups of the node; `sort` gives them in order."""
    if node.op in {"sort", "sort_desc"}:
        return dict(_ranked(list(vector), largest=node.op == "sort_desc"))
    groups: defaultdict[Labels, _Members] = defaultdict(list)
    for labels, value in vector:
        group = group_labels(labels, node.grouping)
        # An average is a quotient in Loki, and whose labels are built anew like those of `without`.
        is_new = node.grouping.without or node.op == "avg"
        groups[without_empty(group) if is_new else group].append((labels, value))
    if node.k is not None:
        return {
            labels: value
            for members in groups.values()
            for labels, value in _ranked(members, largest=node.op == "topk")[: node.k]
        }
    reducer = _REDUCERS[node.op]
    return {labels: reducer([v for _, v in group]) for labels, group in groups.items()}


def _sum(values: list[float]) -> float:
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


def _variance(values: list[float]) -> float:
    # The first value adds nothing, also when it is infinite or NaN, unlike over time.
    mean, total = values[0], 0.0
    for count, value in enumerate(values[1:], start=2):
        delta = value - mean
        mean += delta / count
        total += delta * (value - mean)
    return total / len(values)


def _numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _ranked(members: _Members, *, largest: bool) -> _Members:
    # NaN is the worst of both orders.
    def rank(member: tuple[Labels, float]) -> tuple[bool, float]:
        value = member[1]
        return math.isnan(value), -value if largest else value

    return sorted(sorted(members), key=rank)


_REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "sum": _sum,
    "count": lambda values: float(len(values)),
    # Loki's query frontend makes a sum and a count of it.
    "avg": lambda values: _sum(values) / len(values),
    "stdvar": _variance,
    "stddev": lambda values: square_root(_variance(values)),
    "max": lambda values: max(_numbers(values), default=math.nan),
    "min": lambda values: min(_numbers(values), default=math.nan),
}
