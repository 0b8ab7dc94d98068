"""Templates of `| line_format` and `| label_format`, compiled once for all queries."""

from __future__ import annotations

from functools import lru_cache

from loglane.devserver.logql.stage_nodes import LabelFormat, LabelFormatStage, LineFormatStage
from loglane.devserver.template import Template, TemplateError


@lru_cache(maxsize=256)
def line_template(stage: LineFormatStage) -> Template:
    """Compile the template of a line; raises TemplateError or Refused."""
    try:
        return Template(stage.template, "line")
    except TemplateError as error:
        raise TemplateError(f"invalid line template: {error}") from None


@lru_cache(maxsize=256)
def label_template(label_format: LabelFormat) -> Template:
    """Compile the template of a label; raises TemplateError or Refused."""
    try:
        return Template(label_format.value, "label")
    except TemplateError as error:
        reason = f"invalid template for label '{label_format.name}': {error}"
        raise TemplateError(reason) from None


def fields_of(stage: LineFormatStage | LabelFormatStage) -> list[str]:
    """List the labels that a stage reads or renames; raises TemplateError or Refused."""
    if isinstance(stage, LineFormatStage):
        return list(line_template(stage).fields)
    names: list[str] = []
    for label_format in stage.formats:
        if label_format.renames:
            names.append(label_format.value)
        else:
            names += label_template(label_format).fields
    return names
