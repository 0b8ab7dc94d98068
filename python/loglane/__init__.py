"""Structured logging that an app includes and forgets, and the log stack behind it.

import loglane

loglane.configure(service="orders", env="prod")
log = loglane.get_logger(__name__)
log.info("order_created", order_id=17)
"""

from typing import TYPE_CHECKING, Any

from loglane.carry import ContextThreadPoolExecutor, carry, context_carrier, use_carrier
from loglane.context import (
    bind_context,
    bound,
    clear_context,
    get_context,
    set_log_category,
    unbind_context,
)
from loglane.glog import GLOG
from loglane.logger import Logger
from loglane.pipeline import (
    configure,
    flush,
    get_error_stats,
    get_logger,
    get_lost_counts,
    loki_sink_stats,
    reset,
    set_level,
)
from loglane.trace import (
    clear_trace_id,
    get_trace_id,
    new_trace_id,
    set_trace_id,
    with_trace_id,
)

if TYPE_CHECKING:
    from loglane.container import is_container_environment

__version__ = "0.1.0"

__all__ = [
    "GLOG",
    "ContextThreadPoolExecutor",
    "Logger",
    "bind_context",
    "bound",
    "carry",
    "clear_context",
    "clear_trace_id",
    "configure",
    "context_carrier",
    "flush",
    "get_context",
    "get_error_stats",
    "get_logger",
    "get_lost_counts",
    "get_trace_id",
    "is_container_environment",
    "loki_sink_stats",
    "new_trace_id",
    "reset",
    "set_level",
    "set_log_category",
    "set_trace_id",
    "unbind_context",
    "use_carrier",
    "with_trace_id",
]


def __getattr__(name: str) -> Any:
    # Needed once by few: not worth the time of every import.
    if name == "is_container_environment":
        from loglane.container import is_container_environment

        return is_container_environment
    raise AttributeError(f"module 'loglane' has no attribute {name!r}")
