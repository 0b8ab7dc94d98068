"""Samples of metric queries: vectors at one instant, matrices over time."""

from __future__ import annotations

from typing import TypeAlias

# A series' labels as a hashable value: name-value pairs sorted by name.
Labels: TypeAlias = tuple[tuple[str, str], ...]
Vector: TypeAlias = dict[Labels, float]


def freeze(labels: dict[str, str]) -> Labels:
    """Make labels hashable; a label with an empty value is no label."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))
