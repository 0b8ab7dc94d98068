"""How deep a query nests."""

from __future__ import annotations

from loglane.devserver.refusal import unsupported

# Deeper than anyone writes by hand, and far below what Python's stack allows to evaluate.
MAX_DEPTH = 60


def deeper(*children: object) -> int:
    """Return the depth of a node over these children; raises Refused when it is too deep."""
    depth = 1 + max(getattr(child, "depth", 1) for child in children)
    if depth > MAX_DEPTH:
        raise unsupported(f"a query nested more than {MAX_DEPTH} deep")
    return depth
