"""Text of a query to tokens, with the rules of Loki's own scanner.

A function name is a function only when a parenthesis or a grouping follows, so `rate` may also be
a label; a keyword such as `by` never may. Loki's scanner is Go's text/scanner, hence Go's string
escapes and comments (loki: pkg/logql/syntax/lex.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lark import Token
from lark.lexer import Lexer as LarkLexer

from loglane.devserver.logql.functions import CONVERSIONS, RANGE_FUNCTIONS, VECTOR_FUNCTIONS
from loglane.devserver.logql.position import parse_error
from loglane.devserver.logql.strings import unquote
from loglane.devserver.logql.units import parse_bytes, parse_duration, parse_prometheus_duration
from loglane.devserver.refusal import unsupported

_FUNCTIONS = {
    **dict.fromkeys(RANGE_FUNCTIONS, "RANGE_FUNCTION"),
    **dict.fromkeys(VECTOR_FUNCTIONS, "VECTOR_FUNCTION"),
    **dict.fromkeys(CONVERSIONS, "CONVERSION"),
    "vector": "_VECTOR",
    "label_replace": "_LABEL_REPLACE",
    "ip": "_IP",
}
_OTHER_FUNCTIONS = frozenset({"approx_topk"})
_UNKNOWN_KEYWORDS = frozenset({"group_left", "group_right", "variants", "of"})
_KEYWORDS = {
    "by": "BY", "without": "WITHOUT", "bool": "BOOL", "on": "ON", "ignoring": "IGNORING",
    "or": "OR", "and": "AND", "unless": "UNLESS", "offset": "_OFFSET",
    "unwrap": "_UNWRAP", "json": "_JSON", "logfmt": "_LOGFMT", "drop": "_DROP",
    "keep": "_KEEP", "regexp": "_REGEXP", "pattern": "_PATTERN", "unpack": "_UNPACK",
    "decolorize": "_DECOLORIZE", "line_format": "_LINE_FORMAT", "label_format": "_LABEL_FORMAT",
}  # fmt: skip
_SYMBOLS = {
    "|=": "PIPE_EXACT", "|~": "PIPE_MATCH", "|>": "PIPE_PATTERN", "!>": "NOT_PATTERN",
    "=~": "RE", "!~": "NRE", "!=": "NEQ", "==": "CMP_EQ", ">=": "GTE", "<=": "LTE",
    ",": "_COMMA", "{": "_OPEN_BRACE", "}": "_CLOSE_BRACE", "=": "EQ", "|": "_PIPE",
    "(": "_OPEN", ")": "_CLOSE", "+": "ADD", "-": "SUB", "*": "MUL", "/": "DIV", "%": "MOD",
    "^": "POW", ">": "GT", "<": "LT",
}  # fmt: skip
_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Numbers of Go that Loki reads, each of them a little differently: 0x1F, 010, 1_000.
_ODD_NUMBER = re.compile(r"0[0-9_xXbBoO]|[0-9._]*[0-9]_[0-9]")
_DURATION_TAIL = re.compile(r"[0-9.nuµmshdwy]+")
_BYTES_TAIL = re.compile(r"[0-9.BikKMGTP]+")
_CALL = re.compile(r"\s*(?:\(|(?:by|without)\s*\()", re.IGNORECASE)
_FLAG = re.compile(r"--?[^\W\d_-]*(?:-[^\W\d_-]*)*")
_FLAGS = frozenset({"--strict", "--keep-empty"})


class Lexer(LarkLexer):
    """Tokens of a query, for lark; holds no state between queries."""

    def __init__(self, _conf: Any) -> None:
        pass

    def lex(self, text: str) -> Iterator[Token]:  # type: ignore[override]
        """Yield the tokens of a query; raises Refused with the place of what is no token."""
        position = 0
        while True:
            space = _SPACE.match(text, position)
            position = space.end() if space else position
            if position >= len(text):
                return
            kind, value, end = _scan(text, position)
            # lark keeps `value` as it is beside the text, so a duration travels as a number.
            yield Token(kind, value, start_pos=position)
            position = end


def _scan(text: str, position: int) -> tuple[str, Any, int]:
    char = text[position]
    if char in {'"', "`"}:
        value, end = unquote(text, position)
        return "STRING", value, end
    if char == "[":
        return _scan_range(text, position)
    number = _NUMBER.match(text, position)
    if number:
        return _scan_number(text, position, number.group())
    name = _NAME.match(text, position)
    if name:
        return _scan_name(text, name.group(), name.end())
    if char == "-":
        found = _scan_minus(text, position)
        if found is not None:
            return found
    for length in (2, 1):
        symbol = text[position : position + length]
        if len(symbol) == length and symbol in _SYMBOLS:
            return _SYMBOLS[symbol], symbol, position + length
    raise parse_error(text, position, f"unexpected character {char!r}")


def _scan_range(text: str, position: int) -> tuple[str, Any, int]:
    end = text.find("]", position)
    if end < 0:
        raise parse_error(text, position, "missing closing ']' in duration")
    try:
        interval = parse_prometheus_duration(text[position + 1 : end])
    except ValueError as error:
        raise parse_error(text, position, str(error)) from None
    return "RANGE", interval, end + 1


def _scan_number(text: str, position: int, number: str) -> tuple[str, Any, int]:
    end = position + len(number)
    tail = _DURATION_TAIL.match(text, end)
    if tail:
        try:
            return "DURATION", parse_duration(number + tail.group()), tail.end()
        except ValueError:
            pass
    tail = _BYTES_TAIL.match(text, end)
    if tail:
        try:
            return "BYTES", parse_bytes(number + tail.group()), tail.end()
        except ValueError:
            pass
    if _ODD_NUMBER.match(text, position):
        raise unsupported("a number with `_` or a leading zero")
    if _NAME.match(text, end):
        raise parse_error(text, position, "bad number literal")
    return "NUMBER", number, end


def _scan_minus(text: str, position: int) -> tuple[str, Any, int] | None:
    if text.startswith("--", position):
        flag = _FLAG.match(text, position)
        if flag and flag.group() in _FLAGS:
            return "FLAG", flag.group(), flag.end()
    tail = _DURATION_TAIL.match(text, position + 1)
    if tail:
        try:
            return "DURATION", parse_duration("-" + tail.group()), tail.end()
        except ValueError:
            pass
    return None


def _scan_name(text: str, name: str, end: int) -> tuple[str, Any, int]:
    if not name.isascii():
        # Loki refuses them or answers, by what stands around them.
        raise unsupported("a label name beyond ASCII")
    lowered = name.lower()
    if lowered in _KEYWORDS:
        return _KEYWORDS[lowered], name, end
    if lowered in _UNKNOWN_KEYWORDS:
        raise unsupported(f"`{lowered}`")
    if _CALL.match(text, end):
        if lowered in _FUNCTIONS:
            return _FUNCTIONS[lowered], lowered, end
        if lowered in _OTHER_FUNCTIONS:
            raise unsupported(f"`{lowered}()`")
    return "IDENTIFIER", name, end
