"""GLOG is a face over the same functions."""

from __future__ import annotations

import pytest

import loglane
from loglane import GLOG


@pytest.mark.parametrize(
    ("method", "level"),
    [("DEBUG", "debug"), ("INFO", "info"), ("WARN", "warning"), ("WARNING", "warning"),
     ("ERROR", "error"), ("CRITICAL", "critical"), ("debug", "debug"), ("info", "info"),
     ("warn", "warning"), ("warning", "warning"), ("error", "error"), ("critical", "critical")],
)  # fmt: skip
def test_methods_write_their_levels(lines, method, level):
    """Upper and lower case, named after the module that calls."""
    loglane.configure(level="debug")
    getattr(GLOG, method)("m %s", 1, a=2)
    (line,) = lines()
    assert (level, "m 1", 2, __name__) == tuple(
        line[name] for name in ("level", "message", "a", "logger")
    )


def test_exception_has_the_traceback(lines):
    """Inside an except block."""
    loglane.configure()
    try:
        raise LookupError("gone")
    except LookupError:
        GLOG.exception("failed")
    (line,) = lines()
    assert line["exception"].endswith("LookupError: gone")


def test_context_and_trace_are_those_of_the_package(lines):
    """What GLOG binds, every other logger has, and the other way round."""
    loglane.configure()
    GLOG.set_log_category("backtest")
    GLOG.bind_context(strategy_id="s", portfolio_id="p")
    with GLOG.with_trace_id("trace-456"):
        loglane.get_logger("x").info("one")
        GLOG.INFO("two")
    GLOG.unbind_context("strategy_id")
    token = GLOG.set_trace_id("trace-123")
    assert "trace-123" == GLOG.get_trace_id() == loglane.get_trace_id()
    GLOG.clear_trace_id(token)
    loglane.bind_context(user_id=7)
    GLOG.INFO("three")
    GLOG.clear_context()
    GLOG.INFO("four")
    one, two, three, four = lines()
    names = ("log_category", "strategy_id", "portfolio_id", "trace_id", "user_id")
    assert [
        ("backtest", "s", "p", "trace-456", None),
        ("backtest", "s", "p", "trace-456", None),
        ("backtest", None, "p", None, 7),
        (None, None, None, None, None),
    ] == [tuple(line.get(name) for name in names) for line in (one, two, three, four)]


def test_level_and_error_stats_are_those_of_the_package(lines):
    """set_level and get_error_stats speak for the whole process."""
    loglane.configure()
    GLOG.set_level("DEBUG", "console")
    loglane.get_logger("x").debug("m")
    GLOG.ERROR("failed")
    GLOG.ERROR("failed")
    stats = GLOG.get_error_stats()
    assert ["m", "failed", "failed"] == [line["message"] for line in lines()]
    assert (1, 2) == (stats["total_error_patterns"], stats["total_error_count"])
    (pattern,) = stats["patterns"]
    assert (2, 0) == (pattern["count"], pattern["suppressed"])
