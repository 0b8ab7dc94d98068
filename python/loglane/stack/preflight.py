"""What must be true before a stack is started; every failure is found before any is reported."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import docker

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.project import Project
from loglane.stack.spec import StackSpec

# Room for the three images (about 1.5 GB unpacked) and a first day of lines.
MIN_FREE_BYTES = 3 * 1024**3


def preflight(project: Project) -> None:
    """Check Docker, compose, the project's name, ports, processors and disk.

    Raises:
        EnvironmentMissing: With every failed check and what mends it.
    """
    client = engine.connect()
    engine.compose_version()
    machine = engine.machine(client)
    own = engine.published_ports(client, project.spec.project)
    failures = [
        *folder_failures(client, project),
        *port_failures(project.spec, own),
        *cpu_failures(project.spec, machine.cpus),
        *_disk_failures(machine.data_root, project.out),
    ]
    if failures:
        raise EnvironmentMissing("\n".join(failures))


def folder_failures(client: docker.DockerClient, project: Project) -> Iterator[str]:
    """Say which other folder runs a stack of this name: its containers and data are not ours."""
    name, env = project.spec.project, project.spec.env
    for folder in engine.project_folders(client, name) - {project.out.resolve()}:
        yield (
            f"a stack named {name} was started from {folder}; give this one a `project` of its own "
            f"in stack/environments/{env}.yaml, or remove that one first: "
            f"`docker compose -p {name} down`, which keeps its lines"
        )


def port_failures(spec: StackSpec, own: set[int]) -> Iterator[str]:
    """Say which ports are taken; `own` are those that this stack holds itself."""
    for name, (address, port) in spec.published.items():
        if port in own:
            continue
        code = _bind_error(address, port)
        if code == errno.EADDRINUSE:
            yield (
                f"port {port} on {address} is taken by another program; stop it, or change "
                f"ports.{name} in stack/environments/{spec.env}.yaml"
            )
        elif code == errno.EADDRNOTAVAIL:
            yield f"bind_address {address} is no address of this machine; change it in the spec"
            return


def _bind_error(address: str, port: int) -> int | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Docker does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno
    return None


def cpu_failures(spec: StackSpec, cpus: int) -> Iterator[str]:
    """Say which limits are above what the machine has."""
    for component in spec.components:
        name = component.replace("-", "_")
        resource = getattr(spec.resources, name)
        if resource.cpus > cpus:
            yield (
                f"resources.{name}.cpus is {resource.cpus:g}, this machine has {cpus}; lower it in "
                f"stack/environments/{spec.env}.yaml"
            )


def _disk_failures(data_root: Path, out: Path) -> Iterator[str]:
    # The engine's folder is on another machine when the engine is, and may be closed to us.
    place = data_root if _is_folder(data_root) else _nearest_folder(out.resolve())
    free = shutil.disk_usage(place).free
    if free < MIN_FREE_BYTES:
        yield (
            f"{free / 1024**3:.1f} GiB are free at {place}; {MIN_FREE_BYTES / 1024**3:.0f} GiB are "
            "needed. `docker system df` shows what Docker holds"
        )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False


def _nearest_folder(path: Path) -> Path:
    return path if path.is_dir() else _nearest_folder(path.parent)
