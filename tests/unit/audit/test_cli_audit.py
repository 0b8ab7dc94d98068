"""The commands of the audit trail: what they print and how they exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.unit.audit.stores import event, execute, made, write


def audit(folder, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGLANE_")}
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "audit", *arguments],
        cwd=folder,
        env={**clean, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_tables_are_made_and_checked(tmp_path, database_url):
    """init, check and migrate of an empty database, on every kind."""
    first = audit(tmp_path, "init", "--db", database_url, "--json")
    assert (None, "0001") == tuple(json.loads(first.stdout)[key] for key in ("before", "after"))
    again = audit(tmp_path, "migrate", "--db", database_url)
    assert (0, True) == (again.returncode, "nothing to do" in again.stdout)
    checked = audit(tmp_path, "check", "--db", database_url)
    assert (0, "") == (checked.returncode, checked.stderr)
    assert "0 records, 0 sealed" in checked.stdout
    for done in (first, again, checked):
        secret = database_url.partition("@")[0].rpartition(":")[2]
        assert "sqlite" in database_url or secret not in done.stdout + done.stderr


def test_settings_say_which_database(tmp_path):
    """Without --db it is that of the environment, then of the file."""
    (tmp_path / "loglane.yaml").write_text(
        f"logging:\n  audit:\n    url: sqlite:///{tmp_path}/file.db\n"
    )
    (tmp_path / "other.yaml").write_text(
        f"logging:\n  audit:\n    url: sqlite:///{tmp_path}/other.db\n"
    )
    assert 0 == audit(tmp_path, "init").returncode
    assert 0 == audit(tmp_path, "init", "--config", "other.yaml").returncode
    by_variable = {"LOGLANE_AUDIT__URL": f"sqlite:///{tmp_path}/variable.db"}
    assert 0 == audit(tmp_path, "init", **by_variable).returncode
    assert {"file.db", "other.db", "variable.db"} == {path.name for path in tmp_path.glob("*.db")}


def test_missing_file_is_not_made_by_a_check(tmp_path):
    """Only init makes a file; the others say so."""
    for command in ("check", "migrate", "verify", "seal"):
        done = audit(tmp_path, command)
        assert (1, True) == (done.returncode, "`loglane audit init` makes it" in done.stderr)
    assert [] == list(tmp_path.iterdir())


def test_check_that_fails_exits_with_one(tmp_path):
    """The finding is printed, and the error is the reason."""
    (tmp_path / "audit.db").touch()
    done = audit(tmp_path, "check")
    assert (1, True) == (done.returncode, "failed" in done.stdout)
    assert "loglane audit init" in done.stderr
    as_json = audit(tmp_path, "check", "--json")
    assert (1, False) == (as_json.returncode, json.loads(as_json.stdout)["passed"])


WRONG = {
    "address": (["check", "--db", "audit.db"], 2, "address of a database"),
    "kind": (["check", "--db", "oracle://app:hunter2@h/d"], 2, "oracle"),
    "away": (["verify", "--db", "mysql://app:hunter2@127.0.0.1:1/d"], 1, "127.0.0.1:1/d"),
    "away-postgres": (["init", "--db", "postgresql://app:hunter2@127.0.0.1:1/d"], 1, "1/d"),
    "day": (["verify", "--since", "yesterday"], 2, "is not a day"),
    "hash": (["verify", "--expect", "2026-11-22=8d5f"], 2, "is not DAY=HASH"),
    "file": (["check", "--config", "nope.yaml"], 2, "no such file"),
}


@pytest.mark.parametrize(("arguments", "code", "text"), WRONG.values(), ids=WRONG)
def test_error_is_one_message(tmp_path, arguments, code, text):
    """It says what is wrong, with the exit code of its kind and without a password."""
    done = audit(tmp_path, *arguments)
    assert (code, True) == (done.returncode, text in done.stderr)
    assert "hunter2" not in done.stdout + done.stderr


def test_password_file_is_used(tmp_path, mariadb_server):
    """A password does not have to be on the command line."""
    url = mariadb_server.new_database()
    secret = url.partition("@")[0].rpartition(":")[2]
    (tmp_path / "password").write_text(f"{secret}\n")
    bare = url.replace(f":{secret}", "")
    given = ("--db", bare, "--password-file", "password")
    assert 1 == audit(tmp_path, "init", "--db", bare).returncode
    assert 0 == audit(tmp_path, "init", *given).returncode


def test_verify_prints_heads_that_it_takes_again(tmp_path):
    """The hash printed is the hash to expect; a record changed since is named."""
    url = made(f"sqlite:///{tmp_path}/audit.db")
    batch = [event(), event()]
    write(url, batch, tamper_evident=True)
    day = json.loads(audit(tmp_path, "verify", "--json").stdout)["days"][0]
    kept = f"{day['day']}={day['head']}"
    printed = audit(tmp_path, "verify", "--expect", kept)
    assert 0 == printed.returncode
    assert [day["day"], "2", day["head"]] == printed.stdout.splitlines()[-1].split()
    execute(
        url, "UPDATE audit_records SET actor = 'eve' WHERE event_id = :id", id=batch[1].event_id
    )
    broken = audit(tmp_path, "verify", "--since", day["day"])
    assert (1, True) == (broken.returncode, batch[1].event_id in broken.stdout)
    facts = json.loads(audit(tmp_path, "verify", "--json").stdout)
    assert [("changed", batch[1].event_id)] == [
        (one["kind"], one["event_id"]) for one in facts["breaks"]
    ]


def test_seal_seals_what_has_no_seal(tmp_path):
    """Records of a process that never seals get theirs by the command."""
    url = made(f"sqlite:///{tmp_path}/audit.db")
    write(url, [event(), event()])
    assert 2 == json.loads(audit(tmp_path, "seal", "--json").stdout)["sealed"]
    assert "0 sealed" in audit(tmp_path, "seal").stdout
    assert 0 == audit(tmp_path, "verify").returncode
