"""Each stage of a query compiled to a step: from a line and its labels to the next line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from loglane.devserver.engine.capture_stages import compile_captures
from loglane.devserver.engine.expression_stages import (
    compile_json_expressions,
    compile_logfmt_expressions,
)
from loglane.devserver.engine.filters import compile_filter
from loglane.devserver.engine.format_stages import compile_label_format, compile_line_format
from loglane.devserver.engine.json_stage import parse_json
from loglane.devserver.engine.labels import ERROR, ERROR_DETAILS, PRESERVE_ERROR, LabelSet
from loglane.devserver.engine.logfmt_stage import parse_logfmt
from loglane.devserver.engine.unpack_stage import unpack
from loglane.devserver.logql.nodes import (
    DropStage,
    JsonStage,
    KeepStage,
    LabelFilterStage,
    LogfmtStage,
    Matcher,
    Stage,
)
from loglane.devserver.logql.patterns import Test, compile_matcher
from loglane.devserver.logql.stage_nodes import (
    DecolorizeStage,
    JsonExpressionStage,
    LabelFormatStage,
    LineFormatStage,
    LogfmtExpressionStage,
    PatternStage,
    RegexpStage,
    UnpackStage,
)

# From the time, the line and the labels to the line for the next step, None for a dropped one.
Step: TypeAlias = Callable[[int, str, LabelSet], "str | None"]

# Escape sequences that colour a terminal's text (loki: pkg/logql/log/fmt.go, ansiPattern).
_COLOURS = re.compile(
    "[\x1b\x9b][\\[\\]()#;?]*"
    "(?:(?:(?:[a-zA-Z0-9]*(?:;[a-zA-Z0-9]*)*)?\x07)"
    "|(?:(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-PRZcf-ntqry=><~]))"
)


def compile_step(stage: Stage) -> Step:
    """Build the step of a stage that is no line filter.

    Raises:
        Refused: A bad pattern, or a template that this server does not know.
        ValueError: A bad expression or template, in Loki's words.
    """
    parse = _compile_parser(stage)
    if parse is not None:
        return lambda _ts, line, labels: line if parse(line, labels) else None
    match stage:
        case UnpackStage():
            return lambda _ts, line, labels: unpack(line, labels)
        case LabelFilterStage(condition=condition):
            test = compile_filter(condition)
            return lambda _ts, line, labels: line if test(labels) else None
        case _:
            return _compile_rewrite(stage)


def _compile_parser(stage: Stage) -> Callable[[str, LabelSet], bool] | None:
    match stage:
        case JsonStage():
            return parse_json
        case LogfmtStage():
            return lambda line, labels: parse_logfmt(line, labels, stage)
        case JsonExpressionStage():
            return compile_json_expressions(stage)
        case LogfmtExpressionStage():
            return compile_logfmt_expressions(stage)
        case RegexpStage() | PatternStage():
            return compile_captures(stage)
        case _:
            return None


def _compile_rewrite(stage: Stage) -> Step:
    match stage:
        case LineFormatStage():
            return compile_line_format(stage)
        case LabelFormatStage():
            return compile_label_format(stage)
        case DecolorizeStage():
            return lambda _ts, line, _labels: _COLOURS.sub("", line)
        case DropStage(labels=dropped):
            return _drop_step(dropped)
        case KeepStage(labels=kept):
            return _keep_step(kept)
        case _:  # pragma: no cover - line filters never come here
            raise TypeError(f"no step for {stage!r}")


def _drop_step(dropped: tuple[str | Matcher, ...]) -> Step:
    tests = [_named_test(item) for item in dropped]

    def step(_ts: int, line: str, labels: LabelSet) -> str:
        for name, test in tests:
            if name == ERROR:
                if test is None or test(labels.error):
                    labels.error = ""
            elif name == ERROR_DETAILS:
                if test is None or test(labels.error_details):
                    labels.error_details = ""
            elif test is None:
                if labels.get(name) is not None:
                    labels.delete(name)
            elif test(labels.get(name) or ""):
                labels.delete(name)
        return line

    return step


def _keep_step(kept: tuple[str | Matcher, ...]) -> Step:
    tests = [_named_test(item) for item in kept]
    special = {ERROR, ERROR_DETAILS, PRESERVE_ERROR}

    def step(_ts: int, line: str, labels: LabelSet) -> str:
        for name, value in labels.categorised().merged().items():
            if name in special:
                continue
            if not any(n == name and (test is None or test(value)) for n, test in tests):
                labels.delete(name)
        return line

    return step


def _named_test(item: str | Matcher) -> tuple[str, Test | None]:
    if isinstance(item, Matcher):
        return item.name, compile_matcher(item)
    return item, None
