"""Binary operations between vectors, and between a vector and a number.

Vectors match one to one on equal labels, or on the labels that `on` and `ignoring` leave
(loki: pkg/logql/evaluator.go).
"""

from __future__ import annotations

from loglane.devserver.engine.series import Labels, Vector, without_empty
from loglane.devserver.logql.arithmetic import COMPARISONS, apply_operator, compare
from loglane.devserver.logql.nodes import Binary, Matching
from loglane.devserver.refusal import Refused


def combine(node: Binary, left: Vector | float, right: Vector | float) -> Vector:
    """Apply the operation at one step; at least one side is a vector."""
    if isinstance(left, dict) and isinstance(right, dict):
        if node.op in {"and", "or", "unless"}:
            return _combine_sets(node, left, right)
        return _combine_vectors(node, left, right)
    results: Vector = {}
    vector = left if isinstance(left, dict) else right
    for labels, value in vector.items() if isinstance(vector, dict) else ():
        first = left if isinstance(left, float) else value
        second = right if isinstance(right, float) else value
        result = _apply(node, first, second, kept=value)
        if result is not None:
            results[labels] = result
    return results


def _apply(node: Binary, first: float, second: float, *, kept: float) -> float | None:
    if node.op in COMPARISONS and not node.matching.returns_bool:
        return kept if compare(node.op, first, second) else None
    return apply_operator(node.op, first, second)


def _combine_vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    by_signature: dict[Labels, float] = {}
    for labels, value in right.items():
        signature = _signature(labels, node.matching)
        if signature in by_signature:
            raise Refused(
                "found duplicate series on the right hand-side;many-to-many matching not allowed: "
                "matching labels must be unique on one side",
                status=500,
            )
        by_signature[signature] = value
    results: Vector = {}
    matched: set[Labels] = set()
    for labels, value in left.items():
        signature = _signature(labels, node.matching)
        if signature not in by_signature:
            continue
        if signature in matched:
            raise Refused(
                "multiple matches for labels: many-to-one matching must be explicit "
                "(group_left/group_right)",
                status=500,
            )
        matched.add(signature)
        result = _apply(node, value, by_signature[signature], kept=value)
        if result is not None:
            results[without_empty(signature)] = result
    return results


def _combine_sets(node: Binary, left: Vector, right: Vector) -> Vector:
    left_signatures = {_signature(labels, node.matching) for labels in left}
    right_signatures = {_signature(labels, node.matching) for labels in right}
    match node.op:
        case "and":
            return _keep(left, node.matching, right_signatures, present=True)
        case "unless":
            return _keep(left, node.matching, right_signatures, present=False)
        case _:
            added = _keep(right, node.matching, left_signatures, present=False)
            return {**added, **left}


def _keep(vector: Vector, matching: Matching, signatures: set[Labels], *, present: bool) -> Vector:
    return {
        labels: value
        for labels, value in vector.items()
        if (_signature(labels, matching) in signatures) == present
    }


def _signature(labels: Labels, matching: Matching) -> Labels:
    return tuple(pair for pair in labels if (pair[0] in matching.names) == matching.on)
