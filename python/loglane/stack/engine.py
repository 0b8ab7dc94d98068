"""Docker as this package uses it: the engine by its SDK, compose by its command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess  # compose has no library; arguments are lists, never a shell line
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from loglane.errors import EnvironmentMissing, LoglaneError

# `depends_on: condition: service_completed_successfully` and long healthcheck forms as rendered.
MIN_COMPOSE = (2, 20)
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_WITHOUT_DOCKER = "Without Docker, `loglane demo` runs an app and an embedded server instead."


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a compose project."""

    service: str
    name: str
    state: str
    health: str
    image: str
    restarts: int
    # What compose's label says of the config that it was made with.
    config_digest: str = ""

    @property
    def broken(self) -> bool:
        """Whether it has failed, as opposed to still starting or done."""
        failed_exit = self.state.startswith("exited") and self.state != "exited (0)"
        return failed_exit or self.state in ("restarting", "dead") or self.health == "unhealthy"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the engine runs: its processors, and the folder of its images and volumes."""

    cpus: int
    data_root: Path


def connect() -> docker.DockerClient:
    """Connect to the engine.

    Raises:
        EnvironmentMissing: It does not answer; the message says what to do.
    """
    try:
        _try_socket()
        client = docker.from_env(timeout=30)
        client.ping()
    except (DockerException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise EnvironmentMissing(
            f"Docker does not answer ({reason}).\nStart it, and see that your user may use it "
            f"(`docker info` must work). {_WITHOUT_DOCKER}"
        ) from error
    return client


def machine(client: docker.DockerClient) -> Machine:
    """Ask the engine about the machine that it runs on."""
    info = client.info()
    return Machine(int(info["NCPU"]), Path(info["DockerRootDir"]))


def _try_socket() -> None:
    # The SDK leaves the socket of a refused connection open; so refusals are found before it.
    scheme, _, path = os.environ.get("DOCKER_HOST", _DEFAULT_HOST).partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except OSError as error:
                raise OSError(f"{path}: {error.strerror}") from None


def compose_version() -> tuple[int, int]:
    """Return major and minor version of the compose plugin.

    Raises:
        EnvironmentMissing: The plugin is missing or too old.
    """
    wanted = ".".join(map(str, MIN_COMPOSE))
    hint = f"Install Docker Compose v2, {wanted} or newer: https://docs.docker.com/compose/install/"
    if shutil.which("docker") is None:
        raise EnvironmentMissing(f"there is no `docker` command. {hint}\n{_WITHOUT_DOCKER}")
    done = _docker(["compose", "version", "--short"])
    match = re.search(r"(\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or match is None:
        raise EnvironmentMissing(f"`docker compose` does not work. {hint}")
    version = int(match[1]), int(match[2])
    if version < MIN_COMPOSE:
        raise EnvironmentMissing(f"Docker Compose {done.stdout.strip()} is too old. {hint}")
    return version


def compose(file: Path, arguments: Sequence[str]) -> None:
    """Run `docker compose` on a rendered file; its output goes to the terminal.

    Raises:
        LoglaneError: It failed; what it said is on the terminal.
    """
    command = ["compose", "--file", str(file), *arguments]
    code = subprocess.run(["docker", *command], stdout=sys.stderr, check=False).returncode  # noqa: S603, S607
    if code != 0:
        line = " ".join(["docker", *command])
        raise LoglaneError(f"`{line}` failed with exit code {code}; see what it said above")


def compose_exec(file: Path, service: str, command: Sequence[str], stdin: str) -> tuple[int, str]:
    """Run a command in a service's container; return its exit code and what it printed."""
    line = ["docker", "compose", "--file", str(file), "exec", "--no-TTY", service, *command]
    done = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, (done.stdout + done.stderr).strip()


def run_docker(arguments: Sequence[str]) -> tuple[int, str]:
    """Run a docker command and return its exit code and everything it printed."""
    done = _docker(arguments)
    return done.returncode, (done.stdout + done.stderr).strip()


def _docker(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607


def has_image(client: docker.DockerClient, name: str) -> bool:
    """Tell whether an image is on this machine."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def containers(client: docker.DockerClient, project: str) -> list[Container]:
    """List the containers of a compose project, stopped ones too, by service name."""
    label = f"com.docker.compose.project={project}"
    found = []
    for item in client.containers.list(all=True, filters={"label": label}):
        state = item.attrs["State"]
        found.append(
            Container(
                service=item.labels.get("com.docker.compose.service", "?"),
                name=item.name or "",
                state=_state(state),
                health=state.get("Health", {}).get("Status", ""),
                image=item.attrs["Config"]["Image"],
                restarts=item.attrs["RestartCount"],
                config_digest=item.labels.get("loglane.config", ""),
            )
        )
    return sorted(found, key=lambda container: container.service)


def _state(state: dict[str, object]) -> str:
    status = str(state["Status"])
    return f"{status} ({state['ExitCode']})" if status == "exited" else status


def published_ports(client: docker.DockerClient, project: str) -> set[int]:
    """Return the host ports that a project's running containers hold."""
    label = f"com.docker.compose.project={project}"
    return {
        int(binding["HostPort"])
        for item in client.containers.list(filters={"label": label})
        for bindings in (item.attrs["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or ()
    }


def project_folders(client: docker.DockerClient, project: str) -> set[Path]:
    """Return the folders that a project's containers, stopped ones too, were started from."""
    found = client.containers.list(
        all=True, filters={"label": f"com.docker.compose.project={project}"}
    )
    folders = {item.labels.get("com.docker.compose.project.working_dir") for item in found}
    return {Path(folder).resolve() for folder in folders if folder}


def last_lines(client: docker.DockerClient, container: str, lines: int = 15) -> str:
    """Return the newest lines that a container wrote."""
    raw: bytes = client.containers.get(container).logs(tail=lines)
    return raw.decode(errors="replace").strip()


def compose_config(file: Path) -> tuple[int, str]:
    """Let compose check a file (`docker compose config -q`)."""
    return run_docker(["compose", "--file", str(file), "config", "--quiet"])


def as_json(found: Sequence[Container]) -> str:
    """Write containers as one JSON list."""
    return json.dumps(
        [
            {
                "service": c.service,
                "name": c.name,
                "state": c.state,
                "health": c.health,
                "image": c.image,
            }
            for c in found
        ]
    )
