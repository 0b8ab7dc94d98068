"""Nodes of the stages that extract labels, rewrite labels or rewrite the line.

The other stages, and the alias `Stage` of all of them, are in `nodes`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extraction:
    """`name="expression"` of `| json` and `| logfmt`; a name alone is its own expression."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class JsonExpressionStage:
    """`| json a="b.c[0]", d`."""

    extractions: tuple[Extraction, ...]


@dataclass(frozen=True, slots=True)
class LogfmtExpressionStage:
    """`| logfmt a="b", c`; Loki accepts `--keep-empty` here and does nothing with it."""

    extractions: tuple[Extraction, ...]
    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class RegexpStage:
    """`| regexp "(?P<name>...)"`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class PatternStage:
    """`| pattern "<ip> - <_>"`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class UnpackStage:
    """`| unpack`: the labels and the line that Promtail's `pack` stage put into one object."""


@dataclass(frozen=True, slots=True)
class DecolorizeStage:
    """`| decolorize`."""


@dataclass(frozen=True, slots=True)
class LineFormatStage:
    """`| line_format "{{.message}}"`."""

    template: str


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """`name=other`, which renames, or `name="template"`."""

    name: str
    value: str
    renames: bool


@dataclass(frozen=True, slots=True)
class LabelFormatStage:
    """`| label_format a=b, c="{{.d}}"`."""

    formats: tuple[LabelFormat, ...]


@dataclass(frozen=True, slots=True)
class IpComparison:
    """`name = ip("10.0.0.0/8")` as a label filter; `op` is `=` or `!=`."""

    name: str
    op: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IpLineFilter:
    """`|= ip("10.0.0.0/8")`."""

    op: str
    pattern: str
