"""Records of stdlib logging, written as lines of ours."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from loglane.entry import Entry, level_of
from loglane.logger import Logger, emit, wants_place

# What every record has; the rest came by `extra=` or from the framework that logs.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime", "taskName", "color_message",
}  # fmt: skip
_ACCESS = "uvicorn.access"
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# A record that waited in a queue keeps its own time.
_MOMENT_S = 0.001
_MAX_LOGGERS = 1024
_loggers: dict[str, Logger] = {}


class _Seen(threading.local):
    """The last records of a thread; handlers of nested loggers see the same record in turn."""

    def __init__(self) -> None:
        self.last: deque[tuple[int, float]] = deque(maxlen=8)


class LoglaneHandler(logging.Handler):
    """A stdlib handler that writes records through loglane, each once.

    It may be attached to a logger and to one of its parents.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen = _Seen()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write one record; never raises."""
        if not self.filter(record):
            return False
        key = id(record), record.created
        if key not in self._seen.last:
            self._seen.last.append(key)
            # Not under the handler's lock, which a fork or a signal handler may find taken.
            self.emit(record)
        return True

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
        and isinstance(record.msg, str)
        and "\x1b" not in record.msg
        and record.msg[-1:] != "\n"
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
    event, args = _message(record.msg), record.args
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    if record.name == _ACCESS and isinstance(args, tuple) and len(args) == 5:
        event, args, fields = "request", (), {**fields, **_access_fields(args)}
    return Entry(
        level_of(record.levelno),
        record.name,
        event,
        args if isinstance(args, tuple) else (args,) if args else (),
        fields,
        time_ns=int(record.created * 1e9),
        place=(record.module, record.lineno),
    )


def _message(message: Any) -> Any:
    """Return the text of an object made to be a message, as stdlib logging does."""
    if isinstance(message, str):
        # Colours and line ends are for a terminal.
        return _COLOR.sub("", message).rstrip("\n")
    kept = (Mapping, list, tuple, BaseException)
    kind: Any = type(message)
    if isinstance(message, kept) or kind.__str__ is object.__str__:
        return message
    return str(message)


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
