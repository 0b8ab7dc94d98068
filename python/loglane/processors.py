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
# Bounds for values that have to be copied because they have no form in JSON as they are.
_MAX_DEPTH = 20
_MAX_NODES = 10_000
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
    if isinstance(given, tuple):
        return given if len(given) == 3 and isinstance(given[1], BaseException) else None
    if given:
        current = sys.exc_info()
        return None if current[0] is None or current[1] is None else current
    return None


def render_json(_logger: Any, _method: str, record: EventDict) -> bytes:
    """Render a record as one JSON object on one line, without the newline; never raises."""
    try:
        return orjson.dumps(record, default=_default, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Something in it has no form in JSON (a huge number, half of a surrogate pair, a cycle).
        pass
    try:
        return orjson.dumps(_plain(record, frozenset(), [_MAX_NODES]))
    except Exception:  # noqa: BLE001 - a container's own bug must not reach the log call
        return orjson.dumps({_text(name): _text(value) for name, value in record.items()})


def _default(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=_text)
    return _text(value)


def _plain(value: Any, above: frozenset[int], budget: list[int]) -> Any:
    """Copy a value into what JSON surely holds; `above` are the containers that it lies in."""
    budget[0] -= 1
    if budget[0] < 0 or len(above) > _MAX_DEPTH or id(value) in above:
        return "..."
    inside = above | {id(value)}
    if isinstance(value, dict):
        return {_text(key): _plain(item, inside, budget) for key, item in list(value.items())}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, inside, budget) for item in list(value)]
    fits = type(value) is int and -(2**63) <= value < 2**64
    if value is None or fits or type(value) in (bool, float):
        return value
    return value.isoformat() if type(value) is datetime else _text(value)


def _text(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
        return text.encode(errors="backslashreplace").decode()
    except Exception as error:  # noqa: BLE001 - a field's own bug must not reach the log call
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
