"""What is said about a wrong value."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a usual number",
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_long": "at most {max_length} characters long",
}
_LONGEST = 60


def message_of(item: Any, value: Any, text: str | None) -> str:
    """Word one of pydantic's errors.

    Args:
        item: An entry of `ValidationError.errors()`.
        value: The value as it was given.
        text: What a YAML file says in its place, when that is read as something else.
    """
    kind, context = item["type"], item.get("ctx", {})
    if kind == "wrong_key":
        return str(context["reason"])
    given = shown(value) if text is None else _read_as(text, value)
    if kind == "value_error":
        return f"{given} {context['error']}"
    if kind == "literal_error":
        names = re.findall(r"'(\w+)'", context["expected"])
        close = difflib.get_close_matches(str(value), names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{given} is not one of: {', '.join(names)}{hint}"
    if kind in _WANTED:
        # `ge` of a whole number may be an int, which `:g` takes too.
        return f"{given} should be {_WANTED[kind].format(**context)}"
    said: str = item["msg"]
    return f"{given}: {said[:1].lower()}{said[1:]}"


def shown(value: Any) -> str:
    """Write a wrong value down; an object of the app's is only named by its type."""
    if value is None or isinstance(value, (bool, int, float, str)):
        try:
            written = json.dumps(value) if isinstance(value, bool) else repr(value)
        except ValueError:  # an int of more digits than Python writes
            return "a huge number"
        return written if len(written) <= _LONGEST else f"{written[: _LONGEST - 3]}..."
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def _read_as(text: str, value: Any) -> str:
    if text.lower() == shown(value).lower():
        return shown(value)
    return f"{text[:_LONGEST]} (which YAML reads as {shown(value)}; a text goes in quotes)"
