"""What tests of an app use: a pytest plugin with the fixtures `log_capture` and `loki`.

The plugin is there as soon as the package is installed. It also gives each test the context and
the settings that were in force before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from loglane import context, logger, pipeline
from loglane.engine import Engine
from loglane.entry import LEVEL_NUMBERS
from loglane.processing import Processor
from loglane.testing_loki import (
    LokiServer,
    StoredLine,
    _loki_url,  # noqa: F401 - pytest finds fixtures by their names here
    loki,
)

if TYPE_CHECKING:
    from loglane.settings import Settings

__all__ = [
    "LogCapture",
    "LokiServer",
    "StoredLine",
    "assert_logged",
    "capturing",
    "log_capture",
    "loki",
]

Entry = dict[str, Any]


class LogCapture:
    """The lines that were written while it was open, parsed.

    It takes the place of stdout, so a captured line went all the way: context, masking and
    rendering are those of the app's settings. Every level is captured, and every error.

    Attributes:
        lines: The lines as they were written, oldest first.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Take one line, as a sink does."""
        self.lines.append(line)

    def start_child(self) -> None:
        """Do nothing: a list needs no lock."""

    def hurry(self) -> None:
        """Do nothing: a list waits for nobody."""

    @property
    def entries(self) -> list[Entry]:
        """The lines so far as dicts, oldest first."""
        return [json.loads(line) for line in self.lines]

    @property
    def messages(self) -> list[str]:
        """The messages so far, oldest first."""
        return [entry["message"] for entry in self.entries]

    def clear(self) -> None:
        """Forget what was captured."""
        self.lines.clear()

    def find(self, message: str | None = None, **fields: Any) -> list[Entry]:
        """Return the lines that have this message and these fields; see `assert_logged`."""
        wanted = fields if message is None else {"message": message, **fields}
        return [entry for entry in self.entries if _fits(entry, wanted)]

    def assert_logged(
        self, message: str | None = None, *, times: int | None = None, **fields: Any
    ) -> Entry:
        """Fail unless there is a line like this; see `assert_logged`."""
        __tracebackhide__ = True
        return assert_logged(self, message, times=times, **fields)


def assert_logged(
    capture: LogCapture, message: str | None = None, *, times: int | None = None, **fields: Any
) -> Entry:
    """Fail unless a line with this message and these fields was captured.

    Args:
        capture: What the fixture `log_capture` gave.
        message: The whole message; any by default.
        times: How many such lines there must be; at least one by default.
        **fields: Values that the line must have, as JSON gives them back. A function is called with
            the value and says whether it fits; `None` also fits a field that is not there.

    Returns:
        The first such line; an empty dict for `times=0`.

    Raises:
        AssertionError: There is none, or another number; the message lists what was captured.
    """
    __tracebackhide__ = True
    found = capture.find(message, **fields)
    if (len(found) >= 1) if times is None else (len(found) == times):
        return found[0] if found else {}
    wanted = fields if message is None else {"message": message, **fields}
    expected = "a line" if times is None else f"{times} lines"
    lines = "\n".join(f"  {json.dumps(entry)}" for entry in capture.entries) or "  nothing"
    raise AssertionError(
        f"expected {expected} with {wanted!r}, found {len(found)}; captured:\n{lines}"
    )


def _fits(entry: Entry, wanted: dict[str, Any]) -> bool:
    return all(
        expected(entry.get(name)) if callable(expected) else entry.get(name) == expected
        for name, expected in wanted.items()
    )


@contextmanager
def capturing() -> Iterator[LogCapture]:
    """Capture lines for a block, where there is no pytest fixture."""
    before = logger.active_engine()
    if before is None:
        from loglane.settings import load_settings

        settings = load_settings({}, on_error="defaults").settings
    else:
        settings = before.settings
    processors = () if before is None else before.processors
    capture = LogCapture()

    def make_engine(settings: Settings, processors: Sequence[Processor]) -> Engine:
        return Engine(_everything(settings), True, processors, stdout=capture)

    # An app that configures within the test is captured as well.
    pipeline.use_engines_of(make_engine)
    # Libraries stay at the app's level: nobody wants to see asyncio's debug lines in a test.
    level = LEVEL_NUMBERS[settings.level.console]
    pipeline.activate(make_engine(settings, processors), root_level=level)
    try:
        yield capture
    finally:
        pipeline.use_engines_of(None)
        _go_back(before)


def _everything(settings: Settings) -> Settings:
    """Return settings by which nothing is left out."""
    changed = {
        "flow_control": settings.flow_control.model_copy(update={"enabled": False}),
        "sampling": settings.sampling.model_copy(update={"rate": 1.0, "levels": {}, "loggers": {}}),
        "level": settings.level.model_copy(update={"console": "debug"}),
    }
    return settings.model_copy(update=changed)


def _go_back(engine: Engine | None) -> None:
    if engine is None:
        pipeline.deactivate()
    else:
        pipeline.activate(engine)


@pytest.fixture
def log_capture() -> Iterator[LogCapture]:
    """Capture what the test logs; see `LogCapture`."""
    with capturing() as capture:
        yield capture


@pytest.fixture(autouse=True)
def _loglane_as_before() -> Iterator[None]:
    """Give the next test the context, settings and levels of before this one."""
    engine, frame = logger.active_engine(), context.current_frame()
    levels = None if engine is None else dict(engine.levels)
    yield
    context.use_frame(frame)
    if logger.active_engine() is not engine:
        _go_back(engine)
    elif engine is not None and levels is not None and engine.levels != levels:
        engine.levels.update(levels)
        logger.refresh()
