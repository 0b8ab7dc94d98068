"""`| json`: every value of a JSON object as a label, nested names joined by an underscore.

Reads as leniently as Loki's own reader does, because that decides which labels a broken line
still gets before its `__error__` (grafana/jsonparser: ObjectEach; loki: pkg/logql/log/parser.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from loglane.devserver.engine.escapes import JSON, replace_escapes, unicode_digits
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.sanitise import sanitise_key, without_invalid
from loglane.devserver.refusal import unsupported

JSON_ERROR = "JSONParserErr"
MAX_DEPTH = 100

_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SPACE = re.compile(r"[ \n\r\t]*")
_BARE = re.compile(r"[^ \n\r\t,}\]]*")
_OBJECT_MARK = re.compile(r'[{}"]')
_ARRAY_MARK = re.compile(r'[\[\]"]')

_MALFORMED_JSON = "Malformed JSON error"
_MALFORMED_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_MALFORMED_ARRAY = "Value is array, but can't find closing ']' symbol"
_MALFORMED_STRING = "Value is string, but can't find closing '\"' symbol"
_UNKNOWN_VALUE = "Unknown value type"
_BAD_ESCAPE = "Encountered an invalid escape sequence in a string"

Visit = Callable[[str, str, str], None]


class _Malformed(Exception):
    pass


class _Complete(Exception):
    pass


class _FilteredOut(Exception):
    pass


def parse_json(line: str, labels: LabelSet) -> bool:
    """Add the labels of a JSON line; return False when a label filter already rejects it."""
    if labels.hints.skips_parser():
        return True
    try:
        _Reader(labels).read_object(line, 0, "", 0)
    except _Malformed as error:
        labels.set_error(JSON_ERROR, str(error))
    except _Complete:
        pass
    except _FilteredOut:
        return False
    return True


class _Reader:
    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels

    def read_object(self, text: str, start: int, prefix: str, depth: int) -> int:
        """Read the object at `start`; return the position after its closing brace."""
        if depth > MAX_DEPTH:
            raise unsupported(f"`| json` on a line nested more than {MAX_DEPTH} deep")
        position = _token(text, start, _MALFORMED_OBJECT)
        if text[position] != "{":
            raise _Malformed(_MALFORMED_OBJECT)
        position = _token(text, position + 1, _MALFORMED_JSON)
        while text[position] != "}":
            key, position = _read_key(text, position)
            position = _token(text, position, _MALFORMED_JSON)
            if text[position] != ":":
                raise _Malformed(_MALFORMED_JSON)
            position = self._read_value(text, position + 1, key, prefix, depth)
            position = _token(text, position, _MALFORMED_ARRAY)
            if text[position] == ",":
                position = _token(text, position + 1, _MALFORMED_ARRAY)
            elif text[position] != "}":
                raise _Malformed(_MALFORMED_OBJECT)
        return position + 1

    def _read_value(self, text: str, start: int, key: str, prefix: str, depth: int) -> int:
        position = _token(text, start, _MALFORMED_JSON)
        char = text[position]
        if char == '"':
            match = _STRING.match(text, position)
            if match is None:
                raise _Malformed(_MALFORMED_STRING)
            self._set(key, prefix, unescape(match.group(1)))
            end = match.end()
        elif char == "{":
            end = _block_end(text, position, _OBJECT_MARK, _MALFORMED_OBJECT)
            nested = join_key(prefix, key)
            if self._labels.hints.wants_prefix(nested):
                self.read_object(text[position:end], 0, nested or " ", depth + 1)
            return end
        elif char == "[":
            end = _block_end(text, position, _ARRAY_MARK, _MALFORMED_ARRAY)
        else:
            end = self._read_bare(text, position, key, prefix)
        if self._labels.hints.complete():
            raise _Complete
        return end

    def _read_bare(self, text: str, position: int, key: str, prefix: str) -> int:
        match = _BARE.match(text, position)
        value = match.group() if match else ""
        is_number = value[:1] == "-" or ("0" <= value[:1] <= "9")
        if not is_number and value not in {"true", "false", "null"}:
            raise _Malformed(_UNKNOWN_VALUE)
        if value != "null":
            self._set(key, prefix, value)
        return position + len(value)

    def _set(self, key: str, prefix: str, value: str) -> None:
        labels = self._labels
        name = join_key(prefix, key)
        if not name and not prefix:
            return
        name = labels.parsed_name(name)
        if not labels.hints.wants(name):
            return
        labels.set_parsed(name, value)
        if not labels.hints.passes(name, labels):
            raise _FilteredOut


def join_key(prefix: str, key: str) -> str:
    """Join a key to the sanitised name of its object; the first part of a name gets no digit."""
    if not prefix.strip():
        return sanitise_key(key)
    part = sanitise_key(key, first=False)
    return f"{prefix}_{part}" if part else prefix


def unescape(raw: str) -> str:
    """Decode a JSON string; an invalid escape makes the whole value empty, as in Loki."""
    if "\\" not in raw:
        return without_invalid(raw)
    try:
        return without_invalid(_decode(raw))
    except _Malformed:
        return ""


def _read_key(text: str, position: int) -> tuple[str, int]:
    if text[position] != '"':
        raise _Malformed(_MALFORMED_OBJECT)
    match = _STRING.match(text, position)
    if match is None:
        raise _Malformed(_MALFORMED_JSON)
    key = match.group(1)
    return (_decode(key) if "\\" in key else key), match.end()


def _token(text: str, position: int, message: str) -> int:
    match = _SPACE.match(text, position)
    position = match.end() if match else position
    if position >= len(text):
        raise _Malformed(message)
    return position


def _block_end(text: str, start: int, mark: re.Pattern[str], message: str) -> int:
    opening = text[start]
    level = 0
    position = start
    while match := mark.search(text, position):
        char = match.group()
        position = match.end()
        if char == '"':
            string = _STRING.match(text, match.start())
            if string is None:
                break
            position = string.end()
        elif char == opening:
            level += 1
        else:
            level -= 1
            if level == 0:
                return position
    raise _Malformed(message)


def _decode(raw: str) -> str:
    text = replace_escapes(raw, JSON, _decode_unicode)
    if text is None:
        raise _Malformed(_BAD_ESCAPE)
    return text


def _decode_unicode(raw: str, position: int, code: int) -> tuple[str, int]:
    if not 0xD800 <= code <= 0xDFFF:
        return chr(code), position + 6
    low = unicode_digits(raw, position + 6)
    if low is None or low < 0xDC00:
        raise _Malformed(_BAD_ESCAPE)
    combined = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
    valid = combined <= 0x10FFFF and not 0xD800 <= combined <= 0xDFFF
    return (chr(combined) if valid else "\ufffd"), position + 12
