"""The stages of a query as one function over a line and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from loglane.devserver.engine.filters import compile_filter, single_label_tests
from loglane.devserver.engine.hints import Hints, filter_names, metric_hints, required_names
from loglane.devserver.engine.json_stage import parse_json
from loglane.devserver.engine.labels import ERROR, ERROR_DETAILS, PRESERVE_ERROR, LabelSet
from loglane.devserver.engine.logfmt_stage import parse_logfmt
from loglane.devserver.logql.nodes import (
    DropStage,
    Grouping,
    JsonStage,
    KeepStage,
    LabelFilter,
    LabelFilterStage,
    LineFilter,
    LogfmtStage,
    Matcher,
    Stage,
)
from loglane.devserver.logql.patterns import Test, compile_line_filter, compile_matcher

Step: TypeAlias = Callable[[str, LabelSet], bool]


class Pipeline:
    """Compiled stages; `process` says whether a line stays and leaves its labels in a LabelSet.

    `line_tests` are the line filters, which need no labels: they run first, as in Loki.
    """

    def __init__(self, stages: Sequence[Stage], hints: Hints) -> None:
        self.hints = hints
        self._line_tests: list[Test] = []
        self._steps: list[Step] = []
        for stage in stages:
            if isinstance(stage, LineFilter):
                self._line_tests.append(compile_line_filter(stage.op, stage.values))
            else:
                self._steps.append(_compile_step(stage))
        self.is_empty = not stages

    def process(self, line: str, labels: LabelSet) -> bool:
        """Run every stage on one line; `labels` has been reset for it."""
        return self.accepts_line(line) and all(step(line, labels) for step in self._steps)

    def accepts_line(self, line: str) -> bool:
        """Tell whether the line filters keep the line; needs no labels."""
        return all(test(line) for test in self._line_tests)


def log_pipeline(stages: Sequence[Stage]) -> Pipeline:
    """Compile the pipeline of a log query; raises Refused for a bad pattern."""
    return Pipeline(stages, Hints(tests=single_label_tests(stages)))


def metric_pipeline(
    stages: Sequence[Stage],
    grouping: Grouping | None,
    unwrapped: str = "",
    condition: LabelFilter | None = None,
) -> Pipeline:
    """Compile the pipeline of a metric query.

    Args:
        stages: Its stages.
        grouping: How its series are grouped; None when they keep their labels.
        unwrapped: The label whose value is the sample, if any.
        condition: The label filter after `unwrap`, which the pipeline itself does not run.

    Raises:
        Refused: A pattern is bad.
    """
    required, tested = required_names(stages), tuple(stages)
    if condition is not None:
        required += filter_names(condition)
        tested = (*tested, LabelFilterStage(condition))
    hints = metric_hints(required, grouping, single_label_tests(tested), unwrapped)
    return Pipeline(stages, hints)


def _compile_step(stage: Stage) -> Step:
    match stage:
        case JsonStage():
            return parse_json
        case LogfmtStage():
            return lambda line, labels: parse_logfmt(line, labels, stage)
        case LabelFilterStage(condition=condition):
            test = compile_filter(condition)
            return lambda _line, labels: test(labels)
        case DropStage(labels=dropped):
            return _drop_step(dropped)
        case KeepStage(labels=kept):
            return _keep_step(kept)
        case _:  # pragma: no cover - line filters never come here
            raise TypeError(f"no step for {stage!r}")


def _drop_step(dropped: tuple[str | Matcher, ...]) -> Step:
    tests = [_named_test(item) for item in dropped]

    def step(_line: str, labels: LabelSet) -> bool:
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
        return True

    return step


def _keep_step(kept: tuple[str | Matcher, ...]) -> Step:
    tests = [_named_test(item) for item in kept]
    special = {ERROR, ERROR_DETAILS, PRESERVE_ERROR}

    def step(_line: str, labels: LabelSet) -> bool:
        for name, value in labels.categorised().merged().items():
            if name in special:
                continue
            if not any(n == name and (test is None or test(value)) for n, test in tests):
                labels.delete(name)
        return True

    return step


def _named_test(item: str | Matcher) -> tuple[str, Test | None]:
    if isinstance(item, Matcher):
        return item.name, compile_matcher(item)
    return item, None
