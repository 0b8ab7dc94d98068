"""Backslash escapes, which JSON and logfmt have alike, but for what a Unicode one may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
JSON = {**CONTROL, '"': '"', "\\": "\\", "/": "/"}
LOGFMT = {**JSON, "'": "'"}

# From the text, the place of the escape and its number to the character and the place after it.
DecodeUnicode: TypeAlias = Callable[[str, int, int], tuple[str, int]]


def replace_escapes(
    raw: str, simple: Mapping[str, str], decode_unicode: DecodeUnicode
) -> str | None:
    """Replace every escape; None when one is not in `simple` and not Unicode of four digits."""
    parts: list[str] = []
    position = 0
    while (backslash := raw.find("\\", position)) >= 0:
        parts.append(raw[position:backslash])
        match = ESCAPE.match(raw, backslash)
        if match is None:
            return None
        digits, char = match.groups()
        if digits is not None:
            char, position = decode_unicode(raw, backslash, int(digits, 16))
            parts.append(char)
        elif char in simple:
            parts.append(simple[char])
            position = backslash + 2
        else:
            return None
    parts.append(raw[position:])
    return "".join(parts)


def unicode_digits(raw: str, position: int) -> int | None:
    """Return the number of the Unicode escape at `position`, None when there is none."""
    match = ESCAPE.match(raw, position)
    digits = match.group(1) if match else None
    return int(digits, 16) if digits else None
