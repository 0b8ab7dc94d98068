"""A log call becomes one JSON object on one line."""

from __future__ import annotations

import contextlib
import enum
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, time, timezone

import pytest
import structlog

import loglane
from loglane.errors import SpecError


@pytest.fixture
def lines(capfd):
    """Return a function that parses what was written to stdout; structlog is reset afterwards."""
    yield lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    structlog.reset_defaults()
    loglane.clear_context()


def test_line_has_the_contracts_fields_and_the_callers(lines):
    """The own fields come first, then the context, then what the call gives."""
    loglane.configure(service="orders", env="prod")
    loglane.bind_context(trace_id="t1")
    before = datetime.now(timezone.utc)
    loglane.get_logger("shop.orders").bind(user_id=7).info("order_created", total=1.5)
    (line,) = lines()
    at = datetime.strptime(line.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert before <= at <= datetime.now(timezone.utc)
    expected = {
        "level": "info",
        "message": "order_created",
        "logger": "shop.orders",
        "service": "orders",
        "env": "prod",
        "trace_id": "t1",
        "user_id": 7,
        "total": 1.5,
    }
    assert list(expected.items()) == list(line.items())


def test_logger_is_named_after_the_callers_module(lines):
    """Without a name, the logger is the module that asked for it."""
    loglane.configure()
    loglane.get_logger().info("x")
    assert [__name__] == [line["logger"] for line in lines()]


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", "debug"), ("info", "info"), ("warning", "warning"), ("warn", "warning"),
     ("error", "error"), ("exception", "error"), ("critical", "critical"), ("fatal", "critical")],
)  # fmt: skip
def test_level_is_one_of_the_contract(lines, method, level):
    """Each method writes its level by the contract's name."""
    loglane.configure(level="debug")
    getattr(loglane.get_logger("x"), method)("m")
    assert [level] == [line["level"] for line in lines()]


def test_lines_below_the_level_are_not_written(lines):
    """The level is a threshold."""
    loglane.configure(level="WARNING")
    log = loglane.get_logger("x")
    log.info("no")
    log.warning("yes")
    assert ["yes"] == [line["message"] for line in lines()]


def test_exception_is_one_string_without_locals(lines):
    """A traceback is in the line, escaped; local variables are not."""
    loglane.configure()
    password = "hunter2"
    try:
        raise ValueError(f"length {len(password)}")
    except ValueError:
        loglane.get_logger("x").exception("failed")
    (line,) = lines()
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: length 7")
    assert "hunter2" not in line["exception"]


@pytest.mark.parametrize("given", [("a", "b", "c"), (None, None, None), ("a",)], ids=str)
def test_exc_info_that_is_none_is_left_out(lines, given):
    """What is no exception gives no traceback and no error."""
    loglane.configure()
    loglane.get_logger("x").error("failed", exc_info=given)
    assert "exception" not in lines()[0]


def test_exception_given_as_an_object_is_written(lines):
    """`exc_info=error` works outside an except block."""
    loglane.configure()
    loglane.get_logger("x").error("failed", exc_info=KeyError("k"))
    assert "KeyError: 'k'" == lines()[0]["exception"]


def test_a_field_named_like_an_own_one_is_kept_beside_it(lines):
    """A caller's `level` does not change the line's level."""
    loglane.configure(service="orders")
    loglane.get_logger("x").info("m", level="high", service="other")
    (line,) = lines()
    assert ("info", "high", "orders", "other") == (
        line["level"],
        line["level_"],
        line["service"],
        line["service_"],
    )


def test_a_stdout_that_logs_does_not_go_on_for_ever(lines):
    """A stream that logs what is written to it gets the line once."""
    loglane.configure()
    log = loglane.get_logger("x")

    class Logging(io.StringIO):
        def write(self, text):
            log.info("written")
            return super().write(text)

    text = Logging()
    with contextlib.redirect_stdout(text):
        log.info("m")
    assert ["m"] == [json.loads(line)["message"] for line in text.getvalue().splitlines()]


@dataclass
class _Record:
    value: object


class _Number(enum.Enum):
    HUGE = 2**70


class _Mapping(dict):
    def items(self):
        raise RuntimeError("no")


class _Surrogate:
    def __repr__(self):
        return "\ud800"


def _family():
    node = {"children": []}
    for _ in range(20):
        node["children"].append({"parent": node})
    return node


class _Broken:
    def __repr__(self):
        raise RuntimeError("no")


def _cycle():
    items = [1]
    items.append(items)
    return items


def _deep():
    value = []
    for _ in range(5000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [10**30, {1, 2}, {3: "x"}, {(1, 2): 3}, "\ud800", b"x", object, ValueError("x"), float("nan"),
     1 + 2j, [float("inf"), 2**70, {"\ud800": None}], _Broken(), _cycle(), _deep(), _family(),
     _Record(2**70), _Record("\ud800"), [_Record({1: 2}), 2**70], _Number.HUGE, _Surrogate(),
     {frozenset({1}): 2}, _Record({frozenset({1}), "a"}), time(9, tzinfo=timezone.utc)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_any_value_gives_one_valid_line(lines, value):
    """What JSON has no form for is written in another way, and the line stays one line."""
    loglane.configure()
    loglane.get_logger("x").info("m", value=value, at=datetime(2026, 1, 1))
    (line,) = lines()
    assert ("m", "2026-01-01T00:00:00") == (line["message"], line["at"])


def test_a_container_that_raises_still_gives_a_line(lines):
    """When a value cannot even be walked, every field is written as text."""
    loglane.configure()
    loglane.get_logger("x").info("m", value=_Mapping(a=2**70))
    (line,) = lines()
    assert ("m", f"{{'a': {2**70}}}") == (line["message"], line["value"])


def test_a_text_stream_in_stdouts_place_gets_the_lines(lines):
    """Redirected output is written to what took stdout's place."""
    loglane.configure()
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        loglane.get_logger("x").info("m")
    assert "m" == json.loads(text.getvalue())["message"]


def test_a_closed_stdout_does_not_reach_the_app():
    """Writing to a stdout that is gone drops the line and raises nothing."""
    code = (
        "import loglane, os, sys\nloglane.configure()\nlog = loglane.get_logger('x')\n"
        "sys.stdout.close()\nlog.info('m')\nsys.stdout = None\nlog.info('m')\nos._exit(7)"
    )
    assert 7 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_settings_come_from_arguments_before_the_environment(monkeypatch):
    """Arguments win over environment variables, and those over defaults."""
    monkeypatch.setenv("LOGLANE_STATIC__SERVICE", "from-env")
    monkeypatch.setenv("LOGLANE_STATIC__ENV", "staging")
    monkeypatch.setenv("LOGGING_LEVEL", "ERROR")
    settings = loglane.configure(service="given")
    structlog.reset_defaults()
    found = settings.static.service, settings.static.env, settings.level
    assert ("given", "staging", "error") == found


def test_a_section_that_is_no_json_is_one_clear_error(monkeypatch):
    """LOGLANE_STATIC holds JSON, if anything."""
    monkeypatch.setenv("LOGLANE_STATIC", "abc")
    with pytest.raises(SpecError, match="LOGLANE_STATIC__SERVICE"):
        loglane.configure()


def test_wrong_settings_are_reported_together(monkeypatch):
    """Every wrong value is named."""
    monkeypatch.setenv("LOGGING_LEVEL", "loud")
    with pytest.raises(SpecError) as caught:
        loglane.configure(service="")
    assert 2 == len(caught.value.problems)
    assert "'loud'" in str(caught.value)
