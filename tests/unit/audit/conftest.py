"""What tests of the audit trail share."""

from __future__ import annotations

import pytest

from loglane.settings.audit import Audit
from loglane.sinks.audit import AuditIntake
from tests.unit.audit.marked_lines import make_line


@pytest.fixture
def line():
    """Return the function that makes a marked line."""
    return make_line


@pytest.fixture
def settings(tmp_path):
    """Return a function that makes settings, with an outbox in the test's folder."""

    def make(**keys):
        outbox = {"path": str(tmp_path / "outbox.db"), **keys.pop("outbox", {})}
        return Audit(**{"outbox": outbox, **keys})

    return make


@pytest.fixture
def intake(settings):
    """Return a function that makes an intake; it is closed after the test."""
    made = []

    def make(**keys):
        made.append(AuditIntake(settings(**keys)))
        return made[-1]

    yield make
    for one in made:
        one.close()
