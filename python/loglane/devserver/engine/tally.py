"""Samples of lines that nobody has to read: their times, or sizes, are known to the store."""

from __future__ import annotations

from loglane.devserver.engine.labels import (
    DUPLICATE_SUFFIX,
    ERROR,
    ERROR_DETAILS,
    PRESERVE_ERROR,
)
from loglane.devserver.logql.nodes import (
    DropStage,
    Grouping,
    LineFilter,
    RangeAggregation,
    Stage,
)
from loglane.devserver.logql.simplify import always_true, simplify
from loglane.devserver.store import Stream

_SPECIAL = frozenset({ERROR, ERROR_DETAILS, PRESERVE_ERROR})


def leaves_lines(node: RangeAggregation) -> bool:
    """Tell whether the aggregation needs nothing of a line but that it is there, or its size.

    Grafana's log volume ends in `| drop __error__`, which does nothing when nothing was parsed,
    and a dashboard with an empty search field in `|~ "(?i)"`.
    """
    return node.unwrap is None and all(map(_does_nothing, node.query.stages))


def _does_nothing(stage: Stage) -> bool:
    match stage:
        case DropStage(labels=labels):
            return _SPECIAL.issuperset(labels)
        case LineFilter(op="|=", values=("",)):
            return True
        case LineFilter(op="|~", values=(pattern,)):
            return always_true(simplify(pattern, is_label=False))
        case _:
            return False


def keeps_metadata(stream: Stream, names: frozenset[str], grouping: Grouping | None) -> bool:
    """Tell whether structured metadata of such names would show in the labels of a series."""
    if names & _SPECIAL:
        return True
    shown = {name + DUPLICATE_SUFFIX if name in stream.labels else name for name in names}
    if grouping is None:
        return bool(shown)
    kept = shown - set(grouping.names) if grouping.without else shown & set(grouping.names)
    return bool(kept)
