"""The functions that every Go template has (text/template, funcs.go)."""

from __future__ import annotations

from urllib.parse import quote_plus

from loglane.devserver.template.function import Function
from loglane.devserver.template.moment import Moment
from loglane.devserver.template.values import (
    Boxed,
    CallError,
    LabelMap,
    Value,
    is_true,
    type_name,
    unbox,
)
from loglane.devserver.template.verbs import format_values, print_values

_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)


def _kind(value: Value) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case _:
            return ""


def _equal(first: Value, *others: Value) -> bool:
    first = unbox(first)
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal_pair(first, unbox(other)) for other in others)


def _equal_pair(left: Value, right: Value) -> bool:
    if _kind(left) != _kind(right):
        if left is not None and right is not None:
            raise CallError(
                f"incompatible types for comparison: {type_name(left)} and {type_name(right)}"
            )
        return False
    if _kind(left):
        return bool(left == right)
    if left is None or right is None:
        return type_name(left) == type_name(right)
    if not isinstance(left, Moment) or not isinstance(right, Moment):
        raise CallError("non-comparable types")
    return bool(left == right)


def _not_equal(left: Value, right: Value) -> bool:
    return not _equal(left, right)


def _less(left: Value, right: Value) -> bool:
    left, right = unbox(left), unbox(right)
    if not _kind(left) or not _kind(right):
        raise CallError("invalid type for comparison")
    if _kind(left) != _kind(right):
        raise CallError(
            f"incompatible types for comparison: {type_name(left)} and {type_name(right)}"
        )
    if isinstance(left, bool):
        raise CallError("invalid type for comparison")
    if isinstance(left, str):
        # Go compares bytes.
        return bool(left.encode() < right.encode())
    return bool(left < right)


def _less_or_equal(left: Value, right: Value) -> bool:
    return _less(left, right) or _equal(left, right)


def _greater(left: Value, right: Value) -> bool:
    return not _less_or_equal(left, right)


def _greater_or_equal(left: Value, right: Value) -> bool:
    return not _less(left, right)


def _length(value: Value) -> int:
    if isinstance(value, Boxed) and value.value is None:
        raise CallError("len of nil pointer")
    value = unbox(value)
    match value:
        case None:
            raise CallError("reflect: call of reflect.Value.Type on zero Value")
        case str():
            return len(value.encode())
        case dict() | list():
            return len(value)
        case _:
            raise CallError(f"len of type {type_name(value)}")


def _index(item: Value, *indexes: Value) -> Value:
    item = unbox(item)
    if item is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        item = unbox(item)
        if item is None:
            raise CallError("index of nil pointer")
        item = _index_one(item, unbox(index))
    return item


def _index_one(item: Value, index: Value) -> Value:
    match item:
        case list():
            return Boxed(item[_position(index, len(item))])
        case str():
            raise CallError("index of a string")
        case dict():
            if index is None:
                raise CallError("value is nil; should be of type string")
            if not isinstance(index, str):
                raise CallError(f"value has type {type_name(index)}; should be string")
            if isinstance(item, LabelMap):
                return item.get(index, "")
            return Boxed(item.get(index))
        case _:
            raise CallError(f"can't index item of type {type_name(item)}")


def _position(index: Value, length: int) -> int:
    if index is None:
        raise CallError("cannot index slice/array with nil")
    if not isinstance(index, int) or isinstance(index, bool):
        raise CallError(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index < length:
        raise CallError(f"index out of range: {index}")
    return int(index)


def _joined(*values: Value) -> str:
    texts = [unbox(value) for value in values]
    if len(texts) == 1 and isinstance(texts[0], str):
        return texts[0]
    return print_values(["<no value>" if text is None else text for text in texts])


FUNCTIONS: dict[str, Function | None] = {
    # `and` and `or` evaluate their own arguments: see `evaluator`.
    "and": Function(lambda: None, ("value",), "value"),
    "or": Function(lambda: None, ("value",), "value"),
    "not": Function(lambda value: not is_true(value), ("value",)),
    "eq": Function(_equal, ("value",), "value"),
    "ne": Function(_not_equal, ("value", "value")),
    "lt": Function(_less, ("value", "value")),
    "le": Function(_less_or_equal, ("value", "value")),
    "gt": Function(_greater, ("value", "value")),
    "ge": Function(_greater_or_equal, ("value", "value")),
    "len": Function(_length, ("value",)),
    "index": Function(_index, ("value",), "value"),
    "print": Function(lambda *values: print_values(values), (), "any"),
    "printf": Function(lambda pattern, *values: format_values(pattern, values), ("string",), "any"),
    "html": Function(lambda *values: _joined(*values).translate(_HTML), (), "any"),
    "urlquery": Function(lambda *values: quote_plus(_joined(*values)), (), "any"),
    "println": None,
    "slice": None,
    "js": None,
    "call": None,
}
