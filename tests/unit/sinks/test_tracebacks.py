"""Tracebacks in colours say what happened, and no secret."""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import sys

import pytest

from loglane.sinks.console import ConsoleSink
from loglane.sinks.tracebacks import render_traceback

groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="needs Python 3.11: groups, notes")
_PIN = "1234-secret"


def _mask(text):
    return text.replace(_PIN, "***")


def _raised(error, cause=None):
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def _drawn(error, mask_text=_mask):
    text = render_traceback(error, mask_text)
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _made(path, code):
    """Run code as a file of its own and return what it raises."""
    path.write_text(code)
    linecache.clearcache()
    try:
        exec(compile(code, str(path), "exec"), {"json": __import__("json")})
    except Exception as error:
        # Its first frame is this test's.
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("it raised nothing")


def test_frames_show_place_and_source(tmp_path, monkeypatch):
    """The innermost frame has the lines around it, an outer one its own line."""
    monkeypatch.chdir(tmp_path)
    code = "def inner():\n    x = 1\n    raise ValueError(x)\n\n\ninner()\n"
    expected = [
        "",
        "    Traceback (most recent call last):",
        "      app.py:6 in <module>",
        "      >    6 inner()",
        "      app.py:3 in inner",
        "           1 def inner():",
        "           2     x = 1",
        "      >    3     raise ValueError(x)",
        "    ValueError: 1",
    ]
    assert expected == _drawn(_made(tmp_path / "app.py", code)).split("\n")


def test_a_file_that_was_changed_is_no_problem(tmp_path):
    """A line that is blank by now is left out."""
    error = _made(tmp_path / "app.py", "a = 1\nraise ValueError\n")
    (tmp_path / "app.py").write_text("a = 1\n\n\n\n")
    linecache.clearcache()
    assert _drawn(error).endswith("app.py:2 in <module>\n    ValueError")


def test_frames_of_packages_are_one_line_each(tmp_path):
    """Only the innermost frame of a package shows its source."""
    drawn = _drawn(_made(tmp_path / "app.py", 'json.loads("{")\n'))
    assert "      json/__init__.py:" in drawn
    assert ">    1 json.loads" in drawn
    assert 2 == drawn.count("> ")


def test_secrets_in_message_notes_and_source_are_masked(tmp_path):
    """What the app's masking knows is in no part of the text."""
    code = f'pin = "{_PIN}"\nraise ValueError("pin {_PIN}")\n'
    error = _made(tmp_path / "app.py", code)
    error.__notes__ = [f"note {_PIN}"]
    drawn = _drawn(_raised(RuntimeError(_PIN), error))
    assert _PIN not in drawn
    assert 'pin = "***"' in drawn
    assert "ValueError: pin ***" in drawn
    assert "RuntimeError: ***" in drawn


def test_a_secret_of_several_source_lines_keeps_the_numbers(tmp_path):
    """A mark in the place of several lines does not move the lines beside their numbers."""
    code = "a = 1\nkey = '''BEGIN\nEND'''\nraise ValueError\n"
    drawn = _drawn(
        _made(tmp_path / "app.py", code), lambda text: re.sub("(?s)BEGIN.*END", "***", text)
    )
    assert ">    4 raise ValueError" in drawn


def test_locals_are_not_shown(tmp_path):
    """The value of a variable is nowhere."""
    code = 'pin = "-".join(["1234", "abcd"])\nraise ValueError\n'
    assert "1234-abcd" not in _drawn(_made(tmp_path / "app.py", code))


def test_causes_come_first():
    """The chain reads in the order in which things happened."""
    cause = _raised(KeyError("first"))
    drawn = _drawn(_raised(ValueError("second"), cause))
    places = [drawn.index(text) for text in ("KeyError: 'first'", "direct cause", "ValueError: s")]
    assert sorted(places) == places


def test_a_suppressed_context_is_not_shown():
    """`raise ... from None` hides what was handled."""
    try:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("seen") from None
    except ValueError as error:
        drawn = _drawn(error)
    assert (False, True) == ("KeyError: 'hidden'" in drawn, "ValueError: seen" in drawn)


def test_exceptions_that_cause_each_other_end():
    """A cycle is drawn once."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    drawn = _drawn(one)
    assert (1, 1) == (drawn.count("ValueError: one"), drawn.count("ValueError: two"))


def test_a_long_chain_and_a_deep_stack_are_cut():
    """Ten exceptions and twenty frames are drawn, and it is said how many are not."""
    error = None
    for number in range(30):
        error = _raised(ValueError(number), error)

    def deeper(levels):
        if levels:
            deeper(levels - 1)
        raise KeyError("deep")

    with pytest.raises(KeyError) as caught:
        deeper(100)
    assert "... 20 earlier exceptions ..." in _drawn(error)
    drawn = _drawn(caught.value)
    assert "... 82 frames ..." in drawn
    assert 20 == len(re.findall(r":\d+ in ", drawn))


@groups
def test_members_of_a_group_are_drawn():
    """Each member has its number and its own traceback; notes stand below the message."""
    members = [_raised(KeyError(number)) for number in range(12)]
    members[0].add_note("a note")
    drawn = _drawn(_raised(ExceptionGroup("several", members)))  # noqa: F821
    assert "ExceptionGroup: several (12 sub-exceptions)" in drawn
    assert "      --- 1 of 12 ---\n      Traceback" in drawn
    assert "      KeyError: 0\n      a note\n      --- 2 of 12 ---" in drawn
    assert "... 2 more exceptions ..." in drawn


def test_a_syntax_error_shows_its_line():
    """The place in the text that was read is shown."""
    try:
        compile("x = (1,", "<template>", "exec")
    except SyntaxError as error:
        drawn = _drawn(error)
    assert 'File "<template>", line 1\n' in drawn
    assert "SyntaxError: '(' was never closed" in drawn


def test_nothing_acts_on_the_terminal(tmp_path):
    """A message, a function's name and a source line with control characters are escaped."""
    code = "x = '\x9b'\nraise ValueError('\\x1b[2J\\nnext \\u202e')\n"
    text = render_traceback(_made(tmp_path / "app.py", code), str)
    assert [] == [sign for sign in ("\x9b", "\x1b[2J", "\u202e") if sign in text]
    assert r"ValueError: \x1b[2J" in re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "\n    next" in text


def test_an_exception_without_a_traceback_is_its_message():
    """An exception that was never raised has no frames."""
    assert "\n    KeyError: 'k'" == _drawn(KeyError("k"))


class _Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")


def test_an_exception_whose_text_raises_is_drawn():
    """A broken `__str__` does not hide the type."""
    assert "_Unprintable: <" in _drawn(_raised(_Unprintable()))


def _failing(_text):
    raise RuntimeError("no")


def _console(error, **given):
    out = io.StringIO()
    record = {"level": "error", "message": "m", "logger": "x", "exception": "the record's text"}
    with contextlib.redirect_stdout(out):
        ConsoleSink(colors=True).write(record, error, **given)
    return out.getvalue()


@pytest.mark.parametrize("form", ["object", "tuple"])
def test_console_draws_what_it_is_given(form):
    """An exception, or the tuple of sys.exc_info(), takes the place of the record's text."""
    error = _raised(ValueError(_PIN))
    given = error if form == "object" else (ValueError, error, error.__traceback__)
    found = _console(given, mask_text=_mask)
    assert ("the record's text" in found, _PIN in found, "***" in found) == (False, False, True)


def test_without_rich_the_records_text_is_shown(monkeypatch):
    """Rich is an extra: without it the line is coloured and the traceback plain."""
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    found = _console(_raised(ValueError("x")))
    assert found.endswith("\n    the record's text\n")
    assert "\x1b[31mERROR" in found


def test_masking_that_fails_shows_the_records_text():
    """Nothing unmasked is shown instead."""
    found = _console(_raised(ValueError(_PIN)), mask_text=_failing)
    assert (True, False) == ("the record's text" in found, _PIN in found)
