"""The steps between a log call and its rendered line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

import orjson

from loglane.context import get_context
from loglane.fields import LEVELS

EventDict = MutableMapping[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_LEVEL_OF_METHOD = {level: level for level in LEVELS} | {
    "warn": "warning",
    "exception": "error",
    "fatal": "critical",
    "msg": "info",
}
_MAX_DEPTH = 20
# Set by the pipeline on every line; a caller's field of the same name keeps its value beside it.
_OWN = ("timestamp", "level", "message", "logger", "service", "env")


def build_record(service: str, env: str) -> Callable[[Any, str, EventDict], EventDict]:
    """Return the step that puts a line together: own fields first, then context, then the call's.

    A field of the call or the context that is named like an own one is kept as `<name>_`.
    """

    def step(_logger: Any, method: str, event: EventDict) -> EventDict:
        record: dict[str, Any] = {
            "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": _LEVEL_OF_METHOD.get(method, method),
            "message": event.pop("event", ""),
            "logger": event.pop("_logger_name", "root"),
            "service": service,
            "env": env,
        }
        exc_info = event.pop("exc_info", None)
        for name, value in (*get_context().items(), *event.items()):
            record[f"{name}_" if name in _OWN else name] = value
        found = _exc_info(exc_info)
        if found is not None:
            record["exception"] = "".join(traceback.format_exception(*found)).rstrip()
        return record

    return step


def _exc_info(given: Any) -> ExcInfo | None:
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple) and len(given) == 3 and given[1] is not None:
        return given
    if given:
        current = sys.exc_info()
        return None if current[0] is None or current[1] is None else current
    return None


def render_json(_logger: Any, _method: str, record: EventDict) -> bytes:
    """Render a record as one JSON object on one line, without the newline; never raises."""
    try:
        return orjson.dumps(record, default=_text, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Something in it has no form in JSON (a huge number, half of a surrogate pair, a cycle).
        return orjson.dumps(_plain(record, 0), default=_text)


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {_printable(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return _text(value)
    return _printable(value) if isinstance(value, str) else value


def _printable(value: Any) -> str:
    text = value if isinstance(value, str) else _text(value)
    return text.encode(errors="backslashreplace").decode()


def _text(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=_text)
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a field's own bug must not reach the log call
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
