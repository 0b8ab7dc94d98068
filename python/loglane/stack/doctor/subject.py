"""What the doctor's checks look at: one environment, its engine, its servers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import docker
import httpx2

from loglane.errors import ServiceUnavailable
from loglane.stack import probe
from loglane.stack.doctor.metrics import Samples, parse_metrics
from loglane.stack.engine import Container
from loglane.stack.project import Project
from loglane.stack.spec import SINGLE_TENANT, StackSpec

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """One environment as it is now.

    Attributes:
        project: Its spec and where its files are.
        client: The engine.
        containers: The containers of its compose project, also those that have ended.
    """

    project: Project
    client: docker.DockerClient
    containers: tuple[Container, ...]
    chain_timeout_s: float = 60.0
    _metrics: dict[str, Samples] = field(default_factory=dict)

    @property
    def spec(self) -> StackSpec:
        """The spec of this environment."""
        return self.project.spec

    @property
    def compose(self) -> str:
        """The command that a compose command of this environment begins with."""
        return f"loglane compose --env {self.spec.env}"

    @property
    def up(self) -> str:
        """The command that applies the spec."""
        return f"loglane up --env {self.spec.env}"

    def running(self, component: str) -> bool:
        """Tell whether a component's container runs."""
        return any(c.service == component and c.state == "running" for c in self.containers)

    def url(self, component: str) -> str:
        """Return the address of a component that publishes one."""
        return probe.component_url(self.spec, component)

    def metrics(self, component: str) -> Samples:
        """Return what a component says about itself at /metrics, asked for once.

        Raises:
            ServiceUnavailable: It does not answer.
        """
        if component not in self._metrics:
            self._metrics[component] = parse_metrics(ask(f"{self.url(component)}/metrics").text)
        return self._metrics[component]


def ask(url: str, tenant: str = SINGLE_TENANT, params: dict[str, Any] | None = None) -> Any:
    """Get an address on this machine.

    Raises:
        ServiceUnavailable: There is no answer, or one that is no success.
    """
    # Without tenants Loki takes no notice of it.
    headers = {"X-Scope-OrgID": tenant}
    try:
        answer = httpx2.get(
            url, params=params, headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )
    except httpx2.HTTPError as error:
        raise ServiceUnavailable(f"{url} does not answer: {error}") from error
    if answer.status_code >= 300:
        said = " ".join(answer.text.split())[:200]
        raise ServiceUnavailable(f"{url} answers {answer.status_code}: {said}")
    return answer


def ago(timestamp_s: float) -> str:
    """Write how long ago a moment was."""
    return duration(max(time.time() - timestamp_s, 0))


def duration(seconds: float) -> str:
    """Write a time in the largest unit that fits."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Write a number of bytes in Loki's units of 1024."""
    for unit, length in (("TB", 1024.0**4), ("GB", 1024.0**3), ("MB", 1024.0**2)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count / 1024:.0f} KB"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Write a few names of many."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "")
