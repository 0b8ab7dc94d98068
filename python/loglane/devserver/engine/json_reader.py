"""Reading JSON as leniently as Loki does, which decides what a broken line still gives.

Source: grafana/jsonparser (ObjectEach, ArrayEach, Get); the error texts are its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from loglane.devserver.engine.escapes import JSON, replace_escapes, unicode_digits
from loglane.devserver.engine.sanitise import without_invalid

_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SPACE = re.compile(r"[ \n\r\t]*")
_BARE = re.compile(r"[^ \n\r\t,}\]]*")
_BLOCK_MARKS = {"{": re.compile(r'[{}"]'), "[": re.compile(r'[\[\]"]')}

_MALFORMED_JSON = "Malformed JSON error"
_MALFORMED_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_MALFORMED_ARRAY = "Value is array, but can't find closing ']' symbol"
_MALFORMED_STRING = "Value is string, but can't find closing '\"' symbol"
_UNKNOWN_VALUE = "Unknown value type"
_BAD_ESCAPE = "Encountered an invalid escape sequence in a string"

Kind = Literal["string", "number", "boolean", "null", "object", "array"]


class MalformedError(Exception):
    """The text is no JSON as far as it was read."""


class Value(NamedTuple):
    """A value as written, a string without its quotes, and the place after it."""

    kind: Kind
    raw: str
    end: int

    @property
    def text(self) -> str:
        """The value of a label: strings unescaped, null empty, all else as written."""
        if self.kind == "string":
            return unescape(self.raw)
        return "" if self.kind == "null" else self.raw


def each_pair(text: str) -> Iterator[tuple[str, Value]]:
    """Yield keys and values of the object that the text is.

    Raises:
        MalformedError: There is no object, or it breaks off; earlier pairs have been yielded.
    """
    position = _token(text, 0, _MALFORMED_OBJECT)
    if text[position] != "{":
        raise MalformedError(_MALFORMED_OBJECT)
    position = _token(text, position + 1, _MALFORMED_JSON)
    while text[position] != "}":
        key, position = _read_key(text, position)
        position = _token(text, position, _MALFORMED_JSON)
        if text[position] != ":":
            raise MalformedError(_MALFORMED_JSON)
        value = read_value(text, position + 1)
        yield key, value
        position = _token(text, value.end, _MALFORMED_ARRAY)
        if text[position] == ",":
            position = _token(text, position + 1, _MALFORMED_ARRAY)
        elif text[position] != "}":
            raise MalformedError(_MALFORMED_OBJECT)


def each_element(text: str, start: int, visit: Callable[[Value], None]) -> int:
    """Visit the elements of the array at `start`; return where reading stopped.

    That is its closing bracket, or the place of an error, after which nothing is visited.
    """
    position = start + 1
    try:
        position = _token(text, position, _MALFORMED_JSON)
        if text[position] == "]":
            return position
        while True:
            value = read_value(text, position)
            visit(value)
            position = value.end
            position = _token(text, position, _MALFORMED_ARRAY)
            if text[position] != ",":
                return position
            position += 1
    except MalformedError:
        return position


def read_value(text: str, start: int) -> Value:
    """Read the value at `start` or after the spaces there; raises MalformedError."""
    position = _token(text, start, _MALFORMED_JSON)
    char = text[position]
    if char == '"':
        match = _STRING.match(text, position)
        if match is None:
            raise MalformedError(_MALFORMED_STRING)
        return Value("string", match.group(1), match.end())
    if char in _BLOCK_MARKS:
        end = block_end(text, position)
        if end < 0:
            raise MalformedError(_MALFORMED_OBJECT if char == "{" else _MALFORMED_ARRAY)
        return Value("object" if char == "{" else "array", text[position:end], end)
    match = _BARE.match(text, position)
    raw = match.group() if match else ""
    return Value(_bare_kind(raw), raw, position + len(raw))


def _bare_kind(raw: str) -> Kind:
    if raw in {"true", "false"}:
        return "boolean"
    if raw == "null":
        return "null"
    if raw[:1] == "-" or ("0" <= raw[:1] <= "9"):
        return "number"
    raise MalformedError(_UNKNOWN_VALUE)


def string_end(text: str, start: int) -> int:
    """Return the place after the string that begins at `start`, -1 when it is not closed."""
    match = _STRING.match(text, start)
    return match.end() if match else -1


def next_token(text: str, start: int) -> int:
    """Return the place of the first character that is no space, -1 when there is none."""
    match = _SPACE.match(text, start)
    position = match.end() if match else start
    return position if position < len(text) else -1


def block_end(text: str, start: int) -> int:
    """Return the place after the object or array at `start`, -1 when it is not closed."""
    opening = text[start]
    mark = _BLOCK_MARKS[opening]
    level = 0
    position = start
    while match := mark.search(text, position):
        char = match.group()
        position = match.end()
        if char == '"':
            position = string_end(text, match.start())
            if position < 0:
                return -1
        elif char == opening:
            level += 1
        else:
            level -= 1
            if level == 0:
                return position
    return -1


def unescape(raw: str) -> str:
    """Decode a JSON string; an invalid escape makes the whole value empty, as in Loki."""
    try:
        return without_invalid(decode_string(raw))
    except MalformedError:
        return ""


def decode_string(raw: str) -> str:
    """Decode a JSON string; raises MalformedError for an invalid escape."""
    if "\\" not in raw:
        return raw
    text = replace_escapes(raw, JSON, _decode_unicode)
    if text is None:
        raise MalformedError(_BAD_ESCAPE)
    return text


def _read_key(text: str, position: int) -> tuple[str, int]:
    if text[position] != '"':
        raise MalformedError(_MALFORMED_OBJECT)
    match = _STRING.match(text, position)
    if match is None:
        raise MalformedError(_MALFORMED_JSON)
    return decode_string(match.group(1)), match.end()


def _token(text: str, position: int, message: str) -> int:
    found = next_token(text, position)
    if found < 0:
        raise MalformedError(message)
    return found


def _decode_unicode(raw: str, position: int, code: int) -> tuple[str, int]:
    if not 0xD800 <= code <= 0xDFFF:
        return chr(code), position + 6
    low = unicode_digits(raw, position + 6)
    if low is None or low < 0xDC00:
        raise MalformedError(_BAD_ESCAPE)
    combined = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
    valid = combined <= 0x10FFFF and not 0xD800 <= combined <= 0xDFFF
    return (chr(combined) if valid else "\ufffd"), position + 12
