"""A real stack for the tests: rendered with free ports, started by compose, removed at the end.

Nothing here pulls an image: what is missing is a skip that names the command that brings it.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest
import yaml

# testcontainers would start a helper image of its own to clean up; the fixtures here do that.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.compose import DockerCompose
from testcontainers.core.container import DockerContainer

from loglane.errors import EnvironmentMissing
from loglane.query import LokiClient
from loglane.stack import engine, probe
from loglane.stack.layout import ADMIN_PASSWORD_FILE
from loglane.stack.project import Project, open_project

ROOT = Path(__file__).resolve().parent.parent.parent
START_TIMEOUT_S = 120.0


def eventually(
    check: Callable[[], object], wanted: object, timeout_s: float = 60.0, every_s: float = 0.25
) -> object:
    """Poll `check` until it returns `wanted`; return what it last returned."""
    deadline = time.monotonic() + timeout_s
    found = check()
    while found != wanted and time.monotonic() < deadline:
        time.sleep(every_s)
        found = check()
    return found


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for item in probes:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in probes]
    finally:
        for item in probes:
            item.close()


def write_project(folder: Path, name: str, label: str, env: str = "dev") -> Path:
    """Write the repository's spec with a name, free ports and an app label of its own."""
    spec = yaml.safe_load((ROOT / "stack" / "stack.yaml").read_text())
    overlay = yaml.safe_load((ROOT / "stack" / "environments" / f"{env}.yaml").read_text())
    loki, grafana, promtail = free_ports(3)
    overlay |= {
        "project": name,
        "ports": {"loki": loki, "grafana": grafana, "promtail": promtail},
        "apps": {"label": label},
    }
    stack = folder / "stack"
    (stack / "environments").mkdir(parents=True)
    (stack / "stack.yaml").write_text(yaml.safe_dump(spec))
    (stack / "environments" / f"{env}.yaml").write_text(yaml.safe_dump(overlay))
    (folder / "templates").symlink_to(ROOT / "templates")
    return stack / "stack.yaml"


@pytest.fixture(scope="session")
def docker_engine():
    """Return the engine's client, or skip."""
    try:
        client = engine.connect()
        engine.compose_version()
    except EnvironmentMissing as missing:
        reason = str(missing).splitlines()[0]
        pytest.skip(
            f"needs Docker with compose v2: {reason} Start it with `sudo systemctl start docker`; "
            "to install it, see https://docs.docker.com/engine/install/"
        )
    yield client
    client.close()


@dataclass(frozen=True)
class Stack:
    """A running stack and how to reach it."""

    project: Project
    compose: DockerCompose
    label: str
    loki: LokiClient
    loki_url: str
    grafana: httpx2.Client

    @property
    def images(self):
        """Return the pinned images."""
        return self.project.spec.images

    def count(self, query: str, since_ns: int) -> int:
        """Count the entries that a log query selects, paging through all of them."""
        return sum(1 for _ in self.loki.iter_range(query, since_ns, time.time_ns() + 10**10))


@pytest.fixture(scope="session")
def stack(docker_engine, tmp_path_factory) -> Iterator[Stack]:
    """Start the whole stack once for all integration tests."""
    name = f"loglane-test-{uuid.uuid4().hex[:8]}"
    label = f"collect={name}"
    spec_file = write_project(tmp_path_factory.mktemp("project"), name, label)
    project = open_project("dev", spec_file)
    missing = [
        image for image in project.spec.pinned_images if not engine.has_image(docker_engine, image)
    ]
    if missing:
        commands = " && ".join(f"docker pull {image}" for image in missing)
        pytest.skip(f"needs images that are not on this machine: {commands}")
    project.write()
    compose = DockerCompose(project.out, compose_file_name="docker-compose.yml", wait=False)
    try:
        compose.start()
        host, port = compose.get_service_host_and_port("loki", 3100)
        loki_url = f"http://{host}:{port}"
        grafana_host, grafana_port = compose.get_service_host_and_port("grafana", 3000)
        grafana_url = f"http://{grafana_host}:{grafana_port}"
        probe.wait_until(lambda: probe.answers(f"{loki_url}/ready"), START_TIMEOUT_S, "Loki")
        probe.wait_until(
            lambda: probe.answers(f"{grafana_url}/api/health"), START_TIMEOUT_S, "Grafana"
        )
        password = (project.out / ADMIN_PASSWORD_FILE).read_text().strip()
        login = (project.spec.grafana.admin_user, password)
        with (
            LokiClient(loki_url) as loki,
            httpx2.Client(base_url=grafana_url, auth=login, timeout=30) as grafana,
        ):
            yield Stack(project, compose, label, loki, loki_url, grafana)
    finally:
        compose.stop(down=True)


@pytest.fixture
def app_container(stack, tmp_path) -> Iterator[Callable[..., DockerContainer]]:
    """Return a function that runs a container which plays a file of lines to its stdout.

    It runs the collector's image, which is there and has a shell.
    """
    started: list[DockerContainer] = []

    def run(
        lines: list[bytes],
        pause_every: int = 0,
        name: str = "app",
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> DockerContainer:
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        # A pause after so many lines spreads the writing over time.
        script = "cat /lines.jsonl; exec sleep 600"
        if pause_every:
            script = (
                "n=0; while IFS= read -r line; do printf '%s\\n' \"$line\"; n=$((n+1)); "
                f"[ $((n % {pause_every})) = 0 ] && sleep 0.1; done < /lines.jsonl; exec sleep 600"
            )
        key, _, value = stack.label.partition("=")
        container = (
            DockerContainer(stack.images.promtail)
            .with_kwargs(entrypoint=["bash", "-c", script], labels={key: value, **labels})
            .with_name(f"{stack.project.spec.project}-{name}-{uuid.uuid4().hex[:6]}")
            .with_volume_mapping(file, "/lines.jsonl", "ro")
        )
        started.append(container)
        return container.start()

    yield run
    for container in started:
        container.stop()
