"""Lines for a person at a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time

import pytest

from loglane.sinks.console import ConsoleSink

RECORD = {
    "timestamp": "2026-11-21T21:30:00.123456Z",
    "level": "info",
    "message": "order created",
    "logger": "shop.orders",
    "service": "orders",
    "env": "dev",
}


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch):
    """No variable of the machine decides about colours, and local time is two hours from UTC."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TZ", "XYZ-2")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


class _Terminal(io.StringIO):
    """Says that it is a terminal, and keeps each write apart."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def isatty(self):
        return True

    def write(self, text):
        self.writes.append(text)
        return super().write(text)


def _written(record, sink=None, out=None, **given):
    out = io.StringIO() if out is None else out
    with contextlib.redirect_stdout(out):
        (sink or ConsoleSink(colors=False)).write(record, **given)
    return out.getvalue()


def test_line_has_time_level_message_logger_and_fields():
    """Service and environment are left out, the time is local."""
    line = _written({**RECORD, "order_id": 7, "total": 99.5})
    expected = (
        "23:30:00.123 INFO     order created                  [shop.orders] order_id=7 total=99.5\n"
    )
    assert expected == line


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain", "plain"), ("/a?b=c", "/a?b=c"), ("two words", '"two words"'), ("", '""'),
     ('say "x"', r'"say \"x\""'), ("a\nb", r'"a\nb"'), (True, "true"), (None, "null"),
     (1.5, "1.5"), (2**70, str(2**70)), ([1, {"a": "b"}], '[1,{"a":"b"}]'), ("é", "é"),
     ({"x": "\x9b"}, r'{"x":"\x9b"}'), ({"x": "\ud800"}, r'{"x":"\ud800"}'),
     ({1: {2}}, '{"1":"{2}"}')],
    ids=repr,
)  # fmt: skip
def test_values_are_short_and_their_end_is_seen(value, expected):
    """Texts without spaces are bare, everything else is compact JSON."""
    assert _written({**RECORD, "k": value}).endswith(f"[shop.orders] k={expected}\n")


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2J", "\r", "\b", "\x7f", "\x9b31m", "\x00", "\x85", "\u2028",
     "\u202e", "\u2066", "\u061c"],
    ids=ascii,
)  # fmt: skip
def test_nothing_acts_on_the_terminal(hostile):
    """Control characters and turns of direction are shown as escapes, wherever they are."""
    record = {
        "timestamp": f"t{hostile}",
        "level": f"l{hostile}",
        "message": f"m{hostile}",
        "logger": f"n{hostile}",
        f"k{hostile}": f"v{hostile}",
        "nested": {f"k{hostile}": [f"v{hostile}"]},
        "exception": f"e{hostile}",
        "stack": f"s{hostile}",
    }
    line = _written(record)
    assert hostile not in line
    assert "".join(character for character in line if not character.isprintable()) == "\n\n\n"


def test_a_line_break_in_a_message_cannot_begin_a_line():
    """What follows is indented and marked, so that it does not look like a line of its own."""
    line = _written({**RECORD, "message": "one\n23:30:00.123 INFO fake\n"})
    expected = "23:30:00.123 INFO     one\n    | 23:30:00.123 INFO fake [shop.orders]\n"
    assert expected == line


def test_exception_and_stack_are_indented_below():
    """The text of the record is shown when there is nothing to draw."""
    text = _written({**RECORD, "stack": "Stack:\n  a", "exception": "Traceback:\n  b\nKeyError"})
    assert [
        "    Stack:", "      a", "    Traceback:", "      b", "    KeyError",
    ] == text.splitlines()[1:]  # fmt: skip


def test_a_record_without_the_own_fields_is_still_a_line():
    """A user's processor may have taken fields away."""
    assert _written({"k": 1}).endswith(" k=1\n")


def test_a_time_of_another_form_is_shown_as_it_is():
    """A user's processor may have changed it."""
    assert _written({**RECORD, "timestamp": "noon"}).startswith("noon INFO ")


def test_a_line_is_one_write():
    """Lines of several processes do not run into each other."""
    out = _Terminal()
    _written({**RECORD, "exception": "a\nb"}, out=out)
    assert 1 == len(out.writes)


@pytest.mark.parametrize(
    ("variables", "is_terminal", "expected"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False),
     ({"NO_COLOR": ""}, True, True), ({"FORCE_COLOR": "1"}, False, True),
     ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True), ({"TERM": "dumb"}, True, False),
     ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False)],
    ids=str,
)  # fmt: skip
def test_colors_follow_the_terminal_and_the_environment(
    monkeypatch, variables, is_terminal, expected
):
    """NO_COLOR wins over FORCE_COLOR, and that over what stdout is."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = _Terminal() if is_terminal else io.StringIO()
    assert expected == ("\x1b[" in _written(RECORD, ConsoleSink(), out))


def test_each_new_stdout_decides_about_colors():
    """One sink writes colours to a terminal and none to what takes its place."""
    sink = ConsoleSink()
    found = ["\x1b[" in _written(RECORD, sink, out) for out in (_Terminal(), io.StringIO())]
    assert [True, False] == found


def test_without_colors_the_line_says_the_same():
    """Colours add escapes and change nothing else."""
    import re

    record = {**RECORD, "level": "critical", "k": "two words"}
    colored = _written(record, ConsoleSink(colors=True))
    assert _written(record) == re.sub(r"\x1b\[[\d;]*m", "", colored)


def test_a_terminal_of_few_characters_gets_escapes():
    """An ASCII terminal shows what it has no sign for as an escape."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    with contextlib.redirect_stdout(out):
        ConsoleSink(colors=False).write({**RECORD, "message": "größe 😀", "k": "ü"})
    assert b"gr\\xf6\\xdfe \\U0001f600" in raw.getvalue()
    assert b"k=\\xfc\n" in raw.getvalue()


class _Broken(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError


def _closed():
    out = io.StringIO()
    out.close()
    return out


@pytest.mark.parametrize("out", [_Broken(), _closed(), None, object()], ids=repr)
def test_a_broken_stdout_is_counted(monkeypatch, out):
    """Nothing is raised, and the next stdout gets its lines."""
    sink = ConsoleSink()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        sink.write(RECORD)
    assert (1, True) == (sink.dropped, "order created" in _written(RECORD, sink))


def test_a_stdout_that_logs_does_not_go_on_for_ever():
    """Its own line follows, once, and what it logs of that is dropped."""
    sink = ConsoleSink(colors=False)

    class Logging(io.StringIO):
        def write(self, text):
            sink.write(RECORD)
            return super().write(text)

    assert (2, 1) == (_written(RECORD, sink, Logging()).count("\n"), sink.dropped)


def test_lines_of_threads_stay_whole(capsys):
    """Four threads write whole lines, and all of them."""
    sink = ConsoleSink()

    def work(name):
        for number in range(100):
            sink.write({**RECORD, "id": f"{name}{number}"})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(line.partition("id=")[2] for line in capsys.readouterr().out.splitlines())
    assert sorted(f"{name}{number}" for name in "abcd" for number in range(100)) == found


def test_a_forked_child_has_a_free_lock():
    """A lock that another thread held at the fork does not stop the child."""
    sink = ConsoleSink(colors=False)
    held = threading.Thread(target=sink._lock.acquire)
    held.start()
    held.join()
    sink.start_child()
    assert "order created" in _written(RECORD, sink)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_real_terminal_gets_colors():
    """On a pseudo-terminal the level has its colour."""
    try:
        master, slave = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal here ({error}): mount devpts on /dev/pts")
    with os.fdopen(slave, "w") as out, contextlib.redirect_stdout(out):
        ConsoleSink().write(RECORD)
        found = os.read(master, 4096)
    os.close(master)
    assert b"\x1b[32mINFO    \x1b[0m" in found


def test_ids_come_last():
    """They are long and alike; what the line says stands before them."""
    sink = ConsoleSink(colors=False)
    record = {**RECORD, "trace_id": "t1", "order_id": 17, "version": "1.4"}
    line = _written(record, sink)
    assert line.index("order_id=17") < line.index("trace_id=t1")
    assert "version" not in line
