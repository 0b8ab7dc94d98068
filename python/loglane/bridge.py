"""Leads everything else that a process writes into the pipeline, and takes it back.

`install` remembers what was there; `uninstall` puts it back.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from loglane import hooks
from loglane.records import LoglaneHandler


class _Installed:
    """What `install` changed, to be put back."""

    def __init__(self) -> None:
        self.handler = LoglaneHandler()
        self.replaced: list[tuple[logging.Logger, logging.Handler]] = []
        self.levels: list[tuple[logging.Logger, int]] = []
        self.hooks: list[tuple[Any, str, Any, Any]] = []


_installed: _Installed | None = None


def install(
    *,
    threshold: int,
    loggers: Mapping[str, int],
    capture_logging: bool = True,
    capture_warnings: bool = True,
    capture_exceptions: bool = True,
) -> None:
    """Lead everything into the pipeline.

    Args:
        threshold: Number of the lowest level that is written, for the root logger.
        loggers: Stdlib loggers with a level of their own, by name.
        capture_logging: Take stdlib logging.
        capture_warnings: Take what `warnings` shows.
        capture_exceptions: Take exceptions that nobody caught, in threads too, and those that
            cannot be raised.
    """
    global _installed  # noqa: PLW0603 - handlers and hooks belong to the process
    uninstall()
    state = _Installed()
    _installed = state
    if capture_logging:
        root = logging.getLogger()
        _set_level(state, root, threshold)
        for name, level in loggers.items():
            _set_level(state, logging.getLogger(name), level)
        root.addHandler(state.handler)
        for logger in (root, *map(logging.getLogger, list(logging.root.manager.loggerDict))):
            for handler in list(logger.handlers):
                _replace(state, logger, handler)
        # Of a logger that neither has handlers nor propagates, stdlib writes warnings to stderr.
        last = LoglaneHandler()
        last.setLevel(logging.WARNING)
        _hook(state, logging, "lastResort", last)
        _hook(state, logging.Logger, "addHandler", _adder(state, logging.Logger.addHandler))
    if capture_warnings:
        _hook(state, warnings, "showwarning", hooks.show_warning)

    def is_current() -> bool:
        return _installed is state

    if capture_exceptions:
        _hook(state, sys, "excepthook", hooks.except_hook(sys.excepthook, is_current))
        _hook(state, threading, "excepthook", hooks.thread_hook(threading.excepthook, is_current))
        _hook(state, sys, "unraisablehook", hooks.unraisable_hook(sys.unraisablehook, is_current))


def set_threshold(number: int) -> None:
    """Set the root logger's level, when stdlib logging is taken."""
    root = logging.getLogger()
    if _installed is not None and _installed.handler in root.handlers:
        root.setLevel(number)


def leave_unraisable() -> None:
    """Give `sys.unraisablehook` back: at the interpreter's end Python calls its own alone."""
    for place, name, before, ours in _installed.hooks if _installed is not None else ():
        if name == "unraisablehook" and sys.unraisablehook is ours:
            setattr(place, name, before)


def uninstall() -> None:
    """Put back what `install` changed; what others changed since then stays."""
    global _installed
    state, _installed = _installed, None
    if state is None:
        return
    for place, name, before, ours in state.hooks:
        if getattr(place, name) is ours:
            setattr(place, name, before)
    for logger, handler in state.replaced:
        logger.removeHandler(state.handler)
        logger.addHandler(handler)
    logging.getLogger().removeHandler(state.handler)
    for logger, level in reversed(state.levels):
        logger.setLevel(level)


def _set_level(state: _Installed, logger: logging.Logger, level: int) -> None:
    state.levels.append((logger, logger.level))
    logger.setLevel(level)


def _hook(state: _Installed, place: Any, name: str, ours: Any) -> None:
    state.hooks.append((place, name, getattr(place, name), ours))
    setattr(place, name, ours)


def _replace(state: _Installed, logger: logging.Logger, handler: logging.Handler) -> bool:
    """Put our handler in the place of one that writes to the console.

    Its lines would be there twice, and one of them no JSON. Other handlers (files, error trackers,
    tests) stay.
    """
    if not _writes_to_console(handler):
        return False
    logger.removeHandler(handler)
    state.replaced.append((logger, handler))
    if state.handler not in logger.handlers:
        logger.handlers.append(state.handler)
    return True


def _adder(state: _Installed, add: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return `Logger.addHandler` as it is while we are installed.

    Servers and libraries put handlers in place when they start, which may be after `configure`.
    """

    def add_handler(logger: logging.Logger, handler: logging.Handler) -> None:
        if not _replace(state, logger, handler):
            add(logger, handler)

    return add_handler


def _writes_to_console(handler: logging.Handler) -> bool:
    # A queue in front of handlers, as Litestar's own logging has it.
    behind: tuple[Any, ...] = getattr(getattr(handler, "listener", None), "handlers", ())
    if behind:
        return all(_writes_to_console(one) for one in behind)
    if isinstance(handler, logging.FileHandler):
        return False
    # Rich's handler has a console instead of a stream.
    stream = getattr(getattr(handler, "console", None), "file", getattr(handler, "stream", None))
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    if stream is None or any(stream is one for one in streams):
        return stream is not None
    try:
        return stream.fileno() in (1, 2)
    except Exception:  # noqa: BLE001 - whatever an odd stream raises
        return False
