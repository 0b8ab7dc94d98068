"""What tests of the audit trail share."""

from __future__ import annotations

import orjson
import pytest

from loglane.event_id import new_event_id
from loglane.settings.audit import Audit
from loglane.sinks.audit import AuditIntake


def make_line(**fields):
    """Return a marked line, as the pipeline renders it."""
    record = {
        "timestamp": "2026-11-22T06:28:34.123456Z",
        "level": "info",
        "message": "role_changed",
        "logger": "app.users",
        "event_id": new_event_id(),
        **fields,
    }
    return orjson.dumps({name: value for name, value in record.items() if value is not None})


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
