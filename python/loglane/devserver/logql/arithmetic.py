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
    return _compute(op, left, right)


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
            return math.nan if math.isinf(left) else math.fmod(left, right)
        case _:
            return _power(left, right)


def _power(base: float, exponent: float) -> float:
    # Go's math.Pow has a value where Python's raises.
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf
        return math.nan
