"""Everything else that a process writes: stdlib logging, warnings, exceptions nobody caught.

`install` leads them into the pipeline and remembers what was there; `uninstall` puts it back.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from loglane.entry import Entry, level_of
from loglane.logger import Logger, emit, wants_place

UNCAUGHT = "uncaught exception"
# What every record has; the rest came by `extra=` or from the framework that logs.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime", "taskName", "color_message",
}  # fmt: skip
_ACCESS = "uvicorn.access"
# A record that waited in a queue keeps its own time.
_MOMENT_S = 0.001
_MAX_LOGGERS = 1024
_loggers: dict[str, Logger] = {}


class LoglaneHandler(logging.Handler):
    """A stdlib handler that writes records through loglane."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises."""
        try:
            if _is_usual(record):
                method = getattr(_logger(record.name), level_of(record.levelno))
                method(record.msg, *(record.args or ()))
                return
            entry = _entry(record)
        except Exception:  # noqa: BLE001 - a record's own bug must not reach the log call
            entry = Entry(level_of(record.levelno), str(record.name), str(type(record)))
        emit(entry)


def _is_usual(record: logging.LogRecord) -> bool:
    """Tell whether a record has a message and arguments alone, and is of this moment."""
    return (
        record.__dict__.keys() <= _STANDARD
        and not (record.exc_info or record.stack_info)
        and isinstance(record.args, (tuple, type(None)))
        and record.name != _ACCESS
        and abs(time.time() - record.created) < _MOMENT_S
        and not wants_place()
    )


def _logger(name: str) -> Logger:
    found = _loggers.get(name)
    if found is None:
        if len(_loggers) >= _MAX_LOGGERS:
            _loggers.clear()
        found = _loggers[name] = Logger(name)
    return found


def _entry(record: logging.LogRecord) -> Entry:
    fields = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    event, args = record.msg, record.args
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    if record.name == _ACCESS and isinstance(args, tuple) and len(args) == 5:
        event, args, fields = "request", (), {**fields, **_access_fields(args)}
    return Entry(
        level_of(record.levelno),
        record.name,
        event if isinstance(event, str) or not args else str(event),
        args if isinstance(args, tuple) else (args,) if args else (),
        fields,
        time_ns=int(record.created * 1e9),
        place=(record.module, record.lineno),
    )


def _access_fields(args: tuple[Any, ...]) -> dict[str, Any]:
    # uvicorn's protocols call access_logger.info('%s - "%s %s HTTP/%s" %d', ...) with these.
    client, method, path, _version, status = args
    return {
        "log_category": "access",
        "method": method,
        "path": path,
        "status": status,
        "client": client,
    }


class _Installed:
    """What `install` changed, to be put back."""

    def __init__(self) -> None:
        self.handler = LoglaneHandler()
        self.removed: list[tuple[logging.Logger, logging.Handler]] = []
        self.propagated: list[logging.Logger] = []
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
        take_over()
    if capture_warnings:
        _hook(state, warnings, "showwarning", _show_warning)
    if capture_exceptions:
        _hook(state, sys, "excepthook", _except_hook(sys.excepthook))
        _hook(state, threading, "excepthook", _thread_hook(threading.excepthook))
        _hook(state, sys, "unraisablehook", _unraisable_hook(sys.unraisablehook))


def take_over() -> None:
    """Take handlers that write to the console off every stdlib logger.

    Their lines would be there twice. Other handlers (files, error trackers, tests) stay. Called
    again when a server may have put its own logging in place meanwhile.
    """
    state = _installed
    if state is None or state.handler not in logging.getLogger().handlers:
        return
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for logger in (logging.getLogger(), *loggers):
        console = [handler for handler in logger.handlers if _writes_to_console(handler)]
        for handler in console:
            logger.removeHandler(handler)
            state.removed.append((logger, handler))
        if console and not logger.propagate:
            logger.propagate = True
            state.propagated.append(logger)


def set_threshold(number: int) -> None:
    """Set the root logger's level, when stdlib logging is taken."""
    root = logging.getLogger()
    if _installed is not None and _installed.handler in root.handlers:
        root.setLevel(number)


def uninstall() -> None:
    """Put back what `install` changed; what others changed since then stays."""
    global _installed
    state, _installed = _installed, None
    if state is None:
        return
    logging.getLogger().removeHandler(state.handler)
    for logger, handler in state.removed:
        logger.addHandler(handler)
    for logger in state.propagated:
        logger.propagate = False
    for logger, level in reversed(state.levels):
        logger.setLevel(level)
    for place, name, before, ours in state.hooks:
        if getattr(place, name) is ours:
            setattr(place, name, before)


def _set_level(state: _Installed, logger: logging.Logger, level: int) -> None:
    state.levels.append((logger, logger.level))
    logger.setLevel(level)


def _hook(state: _Installed, place: Any, name: str, ours: Callable[..., Any]) -> None:
    state.hooks.append((place, name, getattr(place, name), ours))
    setattr(place, name, ours)


def _writes_to_console(handler: logging.Handler) -> bool:
    # A queue in front of handlers, as Litestar's own logging has it.
    behind: tuple[Any, ...] = getattr(getattr(handler, "listener", None), "handlers", ())
    if behind:
        return all(_writes_to_console(one) for one in behind)
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(handler.stream is stream for stream in streams)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if file is not None:
        # Somebody asked for it in a file of theirs.
        file.write(warnings.formatwarning(message, category, filename, lineno, line))
        return
    fields = {"category": category.__name__, "file": filename, "line": lineno}
    emit(Entry("warning", "py.warnings", str(message), fields=fields))


def _except_hook(before: Callable[..., Any]) -> Callable[..., Any]:
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


def _thread_hook(before: Callable[..., Any]) -> Callable[..., Any]:
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


def _unraisable_hook(before: Callable[..., Any]) -> Callable[..., Any]:
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
