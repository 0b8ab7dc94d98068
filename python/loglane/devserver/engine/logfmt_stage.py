"""`| logfmt`: `key=value` pairs of a line as labels (loki: pkg/logql/log/logfmt/decode.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loglane.devserver.engine.escapes import LOGFMT, replace_escapes, unicode_digits
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.sanitise import sanitise_key, without_invalid
from loglane.devserver.logql.nodes import LogfmtStage

LOGFMT_ERROR = "LogfmtParserErr"

_GARBAGE = re.compile(r"[\x00-\x20]*")
_KEY = re.compile(r'[^="\x00-\x20]*')
_TO_SPACE = re.compile(r"[^\x00-\x20]*")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)


class SyntaxFault(Exception):
    """A place where a line is no logfmt; reading goes on at `skip_to`."""

    def __init__(self, line: str, position: int, message: str, skip_to: int) -> None:
        column = len(line[:position].encode()) + 1
        super().__init__(f"logfmt syntax error at pos {column} : {message}")
        self.skip_to = skip_to


def parse_logfmt(line: str, labels: LabelSet, stage: LogfmtStage) -> bool:
    """Add the labels of a logfmt line; return False when a label filter already rejects it."""
    hints = labels.hints
    if hints.skips_parser():
        return True
    error = ""
    for found in read_pairs(line):
        if isinstance(found, SyntaxFault):
            error = str(found)
            if stage.strict:
                break
            continue
        key, value = found
        name = sanitise_key(key)
        if not name:
            continue
        name = labels.parsed_name(name)
        if not hints.wants(name) or (not value and not stage.keep_empty):
            continue
        labels.set_parsed(name, without_invalid(value))
        if not hints.passes(name, labels):
            return False
        if hints.complete():
            break
    if stage.strict and error:
        labels.set_error(LOGFMT_ERROR, error)
        return hints.passes("__error__", labels)
    return True


def read_pairs(line: str) -> Iterator[tuple[str, str] | SyntaxFault]:
    """Yield keys and values, a key alone with an empty value, and faults between them."""
    position = 0
    while position < len(line):
        position = _end(_GARBAGE, line, position)
        if position >= len(line):
            return
        try:
            key, value, position = _pair(line, position)
            yield key, value
        except SyntaxFault as error:
            position = error.skip_to
            yield error


def _pair(line: str, start: int) -> tuple[str, str, int]:
    end = _end(_KEY, line, start)
    key = line[start:end]
    char = line[end : end + 1]
    if char == '"' or (char == "=" and not key):
        raise _unexpected(line, end)
    if "\ufffd" in key:
        skip = _end(_TO_SPACE, line, end) if char == "=" else end
        raise SyntaxFault(line, end, "invalid key", skip)
    if char != "=":
        return key, "", end
    end += 1
    if line[end : end + 1] == '"':
        value, end = _quoted(line, end)
        return key, value, end
    value_end = _end(_KEY, line, end)
    if line[value_end : value_end + 1] in {"=", '"'}:
        raise _unexpected(line, value_end)
    return key, line[end:value_end], value_end


def _quoted(line: str, start: int) -> tuple[str, int]:
    match = _QUOTED.match(line, start)
    if match is None:
        raise SyntaxFault(line, len(line), "unterminated quoted value", len(line))
    raw = match.group(1)
    if "\\" not in raw:
        return raw, match.end()
    value = replace_escapes(raw, LOGFMT, _unicode)
    if value is None:
        raise SyntaxFault(line, match.end(), "invalid quoted value", match.end())
    return value, match.end()


def _unicode(raw: str, position: int, code: int) -> tuple[str, int]:
    if not 0xD800 <= code <= 0xDFFF:
        return chr(code), position + 6
    low = unicode_digits(raw, position + 6) or 0
    if code < 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), position + 12
    return "\ufffd", position + 6


def _unexpected(line: str, position: int) -> SyntaxFault:
    char = line[position]
    return SyntaxFault(line, position, f"unexpected '{char}'", _end(_TO_SPACE, line, position))


def _end(pattern: re.Pattern[str], line: str, position: int) -> int:
    match = pattern.match(line, position)
    return match.end() if match else position
