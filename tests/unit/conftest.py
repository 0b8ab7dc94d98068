"""What tests of the package share."""

from __future__ import annotations

import json

import pytest

import loglane


@pytest.fixture
def lines(capfd, monkeypatch):
    """Return a function that parses what was written to stdout, in container mode."""
    monkeypatch.setenv("LOGGING_MODE", "container")
    yield lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    loglane.reset()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Return a folder with what `make_certificates` writes."""
    from tests.unit.certificates import make_certificates

    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder
