"""Functions of templates on numbers: those of sprig, which turn everything into a number first.

What is no number counts as 0 (spf13/cast); floats are added and divided as decimals
(shopspring/decimal), whose quotients have 16 digits after the point.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from loglane.devserver.logql.units import parse_bytes, parse_float, parse_go_duration
from loglane.devserver.refusal import unsupported
from loglane.devserver.template.function import Function
from loglane.devserver.template.literals import parse_integer
from loglane.devserver.template.moment import Moment
from loglane.devserver.template.values import Boxed, CallError, Int64, Value, is_true, unbox, wrap

_DECIMAL = re.compile(r"([-+]?[0-9]*)\.[0-9]*")
_SCALE = 10**16


def to_integer(value: Value) -> int:
    """Turn a value into an integer as sprig does."""
    value = unbox(value)
    match value:
        case bool() | int():
            return int(value)
        case float():
            is_in_range = math.isfinite(value) and -(2.0**63) <= value < 2.0**63
            return int(value) if is_in_range else -(2**63)
        case str():
            return _text_to_integer(value)
        case _:
            return 0


def _text_to_integer(text: str) -> int:
    match = _DECIMAL.fullmatch(text)
    if match:
        whole = match.group(1)
        text = whole + "0" if whole in {"", "-", "+"} else whole
    try:
        return parse_integer(text)
    except ValueError:
        return 0


def to_float(value: Value) -> float:
    """Turn a value into a float as sprig does."""
    value = unbox(value)
    match value:
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return parse_float(value)
            except ValueError:
                return 0.0
        case _:
            return 0.0


def _fold(step: Callable[[int, int], int]) -> Callable[..., Int64]:
    def fold(first: Value, *others: Value) -> Int64:
        result = to_integer(first)
        for other in others:
            result = wrap(step(result, to_integer(other)))
        return Int64(result)

    return fold


def _divide(left: Value, right: Value) -> Int64:
    dividend, divisor = to_integer(left), _divisor(right)
    quotient = abs(dividend) // abs(divisor)
    return Int64.wrapped(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def _remainder(left: Value, right: Value) -> Int64:
    dividend, divisor = to_integer(left), _divisor(right)
    rest = abs(dividend) % abs(divisor)
    return Int64(-rest if dividend < 0 else rest)


def _divisor(value: Value) -> int:
    divisor = to_integer(value)
    if divisor == 0:
        raise CallError("runtime error: integer divide by zero")
    return divisor


def _exact(value: Value) -> Fraction:
    number = to_float(value)
    if not math.isfinite(number):
        raise unsupported("arithmetic with infinity or NaN in a template")
    return Fraction(Decimal(repr(number)))


def _fold_floats(step: Callable[[Fraction, Fraction], Fraction]) -> Callable[..., float]:
    def fold(first: Value, *others: Value) -> float:
        result = _exact(first)
        for other in others:
            result = step(result, _exact(other))
        return float(result)

    return fold


def _divide_exactly(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise CallError("decimal division by 0")
    quotient = left / right
    rounded = (abs(quotient.numerator) * _SCALE * 2 + quotient.denominator) // (
        quotient.denominator * 2
    )
    return Fraction(rounded if quotient >= 0 else -rounded, _SCALE)


def _extreme(pick: Callable[[float, float], float]) -> Callable[..., float]:
    def extreme(first: Value, *others: Value) -> float:
        result = to_float(first)
        for other in map(to_float, others):
            is_nan = math.isnan(result) or math.isnan(other)
            result = math.nan if is_nan else pick(result, other)
        return result

    return extreme


def _round(value: Value, places: int, round_on: float = 0.5, *_rest: float) -> float:
    scale = math.pow(10, places)
    digit = scale * to_float(value)
    if not math.isfinite(digit):
        raise unsupported("rounding of infinity or NaN in a template")
    up = math.modf(digit)[0] >= round_on
    return float(math.ceil(digit) if up else math.floor(digit)) / scale


def _whole(step: Callable[[float], int]) -> Callable[[Value], float]:
    def whole(value: Value) -> float:
        number = to_float(value)
        return float(step(number)) if math.isfinite(number) else number

    return whole


def _seconds(text: str) -> float:
    nanoseconds = _converted(parse_go_duration, text)
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return math.copysign(seconds + rest / 1e9, nanoseconds)


def _converted(convert: Callable[[str], int], text: str) -> int:
    try:
        return convert(text)
    except ValueError as error:
        raise CallError(str(error)) from None


def _default(default: Value, *given: Value) -> Boxed:
    value = unbox(given[0]) if given else None
    is_set = isinstance(value, Moment) or is_true(value)
    return Boxed(value if is_set else default)


FUNCTIONS: dict[str, Function | None] = {
    "int": Function(to_integer, ("any",)),
    "float64": Function(to_float, ("any",)),
    "add": Function(lambda *values: _fold(int.__add__)(0, *values), (), "any"),
    "sub": Function(_fold(int.__sub__), ("any", "any")),
    "mul": Function(_fold(int.__mul__), ("any",), "any"),
    "div": Function(_divide, ("any", "any")),
    "mod": Function(_remainder, ("any", "any")),
    "max": Function(_fold(max), ("any",), "any"),
    "min": Function(_fold(min), ("any",), "any"),
    "addf": Function(lambda *values: _fold_floats(Fraction.__add__)(0, *values), (), "any"),
    "subf": Function(_fold_floats(Fraction.__sub__), ("any",), "any"),
    "mulf": Function(_fold_floats(Fraction.__mul__), ("any",), "any"),
    "divf": Function(_fold_floats(_divide_exactly), ("any",), "any"),
    "maxf": Function(_extreme(max), ("any",), "any"),
    "minf": Function(_extreme(min), ("any",), "any"),
    "ceil": Function(_whole(math.ceil), ("any",)),
    "floor": Function(_whole(math.floor), ("any",)),
    "round": Function(_round, ("any", "int"), "float64"),
    "bytes": Function(lambda text: float(_converted(parse_bytes, text)), ("string",)),
    "duration": Function(_seconds, ("string",)),
    "duration_seconds": Function(_seconds, ("string",)),
    "default": Function(_default, ("any",), "any"),
}
