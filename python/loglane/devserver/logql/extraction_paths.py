"""Expressions of `| json a="b.c[0]"` and `| logfmt a="b"`.

Source: loki: pkg/logql/log/jsonexpr and pkg/logql/log/logfmt; the error texts are Loki's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIELD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_QUOTED = re.compile(r'"([^"\]\x00]*)["\]\x00]?')
_DIGITS = re.compile(r"[0-9]+")
_SPACES = re.compile(r"[ \t\n]*")
_MARKS = {"[": "LSB", "]": "RSB", ".": "DOT"}
_END = "$end"


class BadExpressionError(ValueError):
    """The expression cannot be parsed, in Loki's words."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """Which token leads where, what is expected, and where an expression may end."""

    moves: dict[str, dict[str, str]]
    expecting: dict[str, str]
    final: str
    has_path: bool


_JSON = _Rules(
    moves={
        "start": {"LSB": "open", "FIELD": "values"},
        "open": {"STRING": "close", "INDEX": "close"},
        "close": {"RSB": "values"},
        "values": {"LSB": "open", "DOT": "dot"},
        "dot": {"FIELD": "values"},
    },
    expecting={
        "start": "LSB or FIELD",
        "open": "STRING or INDEX",
        "close": "RSB",
        "dot": "FIELD",
    },
    final="values",
    has_path=True,
)
_LOGFMT = _Rules(
    moves={"start": {"KEY": "values", "STRING": "values"}, "values": {"STRING": "values"}},
    expecting={"start": "STRING or KEY"},
    final="values",
    has_path=False,
)


def parse_json_path(expression: str) -> tuple[str, ...]:
    """Parse to the keys from the outside in, an index as `[0]`; raises BadExpressionError."""
    return _parse(expression, _JSON)


def parse_logfmt_key(expression: str) -> str | None:
    """Parse to the key to look for, None for one that no key can be equal to.

    Raises:
        BadExpressionError: It is no key.
    """
    parts = _parse(expression, _LOGFMT)
    return parts[0] if len(parts) == 1 else None


def _parse(expression: str, rules: _Rules) -> tuple[str, ...]:
    state = "start"
    parts: list[str] = []
    for kind, value in _tokens(expression, rules):
        failed = isinstance(value, BadExpressionError)
        if kind == _END and state == rules.final:
            if failed:
                raise BadExpressionError(_describe(expression, str(value)))
            return tuple(parts)
        if kind not in rules.moves[state]:
            expecting = f", expecting {rules.expecting[state]}" if state in rules.expecting else ""
            reason = f"syntax error: unexpected {kind}{expecting}"
            raise BadExpressionError(_describe(expression, reason))
        state = rules.moves[state][kind]
        if kind not in {"LSB", "RSB", "DOT"}:
            parts.append(str(value))
    raise AssertionError("the tokens end with one that is returned for")  # pragma: no cover


def _describe(expression: str, reason: str) -> str:
    return f"cannot parse expression [{expression}]: {reason}"


def _tokens(text: str, rules: _Rules) -> Iterator[tuple[str, str | BadExpressionError]]:
    position = 0
    while True:
        spaces = _SPACES.match(text, position)
        position = spaces.end() if spaces else position
        char = text[position : position + 1]
        field = _FIELD.match(text, position)
        quoted = _QUOTED.match(text, position)
        if char in {"", "\0"}:
            yield _END, ""
        elif field:
            yield ("FIELD" if rules.has_path else "KEY"), field.group()
            position = field.end()
        elif quoted:
            yield "STRING", quoted.group(1)
            position = quoted.end()
        elif rules.has_path and char in _MARKS:
            yield _MARKS[char], char
            position += 1
        elif rules.has_path and (digits := _DIGITS.match(text, position)):
            yield _index(text, digits)
            position = digits.end()
        else:
            yield _END, BadExpressionError(f"unexpected char {char}")


def _index(text: str, digits: re.Match[str]) -> tuple[str, str | BadExpressionError]:
    following = text[digits.end() : digits.end() + 1]
    if following == ".":
        return _END, BadExpressionError("cannot use float as array index")
    if following not in {" ", "\t", "\n", "]"}:
        return _END, BadExpressionError(f"non-integer value: {following or chr(0)}")
    if int(digits.group()) >= 1 << 63:
        reason = f'strconv.Atoi: parsing "{digits.group()}": value out of range'
        return _END, BadExpressionError(reason)
    return "INDEX", f"[{int(digits.group())}]"
