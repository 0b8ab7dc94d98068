"""From a marked line to its audit record."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from loglane.audit.event import COLUMNS, AuditEvent, load
from loglane.carry import current_masker
from loglane.fields import ERROR_LEVELS

# What a line has and a record has not, or under another name.
_LEFT_OUT = frozenset({"timestamp", "level", "log_category", "message", "persist_db", "to_db"})
_MAX_REASON = 1000


def event_of_line(line: bytes, model: type[AuditEvent] = AuditEvent) -> AuditEvent:
    """Return the record of a marked line, or of what `AuditEvent.dump` wrote.

    `action` is the message unless the line has a field of that name, `occurred_at` its time,
    `status` is `failure` for errors and exceptions, and `error` the last line of the exception.
    Fields that the model does not know go to `extra`.

    Args:
        line: JSON, as a sink of lines gets it.
        model: The record's class; fields of its own are taken from the line.

    Raises:
        ValueError: It is no record; the message names the fields and not their values.
    """
    try:
        fields = orjson.loads(line)
    except ValueError:
        raise ValueError("it is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")
    try:
        # Every line has a level, and no dump has one.
        if "level" not in fields:
            return load(line)
        return model.model_validate_json(orjson.dumps(_values(fields, _names(model))))
    except ValidationError as error:
        raise ValueError(_reason(error)) from None


def _values(line: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, value in line.items():
        if name in names:
            values[name] = value
        elif name not in _LEFT_OUT:
            extra[name] = value
    message = line.get("message")
    if values.get("action") is None:
        values["action"] = message
    elif message and message != values["action"]:
        extra["message"] = message
    if values.get("occurred_at") is None and "timestamp" in line:
        values["occurred_at"] = line["timestamp"]
    exception = line.get("exception")
    if values.get("status") is None:
        failed = bool(exception) or line["level"] in ERROR_LEVELS
        values["status"] = "failure" if failed else "success"
    if isinstance(exception, str) and values.get("error") is None:
        values["error"] = exception.rstrip().rpartition("\n")[2].strip() or None
    if values.get("actor") is None and "user_id" in values:
        values["actor"] = values["user_id"]
    given = values.get("extra")
    if isinstance(given, dict):
        extra = {**extra, **given}
    elif given is not None:
        extra["extra"] = given
    values["extra"] = extra
    return values


@lru_cache(maxsize=256)
def _names(model: type[AuditEvent]) -> frozenset[str]:
    return frozenset({*COLUMNS, *model.model_fields})


def _reason(error: ValidationError) -> str:
    """Say what is wrong, by field; a value may be what masking would have hidden."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, one['loc'])) or 'record'}: {one['msg']}" for one in found]
    return current_masker().text("; ".join(parts))[:_MAX_REASON]
