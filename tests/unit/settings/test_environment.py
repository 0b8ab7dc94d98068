"""Settings from environment variables."""

from __future__ import annotations

import pytest

from loglane.settings.environment import environment_layer
from loglane.settings.layers import nested


def given(**environ: str):
    layer = environment_layer(environ)
    layer.check()
    assert [] == layer.problems
    return nested(layer.leaves)


def problems(**environ: str) -> list[tuple[str, str]]:
    layer = environment_layer(environ)
    layer.check()
    return [(problem.path, problem.message) for problem in layer.problems]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LOGGING_MODE", "local", {"mode": "local"}),
        ("LOGGING_FORMAT", "json", {"format": "json"}),
        ("LOGGING_LEVEL", "info", {"level": {"console": "info", "file": "info"}}),
        ("LOGLANE_LEVEL", "20", {"level": {"console": "20", "file": "20"}}),
        ("LOGLANE_LEVEL", '{"file": "info"}', {"level": {"file": "info"}}),
        ("LOGLANE_LEVEL__FILE", "info\r\n", {"level": {"file": "info"}}),
        ("LOGLANE_CALLER", "true", {"caller": "true"}),
        ("LOGLANE_STATIC__REGION", "eu", {"static": {"region": "eu"}}),
        ("LOGLANE_STATIC", '{"service": "a", "n": 1}', {"static": {"service": "a", "n": 1}}),
        ("LOGLANE_LOGGERS__UVICORN__ACCESS", "error", {"loggers": {"uvicorn.access": "error"}}),
        ("LOGLANE_LOGGERS", '{"PIL.Image": "info"}', {"loggers": {"PIL.Image": "info"}}),
        ("LOGLANE_SAMPLING__LOGGERS__A__B", "0.5", {"sampling": {"loggers": {"a.b": "0.5"}}}),
        ("LOGLANE_FLOW_CONTROL__WINDOW_S", "5", {"flow_control": {"window_s": "5"}}),
        ("LOGLANE_MASK_FIELDS", "a,b", {"mask_fields": "a,b"}),
    ],
)
def test_a_variable_names_a_key(name, text, expected):
    """`__` stands between sections; a section alone takes a JSON object."""
    assert expected == given(**{name: text})


def test_the_more_specific_variable_wins():
    """A key's own variable beats its section's, and that the short name."""
    assert {"level": {"console": "info", "file": "error"}, "mode": "local"} == given(
        LOGLANE_LEVEL__FILE="error",
        LOGLANE_LEVEL="info",
        LOGGING_LEVEL="debug",
        LOGLANE_MODE="local",
        LOGGING_MODE="auto",
    )


def test_variables_of_others_are_ignored():
    """Empty ones, and what Kubernetes sets for a service of that name, are not ours."""
    assert {} == given(
        LOGLANE_PORT="tcp://10.0.0.1:80",
        LOGLANE_SERVICE_HOST="10.0.0.1",
        LOGLANE_TEST_LOKI_URL="http://x",
        LOGLANE_CONFIG="x.yaml",
        LOGGING_LEVEL=" ",
        LOGLANE_FOO__BAR="",
        MY_LOGLANE_MODE="x",
        LOGGING_OTHER="x",
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("LOGLANE_LEVEL__CONSOL", "info", "unknown key; did you mean LOGLANE_LEVEL__CONSOLE?"),
        ("LOGLANE__LEVEL", "info", "unknown key; did you mean LOGLANE_LEVEL?"),
        ("LOGLANE_QUX__BAR", "1", "unknown key"),
        ("LOGLANE_MODE__X__Y", "1", "unknown key; did you mean LOGLANE_MODE?"),
        ("LOGLANE_LOGGERS", "a=b", "should be a JSON object; or set LOGLANE_LOGGERS__NAME and its "
         "like one by one"),
        ("LOGLANE_STATIC", "[1]", "should be a JSON object; or set LOGLANE_STATIC__SERVICE and its "
         "like one by one"),
        ("LOGLANE_LEVEL", "[" * 100_000, "'" + "[" * 56 + "... is not a level: debug, info, "
         "warning, error, critical, or a number from 10 to 50"),
        ("LOGLANE_LOCAL", '{"x":' * 100_000, "should be a JSON object; or set "
         "LOGLANE_LOCAL__FILE_ENABLED and its like one by one"),
        ("LOGLANE_CAPTURE", '{"x": 1}', "unknown key; known here: logging, warnings, exceptions"),
        ("LOGLANE_CAPTURE__LOGGING", "maybe", "'maybe' should be true or false"),
        ("LOGLANE_STATIC__SERVICE", "a\udcff", "'a\\udcff' has a character that cannot be printed"),
        ("LOGLANE_STATIC__LEVEL", "x", "'level' is written on every line already; "
         "take another name"),
        ("LOGLANE_MASK_FIELDS", "[a", "'[a' should be a list of names, such as "
         "[card_number, '!token']"),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_a_wrong_variable_is_named(name, text, message):
    """The problem carries the variable's name."""
    assert [(name, message)] == problems(**{name: text})
