"""Metrics for Prometheus: names, units, and what they say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import loglane
from loglane.audit import lines as explicit
from loglane.errors import AuditOverflow, EnvironmentMissing
from loglane.integrations.prometheus import register
from loglane.settings.audit import Audit
from loglane.sinks.audit import process
from tests.unit.sinks.loki.fake_loki import FakeLoki, Reply, wait_for


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    # Other tests of this process have written some.
    monkeypatch.setattr(explicit, "_counts", {"committed": 0, "failed": 0})
    yield CollectorRegistry()
    loglane.reset()


def metrics(registry):
    """Return {name and labels: value} as Prometheus reads them."""
    text = generate_latest(registry).decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_what_is_lost_and_sampled_is_counted(registry):
    """By reason, by level, and nothing of Loki when nothing is pushed."""
    register(registry)
    loglane.configure(mode="container", sampling={"loggers": {"quiet": 0.0}})
    loglane.get_logger("quiet").info("a")
    expected = {
        'loglane_lost_lines_total{reason="stdout"}': 0.0,
        'loglane_sampled_lines_total{level="info"}': 1.0,
    }
    assert expected == metrics(registry)


def test_what_becomes_of_pushes_is_counted(registry):
    """With the names and units that Prometheus wants."""
    with FakeLoki(Reply(400, b"2 errors like: entry has timestamp too old")) as loki:
        push = {"enabled": True, "url": loki.url, "batch": {"max_wait_s": 3600}}
        loglane.configure(mode="container", loki=push)
        register(registry)
        for _ in range(5):
            loglane.get_logger("a").info("a")
        assert 5.0 == metrics(registry)["loglane_loki_queued_lines"]
        assert loglane.logger.active_engine().outputs.loki.flush()
        found = metrics(registry)
    expected = {
        # With the line that reports the loss.
        "loglane_loki_sent_lines_total": 4.0,
        "loglane_loki_pushes_total": 2.0,
        "loglane_loki_retries_total": 0.0,
        'loglane_loki_dropped_lines_total{level="",reason="refused"}': 2.0,
        "loglane_loki_wal_lines": 0.0,
        "loglane_loki_wal_bytes": 0.0,
        "loglane_loki_up": 1.0,
        'loglane_lost_lines_total{reason="stdout"}': 0.0,
    }
    assert expected == {name: found.get(name) for name in expected}


def test_a_loki_that_is_away_is_seen(registry):
    """And what has to go meanwhile, by level."""
    with FakeLoki() as loki:
        loki.always = Reply(500)
        push = {"enabled": True, "url": loki.url, "queue": {"max_items": 2}}
        loglane.configure(mode="container", loki=push)
        register(registry)
        for _ in range(9):
            loglane.get_logger("a").info("a")
        wait_for(lambda: metrics(registry)["loglane_loki_up"] == 0.0)
        name = 'loglane_loki_dropped_lines_total{level="info",reason="queue_full"}'
        assert metrics(registry)[name] >= 5.0
        loki.always = Reply()
        loglane.reset()


def test_registering_twice_changes_nothing(registry):
    """An app factory may be called more than once."""
    register(registry)
    register(registry)
    loglane.configure(mode="container")
    assert 1 == len(metrics(registry))


def test_a_scrape_does_not_configure(registry):
    """A process that has not logged yet has no metrics, and no handlers of ours."""
    loglane.reset()
    register(registry)
    assert ({}, None) == (metrics(registry), loglane.logger.active_engine())


def test_the_multiprocess_mode_is_warned_of(registry, monkeypatch, tmp_path):
    """It would collect nothing, and nobody would know why."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with pytest.warns(RuntimeWarning, match="not collected in prometheus_client's multiprocess"):
        register(registry)


def test_a_missing_package_is_named(monkeypatch):
    """With what to do about it."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(EnvironmentMissing, match="pip install prometheus-client"):
        register()


def test_importing_does_not_import_the_package():
    """It is imported when it is used."""
    code = (
        "import loglane.integrations.prometheus, sys; sys.exit('prometheus_client' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_audit_records_are_counted(registry, tmp_path, monkeypatch):
    """What waits, what was stored and what was lost; nothing of it without an audit trail."""
    monkeypatch.setattr(process, "_intake", None)
    register(registry)
    loglane.configure(mode="container")
    assert not [name for name in metrics(registry) if "audit" in name]
    path = str(tmp_path / "outbox.db")
    queue = {"max_items": 2, "overflow": ["raise"]}
    intake = process.intake_of(Audit(outbox={"path": path}, queue=queue))
    intake.record(b"{}")
    intake.record(b"{}")
    with pytest.raises(AuditOverflow):
        intake.record(b"{}")
    intake.outbox.bury([(None, b"{}", "bad")])
    found = {name: value for name, value in metrics(registry).items() if "audit" in name}
    assert found.pop("loglane_audit_lag_seconds") > 0
    assert {
        "loglane_audit_written_records_total": 0,
        "loglane_audit_known_records_total": 0,
        "loglane_audit_retries_total": 0,
        "loglane_audit_spilled_records_total": 0,
        "loglane_audit_queued_records": 2,
        "loglane_audit_queued_bytes": intake.waiting.size,
        "loglane_audit_in_hand_records": 0,
        "loglane_audit_outbox_records": 0,
        "loglane_audit_dead_records": 1,
        # No worker runs.
        "loglane_audit_up": 0,
        'loglane_audit_explicit_records_total{outcome="committed"}': 0,
        'loglane_audit_explicit_records_total{outcome="failed"}': 0,
        'loglane_audit_lost_records_total{reason="overflow"}': 1,
    } == found
    intake.close()
