"""structlog through stdlib logging: structlog builds the event, a logging handler formats it.

Source: https://www.structlog.org/en/stable/standard-library.html, 'Rendering Using
structlog-based Formatters Within logging', with orjson. The same page's simpler set-up, rendering
within structlog, is quicker for plain lines but has logging print each traceback once more, as
text after the JSON line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from benchmarks.log_call.cases import ENV, LOGGER, SERVICE, TRACE_ID, Loop
from benchmarks.log_call.keyword_calls import keyword_loop
from benchmarks.log_call.masking import masked


def loop(name: str) -> Loop:
    """Return the loop of this name, with structlog and logging configured for it."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([_mask] if name == "nested" else []),
                structlog.processors.JSONRenderer(serializer=_dumps),
            ]
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(trace_id=TRACE_ID)
    return keyword_loop(structlog.get_logger(LOGGER).bind(service=SERVICE, env=ENV), name)


def _dumps(event: Any, default: Any) -> str:
    return orjson.dumps(event, default=default).decode()


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    return masked(event)
