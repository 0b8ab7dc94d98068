"""Short-lived containers of our own: closed in, and of an image that is there already."""

from __future__ import annotations

from typing import Any

import docker

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
