"""The demo finds every line again, and notices when it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loglane.demo import run
from loglane.errors import CheckFailed, LoglaneError
from loglane.query import LokiClient


def test_demo_runs_as_a_command_and_finds_every_line():
    """The whole demo exits with 0 and shows the crash, its trace and the audit events."""
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "demo"], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "0 missing, 0 doubled" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "role_changed" in done.stdout
    assert "create_order resource=order:20" in done.stdout
    assert "24 audit records in the database, 24 of them found as lines" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda streams: streams[1:], "lines are missing and 0 are too many"),
        (lambda streams: [*streams, _later(streams[0])], "0 lines are missing and"),
    ],
    ids=["lost", "doubled"],
)
def test_demo_fails_when_a_line_is_lost_or_doubled(monkeypatch, change, message, capsys):
    """A client that loses or doubles lines makes the demo fail."""
    real = LokiClient.push

    def push(client, streams):
        changed = change(list(streams))
        if changed:
            real(client, changed)

    monkeypatch.setattr(LokiClient, "push", push)
    with pytest.raises(CheckFailed, match=message):
        run.run_demo()


def test_demo_shows_what_an_app_said_that_does_not_start(monkeypatch, tmp_path, capfd):
    """An app that fails at import ends the demo at once, with its own words."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "app.py").write_text("raise SystemExit('no database')\n")
    monkeypatch.setattr(run, "packaged", lambda _name: tmp_path)
    with pytest.raises(LoglaneError, match="ended before it answered"):
        run.run_demo()
    assert "no database" in capfd.readouterr().out


def _later(stream):
    ((at, line, meta),) = stream.entries
    return type(stream)(stream.labels, [(at + 1, line, meta)])
