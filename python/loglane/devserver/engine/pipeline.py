"""The stages of a query as one function over a line and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from loglane.devserver.engine.filters import single_label_tests
from loglane.devserver.engine.hints import Hints, filter_names, metric_hints, required_names
from loglane.devserver.engine.ip import compile_ip_filter
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.stage_order import reorder
from loglane.devserver.engine.stage_text import naming
from loglane.devserver.engine.steps import Step, compile_step
from loglane.devserver.logql.nodes import Grouping, LabelFilter, LabelFilterStage, LineFilter, Stage
from loglane.devserver.logql.patterns import Test, compile_line_filter
from loglane.devserver.logql.stage_nodes import IpLineFilter


class Pipeline:
    """Compiled stages; `process` gives the line that comes out and leaves labels in a LabelSet.

    The line filters in front need no labels: `accepts_line` runs them alone.
    """

    def __init__(self, stages: Sequence[Stage], hints: Hints) -> None:
        self.hints = hints
        self._line_tests: list[Test] = []
        self._steps: list[Step] = []
        for are_filters, group in groupby(reorder(stages), key=_is_line_filter):
            if are_filters:
                self._add_line_filters(list(group))
            else:
                self._add_steps(list(group))
        self.is_empty = not stages

    def process(self, ts_ns: int, line: str, labels: LabelSet) -> str | None:
        """Run every stage on one line, None when one drops it; `labels` has been reset for it.

        Raises:
            Refused: The line needs what this server does not know.
        """
        if not self.accepts_line(line):
            return None
        for step in self._steps:
            result = step(ts_ns, line, labels)
            if result is None:
                return None
            line = result
        return line

    def accepts_line(self, line: str) -> bool:
        """Tell whether the line filters in front keep the line; needs no labels."""
        return all(test(line) for test in self._line_tests)

    def _add_line_filters(self, stages: Sequence[Stage]) -> None:
        with naming(*stages):
            tests = [_compile_line_test(stage) for stage in stages]
        if self._steps:
            self._steps.append(
                lambda _ts, line, _labels: line if all(test(line) for test in tests) else None
            )
        else:
            self._line_tests = tests

    def _add_steps(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            with naming(stage):
                self._steps.append(compile_step(stage))


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


def _is_line_filter(stage: Stage) -> bool:
    return isinstance(stage, LineFilter | IpLineFilter)


def _compile_line_test(stage: Stage) -> Test:
    match stage:
        case IpLineFilter():
            return compile_ip_filter(stage)
        case LineFilter(op=op, values=values):
            return compile_line_filter(op, values)
        case _:  # pragma: no cover - only line filters come here
            raise TypeError(f"no line filter: {stage!r}")
