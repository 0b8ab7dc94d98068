"""Find where a value inside text begins and ends: behind a key, and where some libraries put it.

As in `credentials`, every function reads its text from left to right and takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from loglane.credentials import CLOSERS, MASK, SCHEMES, end_of_line

Span = tuple[int, int]

_NOTHING = frozenset({"none", "null", "nil", "undefined", "true", "false", MASK})
_BLANK = re.compile(r"[ \t]*")
_CALL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,40}\(", re.ASCII)
_OPENING = re.compile(rf"""(?:{_CALL.pattern})?[bBuUrRfF]{{0,2}}(\\{{0,8}}["'])""", re.ASCII)
# Brackets inside quotes do not count, and an escaped quote opens none.
_BRACKET = re.compile(
    r"""[\[\](){}]|\\.|"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'""", re.DOTALL
)
_BRACKETS = frozenset("[](){}")
_SCHEME_BEFORE = re.compile(
    rf"(?:{'|'.join(SCHEMES)}|negotiate|apikey)[ \t]{{1,16}}", re.ASCII | re.IGNORECASE
)
# A comma or the like ends a value only where something new seems to begin: it may be part of it.
_VALUE_END = re.compile(
    r"""[ \t\r\n\f\v]|["'](?!\w)|[,;&](?=[\s"'{\[\\]|\Z|[\w.%-]{1,40}[=:])""", re.ASCII
)
_COOKIES = re.compile(
    r"""[^\s;="',]{1,128}=[^\s;"',]*(?:; ?[^\s;="',]{1,128}=[^\s;"',]*)*""", re.ASCII
)
# How long the repr of an object in angle brackets may be.
_TAG = 1000

# https://docs.pydantic.dev/latest/errors/errors/: how a ValidationError shows what it was given,
# shortened in the middle, so that a name in it may be gone while its value is still there.
_INPUT_BEGIN, _INPUT_END = ", input_value=", ", input_type="
_INPUT_LENGTH = 1000
# The repr of what its `errors()` returns.
_LOCATED = re.compile(
    r"""["']loc["']: ?[(\[]([^)\]]{1,200})[)\]].{0,600}?["']input["']: ?""", re.DOTALL
)
_QUOTED = re.compile(r"""["']([^"']{1,128})["']""")
_NETLOC = re.compile(r"""netloc["']?(?:=|: ?)""")
_SQL = re.compile(r"(?:password|identified by) (?=')", re.ASCII | re.IGNORECASE)


def replaced(text: str, spans: Iterable[Span]) -> str:
    """Return the text with the mask in the place of each span; they ascend."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += text[done:start], MASK
        done = end
    return "".join((*parts, text[done:])) if parts else text


def value_span(text: str, start: int, key: str = "", separator: str = "") -> Span:
    """Find the value behind a key.

    Args:
        text: The whole text.
        start: Where the separator ends.
        key: The key in lower case without dashes and the like.
        separator: What is between key and value.

    Returns:
        Where the value begins and ends; the same place twice when there is none to hide.
    """
    start, end = _any_span(text, start, key, separator)
    return (start, start) if text[start:end].lower() in _NOTHING else (start, end)


def _any_span(text: str, start: int, key: str, separator: str) -> Span:
    blank = _BLANK.match(text, start)
    start = blank.end() if blank else start
    line_end = _header_end(text, start, key) if separator == ":" else 0
    call = None if line_end else _CALL.match(text, start)
    opening = _OPENING.match(text, start)
    if opening:
        end = _closing_quote(text, opening.end(), opening[1])
        if not call or text.startswith(")", end + len(opening[1])):
            return opening.end(), end
    if call:
        return start, _closing_bracket(text, call.end() - 1)
    if text[start : start + 1] in ("[", "{", "("):
        end = _closing_bracket(text, start)
        return start, end if end - start > 2 else start
    if line_end:
        return start, start + len(text[start:line_end].rstrip())
    cookies = _COOKIES.match(text, start) if key.endswith(("cookie", "cookies")) else None
    end = cookies.end() if cookies else _word_end(text, start)
    return start, start + len(text[start:end].rstrip(CLOSERS))


def _header_end(text: str, start: int, key: str) -> int:
    """Return the end of a header whose value has spaces in it, or 0 when it is none of these."""
    if key.endswith("authorization"):
        return end_of_line(text, start)
    if key.endswith("cookie"):
        end = end_of_line(text, start)
        # A cookie has a name and a value; prose has not.
        return end if text.find("=", start, end) >= 0 else 0
    return 0


def _word_end(text: str, start: int) -> int:
    scheme = _SCHEME_BEFORE.match(text, start)
    if scheme:
        start = scheme.end()
    elif text.startswith("<", start):
        start = max(start, text.find(">", start, start + _TAG))
    stop = _VALUE_END.search(text, start)
    return stop.start() if stop else len(text)


def _closing_quote(text: str, at: int, opening: str) -> int:
    """Find the quote that closes, escaped no deeper than the one that opened."""
    quote, depth = opening[-1], len(opening) - 1
    while (found := text.find(quote, at)) >= 0:
        before = text[at:found]
        escapes = len(before) - len(before.rstrip("\\"))
        if escapes <= depth:
            doubled = text[found + 1 : found + 2] == quote
            if not doubled or depth:
                return found - escapes
            found += 1
        at = found + 1
    return len(text)


def _closing_bracket(text: str, start: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        if bracket[0] in _BRACKETS:
            depth += 1 if bracket[0] in "[{(" else -1
            if not depth:
                return bracket.end()
    return len(text)


def inputs(text: str) -> Iterator[Span]:
    """Yield what pydantic was given, in the text of its ValidationError."""
    at = text.find(_INPUT_BEGIN)
    while at >= 0:
        start = at + len(_INPUT_BEGIN)
        end = text.find(_INPUT_END, start, start + _INPUT_LENGTH)
        if end > start:
            yield start, end
        at = text.find(_INPUT_BEGIN, max(start, end))


def located_inputs(text: str, hides: Callable[[str], bool]) -> Iterator[Span]:
    """Yield the inputs in the repr of pydantic's `errors()` that lie under a hidden name."""
    done = 0
    for found in _LOCATED.finditer(text):
        if found.start() >= done and any(map(hides, _QUOTED.findall(found[1]))):
            start, done = value_span(text, found.end())
            if start < done:
                yield start, done


def netlocs(text: str) -> Iterator[Span]:
    """Yield user and password in the repr of a URL that was split into its parts."""
    done = 0
    for found in _NETLOC.finditer(text):
        if found.start() >= done:
            start, done = value_span(text, found.end())
            at = text.rfind("@", start, done)
            if at > 0 and ":" in text[start:at]:
                yield start, at


def sets_password(lowered: str) -> bool:
    """Tell whether a text in lower case may hold what `sql_passwords` finds."""
    return " '" in lowered and ("password '" in lowered or "identified by '" in lowered)


def sql_passwords(text: str) -> Iterator[Span]:
    """Yield passwords in SQL that sets them."""
    done = 0
    for found in _SQL.finditer(text):
        if found.start() >= done:
            start, done = value_span(text, found.end())
            if start < done:
                yield start, done
