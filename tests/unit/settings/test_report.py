"""`loglane config`: what is in force, from where, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FILE = """\
logging:
  mode: local
  mask_fields: [card, '!token']
  static: {service: orders, api_token: hunter2, home: 'https://ada:hunter2@example.org/x'}
"""


def config(folder, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    ours = ("LOGLANE_", "LOGGING_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", "loglane", "config", *arguments],
        cwd=folder,
        env={**clean, "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "loglane.yaml").write_text(FILE)
    return tmp_path


def test_table_says_what_is_in_force_and_from_where(folder):
    """Each setting is one line of name, value and origin, below the file and the mode."""
    name = f"LOGLANE_LOGGERS__{'__'.join(['UVICORN'] * 9)}"
    done = config(folder, LOGGING_LEVEL="error", **{name: "info"})
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert ["file  loglane.yaml", "mode  local, as set", ""] == lines[:3]
    found = {" ".join(line.split()) for line in lines[3:]}
    assert {
        "setting value from",
        "level.console error environment LOGGING_LEVEL",
        "mask_fields card, !token loglane.yaml:3",
        "static.service orders loglane.yaml:4",
        "static.env dev default",
        "static.version - default",
        "caller false default",
        f"loggers.{'.'.join(['uvicorn'] * 9)} info environment {name}",
    } <= found
    assert (0, "") == (done.returncode, done.stderr)


def test_secrets_are_masked_in_both_forms(folder):
    """Neither the table nor the JSON shows a password or what stands before an `@` in a URL."""
    for arguments in ([], ["--json"]):
        done = config(folder, *arguments)
        assert "hunter2" not in done.stdout
        assert "https://***@example.org/x" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["table", "json"])
def test_secrets_of_the_push_are_masked(folder, arguments):
    """A token, a password, and every header: each may be a key."""
    secrets = {"LOGLANE_LOKI__AUTH__PASSWORD": "geheim-1", "LOGLANE_LOKI__AUTH__USERNAME": "ann"}
    headers = {"LOGLANE_LOKI__HEADERS": '{"X-Api-Key": "geheim-2", "X-Mine": "geheim-3"}'}
    done = config(folder, *arguments, **secrets, **headers)
    assert (0, False, True) == (done.returncode, "geheim" in done.stdout, "X-Mine" in done.stdout)
    secrets = {"LOGLANE_LOKI__AUTH__TOKEN": "geheim\n", "LOGLANE_LOKI__URL": "http://u:geheim@x"}
    done = config(folder, *arguments, **secrets)
    assert (2, False) == (done.returncode, "geheim" in done.stdout + done.stderr)


def test_json_has_the_same_facts(folder):
    """Machines get the settings nested, the origins by dotted path, and the mode."""
    facts = json.loads(config(folder, "--json", LOGLANE_CALLER="1").stdout)
    assert {"set": "local", "resolved": "local", "because": "as set"} == facts["mode"]
    assert ("loglane.yaml", ["card", "!token"], True) == (
        facts["file"],
        facts["settings"]["mask_fields"],
        facts["settings"]["caller"],
    )
    assert "environment LOGLANE_CALLER" == facts["origins"]["caller"]


def test_auto_says_what_it_chose(tmp_path):
    """`auto` shows the mode that it means here and why."""
    done = config(tmp_path, LOGLANE_CONTAINER__ENABLED="false")
    expected = ["file  none found", "mode  auto -> local, container.enabled is false"]
    assert expected == done.stdout.splitlines()[:2]


def test_markup_in_a_value_is_only_text(tmp_path):
    """Square brackets are shown as they are."""
    done = config(tmp_path, LOGLANE_STATIC__REGION="[bold]eu[/bold]")
    assert "[bold]eu[/bold]" in done.stdout


def test_wrong_settings_exit_2_with_every_problem(folder):
    """The problems of the file and of the environment are printed together."""
    (folder / "other.yaml").write_text("logging:\n  levl: info\n")
    done = config(folder, "--config", "other.yaml", LOGGING_MODE="box")
    assert (2, "") == (done.returncode, done.stdout)
    assert [
        "error:",
        "other.yaml:2: logging.levl: unknown key; did you mean 'level'?",
        "environment: LOGGING_MODE: 'box' is not one of: auto, container, local",
    ] == done.stderr.splitlines()
