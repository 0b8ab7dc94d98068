"""Keeping the HTTP client's own log lines out of the app's.

httpx2 logs a line for each request. An app whose lines are shipped to the Loki that it reads would
write a line by reading one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_asking: ContextVar[bool] = ContextVar("loglane_query_asking", default=False)
_LOGGERS = (
    "httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy",
    "httpcore2.socks",
)  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what the HTTP client logs inside; its lines for the app's own requests stay."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


def _is_wanted(_record: logging.LogRecord) -> bool:
    return not _asking.get()


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_is_wanted)
