"""python-json-logger's orjson formatter on a handler of stdlib logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from itertools import repeat
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

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

_trace_id: ContextVar[str] = ContextVar("trace_id")


class ContextFilter(logging.Filter):
    """Puts the trace id on each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the field; keep every record."""
        record.trace_id = _trace_id.get()
        return True


class MaskingFormatter(OrjsonFormatter):
    """Masks a record before it is serialised, where the library says that it may be changed."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Return the record with its secrets replaced."""
        copied: dict[str, Any] = masked(log_data)
        return copied


class Bound(logging.LoggerAdapter):  # type: ignore[type-arg]
    """Adds its own fields to those of the call; logging itself does so only from 3.13 on."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the fields."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs["extra"]}
        return msg, kwargs


def loop(name: str) -> Loop:
    """Return the loop of this name, with logging configured for it."""
    formatter = MaskingFormatter if name == "nested" else OrjsonFormatter
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(ContextFilter())
    handler.setFormatter(
        formatter(
            ["levelname", "message", "name"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields={"service": SERVICE, "env": ENV},
            timestamp=True,
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    _trace_id.set(TRACE_ID)
    return _loop(logging.getLogger(LOGGER), name)


def _loop(log: logging.Logger, name: str) -> Loop:
    bound = Bound(log, FIVE)

    def disabled(count: int) -> None:
        for _ in repeat(None, count):
            log.debug(
                MESSAGE,
                extra={
                    "order_id": 17,
                    "total": 99.5,
                    "customer": "anna",
                    "channel": "web",
                    "paid": True,
                },
            )

    def five(count: int) -> None:
        for _ in repeat(None, count):
            log.info(
                MESSAGE,
                extra={
                    "order_id": 17,
                    "total": 99.5,
                    "customer": "anna",
                    "channel": "web",
                    "paid": True,
                },
            )

    def one_more(count: int) -> None:
        for _ in repeat(None, count):
            bound.info(MESSAGE, extra={"step": 3})

    def exception(count: int) -> None:
        try:
            fail()
        except OutOfStockError:
            for _ in repeat(None, count):
                log.exception(FAILURE)

    def nested(count: int) -> None:
        for _ in repeat(None, count):
            log.info(MESSAGE, extra={"order": NESTED})

    loops = {"disabled": disabled, "five": five, "bound": one_more}
    return (loops | {"exception": exception, "nested": nested})[name]
