"""`loglane audit dead`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from loglane.sinks.audit import Outbox
from tests.unit.audit.marked_lines import make_line


def run(*arguments, cwd):
    command = [sys.executable, "-m", "loglane", "audit", "dead", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "audit-outbox.db", 1 << 30)
    box.add([b"{}"])
    box.bury([(None, make_line(event_id="i"), "status: [wrong]"), (None, b"\xff", "it is no JSON")])
    yield box
    box.close()


def test_dead_lists_the_letters_of_the_outbox(outbox, tmp_path):
    """By default of the file that the settings name; as text and as JSON."""
    text = run(cwd=tmp_path)
    assert (0, "") == (text.returncode, text.stderr)
    assert all(word in text.stdout for word in ("status: [wrong]", "it is no JSON", "2 dead"))
    facts = json.loads(run("--json", cwd=tmp_path).stdout)
    assert (1, 0, ["i", None], "role_changed", "\ufffd") == (
        facts["pending"], facts["revived"], [one["event_id"] for one in facts["dead"]],
        facts["dead"][0]["record"]["message"], facts["dead"][1]["record"],
    )  # fmt: skip


def test_dead_lets_letters_be_tried_again(outbox, tmp_path):
    """They wait for the next worker."""
    done = run("--retry", "--outbox", outbox.path, cwd=tmp_path.parent)
    assert (0, True) == (done.returncode, "2 of them are tried again" in done.stdout)
    assert (3, 0) == outbox.counts()
    assert "no dead letters, 3 records wait" in run(cwd=tmp_path).stdout


def test_dead_makes_no_outbox(tmp_path):
    """One error where there is none, and no file after it."""
    done = run(cwd=tmp_path)
    assert (1, "") == (done.returncode, done.stdout)
    assert "there is no outbox; name it with --outbox" in done.stderr
    assert [] == list(tmp_path.iterdir())
