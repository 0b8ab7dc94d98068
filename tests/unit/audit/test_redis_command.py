"""`loglane audit worker` as an operator runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from loglane.audit.transport import process
from loglane.audit.transport.consumer import Tally
from loglane.cli import audit_worker
from loglane.errors import CheckFailed
from tests.unit.audit.redis_workers import (
    ROOT,
    events_of,
    eventually,
    make_table,
    rows_in,
    send,
    settings_of,
)


@pytest.fixture
def start(tmp_path):
    """Return what starts the command in an empty folder; what it started is killed at the end."""
    running = []

    def run(*arguments):
        command = [sys.executable, "-m", "loglane", "audit", "worker", *arguments]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(ROOT / "python"),
                "PATH": "",
                "HOME": str(tmp_path),
                "LOGGING_MODE": "container",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for one in running:
        one.kill()
        one.communicate()


def lines_of(output):
    return [json.loads(line) for line in output.splitlines()]


def test_worker_drains_and_ends(redis_url, tmp_path, start):
    """With --drain it stores what is there, says so and exits with 0."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    events = events_of(70)
    send(settings_of(redis_url), events)
    process = start("--redis", redis_url, "--db", url, "--drain", "--name", "cron")
    output, errors = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, errors)
    assert sorted(event.event_id for event in events) == rows_in(url)
    last = lines_of(output)[-1]
    assert ("audit worker stopped", "cron", 70) == (
        last["message"],
        last["worker"],
        last["written"],
    )
    assert "loglane-audit-worker" == last["service"]
    assert ["audit.db"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_worker_stops_on_a_signal(redis_url, tmp_path, start, number):
    """A signal ends it with 0, with nothing on stderr."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    process = start("--redis", redis_url, "--db", url)
    send(settings_of(redis_url), events_of(3))
    eventually(lambda: len(rows_in(url)) == 3)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, errors)
    assert 3 == lines_of(output)[-1]["written"]


def test_worker_reads_its_settings(redis_url, tmp_path, start):
    """Addresses and the rest come from the settings file; --workers wins over it."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    section = {
        "static": {"service": "keeper"},
        "audit": {
            "enabled": True, "url": url, "workers": 5,
            "redis": {"url": redis_url, "stream": "mine"},
        },
    }  # fmt: skip
    (tmp_path / "app.yaml").write_text(json.dumps({"logging": section}))
    send(settings_of(redis_url, redis={"stream": "mine"}), events_of(2))
    process = start("--config", "app.yaml", "--workers", "3", "--drain")
    output, _ = process.communicate(timeout=60)
    first, last = lines_of(output)[0], lines_of(output)[-1]
    assert (3, "keeper", 2) == (first["workers"], first["service"], last["written"])


def test_drain_that_leaves_something_exits_with_1(monkeypatch):
    """With --drain, batches that could not be stored because of a defect fail the command."""
    monkeypatch.setattr(process, "run_worker", lambda **_given: Tally(left=2))
    with pytest.raises(CheckFailed, match="batches that stay in the stream: 2"):
        audit_worker.worker(drain=True)
    audit_worker.worker(drain=False)


WRONG = {
    "no Redis": ([], "audit.redis.url: is not the address"),
    "wrong Redis": (["--redis", "http://host"], "is not the address of a Redis"),
    "wrong port": (["--redis", "redis://:pa/ss@host"], "is not the address of a Redis"),
    "wrong database": (
        ["--redis", "redis://127.0.0.1", "--db", "oracle://x"],
        "is not the address of a database",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_address_exits_with_2(start, arguments, message):
    """What is wrong on the command line is one message and exit code 2."""
    process = start(*arguments)
    output, errors = process.communicate(timeout=60)
    assert (2, "") == (process.returncode, output)
    assert message in errors
    assert "pa/ss" not in errors
    assert 1 == len(errors.splitlines())


def test_worker_without_tables_waits_and_says_so(redis_url, tmp_path, start):
    """A database without tables is one that is not there yet: the message says what makes them."""
    send(settings_of(redis_url), events_of(1))
    process = start("--redis", redis_url, "--db", f"sqlite:///{tmp_path}/audit.db")
    said = next(line for line in process.stdout if "waiting for the database" in line)
    assert "loglane audit init" in json.loads(said)["reason"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert 0 == process.returncode
