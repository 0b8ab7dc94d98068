"""Warnings, and exceptions that nobody caught, as lines of ours."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from loglane.entry import Entry
from loglane.logger import emit
from loglane.scalars import safe_repr

UNCAUGHT = "uncaught exception"


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Write what `warnings.showwarning` would show."""
    if file is not None:
        # Somebody asked for it in a file of theirs.
        file.write(warnings.formatwarning(message, category, filename, lineno, line))
        return
    fields = {"category": category.__name__, "file": filename, "line": lineno}
    emit(Entry("warning", "py.warnings", str(message), fields=fields))


def except_hook(before: Callable[..., Any], is_current: Callable[[], bool]) -> Callable[..., Any]:
    """Return a `sys.excepthook` that writes a line; one of the app's own is called too.

    Args:
        before: The hook so far. It is also called when the line cannot be written.
        is_current: Tells whether this hook is still ours; somebody may have kept it.
    """

    def hook(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        # Ctrl-C is no error.
        if not issubclass(kind, Exception) or not is_current():
            before(kind, error, traceback)
            return
        fields = {"exc_info": (kind, error, traceback)}
        written = emit(Entry("critical", "loglane.uncaught", UNCAUGHT, fields=fields))
        if not written or before is not sys.__excepthook__:
            before(kind, error, traceback)

    return hook


def thread_hook(before: Callable[..., Any], is_current: Callable[[], bool]) -> Callable[..., Any]:
    """Return a `threading.excepthook` that writes a line; see `except_hook`."""

    def hook(args: threading.ExceptHookArgs) -> None:
        is_error = args.exc_value is not None and issubclass(args.exc_type, Exception)
        if not is_error or not is_current():
            before(args)
            return
        fields: dict[str, Any] = {"exc_info": (args.exc_type, args.exc_value, args.exc_traceback)}
        if args.thread is not None:
            fields["thread"] = args.thread.name
        written = emit(Entry("critical", "loglane.uncaught", UNCAUGHT, fields=fields))
        if not written or before is not threading.__excepthook__:
            before(args)

    return hook


def unraisable_hook(
    before: Callable[..., Any], is_current: Callable[[], bool]
) -> Callable[..., Any]:
    """Return a `sys.unraisablehook` that writes a line; see `except_hook`."""

    def hook(args: sys.UnraisableHookArgs) -> None:
        error = args.exc_value
        if error is None or not is_current():
            before(args)
            return
        fields = {
            "exc_info": (args.exc_type, error, args.exc_traceback),
            "where": args.err_msg or "Exception ignored in",
            "object": safe_repr(args.object),
        }
        written = emit(Entry("error", "loglane.unraisable", "unraisable exception", fields=fields))
        if not written or before is not sys.__unraisablehook__:
            before(args)

    return hook
