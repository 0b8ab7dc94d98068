"""Parsers and label filters on one line."""

from __future__ import annotations

import pytest

from loglane.devserver.engine.labels import LabelSet
from loglane.devserver.engine.pipeline import Pipeline, log_pipeline, metric_pipeline
from loglane.devserver.logql import parse
from loglane.devserver.logql.nodes import Grouping, LogQuery
from loglane.devserver.refusal import Refused

_NO_CLOSING_BRACE = "Value looks like object, but can't find closing '}' symbol"
_ERROR = {"__error__": "JSONParserErr", "__error_details__": _NO_CLOSING_BRACE}


def _stages(text: str) -> LogQuery:
    query = parse(f'{{app="a"}} {text}')
    assert isinstance(query, LogQuery)
    return query


def _run(
    pipeline: Pipeline, line: str, metadata: dict[str, str] | None = None
) -> dict[str, str] | None:
    labels = LabelSet({"app": "a"}, pipeline.hints)
    labels.reset(metadata or {})
    kept = pipeline.process(0, line, labels) is not None
    return labels.categorised().parsed if kept else None


def _parsed(text: str, line: str, metadata: dict[str, str] | None = None) -> dict[str, str] | None:
    return _run(log_pipeline(_stages(text).stages), line, metadata)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param('{"a":"b"}', {"a": "b"}, id="string"),
        pytest.param('{"a":1.50,"b":1e3}', {"a": "1.50", "b": "1e3"}, id="number-as-written"),
        pytest.param('{"a":true,"b":null,"c":[1]}', {"a": "true"}, id="null-and-list-left-out"),
        pytest.param('{"a":{"b":{"c":1}}}', {"a_b_c": "1"}, id="nested"),
        pytest.param('{"1 a.b":1}', {"_1_a_b": "1"}, id="sanitised"),
        pytest.param('{"a":1,"a":2}', {"a": "1"}, id="first-wins"),
        pytest.param('{"app":1}', {"app_extracted": "1"}, id="stream-label-stays"),
        pytest.param('{"id":1}', {"id_extracted": "1"}, id="metadata-stays"),
        pytest.param('{"a":"\\u00e9\\n\\ud83d\\ude00"}', {"a": "é\n😀"}, id="escapes"),
        pytest.param('{"a":"\\x"}', {"a": ""}, id="invalid-escape-empties"),
        pytest.param('{"a":"\\ud83d"}', {"a": ""}, id="lone-surrogate-empties"),
        pytest.param('{"a":1} trailing', {"a": "1"}, id="trailing-text"),
        pytest.param("{}", {}, id="empty"),
    ],
)
def test_json_sets_labels(line: str, expected: dict[str, str]) -> None:
    """Every value of the object becomes a label, nested names joined by an underscore."""
    assert _parsed("| json", line, {"id": "m"}) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("text", _ERROR, id="no-object"),
        pytest.param("[1]", _ERROR, id="list"),
        pytest.param("", _ERROR, id="empty"),
        pytest.param(
            '{"a":1,"b":',
            {
                "a": "1",
                "__error__": "JSONParserErr",
                "__error_details__": "Malformed JSON error",
            },
            id="labels-before-the-error-stay",
        ),
        pytest.param(
            '{"a":nope}',
            {"__error__": "JSONParserErr", "__error_details__": "Unknown value type"},
            id="unknown-value",
        ),
    ],
)
def test_json_error_is_a_label(line: str, expected: dict[str, str]) -> None:
    """A line that is no object keeps what was read, and gets `__error__`."""
    assert _parsed("| json", line) == expected


def test_json_nested_too_deep_is_refused() -> None:
    """Depth is bounded, so a line cannot exhaust the stack."""
    with pytest.raises(Refused, match="nested"):
        _parsed("| json", '{"a":' * 5000 + "1" + "}" * 5000)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        pytest.param("| logfmt", 'a=1 b="x y" c', {"a": "1", "b": "x y"}, id="pairs"),
        pytest.param("| logfmt --keep-empty", "a= b", {"a": "", "b": ""}, id="keep-empty"),
        pytest.param("| logfmt", r'a="q\"\u00e9\n"', {"a": 'q"é\n'}, id="escapes"),
        pytest.param("| logfmt", "a=1 =x b=2=3 c=4", {"a": "1", "c": "4"}, id="bad-pairs-skipped"),
        pytest.param("| logfmt", 'a=1 b="x', {"a": "1"}, id="unterminated"),
        pytest.param(
            "| logfmt --strict",
            "a=1 =x b=2",
            {
                "a": "1",
                "__error__": "LogfmtParserErr",
                "__error_details__": "logfmt syntax error at pos 5 : unexpected '='",
            },
            id="strict",
        ),
    ],
)
def test_logfmt_sets_labels(text: str, line: str, expected: dict[str, str]) -> None:
    """Pairs become labels; only `--strict` reports what is no pair."""
    assert _parsed(text, line) == expected


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ('level="error"', True),
        ('level!="error"', False),
        ('absent=""', True),
        ("status >= 500", True),
        ("status = 500", True),
        ("status != 500", False),
        ("absent > 1", False),
        ("took > 1s", True),
        ("took > 2s", False),
        ("size >= 2KB", True),
        ("size > 2KiB", False),
        ('level="x" or status > 1', True),
        ('level="x" and status > 1', False),
        ('level="error", (status < 1 or took > 1ms)', True),
    ],
)
def test_label_filter_keeps_or_drops_the_line(condition: str, kept: bool) -> None:
    """A condition on parsed labels decides about the line."""
    line = '{"level":"error","status":500,"took":"1.5s","size":"2KB"}'
    assert (_parsed(f"| json | {condition}", line) is not None) is kept


def test_comparison_with_text_sets_an_error_and_keeps_the_line() -> None:
    """A label that is no number gives `LabelFilterErr`, and the line stays."""
    assert _parsed("| json | a > 1", '{"a":"x"}') == {
        "a": "x",
        "__error__": "LabelFilterErr",
        "__error_details__": 'strconv.ParseFloat: parsing "x": invalid syntax',
    }


def test_filter_before_a_parser_also_rejects_what_the_parser_finds() -> None:
    """A filter on a label runs again as soon as a parser sets that label, as in Loki."""
    assert _parsed('| a="" | json', '{"a":"x"}') is None


def test_drop_and_keep_change_labels() -> None:
    """`drop` removes labels by name or value, `keep` all others."""
    assert _parsed('| json | drop a, b="1"', '{"a":1,"b":1,"c":1}') == {"c": "1"}
    assert _parsed('| json | keep a, b="2"', '{"a":1,"b":1,"c":1}') == {"a": "1"}


def test_metric_query_parses_only_what_it_groups_by() -> None:
    """A sum that needs no label parses nothing, so a broken line gives it no error."""
    stages = _stages("| json").stages
    assert _run(metric_pipeline(stages, Grouping()), "broken") == {}
    by_level = metric_pipeline(stages, Grouping(("level",)))
    assert _run(by_level, '{"level":"x","a":1') == {"level": "x"}
    assert _run(metric_pipeline(stages, None), "broken") == _ERROR
