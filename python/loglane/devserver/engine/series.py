"""Samples of metric queries: vectors at one instant, matrices over time."""

from __future__ import annotations

from typing import TypeAlias

# A series' labels as a hashable value: name-value pairs sorted by name.
Labels: TypeAlias = tuple[tuple[str, str], ...]
Vector: TypeAlias = dict[Labels, float]


def freeze(labels: dict[str, str]) -> Labels:
    """Make labels hashable; a label with an empty value is no label."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def freeze_all(labels: dict[str, str]) -> Labels:
    """Make the labels of a line hashable; a label that a stage has left empty is one here."""
    return tuple(sorted(labels.items()))


def without_empty(labels: Labels) -> Labels:
    """Leave out labels with an empty value, as Loki does when it builds labels anew."""
    return tuple(pair for pair in labels if pair[1])
