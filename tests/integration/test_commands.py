"""The commands that people type, on a real engine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid

import httpx2
import pytest
import yaml

from loglane.stack import engine
from loglane.stack.project import open_project
from tests.integration.conftest import write_project

pytestmark = pytest.mark.integration


def loglane(spec_file, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loglane", *arguments]
    return subprocess.run(
        command, cwd=spec_file.parent.parent, capture_output=True, text=True, check=False
    )


@pytest.fixture
def spec_file(stack, docker_engine, tmp_path):
    """Return a spec of a stack of its own; whatever it started is removed afterwards."""
    name = f"loglane-test-{uuid.uuid4().hex[:8]}"
    file = write_project(tmp_path, name, f"collect={name}")
    yield file
    loglane(file, "down", "--volumes", "--yes")


def test_up_starts_a_stack_that_status_shows_and_down_removes(spec_file, docker_engine):
    """`up` ends with an answered probe; `down --volumes` leaves nothing behind."""
    done = loglane(spec_file, "up", "--json")
    assert 0 == done.returncode, done.stderr
    facts = json.loads(done.stdout)
    password_file = spec_file.parent.parent / facts["password_file"]
    assert 0o600 == password_file.stat().st_mode & 0o777
    login = (facts["user"], password_file.read_text().strip())
    assert 200 == httpx2.get(f"{facts['grafana']}/api/org", auth=login).status_code

    containers = json.loads(loglane(spec_file, "status", "--json").stdout)
    assert [
        ("grafana", "running", "healthy"),
        ("loki", "running", "healthy"),
        ("promtail", "running", "healthy"),
        ("secrets", "exited (0)", ""),
    ] == [(c["service"], c["state"], c["health"]) for c in containers]

    again = loglane(spec_file, "up", "--json")
    assert 0 == again.returncode, again.stderr
    assert login[1] == password_file.read_text().strip()

    assert 0 == loglane(spec_file, "down", "--volumes", "--yes").returncode
    name = open_project("dev", spec_file).spec.project
    assert [] == engine.containers(docker_engine, name)
    assert [] == docker_engine.volumes.list(filters={"label": f"com.docker.compose.project={name}"})


def test_up_starts_another_environment_and_notices_a_changed_password(stack, tmp_path):
    """An environment that was never rendered starts; a password that Grafana never took is said."""
    name = f"loglane-test-{uuid.uuid4().hex[:8]}"
    file = write_project(tmp_path, name, f"collect={name}", env="staging")
    try:
        done = loglane(file, "up", "--env", "staging", "--json")
        assert 0 == done.returncode, done.stderr
        facts = json.loads(done.stdout)
        assert "build/staging/stack/secrets/grafana_admin_password" == facts["password_file"]
        (tmp_path / facts["password_file"]).write_text("x7Qm-vT2k_Lp9w-Rz4s\n")
        again = loglane(file, "up", "--env", "staging")
        assert 1 == again.returncode
        assert "Grafana refuses the password in build/staging" in again.stderr
    finally:
        loglane(file, "down", "--env", "staging", "--volumes", "--yes")


def test_up_names_every_port_that_is_taken(spec_file):
    """A taken port is found before anything starts, with the key to change."""
    ports = open_project("dev", spec_file).spec.ports
    with socket.socket() as loki, socket.socket() as grafana:
        for holder, port in ((loki, ports.loki), (grafana, ports.grafana)):
            holder.bind(("127.0.0.1", port))
            holder.listen()
        done = loglane(spec_file, "up")
    assert 1 == done.returncode
    assert f"port {ports.loki} on 127.0.0.1 is taken" in done.stderr
    assert "change ports.grafana in stack/environments/dev.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_up_quotes_a_container_that_fails(spec_file):
    """A Loki that cannot live in its memory limit is named, and where the limit is."""
    overlay = spec_file.parent / "environments" / "dev.yaml"
    keys = yaml.safe_load(overlay.read_text())
    keys["resources"]["loki"]["memory"] = "12m"
    overlay.write_text(yaml.safe_dump(keys))
    done = loglane(spec_file, "up", "--timeout", "60")
    assert 1 == done.returncode
    assert f"container {keys['project']}-loki-1 is" in done.stderr
    assert "its limits are under `resources`" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_with_volumes_does_not_delete_unasked(spec_file):
    """Without a terminal to ask on, deleting needs --yes."""
    done = loglane(spec_file, "down", "--volumes")
    assert (2, True) == (done.returncode, "--yes" in done.stderr)


def test_validate_runs_every_checker_from_the_pinned_images(spec_file):
    """Loki, Promtail and compose accept what is rendered, for each environment."""
    done = loglane(spec_file, "validate", "--json")
    checks = json.loads(done.stdout)["checks"]
    assert ["passed", "passed", "passed"] == [check["outcome"] for check in checks], checks
