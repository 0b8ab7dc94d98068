"""Counting lines by what the store knows of them, without reading one."""

from __future__ import annotations

from collections.abc import Sequence

from loglane.devserver.engine.labels import (
    DUPLICATE_SUFFIX,
    ERROR,
    ERROR_DETAILS,
    PRESERVE_ERROR,
)
from loglane.devserver.logql.nodes import Grouping
from loglane.devserver.store import Store, Stream

_SPECIAL = frozenset({ERROR, ERROR_DETAILS, PRESERVE_ERROR})


def tally(
    store: Store,
    stream: Stream,
    grouping: Grouping | None,
    bounds: tuple[int, int],
    *,
    sizes: bool,
) -> tuple[Sequence[int], Sequence[float]] | None:
    """Return the times of a stream's lines in `bounds[0] <= ts < bounds[1]` and what each counts.

    Args:
        store: Where the lines are.
        stream: Whose lines; no stage looks at them.
        grouping: The labels that stay; None for all.
        bounds: Nanoseconds.
        sizes: A line counts as many as it has bytes, instead of one.

    Returns:
        None when structured metadata decides on a line's series, so that it must be read.
    """
    names = store.metadata_names(stream, *bounds)
    if names and _matters(names, grouping):
        return None
    if sizes:
        return store.sizes(stream, *bounds)
    times = store.times(stream, *bounds)
    return times, [1.0] * len(times)


def _matters(names: frozenset[str], grouping: Grouping | None) -> bool:
    if grouping is None or grouping.without or not names.isdisjoint(_SPECIAL):
        return True
    # Metadata that has the name of a label is there under another one.
    return any(
        name in names or name.removesuffix(DUPLICATE_SUFFIX) in names for name in grouping.names
    )
