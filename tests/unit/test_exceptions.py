"""A traceback reads as stdlib writes it."""

from __future__ import annotations

import builtins
import sys
import traceback

import pytest

from loglane import exceptions
from loglane.exceptions import format_exception


def plain():
    return 1 / 0


def nested():
    return [plain() for _ in range(1)]


def cause():
    try:
        nested()
    except ZeroDivisionError as error:
        raise LookupError("gone") from error


def context():
    try:
        nested()
    except ZeroDivisionError:
        raise LookupError("gone\nin two lines")  # noqa: B904


def suppressed():
    try:
        nested()
    except ZeroDivisionError:
        raise LookupError("gone") from None


def recursive(depth=10):
    return recursive(depth - 1) if depth else plain()


def mutual(depth=20):
    return other(depth - 1) if depth else plain()


def other(depth):
    return mutual(depth)


def name():
    return undefinde  # noqa: F821


def attribute():
    return [].appendd(1)


def syntax():
    compile("a b", "x.py", "exec")


def cycle():
    one, two = LookupError("one"), LookupError("two")
    one.__cause__, two.__cause__ = two, one
    raise one


def long_chain():
    error = None
    for number in range(50):
        new = LookupError(str(number))
        new.__cause__ = error
        error = new
    raise error


class _Broken(Exception):
    def __str__(self):
        raise RuntimeError("no")


def broken():
    raise _Broken


def notes():
    error = LookupError("gone")
    if sys.version_info >= (3, 11):
        error.add_note("a note")
    raise error


def group():
    if sys.version_info < (3, 11):
        pytest.skip("exception groups came with Python 3.11")
    raise builtins.ExceptionGroup("two", [LookupError("a"), ValueError("b")])


def evaluated():
    return eval("1 / 0", {})


KINDS = [plain, nested, cause, context, suppressed, recursive, mutual, name, attribute, syntax,
         cycle, long_chain, broken, notes, group, evaluated]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_traceback_is_what_stdlib_writes(kind):
    """To the letter, the first time and from what was kept."""
    for _ in range(2):
        try:
            kind()
        except Exception as error:
            expected = "".join(traceback.format_exception(error)).rstrip()
            found = format_exception(error, error.__traceback__)
        assert expected == found


def test_places_are_bounded():
    """Code that is made again and again does not grow memory."""
    for number in range(3000):
        try:
            exec(compile("1 / 0", f"made-{number}", "exec"), {})
        except ZeroDivisionError as error:
            format_exception(error, error.__traceback__)
    assert len(exceptions._places) <= 1024


def test_an_exception_without_traceback_is_one_line():
    """As `exc_info=error` gives it outside of an except block."""
    assert "KeyError: 'k'" == format_exception(KeyError("k"), None)
