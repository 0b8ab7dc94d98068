"""The GLOG face: the functions of the package under the names that GLOG users know."""

from __future__ import annotations

import sys
from typing import Any

from loglane import context, pipeline, trace
from loglane.logger import Logger


class _Glog:
    """Has no state of its own; a line is named after the module that calls."""

    set_log_category = staticmethod(context.set_log_category)
    bind_context = staticmethod(context.bind_context)
    unbind_context = staticmethod(context.unbind_context)
    clear_context = staticmethod(context.clear_context)
    set_trace_id = staticmethod(trace.set_trace_id)
    get_trace_id = staticmethod(trace.get_trace_id)
    clear_trace_id = staticmethod(trace.clear_trace_id)
    with_trace_id = staticmethod(trace.with_trace_id)
    set_level = staticmethod(pipeline.set_level)
    get_error_stats = staticmethod(pipeline.get_error_stats)

    @staticmethod
    def debug(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level debug."""
        _logger().debug(event, *args, **fields)

    @staticmethod
    def info(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level info."""
        _logger().info(event, *args, **fields)

    @staticmethod
    def warning(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level warning."""
        _logger().warning(event, *args, **fields)

    @staticmethod
    def error(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level error."""
        _logger().error(event, *args, **fields)

    @staticmethod
    def critical(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level critical."""
        _logger().critical(event, *args, **fields)

    @staticmethod
    def exception(event: Any = "", /, *args: Any, **fields: Any) -> None:
        """Write a line of level error with the traceback of the exception that is handled now."""
        _logger().exception(event, *args, **fields)

    DEBUG, INFO, WARNING, ERROR, CRITICAL = debug, info, warning, error, critical
    WARN = warn = warning


# One logger for each module that calls, because a logger keeps what it has rendered.
_loggers: dict[str, Logger] = {}


def _logger() -> Logger:
    name = sys._getframe(2).f_globals.get("__name__", "root")
    return _loggers.get(name) or _loggers.setdefault(name, Logger(str(name)))


GLOG = _Glog()
