"""Short-lived containers of our own: closed in, and of an image that is there already."""

from __future__ import annotations

from typing import Any

import docker
from docker.errors import ContainerError

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.spec import StackSpec

# Arguments of the SDK's `containers.run`: no network, no rights, little memory.
HARDENED: dict[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "64m",
    "nano_cpus": 500_000_000,
    "pids_limit": 32,
}


def run_script(client: docker.DockerClient, image: str, script: str, **options: Any) -> str:
    """Run a shell script in a container, and return what it printed.

    The container is removed however that ends, also by Ctrl-C: with `remove=True` the SDK would
    leave it then.

    Raises:
        ContainerError: The script failed.
    """
    command = ["/bin/sh", "-euc", script]
    container = client.containers.create(
        image, entrypoint=command, command=[], **{**HARDENED, **options}
    )
    try:
        container.start()
        status = container.wait()["StatusCode"]
        if status != 0:
            said = container.logs(stdout=False, stderr=True)
            raise ContainerError(container, status, command, image, said.decode(errors="replace"))
        printed: bytes = container.logs(stdout=True, stderr=False)
    finally:
        container.remove(force=True)
    return printed.decode(errors="replace")


def shell_image(client: docker.DockerClient, spec: StackSpec) -> str:
    """Return an image of this stack that has a shell and is on the machine.

    Raises:
        EnvironmentMissing: There is none.
    """
    # Loki's own image has no shell.
    candidates = (getattr(spec.images, spec.collector), spec.images.grafana)
    for image in candidates:
        if engine.has_image(client, image):
            return image
    raise EnvironmentMissing(
        f"no image for the probe's container is on this machine; `docker pull {candidates[0]}` "
        f"brings one, and so does `loglane up --env {spec.env}`"
    )
