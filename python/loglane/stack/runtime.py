"""Start, watch and stop the stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import docker

from loglane.errors import EnvironmentMissing, LoglaneError, ServiceUnavailable
from loglane.stack import engine, probe
from loglane.stack.gateway import gateway_url
from loglane.stack.layout import ADMIN_PASSWORD_FILE
from loglane.stack.preflight import folder_failures, preflight
from loglane.stack.project import Project
from loglane.stack.reporting import Reporter
from loglane.stack.rotation import hand_over
from loglane.stack.secretfolder import SecretFolder
from loglane.stack.secrets import Secret


@dataclass(frozen=True, slots=True)
class Running:
    """What a started stack offers."""

    grafana_url: str
    loki_url: str
    gateway_url: str | None
    admin_user: str
    password_file: Path
    probe_s: float


def up(project: Project, reporter: Reporter, timeout_s: float = 180.0) -> Running:
    """Render, check, start, and wait until a line pushed through Loki comes back by query.

    Args:
        project: The project to start.
        reporter: Where progress goes.
        timeout_s: How long each server may take to answer, in seconds.

    Raises:
        LoglaneError: A step failed; the message says what to do.
    """
    spec = project.spec
    with reporter.step("preflight: Docker, compose, ports, processors, disk"):
        preflight(project)
    with reporter.step(f"render env {spec.env} to {project.compose_file}"):
        project.write()
    with reporter.step(f"secrets in {project.secrets}"):
        made = _init_secrets(project)
    client = engine.connect()
    missing = _missing_images(client, project)
    if missing:
        reporter.note(f"to be pulled, once: {missing}")
    with reporter.step("docker compose up"):
        # Compose sees a changed definition, not a changed secret.
        hand_over(project, made)
        _compose_up(client, project)
    loki, grafana = probe.loki_url(spec), probe.grafana_url(spec)
    password_file = project.out / ADMIN_PASSWORD_FILE
    waits: list[tuple[str, Callable[[], bool]]] = [
        ("Loki is ready", partial(_alive_and_answers, client, spec.project, f"{loki}/ready")),
        (
            "Grafana answers",
            partial(_alive_and_answers, client, spec.project, f"{grafana}/api/health"),
        ),
        (
            "Grafana takes the generated password and has its dashboards",
            partial(probe.has_provisioned, spec, password_file),
        ),
        *(
            (f"{service} is healthy", partial(_is_healthy, client, project, service))
            for service in (spec.collector, "gateway", "mariadb")
            if service in spec.components
        ),
    ]
    hint = f"`loglane compose --env {spec.env} logs` shows why, --timeout waits longer"
    for title, ready in waits:
        with reporter.step(title):
            probe.wait_until(ready, timeout_s, title, hint)
    with reporter.step("a probe line pushed through Loki comes back by query"):
        took = probe.send_probe(spec, timeout_s=30.0)
    user = spec.grafana.admin_user
    return Running(grafana, loki, gateway_url(spec), user, password_file, took)


def _init_secrets(project: Project) -> list[Secret]:
    """Make what is missing; return what was made."""
    found = SecretFolder(project.spec, project.secrets).init()
    missing = [finding for finding in found if finding.outcome == "missing"]
    if missing:
        lines = [f"{finding.secret.name} is missing: {finding.detail}" for finding in missing]
        raise LoglaneError("\n".join(lines))
    return [finding.secret for finding in found if finding.outcome == "made"]


def _compose_up(client: docker.DockerClient, project: Project) -> None:
    try:
        engine.compose(project.compose_file, ["up", "--detach", "--remove-orphans"])
    except LoglaneError as error:
        # One that crashes again and again may be caught between two starts.
        _raise_for_broken(client, project.spec.project, also_restarted=True)
        missing = _missing_images(client, project)
        if not missing:
            raise
        hint = "What cannot be pulled here can be brought with `docker load`"
        raise LoglaneError(f"{error}. Still missing: {missing}. {hint}") from None


def _missing_images(client: docker.DockerClient, project: Project) -> str:
    images = project.spec.pinned_images
    return ", ".join(image for image in images if not engine.has_image(client, image))


def _alive_and_answers(client: docker.DockerClient, name: str, url: str) -> bool:
    _raise_for_broken(client, name, also_restarted=False)
    return probe.answers(url)


def _raise_for_broken(client: docker.DockerClient, name: str, *, also_restarted: bool) -> None:
    for container in engine.containers(client, name):
        if container.broken or (also_restarted and container.restarts > 0):
            said = engine.last_lines(client, container.name) or "nothing"
            raise ServiceUnavailable(
                f"container {container.name} is {container.state}. It said last:\n{said}\n"
                f"`docker inspect {container.name}` tells more; its limits are under `resources`"
            )


def _is_healthy(client: docker.DockerClient, project: Project, service: str) -> bool:
    return any(
        container.service == service and container.health == "healthy"
        for container in engine.containers(client, project.spec.project)
    )


def down(project: Project, volumes: bool) -> None:
    """Stop and remove the containers; with `volumes` the stored lines and dashboards too."""
    client = engine.connect()
    engine.compose_version()
    project.require_rendered()
    foreign = list(folder_failures(client, project))
    if foreign:
        raise EnvironmentMissing("\n".join(foreign))
    engine.compose(
        project.compose_file, ["down", "--remove-orphans", *(["--volumes"] if volumes else [])]
    )
