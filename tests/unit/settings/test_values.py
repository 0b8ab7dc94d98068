"""What each setting takes, and what is said about the rest."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from loglane.settings.layers import Layer
from loglane.settings.loading import argument_layer, values_of


def value_of(dotted: str, value: object) -> object:
    settings = argument_layer(_nested(dotted, value)).check()
    return dict(values_of(settings))[tuple(dotted.split("."))]


def problems(dotted: str, value: object) -> list[str]:
    layer: Layer = argument_layer(_nested(dotted, value))
    layer.check()
    return [problem.message for problem in layer.problems]


def _nested(dotted: str, value: object) -> dict[str, object]:
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    ("dotted", "value", "expected"),
    [
        ("mode", " Local", "local"),
        ("format", "JSON", "json"),
        ("level.console", "WARN", "warning"),
        ("level.console", "Fatal", "critical"),
        ("level.console", 10, "debug"),
        ("level.console", 15, "info"),
        ("level.console", "50", "critical"),
        ("loggers.sql", "Info", "info"),
        ("local.max_bytes", "10MB", 10_000_000),
        ("local.max_bytes", "10 MiB", 10_485_760),
        ("local.max_bytes", "1kib", 1024),
        ("local.max_bytes", "77", 77),
        ("local.max_bytes", 0, 0),
        ("max_line_bytes", "16KB", 16_000),
        ("local.file_path", Path("x/y.log"), "x/y.log"),
        ("mask_fields", "a, !token,", ("a", "!token")),
        ("mask_fields", '["a", "b"]', ("a", "b")),
        ("mask_fields", {"b", "a"}, ("a", "b")),
        ("static.version", 1.5, "1.5"),
        ("static.build", 17, 17),
        ("static.beta", True, True),
        ("static.ratio", 0.5, 0.5),
        ("caller", "on", True),
        ("sampling.rate", "0.5", 0.5),
        ("sampling.levels.error", 1, 1.0),
        ("flow_control.window_s", 1, 1.0),
        ("loki.auth.token", "x" * 8192, "x" * 8192),
    ],
    ids=str,
)
def test_value_is_taken(dotted, value, expected):
    """A value may be written in several ways and is kept in one."""
    found = value_of(dotted, value)
    assert (type(expected), expected) == (type(found), found)


LEVELS = "is not a level: debug, info, warning, error, critical, or a number from 10 to 50"
SIZE = "is not a size; write bytes, or for example 10MB or 10MiB"
MASKS = "should be a list of names, such as [card_number, '!token']"


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        ("mode", "contaner", "'contaner' is not one of: auto, container, local; "
         "did you mean 'container'?"),
        ("format", 3, "3 is not one of: json, plain"),
        ("level.console", 5, f"5 {LEVELS}"),
        ("level.console", 60, f"60 {LEVELS}"),
        ("level.console", True, f"true {LEVELS}"),
        ("level.console", "05", f"'05' {LEVELS}"),
        ("level.console", "²", f"'²' {LEVELS}"),
        ("level.console", [1], f"a list {LEVELS}"),
        ("level.console", 10**5000, f"a huge number {LEVELS}"),
        ("level.console.x", 1, f"a map {LEVELS}"),
        ("level.consol", 1, "unknown key; did you mean 'console'?"),
        ("file_path", "x", "unknown key here; did you mean 'local.file_path'?"),
        ("processors", [], "unknown key; processors are code: give them to "
         "configure(processors=[...])"),
        ("local", "app.log", "should be a map of keys"),
        ("local.max_bytes", "10XB", f"'10XB' {SIZE}"),
        ("local.max_bytes", "10iB", f"'10iB' {SIZE}"),
        ("local.max_bytes", True, f"true {SIZE}"),
        ("local.max_bytes", -1, "-1 should be at least 0"),
        ("local.backups", True, "true should be a whole number"),
        ("local.backups", "x", "'x' should be a whole number"),
        ("local.file_path", "", "'' should have from 1 to 1024 characters"),
        ("local.file_path", "a\0", "'a\\x00' has a character that cannot be printed"),
        ("local.file_path", "~nobody-here/x", "'~nobody-here/x' has a '~' of a user without a home "
         "folder"),
        ("max_line_bytes", 511, "511 should be at least 512"),
        ("max_line_bytes", 262_145, "262145 should be at most 262144"),
        ("mask_fields", 5, f"5 {MASKS}"),
        ("mask_fields", [1], f"a list {MASKS}"),
        ("mask_fields", ["!"], "a list has '!', which is no name of a field"),
        ("static.service", 5, "5 should be a text"),
        ("static.service", "x" * 129, f"'{'x' * 56}... should be at most 128 characters long"),
        ("static.version", True, "true should be a text"),
        ("static.bad-name", 1, "'bad-name' is not a field name; use letters, digits and '_'"),
        ("static.message", 1, "'message' is written on every line already; take another name"),
        ("static.tags", ["a"], "a list should be a text, a number or a boolean"),
        ("static.ratio", float("nan"), "nan should be a text, a number or a boolean"),
        ("static.big", 2**70, "1180591620717411303424 should be a text, a number or a boolean"),
        ("static.price", Decimal(1), "a Decimal should be a text, a number or a boolean"),
        ("caller", 7, "7 should be true or false"),
        ("sampling.rate", 1.5, "1.5 should be at most 1"),
        ("sampling.rate", float("nan"), "nan should be a usual number"),
        ("sampling.levels.loud", 1, f"'loud' {LEVELS}"),
        ("sampling.levels.FATAL", 0.5, "errors are never sampled away; leave this level out"),
        ("sampling.loggers.a", "x", "'x' should be a number"),
        ("flow_control.first", 0, "0 should be at least 1"),
        ("flow_control.first", 1.5, "1.5 should be a whole number"),
        ("flow_control.window_s", 0, "0 should be greater than 0"),
        ("loki.url", "loki:3100", "'loki:3100' is not an address such as http://127.0.0.1:3100"),
        ("loki.url", "http://:p@loki", "'http://***@loki' holds more than an address; a user and "
         "a password go to `auth`"),
        ("loki.labels.trace_id", "x", "'trace_id' has too many values for a label; each would open "
         "a stream of its own"),
        ("loki.labels.level", "x", "is a label already; its value comes with the line"),
        ("loki.tenant", "a|b", "'a|b' is no tenant; use up to 150 of letters, digits and !-_.*'()"),
        ("loki.tenant", "..", "'..' is no tenant; use up to 150 of letters, digits and !-_.*'()"),
        ("loki.headers.X-A", "\u00e9", "'***' should be ASCII, as HTTP wants it"),
        ("loki.headers.X A", "b", "'X A' is not a header's name; use letters, digits and '-'"),
        ("loki.auth.token", "se\ncret", "'***' has a character that cannot be printed"),
        ("loki.auth.token", "x" * 8193, "'***' should have from 1 to 8192 characters"),
        ("loki.auth.password", 12345, "'***' should be a text"),
        ("loki.auth.username", "me", "goes with a password or a password_file"),
        ("loki.tls.key_file", "k.pem", "goes with a cert_file"),
        ("loki.batch.max_bytes", "1b", "'1b' should be at least 1024"),
    ],
    ids=lambda value: str(value)[:30] if not isinstance(value, int) else f"{value % 10**9}",
)  # fmt: skip
def test_wrong_value_is_explained(dotted, value, message):
    """Each wrong value has one message that says what would be right."""
    assert [message] == problems(dotted, value)


def test_what_is_secret_about_a_push_is_not_shown():
    """Whoever prints the settings, or has them in a traceback, shows no password."""
    auth = {"username": "me", "password": "hunter2"}
    settings = argument_layer({"loki": {"auth": auth, "headers": {"X-Key": "hunter2"}}}).check()
    assert "hunter2" == settings.loki.auth.password
    assert "hunter2" not in f"{settings} {settings!r}"
    settings = argument_layer({"loki": {"auth": {"token": "hunter2"}}}).check()
    assert "hunter2" not in f"{settings} {settings!r}"


def test_several_wrong_values_of_one_section_are_all_found():
    """A rule over a whole map does not hide the other mistakes in it."""
    layer = argument_layer(
        {
            "static": {"bad-name": 1, "message": 2, "service": "", "region": "eu"},
            "sampling": {"levels": {"error": 0, "critical": 0, "info": 3, "debug": 0.1}},
            1: 2,
        }
    )
    settings = layer.check()
    found = sorted(problem.path for problem in layer.problems)
    assert [
        "",
        "sampling.levels.critical",
        "sampling.levels.error",
        "sampling.levels.info",
        "static.bad-name",
        "static.message",
        "static.service",
    ] == found
    assert {"service": "unknown", "env": "dev", "region": "eu"} == settings.static.fields()
    assert {"debug": 0.1} == settings.sampling.levels


def test_a_map_of_too_many_keys_is_refused():
    """Nobody means a thousand loggers; checking them would take long."""
    names = {f"logger{number}": "info" for number in range(1001)}
    assert ["has over 1000 keys"] == problems("loggers", names)


def test_an_own_object_is_not_asked_for_its_repr():
    """A wrong object is named by its type, so it cannot make the message fail."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert ["a Broken should be a text"] == problems("static.env", Broken())
