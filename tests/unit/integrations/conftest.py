"""What the tests of the integrations share."""

from __future__ import annotations

import json

import pytest

import loglane


@pytest.fixture
def lines(capfd):
    """Configure, and return a function that parses what was written to stdout since.

    What the tests' own client logs of its requests is left out.
    """
    loglane.configure(mode="container", service="shop")

    def parse():
        found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        return [line for line in found if line["logger"] != "httpx2"]

    yield parse
    loglane.reset()
    loglane.clear_context()
