"""Tracebacks as text, the same that stdlib's `traceback` writes, without local variables.

An exception costs more than all else of its line, and most of that goes into the lines of source
with their marks. Those depend on the place in the code alone, so they are kept for the next time.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from types import CodeType, TracebackType

# https://docs.python.org/3/library/traceback.html; the texts are part of what tools look for.
_HEADER = "Traceback (most recent call last):\n"
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
# stdlib folds a line that repeats more often than this.
_REPEATED = 3
_MAX_PLACES = 1024
_MAX_CHAIN = 20
# Groups have a form of their own, SyntaxError shows its file, the others guess what was meant.
_SPECIAL: tuple[type[BaseException], ...] = (SyntaxError, NameError, AttributeError, ImportError)
if sys.version_info >= (3, 11):
    _SPECIAL = (*_SPECIAL, builtins.BaseExceptionGroup)

_places: dict[tuple[CodeType, int], str] = {}


def format_exception(error: BaseException, trace: TracebackType | None) -> str:
    """Return the traceback of an exception and of those that led to it; never raises."""
    try:
        quick = _format_chain(error, trace)
        if quick is not None:
            return quick
        return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
    except Exception as problem:  # noqa: BLE001 - an exception's own bug must not reach the log call
        return f"{type(error).__name__} (its traceback raised {type(problem).__name__})"


def _format_chain(error: BaseException, trace: TracebackType | None) -> str | None:
    """Do what stdlib does for the usual kinds of exceptions; None for the others."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None:
        if id(current) in seen or len(seen) >= _MAX_CHAIN or isinstance(current, _SPECIAL):
            return None
        seen.add(id(current))
        frames = _format_frames(current.__traceback__ if parts else trace)
        if frames is None:
            return None
        link = ""
        if current.__cause__ is not None:
            link, following = _CAUSE, current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            link, following = _CONTEXT, current.__context__
        else:
            following = None
        parts.append(
            link + frames + "".join(traceback.format_exception_only(type(current), current))
        )
        current = following
    return "".join(reversed(parts)).rstrip()


def _format_frames(trace: TracebackType | None) -> str | None:
    if trace is None:
        return ""
    texts = [_HEADER]
    repeated, last = 0, None
    while trace is not None:
        code = trace.tb_frame.f_code
        key = (code, trace.tb_lasti)
        repeated = repeated + 1 if (code, trace.tb_lineno) == last else 1
        if repeated > _REPEATED:
            return None
        last = (code, trace.tb_lineno)
        text = _places.get(key)
        if text is None:
            if len(_places) >= _MAX_PLACES:
                _places.clear()
            text = _places[key] = "".join(traceback.format_tb(trace, limit=1))
        texts.append(text)
        trace = trace.tb_next
    return "".join(texts)
