"""What the command prints and how it exits; never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def project(root, tmp_path):
    """Return a copy of the repository's spec and templates in an empty folder."""
    shutil.copytree(root / "stack", tmp_path / "stack", ignore=shutil.ignore_patterns("secrets"))
    shutil.copytree(root / "templates", tmp_path / "templates")
    return tmp_path


def loglane(folder, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "loglane", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_render_writes_then_has_nothing_to_do(project):
    """The first run lists what it wrote, the second writes nothing, the check agrees."""
    first = loglane(project, "render", "--json")
    assert "docker-compose.yml" in json.loads(first.stdout)["written"]
    assert [] == json.loads(loglane(project, "render", "--json").stdout)["written"]
    assert 0 == loglane(project, "render", "--check").returncode


def test_render_of_another_environment_goes_below_build(project):
    """Only dev is written at the top of a project."""
    assert 0 == loglane(project, "render", "--env", "prod").returncode
    assert (project / "build/prod/docker-compose.yml").is_file()
    assert not (project / "docker-compose.yml").exists()


def test_render_makes_a_folder_for_secrets_that_git_ignores(project):
    """The folder is the user's own and nothing in it is ever committed."""
    loglane(project, "render", "--env", "prod")
    secrets = project / "build/prod/stack/secrets"
    assert 0o700 == secrets.stat().st_mode & 0o777
    assert "*\n!.gitignore\n" == (secrets / ".gitignore").read_text()


def test_check_fails_with_a_diff(project):
    """A file that was changed by hand makes the check fail and shows the change."""
    loglane(project, "render")
    compose = project / "docker-compose.yml"
    compose.write_text(compose.read_text().replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
    done = loglane(project, "render", "--check")
    assert 1 == done.returncode
    assert '-      - "0.0.0.0:3100:3100"' in done.stdout
    assert "`loglane render --env dev`" in done.stderr
    assert json.loads(loglane(project, "render", "--check", "--json").stdout)["differs"] is True


def test_wrong_spec_exits_2_and_writes_nothing(project):
    """Every problem is printed with its place; the tree stays empty."""
    spec = project / "stack" / "stack.yaml"
    spec.write_text(spec.read_text().replace("loki: 3100", "lokki: '3100'"))
    done = loglane(project, "render")
    assert (2, "") == (done.returncode, done.stdout)
    line = spec.read_text().splitlines().index("  lokki: '3100'") + 1
    assert f"stack/stack.yaml:{line}: ports.lokki: unknown key; did you mean 'loki'?" in done.stderr
    assert not (project / "docker-compose.yml").exists()


def test_wrong_spec_is_plain_data_for_machines(project):
    """With --json the same problems are one object on stdout."""
    (project / "stack" / "environments" / "dev.yaml").write_text("env: dev\nproject: 7\n")
    done = loglane(project, "render", "--json")
    assert [
        {
            "file": "stack/environments/dev.yaml",
            "line": 2,
            "path": "project",
            "message": "7 should be a string; put it in quotes, "
            "with a unit where it has one, as in '31d'",
        }
    ] == json.loads(done.stdout)["problems"]


@pytest.mark.parametrize(
    "arguments",
    [["render", "--nope"], ["nope"], ["render", "--env", "nope"], ["render", "--spec", "nope.yaml"],
     ["serve", "--port", "0"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_2(project, arguments):
    """A command line that cannot be meant is exit code 2 and one message."""
    assert 2 == loglane(project, *arguments).returncode


def test_check_of_an_environment_that_is_not_rendered_says_so(project):
    """Without any rendered file there is no diff, but the command that renders."""
    done = loglane(project, "render", "--check", "--env", "prod")
    assert (1, "") == (done.returncode, done.stdout)
    assert "nothing is rendered in build/prod yet; `loglane render --env prod`" in done.stderr


def test_spec_named_from_inside_its_folder_renders_the_same_tree(project):
    """The project's top is found from the spec, not from the current folder."""
    assert 0 == loglane(project / "stack", "render", "--spec", "stack.yaml").returncode
    assert (project / "docker-compose.yml").is_file()
    assert not (project / "stack" / "stack").exists()


@pytest.mark.parametrize("host", ["tcp://[bad", "tcp://127.0.0.1:9", "nonsense"])
def test_a_docker_host_that_leads_nowhere_is_one_message(project, host):
    """Whatever is wrong with the engine's address is said in one message."""
    done = loglane(project, "status", "--json", DOCKER_HOST=host)
    assert 1 == done.returncode
    assert "Docker does not answer" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("command", [["up"], ["status"]], ids=" ".join)
def test_without_docker_it_says_what_works_instead(project, command):
    """No engine is one message that points to the demo."""
    done = loglane(project, *command, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert 1 == done.returncode
    assert "Docker does not answer" in done.stderr
    assert "loglane demo" in done.stderr


def test_validate_says_what_was_not_there(project):
    """Without Docker and binaries each check says so, and that is no failure."""
    done = loglane(
        project, "validate", "--json", DOCKER_HOST="unix:///nowhere/docker.sock", PATH="/nowhere"
    )
    assert 0 == done.returncode, done.stderr
    outcomes = {check["check"]: check["outcome"] for check in json.loads(done.stdout)["checks"]}
    assert {
        "promtail -check-syntax": "not there",
        "loki -verify-config": "not there",
        "docker compose config": "not there",
    } == outcomes


def test_validate_fails_when_a_program_refuses(project, tmp_path):
    """A binary on PATH that refuses the file fails the command and is quoted."""
    binary = tmp_path / "bin" / "loki"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\necho 'field nope not found' >&2\nexit 1\n")
    binary.chmod(0o755)
    done = loglane(
        project, "validate", DOCKER_HOST="unix:///nowhere/docker.sock", PATH=f"{binary.parent}:/bin"
    )
    assert 1 == done.returncode
    assert "field nope not found" in done.stderr


def test_output_onto_a_full_disk_is_one_message(project):
    """Output that cannot be written is said, and is exit code 1."""
    loglane(project, "render")
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "loglane", "render", "--check"],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "No space left" in done.stderr


def test_output_into_a_closed_pipe_is_quiet(project):
    """`| head` ends the command without a complaint."""
    done = subprocess.run(
        f"{sys.executable} -m loglane render --check | true",
        shell=True,
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
