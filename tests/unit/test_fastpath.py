"""The short way and the long way write the same line."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import loglane
from loglane import logger
from loglane.engine import Engine
from loglane.entry import Entry
from loglane.fastpath import Parts, make_method
from loglane.generation import Generation
from loglane.settings import load_settings
from loglane.testing import LogCapture

SETTINGS = load_settings({"service": "orders", "env": "prod"}, environ={}).settings

names = st.one_of(
    st.sampled_from(["a", "b", "user_id", "password", "level", "message", "service", "exc_info"]),
    st.text(max_size=8),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["GET", "/items/{id}", "12:30:00", "a b c", "x=1", "password=hunter2", "Bearer abcdefgh",
         "https://u:p@h/x", "a@b.example", "null", "\u2028", "\x85", "\ud800", "日志", "[1]",
         '{"token": "x"}', "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "\n", '"', "\\"]
    ),
)  # fmt: skip
values = st.one_of(
    texts,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), texts, max_size=2),
    st.binary(max_size=4),
)
fields = st.dictionaries(names, values, max_size=4)


def unused(*_args, **_fields):
    raise AssertionError("there is no later generation")


def method_of(engine):
    return make_method(Parts(engine), "info", Generation(), unused)


class _Both:
    """An engine whose lines are kept, and the two ways into it."""

    def __init__(self) -> None:
        self.capture = LogCapture()
        self.engine = Engine(SETTINGS, True, stdout=self.capture)
        self.short = method_of(self.engine)

    def lines(self, log, event, args, given_fields) -> list[dict[str, object]]:
        self.capture.clear()
        self.short(log, event, *args, **given_fields)
        self.engine.emit(Entry("info", log.name, event, args, given_fields, log.frame.fields))
        found = self.capture.entries
        for line in found:
            del line["timestamp"]
        return found


BOTH = _Both()


@given(event=texts, call=fields, bound=fields, context=fields, args=st.lists(values, max_size=2))
@example(event="", call={}, bound={}, context={}, args=[])
@example(event="m", call={}, bound={"a": 1}, context={"b": 2}, args=[])
@example(event="m", call={"a": 1}, bound={"a": 2}, context={"a": 3}, args=[])
@example(event="m", call={"a": math.nan}, bound={}, context={}, args=[])
def test_both_ways_write_the_same_line(event, call, bound, context, args):
    """For any message, arguments, fields of the call, the logger and the context."""
    log = logger.Logger("shop", bound)
    with loglane.bound(**context):
        short, long = BOTH.lines(log, event, tuple(args), call)
    assert long == short
    assert list(long) == list(short)


@pytest.fixture
def emitted(monkeypatch):
    """Count the lines that go the long way."""
    count = []
    emit = BOTH.engine.emit
    monkeypatch.setattr(Engine, "emit", lambda _engine, entry: (count.append(entry), emit(entry)))
    engine = Engine(SETTINGS, True, stdout=LogCapture())
    return count, method_of(engine), engine.outputs.stdout


def test_plain_lines_go_the_short_way(emitted):
    """Words, numbers, sentences, times and a context do not need the long way."""
    count, method, capture = emitted
    log = logger.Logger("shop", {"bound": 1})
    with loglane.bound(trace_id="t1"):
        method(log, "order_created", order_id=17, total=1.5, user="u-17", paid=True)
        method(log, "a sentence with words", at="12:30:00", text="two words", name="日志")
        method(log, "no fields")
    assert (0, 3) == (len(count), len(capture.entries))


def test_caches_are_bounded():
    """A flood of different names and messages does not grow memory."""
    engine = Engine(SETTINGS, True, stdout=LogCapture())
    parts = Parts(engine)
    method = make_method(parts, "info", Generation(), unused)
    log = logger.Logger("shop")
    for number in range(10_000):
        method(log, f"message {number}", **{f"name{number}": number})
        with loglane.bound(**{f"context{number}": number}):
            method(log, "m")
    assert len(parts.free) <= 4096
    assert len(parts._bound) <= 4096 + 1
    sizes = [len(c.cell_contents) for c in method.__closure__ if type(c.cell_contents) is dict]
    assert max(sizes) <= 4096
    assert 20_000 == len(engine.outputs.stdout.entries)


def test_a_line_is_valid_json_as_python_and_orjson_read_it():
    """Two parsers agree."""
    BOTH.capture.clear()
    BOTH.short(logger.Logger("shop"), 'a "quoted"\nmessage', text="\u00e9\t\\")
    (line,) = BOTH.capture.lines
    assert json.loads(line) == orjson.loads(line)
    assert line.count(b"\n") == 1
