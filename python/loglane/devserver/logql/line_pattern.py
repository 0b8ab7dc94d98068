"""Patterns of `| pattern`, `|>` and `!>`: text with captures, `<name>` or `<_>`.

Source: loki: pkg/logql/log/pattern. Error texts are Loki's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_CAPTURE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


class BadPatternError(ValueError):
    """The pattern is not one, in Loki's words."""


@dataclass(frozen=True, slots=True)
class Capture:
    """`<name>`; the name `_` captures nothing."""

    name: str

    @property
    def is_named(self) -> bool:
        """Whether it becomes a label."""
        return self.name != "_"


@dataclass(frozen=True, slots=True)
class LinePattern:
    """Literals and captures, in turn."""

    parts: tuple[str | Capture, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that it captures."""
        return tuple(p.name for p in self.parts if isinstance(p, Capture) and p.is_named)

    def captures(self, line: str) -> list[str]:
        """List the values of the first `names`; fewer where the line ends early."""
        parts = self.parts
        position = 0
        if isinstance(parts[0], str):
            if not line.startswith(parts[0]):
                return []
            position = len(parts[0])
            parts = parts[1:]
        found: list[str] = []
        for capture, literal in zip(parts[::2], (*parts[1::2], None), strict=False):
            end = -1 if literal is None else line.find(str(literal), position)
            if isinstance(capture, Capture) and capture.is_named:
                found.append(line[position:] if end < 0 else line[position:end])
            if end < 0:
                break
            position = end + len(str(literal))
        return found if line else []

    def matches(self, line: str) -> bool:
        """Tell whether the whole line has this form, with no capture empty."""
        if not line or not self.parts:
            return not line and not self.parts
        position = 0
        for number, part in enumerate(self.parts):
            if isinstance(part, Capture):
                continue
            found = line.find(part, position)
            if found < 0 or (number and found == position):
                return False
            position = found + len(part)
        return isinstance(self.parts[-1], Capture) == (position != len(line))


def parse_extraction_pattern(text: str) -> LinePattern:
    """Parse the pattern of `| pattern`; raises BadPatternError."""
    if not text:
        raise BadPatternError(
            "parse error at line 1, col 1: syntax error: unexpected $end, "
            "expecting IDENTIFIER or LITERAL"
        )
    pattern = _parse(text)
    if not pattern.names:
        raise BadPatternError("at least one capture is required")
    _refuse_neighbours(pattern)
    for number, name in enumerate(pattern.names):
        if name in pattern.names[:number]:
            raise BadPatternError(f"duplicate capture name ({name}): invalid expression")
    return pattern


def parse_filter_pattern(text: str) -> LinePattern:
    """Parse the pattern of `|>` and `!>`; raises BadPatternError."""
    pattern = _parse(text)
    _refuse_neighbours(pattern)
    for name in pattern.names[:1]:
        raise BadPatternError(f"named captures are not allowed: found '<{name}>'")
    return pattern


def _parse(text: str) -> LinePattern:
    parts: list[str | Capture] = []
    position = 0
    for match in _CAPTURE.finditer(text):
        if match.start() > position:
            parts.append(text[position : match.start()])
        parts.append(Capture(match.group(1)))
        position = match.end()
    if position < len(text):
        parts.append(text[position:])
    return LinePattern(tuple(parts))


def _refuse_neighbours(pattern: LinePattern) -> None:
    for left, right in pairwise(pattern.parts):
        if isinstance(left, Capture) and isinstance(right, Capture):
            raise BadPatternError(
                f"found consecutive capture '<{left.name}><{right.name}>': invalid expression"
            )
