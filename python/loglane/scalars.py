"""Python values that are no containers, as a value that JSON has: text, a number or a boolean."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import orjson

# What orjson writes as a number.
SMALLEST, LARGEST = -(2**63), 2**64 - 1
# Far below the digits at which Python refuses to convert, and quick.
_MAX_BITS = 1024
# More digits than fit into 64 bits, of which orjson makes a float.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
# A repr that logs its own object comes here again, twice or more at each turn.
_MAX_NESTED = 2
_FLAT = (str, int, float, bool, type(None))


class _Nesting(threading.local):
    """How many texts of the app's objects are being made inside each other in this thread."""

    depth = 0


_nesting = _Nesting()


def escaped(text: str) -> str:
    """Return the text with halves of surrogate pairs escaped, which UTF-8 has no form for."""
    if text.isascii():
        return text
    return text.encode(errors="backslashreplace").decode()


def type_name(value: object) -> str:
    """Return the name of a value's type, even when its metaclass is broken."""
    try:
        return str.__str__(type(value).__name__)
    except Exception:  # noqa: BLE001 - a metaclass of the app's must not reach the log call
        return "object"


def safe_repr(value: object) -> str:
    """Return a value's repr, or a text that says why there is none."""
    return _described(value, repr, "repr")


def _described(value: object, describe: Callable[[Any], str], what: str) -> str:
    if _nesting.depth >= _MAX_NESTED:
        return f"<{type_name(value)}: {what} within a {what}>"
    _nesting.depth += 1
    try:
        return str.__str__(describe(value))
    except Exception as error:  # noqa: BLE001 - a value's own bug must not reach the log call
        return f"<{type_name(value)}: its {what} raised {type_name(error)}>"
    finally:
        _nesting.depth -= 1


def from_int(value: int) -> int | str:
    """Return an int that fits into 64 bits as it is, others as text."""
    # Adding calls int's own method, so a subclass becomes a plain int.
    value = int.__add__(value, 0)
    if SMALLEST <= value <= LARGEST:
        return value
    bits = int.bit_length(value)
    return int.__repr__(value) if bits <= _MAX_BITS else f"<int of {bits} bits>"


def parse_json(text: str) -> dict[str, Any] | list[Any] | None:
    """Return the object or array that a text is in JSON, None for any other text.

    An int over 64 bits becomes its digits, as it does everywhere else.
    """
    try:
        parsed = orjson.loads(text)
        if _LONG_NUMBER.search(text):
            import json

            parsed = json.loads(text, parse_int=_parsed_int)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, (dict, list)) else None


def _parsed_int(digits: str) -> int | str:
    # orjson has refused what is too large for a float, so there are not many digits.
    return from_int(int(digits))


def from_float(value: float) -> float | str:
    """Return a float as it is, and what JSON has no number for by its name."""
    # Adding 0.0 would take its sign from -0.0.
    value = float.__add__(value, -0.0)
    if value - value == 0:
        return value
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _from_datetime(value: datetime) -> str:
    try:
        return datetime.isoformat(value)
    except Exception as error:  # noqa: BLE001 - a time zone's own bug must not reach the log call
        naive = datetime.isoformat(datetime.replace(value, tzinfo=None))
        return f"{naive} <its time zone raised {type_name(error)}>"


def _from_time(value: time) -> str:
    try:
        return time.isoformat(value)
    except Exception as error:  # noqa: BLE001 - a time zone's own bug must not reach the log call
        naive = time.isoformat(time.replace(value, tzinfo=None))
        return f"{naive} <its time zone raised {type_name(error)}>"


def _from_fraction(value: Any) -> str:
    return f"{from_int(value.numerator)}/{from_int(value.denominator)}"


def from_exception(error: BaseException) -> str:
    """Return an exception's type and its text."""
    text = _described(error, str, "str")
    return f"{type_name(error)}: {text}" if text else type_name(error)


def structured_args(error: BaseException) -> list[Any]:
    """Return an exception's arguments when its text is their repr, which cannot be masked well."""
    args = list(error.args)
    own_text = type(error).__str__ not in (BaseException.__str__, KeyError.__str__)
    return [] if own_text or all(type(arg) in _FLAT for arg in args) else args


def _from_named(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


# Looked up along a type's bases, so subclasses are here too; the text of each is masked later.
SCALARS: dict[type, Callable[[Any], Any]] = {
    int: from_int,
    float: from_float,
    datetime: _from_datetime,
    date: date.isoformat,
    time: _from_time,
    timedelta: timedelta.total_seconds,
    complex: complex.__repr__,
    type: _from_named,
    FunctionType: _from_named,
    BuiltinFunctionType: _from_named,
    MethodType: _from_named,
}
# Types whose modules are not worth importing for this, by the first part of the module's name.
_WITH_OWN_TEXT = frozenset({("decimal", "Decimal"), ("uuid", "UUID"), ("pathlib", "PurePath")})


def converter_of(kind: Any) -> Callable[[Any], Any] | None:
    """Return what makes a scalar of this very type JSON, if it is one."""
    found = SCALARS.get(kind)
    if found is not None:
        return found
    name = str(kind.__module__).partition(".")[0], kind.__name__
    if name in _WITH_OWN_TEXT:
        own_text: Callable[[Any], str] = kind.__str__
        return own_text
    return _from_fraction if name == ("fractions", "Fraction") else None


def from_enum(value: Enum) -> Any:
    """Return the value of an enum's member."""
    return value._value_
