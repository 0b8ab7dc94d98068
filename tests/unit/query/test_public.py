"""The names of the package are sorted, there, and what the docs list."""

from __future__ import annotations

import re

import loglane.query


def test_documented_names_are_the_public_ones(root):
    """docs/query.md lists exactly what the package exports."""
    text = (root / "docs" / "query.md").read_text().partition("## All names")[2]
    listed = re.findall(r"`([A-Z]\w+)`", text.partition(". `Query`")[0])
    assert loglane.query.__all__ == sorted(loglane.query.__all__) == sorted(listed)
    assert [] == [name for name in loglane.query.__all__ if not hasattr(loglane.query, name)]
