"""The doctor on a real stack: well, with something broken, and not started."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from loglane.stack.doctor import examine
from loglane.stack.project import open_project
from loglane.stack.reporting import Reporter
from tests.integration.conftest import eventually, write_project

pytestmark = pytest.mark.integration


def findings(project) -> dict[str, list]:
    found: dict[str, list] = {}
    for finding in examine(project, Reporter(quiet=True)):
        found.setdefault(finding.topic, []).append(finding)
    return found


def problems(found) -> list[str]:
    # How full the disk is depends on the machine.
    return [
        item.what
        for topic, items in found.items()
        for item in items
        if item.level == "problem" and topic != "disk"
    ]


def test_running_stack_has_no_problem(stack, docker_engine):
    """Every topic is looked at, the whole chain too, and nothing is wrong."""
    found = findings(stack.project)
    assert [] == problems(found)
    assert {
        "files", "secrets", "docker", "ports", "images", "containers", "clocks", "volumes", "disk",
        "loki", "compaction", "retention", "labels", "collector", "apps", "grafana", "chain",
    } == set(found)  # fmt: skip
    assert "loki-data of 10001" in found["volumes"][0].what
    assert "20 lines from a container to a query" in found["chain"][0].what


def test_collector_that_is_stopped_is_said(stack, docker_engine):
    """What does not run is a problem; what needs it is named as not looked at."""
    collector = docker_engine.containers.get(stack.compose.get_container("promtail").ID)
    collector.stop()
    try:
        found = findings(stack.project)
    finally:
        collector.start()

        def health() -> str:
            collector.reload()
            return collector.attrs["State"]["Health"]["Status"]

        assert "healthy" == eventually(health, "healthy")
    assert any("promtail is exited" in what for what in problems(found))
    assert "lines through the whole chain" in found["skipped"][0].what
    assert "chain" not in found


def test_volume_of_another_owner_is_said(stack, docker_engine):
    """A volume that its component cannot write is found, with the command that gives it back."""
    from loglane.stack.sandbox import shell_image

    volume = f"{stack.project.spec.project}_loki-data"
    image = shell_image(docker_engine, stack.project.spec)

    def give(owner: str) -> None:
        docker_engine.containers.run(
            image, entrypoint=["chown", owner, "/v"], command=[], user="0:0", remove=True,
            volumes={volume: {"bind": "/v", "mode": "rw"}},
        )  # fmt: skip

    give("1234")
    try:
        found = findings(stack.project)
    finally:
        give("10001")
    (finding,) = [item for item in found["volumes"] if item.level == "problem"]
    assert "loki-data belongs to user 1234, its component is user 10001" == finding.what
    assert "-R 10001 /v" in finding.mend


def test_stack_that_was_never_started_is_one_command(docker_engine, tmp_path):
    """Nothing runs: exit code 1, and the findings say what starts it; no traceback."""
    spec_file = write_project(tmp_path, "loglane-test-never", "collect=never")
    open_project("dev", spec_file).write()
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "doctor", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode
    assert "Traceback" not in done.stderr
    facts = json.loads(done.stdout)
    (missing,) = [item for item in facts["findings"] if item["what"].startswith("not running")]
    assert "loglane up --env dev" == missing["mend"]
