"""Marked lines, as the pipeline renders them."""

from __future__ import annotations

import orjson

from loglane.event_id import new_event_id


def make_line(**fields):
    """Return a marked line, as the pipeline renders it."""
    record = {
        "timestamp": "2026-11-22T06:28:34.123456Z",
        "level": "info",
        "message": "role_changed",
        "logger": "app.users",
        "event_id": new_event_id(),
        **fields,
    }
    return orjson.dumps({name: value for name, value in record.items() if value is not None})
