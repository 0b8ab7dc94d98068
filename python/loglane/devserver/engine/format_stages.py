"""`| line_format` and `| label_format` (loki: pkg/logql/log/fmt.go)."""

from __future__ import annotations

from collections.abc import Callable

from loglane.devserver.engine.format_templates import label_template, line_template
from loglane.devserver.engine.labels import ERROR, LabelSet
from loglane.devserver.logql.stage_nodes import LabelFormat, LabelFormatStage, LineFormatStage
from loglane.devserver.template import TemplateError, TemplateRunError

TEMPLATE_ERROR = "TemplateFormatErr"


def compile_line_format(stage: LineFormatStage) -> Callable[[int, str, LabelSet], str]:
    """Build the step; raises TemplateError for a bad template, Refused for an unknown one."""
    template = line_template(stage)
    field = template.simple_field

    def step(ts_ns: int, line: str, labels: LabelSet) -> str:
        if field is not None:
            # Loki takes a shortcut here, which does not know of `__error__`.
            return labels.get(field) or ""
        try:
            return template.render(labels.visible(), line, ts_ns)
        except TemplateRunError as error:
            _set_error(labels, error)
            return line

    return step


def compile_label_format(stage: LabelFormatStage) -> Callable[[int, str, LabelSet], str]:
    """Build the step; raises TemplateError for a bad template, Refused for an unknown one."""
    names: set[str] = set()
    for label_format in stage.formats:
        name = label_format.name
        if name == ERROR:
            raise TemplateError(f"{name} cannot be formatted")
        if name in names:
            raise TemplateError(
                f"multiple label name '{name}' not allowed in a single format operation"
            )
        names.add(name)
    formats = [(f, None if f.renames else label_template(f)) for f in stage.formats]

    def step(ts_ns: int, line: str, labels: LabelSet) -> str:
        # Every template sees the labels as they were for the first one.
        visible: dict[str, str] = {}
        for label_format, template in formats:
            if template is None:
                _rename(labels, label_format)
                continue
            visible = visible or labels.visible()
            try:
                labels.set_parsed(label_format.name, template.render(visible, line, ts_ns))
            except TemplateRunError as error:
                _set_error(labels, error)
        return line

    return step


def _rename(labels: LabelSet, label_format: LabelFormat) -> None:
    value = labels.get(label_format.value)
    if value is not None:
        labels.set_parsed(label_format.name, value)
        labels.delete(label_format.value)


def _set_error(labels: LabelSet, error: TemplateRunError) -> None:
    labels.error = TEMPLATE_ERROR
    labels.error_details = str(error)
