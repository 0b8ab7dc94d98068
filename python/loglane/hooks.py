"""Warnings, and exceptions that nobody caught, as lines of ours."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from loglane.entry import Entry
from loglane.logger import emit

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


def except_hook(before: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `sys.excepthook` that writes a line; one of the app's own is called too."""

    def hook(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        if not issubclass(kind, Exception):
            # Ctrl-C is no error.
            before(kind, error, traceback)
            return
        fields = {"exc_info": (kind, error, traceback)}
        emit(Entry("critical", "loglane.uncaught", UNCAUGHT, fields=fields))
        if before is not sys.__excepthook__:
            before(kind, error, traceback)

    return hook


def thread_hook(before: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `threading.excepthook` that writes a line."""

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or not issubclass(args.exc_type, Exception):
            before(args)
            return
        fields: dict[str, Any] = {"exc_info": (args.exc_type, args.exc_value, args.exc_traceback)}
        if args.thread is not None:
            fields["thread"] = args.thread.name
        emit(Entry("critical", "loglane.uncaught", UNCAUGHT, fields=fields))
        if before is not threading.__excepthook__:
            before(args)

    return hook


def unraisable_hook(before: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `sys.unraisablehook` that writes a line."""

    def hook(args: sys.UnraisableHookArgs) -> None:
        error = args.exc_value
        if error is None:
            before(args)
            return
        fields = {
            "exc_info": (args.exc_type, error, args.exc_traceback),
            "where": args.err_msg or "Exception ignored in",
            "object": repr(args.object),
        }
        emit(Entry("error", "loglane.unraisable", "unraisable exception", fields=fields))
        if before is not sys.__unraisablehook__:
            before(args)

    return hook
