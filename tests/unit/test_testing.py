"""The pytest plugin captures lines and leaves nothing behind."""

from __future__ import annotations

import logging

import pytest
import structlog

import loglane
from loglane import logger
from loglane.testing import assert_logged, capturing

pytest_plugins = ["pytester"]
CACHED = loglane.get_logger("cached")


def test_capture_parses_lines_of_every_logger(log_capture):
    """Loggers made before, stdlib and structlog, every level, with context and masking."""
    with loglane.bound(trace_id="t1"):
        CACHED.debug("one", password="p")
        logging.getLogger("lib").info("two")
        structlog.get_logger("x").warning("three")
    assert ["one", "two", "three"] == log_capture.messages
    assert [("debug", "t1", "***")] == [
        (entry["level"], entry["trace_id"], entry["password"]) for entry in log_capture.find("one")
    ]


def test_capture_holds_no_error_back(log_capture):
    """Flow control does not count in tests."""
    for _ in range(2000):
        CACHED.error("failed")
    assert_logged(log_capture, "failed", times=2000)


def test_assert_logged_returns_the_entry(log_capture):
    """With fields, functions, None for what is absent, and how many times."""
    CACHED.info("m", a=1)
    CACHED.info("m", a=2)
    assert 1 == log_capture.assert_logged("m")["a"]
    assert 2 == assert_logged(log_capture, a=lambda value: value > 1)["a"]
    assert {} == assert_logged(log_capture, "other", times=0)
    assert_logged(log_capture, "m", times=2, b=None)
    log_capture.clear()
    assert [] == log_capture.entries


@pytest.mark.parametrize("wanted", [{"a": 2}, {"times": 2}, {"message": "other"}], ids=str)
def test_assert_logged_says_what_there_was(log_capture, wanted):
    """The failure lists the lines."""
    CACHED.info("m", a=1)
    with pytest.raises(AssertionError, match=r'captured:\n.*"message": "m"'):
        assert_logged(log_capture, **wanted)


def test_capturing_gives_back_the_engine_that_was_there(lines):
    """After the block, lines go where they went before, with the settings of before."""
    loglane.configure(service="orders", level="warning")
    with capturing() as capture:
        CACHED.debug("inside")
    CACHED.info("no")
    CACHED.warning("after")
    assert (["inside"], "orders") == (capture.messages, capture.entries[0]["service"])
    assert ["after"] == [line["message"] for line in lines()]


def test_capturing_leaves_an_unconfigured_process_unconfigured():
    """Hooks and handlers go with it."""
    loglane.reset()
    before = list(logging.getLogger().handlers)
    with capturing():
        pass
    assert (None, before) == (logger.active_engine(), logging.getLogger().handlers)


def test_plugin_restores_context_and_settings_between_tests(pytester):
    """A test that binds, configures and changes levels does not reach the next one."""
    pytester.makeconftest(
        "import loglane\n"
        "def pytest_configure():\n"
        "    loglane.configure(mode='container', service='app', level='warning')\n"
    )
    pytester.makepyfile(
        """
        import loglane
        from loglane import logger

        def state():
            engine = logger.active_engine()
            return engine.settings.static.service, engine.threshold, dict(loglane.get_context())

        def test_one():
            loglane.bind_context(a=1)
            loglane.set_level("debug")

        def test_two():
            assert ("app", 30, {}) == state()
            loglane.configure(service="other")

        def test_three():
            assert ("app", 30, {}) == state()
            loglane.reset()

        def test_four(log_capture):
            assert "app" == state()[0]

        def test_five():
            assert ("app", 30, {}) == state()
        """
    )
    # Another process: the plugin of this one would be registered twice.
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=5)


def test_an_app_that_configures_within_the_test_is_captured(log_capture):
    """As when the test imports the app for the first time; its sampling does not count."""
    loglane.configure(mode="container", service="orders", sampling={"rate": 0.0}, level="error")
    CACHED.info("m")
    assert [("m", "orders")] == [(e["message"], e["service"]) for e in log_capture.entries]


def test_debug_lines_of_libraries_are_not_captured(log_capture):
    """Asyncio's `Using selector` is nobody's business."""
    logging.getLogger("lib").debug("no")
    CACHED.debug("yes")
    assert ["yes"] == log_capture.messages
