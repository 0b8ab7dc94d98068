"""An app without a worker is told so."""

from __future__ import annotations

import pytest

import loglane
from loglane.logger import active_engine
from loglane.sinks.audit import neglect, process


@pytest.fixture(autouse=True)
def _no_intake(monkeypatch):
    """Have an intake of its own."""
    monkeypatch.setattr(process, "_intake", None)
    yield
    process.present_intake().close()


def test_app_without_a_worker_is_told_so(tmp_path, monkeypatch, lines):
    """Its records would wait in memory for ever, and nothing else would show it."""
    monkeypatch.setattr(neglect, "NEGLECTED_S", 0.0)
    outbox = {"path": str(tmp_path / "outbox.db")}
    loglane.configure(mode="container", audit={"enabled": True, "outbox": outbox})
    loglane.get_logger("app").info("role_changed", persist_db=True)
    active_engine().report()
    active_engine().report()
    said = [line for line in lines() if line["logger"] == "loglane.audit"]
    assert [("warning", neglect.NEGLECTED)] == [(line["level"], line["message"]) for line in said]
    process.present_intake().take(9)
