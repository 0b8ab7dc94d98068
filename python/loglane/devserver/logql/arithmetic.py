"""Binary operations on two numbers, as Loki computes them."""

from __future__ import annotations

import math

COMPARISONS = frozenset({"==", "!=", ">", ">=", "<", "<="})


def apply_operator(op: str, left: float, right: float) -> float:
    """Compute `left op right`; a comparison gives 1 or 0, and dividing by zero gives NaN."""
    if op in COMPARISONS:
        return 1.0 if compare(op, left, right) else 0.0
    if op in {"/", "%"} and right == 0:
        # Not infinity, unlike Prometheus (loki: pkg/logql/syntax/ast.go, MergeBinOp).
        return math.nan
    try:
        return _compute(op, left, right)
    except (OverflowError, ValueError, ZeroDivisionError):
        return math.inf if op == "^" and left != 0 else math.nan


def compare(op: str, left: float, right: float) -> bool:
    """Tell whether a comparison holds; with NaN only `!=` does."""
    match op:
        case "==" | "=":
            return left == right
        case "!=":
            return left != right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case _:
            return left <= right


def _compute(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
        case _:
            return math.pow(left, right)
