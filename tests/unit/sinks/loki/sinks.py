"""Sinks for the tests, and what belongs to them."""

from __future__ import annotations

import threading

import orjson

from loglane.fields import LEVELS
from loglane.settings.loki import LokiPush
from loglane.sinks.loki import LokiSink


def make_sink(url, on_losses=lambda: None, **keys):
    """Return a sink with short times, unless others are given."""
    given = {
        "timeouts": {"connect_s": 5, "read_s": 5, "drain_s": 10},
        "batch": {"max_wait_s": 0.01},
        **keys,
    }
    return LokiSink(LokiPush(url=url, enabled=True, **given), on_losses)


def write(sink, *messages, level="info", **fields):
    """Put a line for each message into a sink."""
    for message in messages:
        record = {"level": level, "message": message, "service": "s", "env": "e", **fields}
        sink.write(orjson.dumps(record), LEVELS.index(level))


def threads():
    """Return the names of the sinks' threads that run."""
    return sorted(one.name for one in threading.enumerate() if one.name.startswith("loglane-loki"))
