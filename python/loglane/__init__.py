"""Structured logging that an app includes and forgets, and the log stack behind it.

import loglane

loglane.configure(service="orders", env="prod")
log = loglane.get_logger(__name__)
log.info("order_created", order_id=17)
"""

from loglane.context import bind_context, bound, clear_context, get_context, unbind_context
from loglane.pipeline import configure, get_logger

__version__ = "0.1.0"

__all__ = [
    "bind_context",
    "bound",
    "clear_context",
    "configure",
    "get_context",
    "get_logger",
    "unbind_context",
]
