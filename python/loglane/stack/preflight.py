"""What must be true before a stack is started; every failure is found before any is reported."""

from __future__ import annotations

import shutil
import socket

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.project import Project

# Room for the three images (about 1.5 GB unpacked) and a first day of lines.
MIN_FREE_BYTES = 3 * 1024**3


def preflight(project: Project) -> None:
    """Check Docker, compose, ports and disk.

    Raises:
        EnvironmentMissing: With every failed check and what mends it.
    """
    client = engine.connect()
    engine.compose_version()
    spec = project.spec
    own = engine.published_ports(client, spec.project)
    failures = [
        f"port {port} on {spec.bind_address} is taken by another program; stop it, or change "
        f"ports.{name} in stack/stack.yaml"
        for name, port in spec.ports
        if port not in own and not _is_free(spec.bind_address, port)
    ]
    free = shutil.disk_usage(project.out.resolve()).free
    if free < MIN_FREE_BYTES:
        failures.append(
            f"{free / 1024**3:.1f} GiB of disk are free; {MIN_FREE_BYTES / 1024**3:.0f} GiB are "
            "needed. `docker system df` shows what Docker holds"
        )
    if failures:
        raise EnvironmentMissing("\n".join(failures))


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Docker does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
