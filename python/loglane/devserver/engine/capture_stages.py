"""`| regexp` and `| pattern`: labels from named parts of the line."""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.sanitise import sanitise_key
from loglane.devserver.logql.line_pattern import BadPatternError, parse_extraction_pattern
from loglane.devserver.logql.patterns import BadRegexpError, compile_pattern
from loglane.devserver.logql.stage_nodes import PatternStage, RegexpStage
from loglane.devserver.refusal import Refused

_GROUP_NAME = re.compile(r"(?<!\\)\(\?P?<([^>]+)>")


def compile_captures(stage: RegexpStage | PatternStage) -> Callable[[str, LabelSet], bool]:
    """Build the parser; it returns False when a label filter rejects the line.

    Raises:
        Refused: The expression or pattern is bad, or names nothing.
    """
    if isinstance(stage, RegexpStage):
        return _compile_regexp(stage)
    return _compile_pattern(stage)


def _compile_regexp(stage: RegexpStage) -> Callable[[str, LabelSet], bool]:
    try:
        pattern = compile_pattern(stage.pattern)
    except BadRegexpError as error:
        raise _bad_parser("regexp", str(error)) from None
    names = _GROUP_NAME.findall(stage.pattern)
    for number, name in enumerate(names):
        if name in names[:number]:
            raise _bad_parser("regexp", f"duplicate extracted label name '{name}'")
    groups = _groups(pattern)
    if not groups:
        raise _bad_parser("regexp", "at least one named capture must be supplied")

    def parse(line: str, labels: LabelSet) -> bool:
        match = pattern.search(line)
        if match is None:
            return True
        return all(
            not name or _extract(labels, name, match.group(number) or "") for number, name in groups
        )

    return parse


def _compile_pattern(stage: PatternStage) -> Callable[[str, LabelSet], bool]:
    try:
        pattern = parse_extraction_pattern(stage.pattern)
    except BadPatternError as error:
        raise _bad_parser("pattern", str(error)) from None
    names = pattern.names

    def parse(line: str, labels: LabelSet) -> bool:
        if labels.hints.skips_parser():
            return True
        found = zip(names, pattern.captures(line), strict=False)
        return all(_extract(labels, name, value) for name, value in found)

    return parse


def _groups(pattern: re2._Regexp) -> list[tuple[int, str]]:
    return sorted((number, sanitise_key(name)) for name, number in pattern.groupindex.items())


def _extract(labels: LabelSet, name: str, value: str) -> bool:
    name = labels.parsed_name(name)
    if not labels.hints.wants(name):
        return True
    labels.set_parsed(name, value)
    return labels.hints.passes(name, labels)


def _bad_parser(kind: str, reason: str) -> Refused:
    return Refused(f"parse error : invalid {kind} parser: {reason}")
