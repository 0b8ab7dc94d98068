"""Stages as Loki writes them, for the errors that name one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loglane.devserver.logql.nodes import LabelFilterStage, LineFilter, Stage
from loglane.devserver.logql.stage_nodes import (
    Extraction,
    IpComparison,
    IpLineFilter,
    JsonExpressionStage,
    LabelFormatStage,
    LineFormatStage,
    LogfmtExpressionStage,
)
from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import Refused


@contextmanager
def naming(*stages: Stage) -> Iterator[None]:
    """Turn a ValueError inside into the refusal that names the stages it comes from."""
    try:
        yield
    except ValueError as error:
        described = " ".join(describe(stage) for stage in stages)
        raise Refused(f"parse error : stage '{described}' : {error}") from None


def describe(stage: Stage) -> str:
    """Write a stage that may be refused for what its strings say."""
    match stage:
        case LineFilter(op=op, values=values):
            return f"{op} {' or '.join(quote(value) for value in values)}"
        case IpLineFilter(op=op, pattern=pattern):
            return f"{op} ip({quote(pattern)})"
        case JsonExpressionStage(extractions=extractions):
            return f"| json {_extractions(extractions)}"
        case LogfmtExpressionStage(extractions=extractions):
            flags = "--strict " * stage.strict + "--keep-empty " * stage.keep_empty
            return f"| logfmt {flags}{_extractions(extractions)}"
        case _:
            return _describe_other(stage)


def _describe_other(stage: Stage) -> str:
    match stage:
        case LineFormatStage(template=template):
            return f"| line_format {quote(template)}"
        case LabelFormatStage(formats=formats):
            written = (f"{f.name}={f.value if f.renames else quote(f.value)}" for f in formats)
            return f"| label_format {','.join(written)}"
        case LabelFilterStage(condition=IpComparison(name=name, op=op, pattern=pattern)):
            return f"| {name}{op}ip({quote(pattern)})"
        case _:
            return f"| {type(stage).__name__}"


def _extractions(extractions: tuple[Extraction, ...]) -> str:
    return ",".join(f"{found.name}={quote(found.expression)}" for found in extractions)
