"""The floor: a dict with a ready timestamp, orjson.dumps, one write and one flush.

It has no levels: a disabled call is one `if`. It masks where a case asks for it and formats a
traceback as the standard library does; a library that formats its own way may be below it there.
"""

from __future__ import annotations

import sys
import traceback
from datetime import datetime, timezone
from itertools import repeat

import orjson

from benchmarks.log_call.cases import (
    ENV,
    FAILURE,
    FIVE,
    LOGGER,
    MESSAGE,
    NESTED,
    SERVICE,
    TRACE_ID,
    Loop,
    OutOfStockError,
    fail,
)
from benchmarks.log_call.masking import masked

NOW = datetime.now(timezone.utc).isoformat()
EVERY_LINE = {
    "timestamp": NOW,
    "level": "info",
    "message": MESSAGE,
    "logger": LOGGER,
    "service": SERVICE,
    "env": ENV,
    "trace_id": TRACE_ID,
}
FIVE_BOUND = EVERY_LINE | FIVE
DEBUG = False


def loop(name: str) -> Loop:
    """Return the loop of this name."""
    return {
        "disabled": _disabled,
        "five": _five,
        "bound": _bound,
        "exception": _exception,
        "nested": _nested,
    }[name]


def _disabled(count: int) -> None:
    out = sys.stdout.buffer
    for _ in repeat(None, count):
        if DEBUG:
            out.write(orjson.dumps(FIVE_BOUND) + b"\n")


def _five(count: int) -> None:
    out = sys.stdout.buffer
    for _ in repeat(None, count):
        record = {
            "timestamp": NOW,
            "level": "info",
            "message": MESSAGE,
            "logger": LOGGER,
            "service": SERVICE,
            "env": ENV,
            "trace_id": TRACE_ID,
            "order_id": 17,
            "total": 99.5,
            "customer": "anna",
            "channel": "web",
            "paid": True,
        }
        out.write(orjson.dumps(record) + b"\n")
        out.flush()


def _bound(count: int) -> None:
    out = sys.stdout.buffer
    for _ in repeat(None, count):
        out.write(orjson.dumps({**FIVE_BOUND, "step": 3}) + b"\n")
        out.flush()


def _exception(count: int) -> None:
    out = sys.stdout.buffer
    try:
        fail()
    except OutOfStockError:
        for _ in repeat(None, count):
            failed = {"level": "error", "message": FAILURE, "exception": traceback.format_exc()}
            out.write(orjson.dumps({**EVERY_LINE, **failed}) + b"\n")
            out.flush()


def _nested(count: int) -> None:
    out = sys.stdout.buffer
    for _ in repeat(None, count):
        out.write(orjson.dumps(masked({**EVERY_LINE, "order": NESTED})) + b"\n")
        out.flush()
