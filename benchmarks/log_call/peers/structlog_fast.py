"""structlog as fast as its documentation says that it gets.

Source: https://www.structlog.org/en/stable/performance.html, its example in the same order. The
logger is bound once, as that page advises, so that no call goes through the lazy proxy.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from benchmarks.log_call.cases import ENV, LOGGER, SERVICE, TRACE_ID, Loop
from benchmarks.log_call.keyword_calls import keyword_loop
from benchmarks.log_call.masking import masked


def loop(name: str) -> Loop:
    """Return the loop of this name, with structlog configured for it."""
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([_mask] if name == "nested" else []),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(),
    )
    structlog.contextvars.bind_contextvars(trace_id=TRACE_ID)
    return keyword_loop(structlog.get_logger().bind(logger=LOGGER, service=SERVICE, env=ENV), name)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    return masked(event)
