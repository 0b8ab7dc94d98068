"""`validate` runs each program that is there, says which are not, and fails on what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from loglane.stack import checkers
from loglane.stack.checkers import Checker, run_checker
from loglane.stack.project import open_project
from loglane.stack.validate import validate

ROOT = Path(__file__).resolve().parents[3]
VARIANTS = ROOT / "tests/golden/variants/stack.yaml"
# A program that keeps what it was given, and refuses it when it should.
PROGRAM = """#!/bin/sh
for last; do :; done
echo "$0 $*" >> {folder}/calls
for argument; do
  file=${{argument#-config.file=}}
  if [ -f "$file" ]; then cp "$file" {folder}/"$(basename "$0")-$(basename "$file")"; fi
done
echo "{said}"
exit {code}
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts programs on an otherwise empty PATH, with no Docker."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    def put(code: int, said: str, *names: str) -> Path:
        for name in names:
            file = binaries / name
            file.write_text(PROGRAM.format(folder=tmp_path, code=code, said=said))
            file.chmod(0o755)
        return tmp_path

    return put


def outcomes(env: str, spec: Path = VARIANTS) -> dict[str, str]:
    report = validate(open_project(env, spec))
    return {verdict.check: verdict.outcome for verdict in report.programs}


def test_validate_runs_what_is_on_path(programs):
    """Programs on PATH are asked before images are."""
    programs(0, "", "promtail", "loki", "docker")
    found = outcomes("tenants")
    assert ("passed", "passed", "passed") == (
        found["promtail -check-syntax"],
        found["loki -verify-config"],
        found["loki -verify-config, tenants"],
    )


def test_validate_gives_the_tenants_overrides_to_loki_as_limits(programs):
    """Loki's own check does not read the overrides, so they stand where it reads."""
    folder = programs(0, "", "loki", "promtail")
    validate(open_project("tenants", VARIANTS))
    limits = yaml.safe_load((folder / "loki-tenants.yaml").read_text())["limits_config"]
    # Of both tenants, and every stream rule.
    assert ("64KB", 500) == (limits["max_line_size"], limits["max_global_streams_per_user"])
    assert "2d" in [rule["period"] for rule in limits["retention_stream"]]


def test_validate_quotes_what_a_program_refuses(programs):
    """A refusal is a failure, with what the program said."""
    programs(1, "line 3: no such key", "loki")
    report = validate(open_project("dev", ROOT / "stack/stack.yaml"))
    assert ["loki -verify-config:\nline 3: no such key"] == report.failures


def test_validate_says_what_is_not_there(programs):
    """Without the program and without Docker there is no verdict, and no failure."""
    checker = Checker("no-such -check", "no-such", "none:1", Path("x"), ("{file}",))
    verdict = run_checker(checker)
    assert ("not there", "no `no-such` on PATH and no Docker") == (verdict.outcome, verdict.how)


def test_validate_fails_on_a_template_that_lost_a_guard(tmp_path, programs):
    """A template without its read-only root is a failure of a named check, and exit code 1."""
    programs(0, "", "loki", "promtail", "docker")
    stack = tmp_path / "stack"
    (stack / "environments").mkdir(parents=True)
    (stack / "stack.yaml").write_text("project: mine\n")
    (stack / "environments" / "dev.yaml").write_text("env: dev\n")
    templates = tmp_path / "templates"
    for file in (ROOT / "templates").rglob("*.j2"):
        copy = templates / file.relative_to(ROOT / "templates")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text().replace("read_only: true", "read_only: false"))
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "validate", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
    )
    security = json.loads(done.stdout)["security"]
    failed = [check["name"] for check in security if check["outcome"] == "failed"]
    assert (1, ["read-only root"]) == (done.returncode, failed)
    assert "read-only root: loki: read_only is not true" in done.stderr


def test_validate_prints_80_columns(programs, monkeypatch):
    """Both tables fit a terminal of the usual width."""
    programs(0, "", "loki", "promtail", "docker")
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "validate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT / "python")},
    )
    assert [] == [line for line in done.stdout.splitlines() if len(line) > 80]
    # One line for each check: nothing is folded.
    assert done.stdout.count("passed") == len(
        [line for line in done.stdout.splitlines() if "passed" in line]
    )
    assert "read-only root" in done.stdout


def test_gateway_check_finds_the_secrets_that_a_config_names():
    """Each file below /run/secrets is made once for the check."""
    config = "ssl_certificate /run/secrets/a.pem; x /run/secrets/a.pem; y /run/secrets/users;"
    assert ["a.pem", "users"] == checkers.named_secrets(config)
