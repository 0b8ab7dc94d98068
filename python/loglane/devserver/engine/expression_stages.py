"""`| json` and `| logfmt` with expressions: chosen values under chosen names.

Source: loki: pkg/logql/log/parser.go, JSONExpressionParser and LogfmtExpressionParser.
"""

from __future__ import annotations

from collections.abc import Callable

from loglane.devserver.engine.json_paths import find_paths
from loglane.devserver.engine.json_reader import Value, unescape
from loglane.devserver.engine.json_stage import JSON_ERROR
from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.logfmt_stage import LOGFMT_ERROR, SyntaxFault, read_pairs
from loglane.devserver.engine.sanitise import sanitise_key
from loglane.devserver.logql.extraction_paths import parse_json_path, parse_logfmt_key
from loglane.devserver.logql.stage_nodes import JsonExpressionStage, LogfmtExpressionStage

_KEY_OF_NOTHING = "\0"


def compile_json_expressions(stage: JsonExpressionStage) -> Callable[[str, LabelSet], bool]:
    """Build the parser; it keeps every line. Raises BadExpressionError."""
    names = [extraction.name for extraction in stage.extractions]
    paths = [parse_json_path(extraction.expression) for extraction in stage.extractions]

    def parse(line: str, labels: LabelSet) -> bool:
        if not line or labels.hints.skips_parser():
            return True
        if line[0] not in '"{[':
            labels.add_error(JSON_ERROR)
            return True
        found = 0

        def report(number: int, value: Value | str) -> None:
            nonlocal found
            if isinstance(value, str):
                labels.set_error(JSON_ERROR, value)
                return
            labels.set_parsed(labels.parsed_name(names[number]), _json_text(value))
            found += 1

        find_paths(line, paths, report)
        if found < len(names):
            for name in names:
                if labels.get(name) is None:
                    labels.set_parsed(name, "")
        return True

    return parse


def _json_text(value: Value) -> str:
    if value.kind == "null":
        return ""
    return value.raw if value.kind == "object" else unescape(value.raw)


def compile_logfmt_expressions(stage: LogfmtExpressionStage) -> Callable[[str, LabelSet], bool]:
    """Build the parser; it keeps every line. Raises BadExpressionError."""
    # An expression of several parts is a key that no line has.
    keys = {
        extraction.name: parse_logfmt_key(extraction.expression) or _KEY_OF_NOTHING
        for extraction in stage.extractions
    }
    names = {key: name for name, key in keys.items()}

    def parse(line: str, labels: LabelSet) -> bool:
        if labels.hints.skips_parser():
            return True
        for name in keys:
            if labels.parsed_name(name) == name:
                labels.set_parsed(name, "")
        error = ""
        for pair in read_pairs(line):
            if isinstance(pair, SyntaxFault):
                error = str(pair)
                if stage.strict:
                    break
            elif not _take(pair, keys, names, labels):
                break
        if stage.strict and error:
            labels.set_error(LOGFMT_ERROR, error)
        return True

    return parse


def _take(
    pair: tuple[str, str], keys: dict[str, str], names: dict[str, str], labels: LabelSet
) -> bool:
    hints = labels.hints
    key = sanitise_key(pair[0])
    if not key or (key not in keys and not hints.wants(key)):
        return True
    key = names.get(key, key)
    if key not in keys:
        return True
    name = labels.parsed_name(key)
    if name != key and not hints.wants(name):
        # Loki leaves the rest of the line alone then.
        return False
    labels.set_parsed(name, "" if "\ufffd" in pair[1] else pair[1])
    return not hints.complete()
