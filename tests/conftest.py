"""Fixtures that tests of several parts share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest_plugins = ["tests.servers.fixtures"]

ROOT = Path(__file__).resolve().parent.parent

# A shell that runs the tests in the background has them ignore Ctrl-C, and every process that they
# start inherits that; some of them are tested by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the checkout."""
    return ROOT
