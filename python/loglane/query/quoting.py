"""Values as LogQL writes them, so that none can break out of its place.

A LogQL string is one of Go (loki: pkg/logql/syntax/lex.go calls `strutil.Unquote`), a regular
expression one of RE2 (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """Write a string as a LogQL literal.

    Raises:
        ValueError: It has a lone surrogate, which is no character and so is in no stored line.
    """
    check_text(text)
    return '"' + "".join(_escape(char) for char in text) + '"'


def quote_pattern(text: str) -> str:
    """Write a string as a regular expression that matches just this string."""
    return _META.sub(r"\\\g<0>", text)


def check_text(text: str) -> None:
    """Refuse what cannot be sent as UTF-8.

    Raises:
        ValueError: It has a lone surrogate.
    """
    found = _SURROGATE.search(text)
    if found:
        code = ord(found.group())
        raise ValueError(
            f"a lone surrogate (U+{code:04X}, character {found.start()}) cannot be searched for: "
            "it is no text, and no stored line has one"
        )


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
