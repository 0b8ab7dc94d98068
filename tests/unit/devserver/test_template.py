"""Templates of `line_format` and `label_format`."""

from __future__ import annotations

import pytest

from loglane.devserver.refusal import Refused
from loglane.devserver.template import Template, TemplateError, TemplateRunError

_LABELS = {"app": "api", "status": "500", "message": "two words", "empty": ""}


def _render(text: str, line: str = '{"a":[1,"x",null]}') -> str:
    return Template(text, "line").render(_LABELS, line, 1_700_000_000_123_456_789)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("text", "text"),
        ("{{.app}}-{{.absent}}!", "api-!"),
        ("a {{- .app -}} b", "aapib"),
        ("{{/* note */}}x", "x"),
        ("{{.message | replace ` ` `_` | upper}}", "TWO_WORDS"),
        ("{{if eq .app `x`}}1{{else if .empty}}2{{else}}3{{end}}", "3"),
        ("{{with .message}}{{.}}{{else}}none{{end}}", "two words"),
        ("{{with .empty}}{{.}}{{else}}none{{end}}", "none"),
        ("{{range $i, $v := (fromJson __line__).a}}{{$i}}={{$v}};{{end}}", "0=1;1=x;2=<no value>;"),
        ("{{range 5}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}", "012"),
        ("{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}", "02"),
        ("{{range fromJson `[]`}}x{{else}}none{{end}}", "none"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{add .status 1 2}} {{div 7 2}} {{mod -7 3}}", "503 3 -1"),
        ("{{divf 1 3}} {{addf 0.1 0.2}} {{round 2.345 2}}", "0.3333333333333333 0.3 2.35"),
        ("{{1e6}} {{123456.0}} {{0.00001}}", "1e+06 123456 1e-05"),
        ("{{printf `%-5s|%05d|%.1f|%q` .app 42 1.25 `a`}}", 'api  |00042|1.2|"a"'),
        ("{{__timestamp__ | date `2006-01-02T15:04:05.000Z07:00`}}", "2023-11-14T22:13:20.123Z"),
        ("{{toDate `2006-01-02` `2021-11-02` | unixEpoch}}", "1635811200"),
        ("{{toDateInZone `15:04 2006-01-02` `Europe/Berlin` `12:30 2026-07-01` | unixEpoch}}",
         "1782901800"),
        ("{{toDate `2006-01-02` `2021-11-00` | unixEpoch}}", "-62135596800"),
        ("{{toDate `Mon 2 Jan 2006` `Fri 2 Nov 2021` | unixEpoch}}", "1635811200"),
        ("{{regexReplaceAll `(\\w+) (\\w+)` .message `$2 ${1}s`}}", "words twos"),
        ("{{and 1 0 `x`}} {{or 0 `` `y`}} {{not .empty}}", "0 y true"),
        ("{{fromJson `{\"b\":1,\"a\":{}}`}} {{fromJson `no`}}", "map[a:map[] b:1] <no value>"),
    ],
)  # fmt: skip
def test_template_is_rendered(text: str, expected: str) -> None:
    """A template makes of labels and line what Go makes of them."""
    assert expected == _render(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{", "template: line:1: unclosed action"),
        ("a\n{{.b", "template: line:2: unclosed action"),
        ("{{foo}}", 'template: line:1: function "foo" not defined'),
        ("{{if .a}}", "template: line:1: unexpected EOF"),
        ("{{end}}", "template: line:1: unexpected {{end}}"),
        ("{{$x}}", 'template: line:1: undefined variable "$x"'),
        ("{{(.a}}", "template: line:1: unclosed left paren"),
        ("{{1 | 2}}", "template: line:1: non executable command in pipeline stage 2"),
    ],
)
def test_bad_template_is_refused_in_the_words_of_go(text: str, reason: str) -> None:
    """People know these texts, and search for them."""
    with pytest.raises(TemplateError) as caught:
        Template(text, "line")
    assert reason == str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{div 1 0}}", "1:2: executing \"line\" at <div 1 0>: error calling div: "
         "runtime error: integer divide by zero"),
        ("é\né{{.app.x}}", "2:8: executing \"line\" at <.app.x>: "
         "can't evaluate field x in type string"),
        ("{{lower 5}}", "1:8: executing \"line\" at <5>: expected string; found 5"),
        ("{{lower (add 1 2)}}", "1:15: executing \"line\" at <2>: "
         "wrong type for value; expected string; got int64"),
        ("{{lower .app .app}}", "1:2: executing \"line\" at <lower>: "
         "wrong number of args for lower: want 1 got 2"),
        ("{{eq .status 500}}", "1:2: executing \"line\" at <eq .status 500>: error calling eq: "
         "incompatible types for comparison: string and int"),
    ],
)  # fmt: skip
def test_failing_template_says_where_in_the_words_of_go(text: str, reason: str) -> None:
    """The text is in the label `__error_details__`; columns count bytes."""
    with pytest.raises(TemplateRunError) as caught:
        _render(text)
    assert f"template: line:{reason}" == str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{define `x`}}y{{end}}",
        "{{template `x`}}",
        "{{slice .app 1}}",
        "{{call .app}}",
        "{{1i}}",
        "{{if true}}" * 100 + "{{end}}" * 100,
        "{{" + "(" * 100 + "1" + ")" * 100 + "}}",
    ],
    ids=["define", "template", "slice", "call", "imaginary", "nested-ifs", "nested-parentheses"],
)
def test_what_is_not_known_is_refused_while_it_is_parsed(text: str) -> None:
    """Nothing is answered that might be wrong."""
    with pytest.raises(Refused, match="not supported by the development server"):
        Template(text, "line")


@pytest.mark.parametrize(
    "text",
    [
        "{{trunc 1 `é`}}",
        "{{__timestamp__.Year}}",
        "{{(toDate `2006` `2020`).Unix}}",
        "{{repeat 1000000 .message}}",
        "{{range 1000000}}{{$.message}}{{end}}",
        "{{printf `%c` 65}}",
    ],
    ids=["half-a-character", "field-of-time", "method", "long", "endless", "verb"],
)
def test_what_is_not_known_is_refused_while_it_runs(text: str) -> None:
    """Where only the values show it, the line refuses the query; none takes memory for ever."""
    with pytest.raises(Refused, match="not supported by the development server"):
        _render(text)


def test_fields_are_all_labels_that_a_template_may_read() -> None:
    """A metric query parses a line for these labels only."""
    text = "{{if .a}}{{.b | replace .c `x`}}{{else}}{{with (lower .d)}}{{.e}}{{end}}{{end}}{{$.f}}"
    assert Template(text, "line").fields == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("text", "expected"), [("{{.a}}", "a"), ("{{ .a }} ", None), ("{{.a.b}}", None), ("x", None)]
)
def test_field_alone_is_known(text: str, expected: str | None) -> None:
    """Loki has a shortcut for a template that is nothing but one label."""
    assert expected == Template(text, "line").simple_field
