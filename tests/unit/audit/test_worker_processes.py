"""What becomes of records when a process ends, is killed, or forks."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from loglane.audit.worker import AuditWorker
from loglane.settings.audit import Audit
from loglane.sinks.audit import Outbox, process

APP = Path(__file__).with_name("served_worker.py")


def start(scenario, folder):
    return subprocess.Popen(
        [sys.executable, APP, scenario, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def said(running, timeout=60):
    out, err = running.communicate(timeout=timeout)
    # The last line may be cut off; its record counts as not acknowledged.
    whole = out[: out.rfind(b"\n") + 1]
    ids = [line.decode() for line in whole.splitlines() if len(line) == 36]
    return ids, err.decode()


def stored(folder):
    with sqlite3.connect(folder / "audit.db") as connection:
        rows = connection.execute("SELECT event_id FROM audit_records").fetchall()
    connection.close()
    return [row[0] for row in rows]


def in_outbox(folder):
    box = Outbox(folder / "outbox.db", 1 << 30)
    ids = [orjson.loads(body)["event_id"] for _, body in box.take(10**6)]
    box.close()
    return ids


def replay(folder, monkeypatch):
    """Do what the next start does."""
    monkeypatch.setattr(process, "_intake", None)
    outbox = {"path": str(folder / "outbox.db")}
    with AuditWorker(Audit(url=f"sqlite:///{folder}/audit.db", outbox=outbox, drain_s=60)):
        pass
    process.present_intake().close()


def test_kill_loses_nothing_that_was_acknowledged(tmp_path, monkeypatch):
    """With durability outbox, at random moments; after the next start each is one row."""
    chance, acknowledged = random.Random(7), []  # noqa: S311 - moments, no secrets
    for _ in range(5):
        running = start("for_ever", tmp_path)
        assert running.stdout.readline()
        time.sleep(chance.uniform(0, 0.3))
        running.kill()
        ids, _ = said(running)
        assert -signal.SIGKILL == running.returncode
        acknowledged += ids
    replay(tmp_path, monkeypatch)
    rows = stored(tmp_path)
    assert (len(set(rows)), []) == (len(rows), in_outbox(tmp_path))
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(rows)


def test_signal_loses_nothing(tmp_path, monkeypatch):
    """SIGTERM in the middle of a marked call: what waits and what is in hand goes to the outbox."""
    acknowledged = []
    for _ in range(3):
        running = start("until_terminated", tmp_path)
        for _ in range(200):
            assert running.stdout.readline()
        running.terminate()
        ids, _ = said(running)
        assert -signal.SIGTERM == running.returncode
        acknowledged += ids
    replay(tmp_path, monkeypatch)
    rows = stored(tmp_path)
    assert (len(set(rows)), []) == (len(rows), in_outbox(tmp_path))
    assert set(acknowledged) <= set(rows)


def test_script_that_ends_has_its_records_stored(tmp_path):
    """Its worker ends with the interpreter, within its time."""
    running = start("script", tmp_path)
    ids, err = said(running)
    assert (0, "") == (running.returncode, err)
    assert (300, sorted(ids)) == (len(ids), sorted(stored(tmp_path) + in_outbox(tmp_path)))
    assert [] == in_outbox(tmp_path)


def test_process_without_a_worker_leaves_its_records_in_the_outbox(tmp_path, monkeypatch):
    """The next worker stores them."""
    running = start("without_worker", tmp_path)
    ids, err = said(running)
    assert (0, "") == (running.returncode, err)
    replay(tmp_path, monkeypatch)
    assert (300, sorted(ids)) == (len(ids), sorted(stored(tmp_path)))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on this system")
@pytest.mark.parametrize(
    ("scenario", "count"),
    [("children", 100), ("own_worker", 100), ("of_billiard", 50), ("of_celery", 50)],
)
def test_children_lose_nothing(tmp_path, monkeypatch, scenario, count):
    """Those of multiprocessing end without exit hooks; those of servers have their own worker."""
    running = start(scenario, tmp_path)
    ids, err = said(running)
    assert (0, "") == (running.returncode, err)
    replay(tmp_path, monkeypatch)
    assert (count, sorted(ids)) == (len(ids), sorted(stored(tmp_path)))
