"""Set structlog up once, and hand out loggers."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog
from structlog.typing import FilteringBoundLogger

from loglane.processors import build_record, render_json
from loglane.sinks.stdout import StdoutSink

if TYPE_CHECKING:
    from loglane.settings import Settings


def configure(
    *, service: str | None = None, env: str | None = None, level: str | None = None
) -> Settings:
    """Make every line that loglane's loggers write one JSON object on stdout.

    Args:
        service: Name of the service, a label of its lines. Else `LOGLANE_STATIC__SERVICE`.
        env: Environment, a label too. Else `LOGLANE_STATIC__ENV`, else `dev`.
        level: Lines below it cost almost nothing. Else `LOGGING_LEVEL`, else `info`.

    Returns:
        The settings in force.

    Raises:
        SpecError: A value is wrong; the message names each.
    """
    from loglane.settings import load_settings

    settings = load_settings(level=level, service=service, env=env)
    sink = StdoutSink()
    structlog.configure(
        processors=[build_record(settings.static.service, settings.static.env), render_json],
        wrapper_class=structlog.make_filtering_bound_logger(_number(settings.level)),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    return settings


def get_logger(name: str | None = None, **fields: Any) -> FilteringBoundLogger:
    """Return a logger; `fields` are on each of its lines.

    Args:
        name: Dotted name, usually `__name__`. By default the caller's module.
        fields: Bound to this logger.
    """
    if name is None:
        name = sys._getframe(1).f_globals.get("__name__", "root")
    logger: FilteringBoundLogger = structlog.get_logger(_logger_name=name, **fields)
    return logger


def _number(level: str) -> int:
    number = logging.getLevelName(level.upper())
    assert isinstance(number, int)  # noqa: S101 - the settings allow only the standard names
    return number
