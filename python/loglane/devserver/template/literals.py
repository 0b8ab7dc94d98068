"""Literals of templates: Go's strings, characters and numbers."""

from __future__ import annotations

import re

from loglane.devserver.logql.strings import unquote
from loglane.devserver.refusal import Refused, unsupported
from loglane.devserver.template.nodes import Number

_INTEGER = re.compile(
    r"([+-]?)(?:(0[xX](?:_?[0-9a-fA-F])+)|(0[bB](?:_?[01])+)|(0[oO](?:_?[0-7])+)"
    r"|(0(?:_?[0-7])*)|([1-9](?:_?[0-9])*))\Z"
)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_BASES = (16, 2, 8, 8, 10)


def read_string(quoted: str) -> str:
    """Return the value of a quoted or raw string; raises ValueError in the words of Go."""
    try:
        # Go's raw strings lose carriage returns.
        return unquote(quoted, 0)[0].replace("\r", "") if quoted[0] == "`" else _unquote(quoted)
    except Refused:
        raise ValueError("invalid syntax") from None


def _unquote(quoted: str) -> str:
    value, end = unquote(quoted, 0)
    if end != len(quoted):
        raise ValueError("invalid syntax")
    return value


def parse_integer(text: str) -> int:
    """Read an integer as Go does where the prefix says the base; raises ValueError."""
    match = _INTEGER.match(text)
    if match is None:
        raise ValueError("invalid syntax")
    sign, *forms = match.groups()
    form, base = next((f, b) for f, b in zip(forms, _BASES, strict=True) if f is not None)
    value = int(form.replace("_", ""), base) if base != 8 else _octal(form)
    value = -value if sign == "-" else value
    if not -(2**63) <= value < 2**63:
        raise ValueError("value out of range")
    return value


def _octal(form: str) -> int:
    return int(form.replace("_", "").lower().removeprefix("0o") or "0", 8)


def read_number(pos: int, text: str, kind: str) -> Number:
    """Read a number or a character constant; raises ValueError in the words of Go."""
    if kind == "char":
        return _read_char(pos, text)
    if text.endswith("i") or "_" in text or re.match(r"[+-]?0[xX].*[.pP]", text):
        raise unsupported(f"the number `{text}` in a template")
    try:
        integer = parse_integer(text)
        return Number(pos, text, integer, float(integer))
    except ValueError:
        pass
    if not _FLOAT.match(text):
        raise ValueError(f'illegal number syntax: "{text}"')
    value = float(text)
    if not any(mark in text for mark in ".eEpP"):
        raise ValueError(f'integer overflow: "{text}"')
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f'illegal number syntax: "{text}"')
    is_whole = value.is_integer() and abs(value) < 2**63
    return Number(pos, text, int(value) if is_whole else None, value)


def _read_char(pos: int, text: str) -> Number:
    inner = text[1:-1]
    if inner == "\\'":
        char = "'"
    elif inner == '"':
        char = '"'
    elif inner == '\\"':
        raise ValueError("invalid syntax")
    else:
        char = read_string(f'"{inner}"')
    if len(char) != 1:
        raise ValueError(f"malformed character constant: {text}" if char else "invalid syntax")
    return Number(pos, text, ord(char), float(ord(char)), is_char=True)
