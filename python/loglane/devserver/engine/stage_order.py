"""The order in which Loki runs stages: line filters go first, as far as they may.

They pass every stage that leaves the line as it is, and, by Loki's oversight, `| decolorize` too
(loki: pkg/logql/syntax/ast.go, reorderStages).
"""

from __future__ import annotations

from collections.abc import Sequence

from loglane.devserver.logql.nodes import (
    DropStage,
    JsonStage,
    KeepStage,
    LabelFilterStage,
    LineFilter,
    LogfmtStage,
    Stage,
)
from loglane.devserver.logql.stage_nodes import (
    IpLineFilter,
    JsonExpressionStage,
    LabelFormatStage,
    LineFormatStage,
    LogfmtExpressionStage,
    PatternStage,
    RegexpStage,
    UnpackStage,
)

_READ_LINE = (
    LineFilter
    | IpLineFilter
    | JsonStage
    | JsonExpressionStage
    | LogfmtStage
    | LogfmtExpressionStage
    | RegexpStage
    | PatternStage
    | UnpackStage
)


def reorder(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages as they run."""
    ordered: list[Stage] = []
    filters: list[Stage] = []
    others: list[Stage] = []
    for stage in stages:
        if isinstance(stage, LineFilter | IpLineFilter):
            filters.append(stage)
            continue
        if isinstance(stage, LabelFilterStage):
            ordered += [*filters, *others, stage]
            filters, others = [], []
            continue
        others.append(stage)
        if isinstance(stage, LineFormatStage | UnpackStage):
            ordered += [*filters, *others]
            filters, others = [], []
    return [*ordered, *filters, *others]


def without_idle_line_formats(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Drop `| line_format` where nothing reads the line after it.

    Loki does so in every range aggregation but those of bytes, and then the template is not even
    compiled and cannot fail (loki: pkg/logql/optimize.go, removeLineformat).
    """
    return tuple(
        stage
        for number, stage in enumerate(stages)
        if not isinstance(stage, LineFormatStage)
        or any(isinstance(later, _READ_LINE) for later in stages[number:])
    )


def may_merge_streams(stages: Sequence[Stage]) -> bool:
    """Tell whether stages may give lines of several streams the same labels, as Loki sees it.

    Loki then puts the parts of a range aggregation together by labels that it builds anew
    (loki: pkg/logql/syntax/ast.go, ReducesLabels).
    """
    return any(
        isinstance(stage, KeepStage | DropStage)
        or (isinstance(stage, LabelFormatStage) and any(f.renames for f in stage.formats))
        for stage in stages
    )
