"""The app's side: records wait in the outbox while Redis is away, and reach the database later."""

from __future__ import annotations

import pytest

from loglane.audit.event import AuditEvent
from loglane.audit.stats import audit_stats
from loglane.audit.worker import AuditWorker
from loglane.sinks.audit import present_intake, process
from tests.unit.audit.redis_workers import (
    eventually,
    make_table,
    rows_in,
    settings_of,
    waiting_in,
    worker_process,
)


@pytest.fixture(autouse=True)
def own_intake(monkeypatch):
    """Give the test an intake of its own: there is one in each process."""
    monkeypatch.setattr(process, "_intake", None)
    yield
    intake = present_intake()
    if intake is not None:
        intake.close()


def test_records_reach_the_database_though_redis_was_away(own_redis, tmp_path):
    """What an app recorded while Redis was killed is stored once, when Redis is back."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    settings = settings_of(own_redis.url, url, outbox={"path": str(tmp_path / "outbox.db")})
    events = [AuditEvent(action="sell", resource=f"order:{number}") for number in range(300)]
    with worker_process(settings, "keeper"), AuditWorker(settings) as app:
        for event in events[:100]:
            app.put(event)
        eventually(lambda: len(rows_in(url)) == 100)
        own_redis.kill()
        for event in events[100:200]:
            app.put(event)
        eventually(lambda: audit_stats()["outbox"] == 100)
        own_redis.start()
        for event in events[200:]:
            app.put(event)
        eventually(lambda: len(rows_in(url)) == 300)
        eventually(lambda: waiting_in(settings) == (0, 0))
        eventually(lambda: audit_stats()["outbox"] == 0)
        stats = audit_stats()
    assert sorted(event.event_id for event in events) == rows_in(url)
    assert ({}, 0) == (stats["lost"], stats["dead"])
    assert stats["spilled"] >= 100
