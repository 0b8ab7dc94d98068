"""A worker for as long as an app runs, on the app's own loop."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import loglane
from loglane.audit.event import AuditEvent
from loglane.audit.lifespan import audit_lifespan
from loglane.audit.stats import audit_stats
from loglane.audit.worker import AuditWorker
from loglane.sinks.audit import process
from tests.unit.audit.fake_sink import FakeSink, on_loop


@pytest.fixture
def sink(monkeypatch):
    monkeypatch.setattr(process, "_intake", None)
    yield FakeSink()
    process.present_intake().close()


@pytest.fixture
def configured(lines, tmp_path):
    """Configure an audit trail; return its settings."""

    def configure(**keys):
        outbox = {"path": str(tmp_path / "outbox.db")}
        batch = {"max_wait_s": 0.01}
        audit = {"enabled": True, "outbox": outbox, "batch": batch, **keys}
        return loglane.configure(audit=audit).audit

    return configure


async def get(app, path):
    """Ask an ASGI app, without a server; return the status."""
    sent = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [],
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


def make_app(sink):
    app = FastAPI()
    log = loglane.get_logger("app")

    @app.get("/async/{n}")
    async def change(n: int):
        log.info("role_changed", user_id=n, persist_db=True)

    @app.get("/sync/{n}")
    def change_in_a_thread(n: int):
        log.info("role_changed", user_id=n, persist_db=True)

    return app


@pytest.mark.parametrize("durability", ["memory", "outbox"])
@on_loop
async def test_lifespan_stores_what_a_thousand_requests_mark(configured, sink, durability):
    """At the same time, of async and of sync endpoints; each is one row and one line."""
    configured(durability=durability)
    app = make_app(sink)
    async with audit_lifespan(app, sink=sink):
        kinds = ("async", "sync")
        done = await asyncio.gather(*(get(app, f"/{kinds[n % 2]}/{n}") for n in range(1000)))
    assert {200} == set(done)
    assert sorted(map(str, range(1000))) == sorted(row.user_id for row in sink.rows.values())
    assert {"written": 1000, "outbox": 0, "queued": 0, "lost": {}}.items() <= audit_stats().items()


def test_lifespan_is_one_of_fastapi(configured, sink, monkeypatch):
    """`FastAPI(lifespan=audit_lifespan)`; the worker is in the app's state."""
    configured()
    monkeypatch.setattr("loglane.audit.worker.open_sink", lambda _: sink)
    monkeypatch.setattr("loglane.audit.worker.init_embedded", lambda _: None)
    app = FastAPI(lifespan=audit_lifespan)

    @app.get("/")
    async def give():
        await app.state.audit.submit(AuditEvent(action="by_hand"))

    with TestClient(app) as client:
        assert isinstance(app.state.audit, AuditWorker)
        assert 200 == client.get("/").status_code
    assert ["by_hand"] == [row.action for row in sink.rows.values()]
    assert sink.is_closed


@on_loop
async def test_lifespan_runs_for_anything(configured, sink):
    """What has no state is no problem, and a sink that was given is not closed."""
    configured()
    async with audit_lifespan(None, sink=sink):
        loglane.get_logger("app").info("a", persist_db=True)
    assert (1, False) == (len(sink.rows), sink.is_closed)
