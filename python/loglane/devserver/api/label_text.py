"""The labels of a pushed stream as text, `{app="x"}` (prometheus: promql/parser, ParseMetric)."""

from __future__ import annotations

import re
from functools import lru_cache

from loglane.devserver.logql.strings import unquote
from loglane.devserver.refusal import Refused, unsupported

# loki: pkg/loghttp/push/push.go, maxStreamLabelsSize
_MAX_BYTES = 1 << 24
_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)*")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\s*(?:\{|\Z)")
_SIMPLE = re.compile(r"""(["'])([^"'\\\n]*)\1""")


def parse_labels(raw: bytes) -> dict[str, str]:
    """Parse the labels of a stream; nothing at all is no labels.

    Raises:
        Refused: It is no such text, or has a name twice.
    """
    if len(raw) > _MAX_BYTES:
        raise Refused(f"stream labels size {len(raw)} exceeds limit of {_MAX_BYTES}", status=413)
    return dict(_parse(raw))


@lru_cache(maxsize=1024)
def _parse(raw: bytes) -> tuple[tuple[str, str], ...]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _unexpected(error.start, "invalid UTF-8 rune") from None
    position = _skip_space(text, 0)
    if not text:
        return ()
    if text[position : position + 1] != "{":
        if _METRIC.match(text, position):
            raise unsupported("a stream whose labels begin with a metric's name")
        raise _unexpected(position, f"unexpected {_shown(text, position)}")
    labels: dict[str, str] = {}
    position = _skip_space(text, position + 1)
    while text[position : position + 1] != "}":
        name, value, position = _pair(text, position)
        if name in labels:
            raise Refused(f"stream '{text}' has duplicate label name: '{name}'")
        labels[name] = value
        position = _skip_space(text, position)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
        elif text[position : position + 1] != "}":
            raise _unexpected(position, f"unexpected {_shown(text, position)} in label set")
    end = _skip_space(text, position + 1)
    if end < len(text):
        raise _unexpected(end, f"unexpected {_shown(text, end)}")
    return tuple(labels.items())


def _pair(text: str, position: int) -> tuple[str, str, int]:
    name = _NAME.match(text, position)
    if name is None:
        if text[position : position + 1] == '"':
            raise unsupported("a stream whose label has a quoted name")
        raise _unexpected(position, f"unexpected {_shown(text, position)} inside braces")
    position = _skip_space(text, name.end())
    if text[position : position + 1] != "=" or text[position + 1 : position + 2] == "~":
        shown = _shown(text, position)
        raise _unexpected(position, f'unexpected {shown} in label set, expected "="')
    position = _skip_space(text, position + 1)
    simple = _SIMPLE.match(text, position)
    if simple:
        return name.group(), simple.group(2), simple.end()
    quote = text[position : position + 1]
    if quote == "'":
        raise unsupported("a label in single quotes with an escape in it")
    if quote not in {'"', "`"} or not quote:
        raise _unexpected(position, f"unexpected {_shown(text, position)} in label set")
    try:
        value, end = unquote(text, position)
    except Refused:
        raise _unexpected(position, "bad escape sequence or unterminated string") from None
    return name.group(), value, end


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _shown(text: str, position: int) -> str:
    return f'"{text[position]}"' if position < len(text) else "end of input"


def _unexpected(position: int, problem: str) -> Refused:
    return Refused(f"couldn't parse labels: 1:{position + 1}: parse error: {problem}")
