"""Lines for a person at a terminal: time, level, message, logger, fields, traceback."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

import orjson

from loglane.sinks.escapes import shown

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# Known to everyone who looks at the terminal, or shown at a place of their own.
_NO_FIELDS = frozenset(
    {"timestamp", "level", "message", "logger", "service", "env", "version", "stack", "exception"}
)
_IDS = frozenset({"trace_id", "span_id", "request_id"})
# So that the fields of short messages begin below each other.
_MESSAGE_WIDTH = 30
_CONTINUED = "\n    | "
_INDENT = "\n    "

LEVEL_STYLES = {
    "debug": "\x1b[36m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;37;41m",
}
BOLD, DIM, KEY, RESET = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"

_HURRY_S = 0.5


class ConsoleSink:
    """Writes readable lines to whatever `sys.stdout` is at that moment; nothing is raised.

    Without `colors`, each new stdout decides: `NO_COLOR` turns colours off, `FORCE_COLOR` on
    (https://no-color.org, https://force-color.org), else a terminal that is not `TERM=dumb` has
    them.

    Attributes:
        dropped: Lines that could not be written.
    """

    def __init__(self, colors: bool | None = None) -> None:
        self.dropped = 0
        self.start_child()
        self._colors = colors
        self._out: Any = None
        self._colored = False

    def start_child(self) -> None:
        """Begin anew after a fork, when another thread may have held the lock."""
        self._lock = threading.RLock()
        self._wait_s = -1.0
        self._writing = self._following = False
        self._texts: deque[tuple[Any, str]] = deque()

    def hurry(self) -> None:
        """Wait but shortly from now on: a thread may write to a reader that has stopped."""
        self._wait_s = _HURRY_S

    def write(
        self,
        record: Mapping[str, Any],
        exc_info: _ExcInfo | BaseException | None = None,
        mask_text: Callable[[str], str] = str,
    ) -> None:
        """Write one record as a line, with its traceback below.

        Args:
            record: A finished record: masked, and made of what JSON has a form for.
            exc_info: What `exception` in the record was made from; shown in colours if rich is
                installed. Without it the record's text is shown.
            mask_text: Masks secrets in the texts that are taken from `exc_info`.
        """
        out = sys.stdout
        try:
            text = self._line(record, exc_info, mask_text, self._is_colored(out))
        except Exception:  # noqa: BLE001 - nothing of a record must reach the log call
            text = None
        if text is None or not self._lock.acquire(timeout=self._wait_s):
            self.dropped += 1
            return
        try:
            if not self._writing:
                self._send(out, text)
            elif self._following:
                # A stdout that logs what is written to it would go on for ever.
                self.dropped += 1
            else:
                # What a signal handler logs within a write follows when that write is done.
                self._texts.append((out, text))
        finally:
            self._lock.release()

    def _send(self, out: Any, text: str) -> None:
        self._writing = True
        try:
            self._send_one(out, text)
            self._following = True
            while self._texts:
                self._send_one(*self._texts.popleft())
        finally:
            self._writing = self._following = False

    def _send_one(self, out: Any, text: str) -> None:
        try:
            _send(out, text)
        except Exception:  # noqa: BLE001 - a broken stdout must not reach the log call
            self.dropped += 1

    def _is_colored(self, out: Any) -> bool:
        if out is not self._out:
            self._colored = wants_colors(out) if self._colors is None else self._colors
            self._out = out
        return self._colored

    def _line(
        self,
        record: Mapping[str, Any],
        exc_info: _ExcInfo | BaseException | None,
        mask_text: Callable[[str], str],
        colored: bool,
    ) -> str:
        line = (_colored_line if colored else _plain_line)(record)
        trace = None
        if colored and exc_info is not None:
            from loglane.sinks.tracebacks import render_traceback

            error = exc_info if isinstance(exc_info, BaseException) else exc_info[1]
            trace = render_traceback(error, mask_text)
        if trace is None:
            trace = below(record.get("exception"))
        return f"{line}{below(record.get('stack'))}{trace}\n"


def _colored_line(record: Mapping[str, Any]) -> str:
    level, message, logger, fields = parts(record)
    style = LEVEL_STYLES.get(level, "")
    line = (
        f"{DIM}{_local_time(record.get('timestamp'))}{RESET} "
        f"{style}{shown(level).upper():<8}{RESET} {BOLD}{message}{RESET} "
        f"{DIM}[{logger}]{RESET}"
    )
    return line + "".join([f" {KEY}{name}{RESET}={value}" for name, value in fields])


def _plain_line(record: Mapping[str, Any]) -> str:
    level, message, logger, fields = parts(record)
    time = _local_time(record.get("timestamp"))
    line = f"{time} {shown(level).upper():<8} {message} [{logger}]"
    return line + "".join([f" {name}={value}" for name, value in fields])


def parts(record: Mapping[str, Any]) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Return level, message, logger and fields of a record, safe to print to a terminal."""
    message = shown(str(record.get("message", ""))).rstrip("\n").replace("\n", _CONTINUED)
    # What the line says first; the ids, long and alike, last.
    names = [name for name in record if name not in _NO_FIELDS]
    names.sort(key=_IDS.__contains__)
    fields = [(_text(str(name)), _value(record[name])) for name in names]
    level, logger = str(record.get("level", "")), _text(str(record.get("logger", "")))
    return level, message.ljust(_MESSAGE_WIDTH), logger, fields


def below(text: Any) -> str:
    """Return the lines of a text for the place below a line; nothing for no text."""
    # Indented, so that no line of it can look like a log line.
    return _INDENT + shown(str(text)).replace("\n", _INDENT) if text else ""


def _value(value: Any) -> str:
    if type(value) is str:
        return _text(value)
    return shown(_json(value))


def _text(text: str) -> str:
    """Return the text as it is, or in quotes where its end would not be seen."""
    if text and text.isprintable() and " " not in text and '"' not in text:
        return text
    return shown(_json(text))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A number beyond 64 bits, or half of a surrogate pair.
        return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))


def _local_time(timestamp: Any) -> str:
    text = str(timestamp)
    try:
        # Python 3.10 does not read the Z.
        at = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    except ValueError:
        return shown(text)
    return at.astimezone().isoformat(timespec="milliseconds")[11:23]


def wants_colors(out: Any) -> bool:
    """Tell whether to print colours to a stream: what the environment says, else for a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return bool(out.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def _send(out: Any, text: str) -> None:
    try:
        out.write(text)
    except UnicodeEncodeError:
        encoding = getattr(out, "encoding", None) or "ascii"
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    flush = getattr(out, "flush", None)
    if flush is not None:
        flush()
