"""Which lines a query can want at all, told to the store before it reads them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from loglane.devserver.logql.nodes import (
    AllOf,
    AnyOf,
    DropStage,
    JsonStage,
    KeepStage,
    LabelFilter,
    LabelFilterStage,
    LineFilter,
    LogfmtStage,
    Matcher,
    Stage,
)
from loglane.devserver.logql.simplify import simplify
from loglane.devserver.store import Prefilter, Stream

# Stages that leave the line as it is. What comes after any other stage is not looked at.
_KEEP_LINE = (LineFilter, JsonStage, LogfmtStage, LabelFilterStage, DropStage, KeepStage)
# Stages after which a label may come from the line.
_PARSERS = (JsonStage, LogfmtStage)


def prefilter(stages: Sequence[Stage], stream: Stream) -> Prefilter:
    """Derive what a line of the stream must contain to pass the stages.

    Text filters (`|=`, and `|~` of plain alternatives) look into the line; a label filter
    `| name="value"` before any parser, on a name that the stream has not, into the metadata, as do
    several of them joined by `and` or `or`.
    """
    lines: list[tuple[bytes, ...]] = []
    metadata: list[tuple[bytes, ...]] = []
    parsed = False
    for stage in stages:
        if not isinstance(stage, _KEEP_LINE):
            break
        parsed = parsed or isinstance(stage, _PARSERS)
        if isinstance(stage, LineFilter):
            words = _words(stage)
            if words:
                lines.append(tuple(word.encode() for word in words))
        elif isinstance(stage, LabelFilterStage) and not parsed:
            metadata += _metadata_values(stage.condition, stream)
    return Prefilter(tuple(lines), tuple(metadata))


def _words(stage: LineFilter) -> list[str]:
    """Return texts of which a line must have one; none when that is not known."""
    if stage.op == "|=":
        return list(stage.values) if all(stage.values) else []
    if stage.op != "|~":
        return []
    words: list[str] = []
    for value in stage.values:
        tests = simplify(value, is_label=False)
        if tests is None or any(test.kind != "contains" or test.fold for test in tests):
            return []
        words += [test.text for test in tests]
    return words if all(words) else []


def _metadata_values(condition: LabelFilter, stream: Stream) -> list[tuple[bytes, ...]]:
    """Return groups of values, of each of which the metadata of an entry must have one."""
    match condition:
        case AllOf(parts=parts):
            return [group for part in parts for group in _metadata_values(part, stream)]
        case AnyOf(parts=parts):
            found = [_metadata_values(part, stream) for part in parts]
            return [tuple(word for groups in found for word in groups[0])] if all(found) else []
        case Matcher(name=name, op="=", value=value) if value:
            # An error comes from a stage, not from the metadata.
            if name in stream.labels or name.startswith("__"):
                return []
            return [(orjson.dumps(value),)]
        case _:
            return []
