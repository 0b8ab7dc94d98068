"""Places in a query, and the refusals that name them."""

from __future__ import annotations

from loglane.devserver.refusal import Refused


def parse_error(text: str, position: int, message: str) -> Refused:
    """Build Loki's parse error, `parse error at line 1, col 7: ...`, for an offset in `text`."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Refused(f"parse error at line {line}, col {column}: {message}")
