"""Values that templates compute with, and what Go calls their types.

A string is `str`, a Go `int` is `int`, an `int64` is `Int64`, a `float64` is `float`. The labels
of a line are `LabelMap`; what JSON gives is `dict` and `list`, and an element taken from those is
`Boxed` until a pipeline ends, as in Go a value of an interface type. No value at all is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from loglane.devserver.template.moment import Moment

Value: TypeAlias = Any

_INT64 = 2**64


class Int64(int):
    """An integer of Go's type `int64`, which is not an `int`."""

    @classmethod
    def wrapped(cls, value: int) -> Int64:
        """Return the integer that is left after an overflow."""
        return cls(wrap(value))


class LabelMap(dict[str, str]):
    """The labels of a line: an absent one is an empty string."""


@dataclass(frozen=True, slots=True)
class Boxed:
    """A value of an interface type; None inside is a nil interface."""

    value: Value


# In this order, because some are subclasses of later ones.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (str, "string"),
    (Int64, "int64"),
    (int, "int"),
    (float, "float64"),
    (LabelMap, "map[string]string"),
    (dict, "map[string]interface {}"),
    (list, "[]interface {}"),
    (Moment, "time.Time"),
)


class CallError(Exception):
    """A function failed, in the words of Go."""


def wrap(value: int) -> int:
    """Reduce an integer to 64 bits with a sign."""
    return (value + _INT64 // 2) % _INT64 - _INT64 // 2


def unbox(value: Value) -> Value:
    """Return what is inside of an interface."""
    return value.value if isinstance(value, Boxed) else value


def type_name(value: Value) -> str:
    """Name the type as Go does."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "interface {}")


def is_true(value: Value) -> bool:
    """Tell whether a value is not the zero of its type; a time always is."""
    value = unbox(value)
    return isinstance(value, Moment) or bool(value)
