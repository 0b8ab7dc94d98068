"""Look at everything that a stack needs, and say what mends what is wrong.

Each topic is a module of checks; a check yields findings. One that cannot look is a finding too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import docker
from docker.errors import DockerException

from loglane.errors import EnvironmentMissing, LoglaneError
from loglane.stack import engine
from loglane.stack.doctor import (
    chain,
    collector,
    containers,
    files,
    labels,
    loki,
    machine,
    volumes,
)
from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.subject import Subject
from loglane.stack.project import Project
from loglane.stack.reporting import Reporter

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class _Check:
    topic: str
    title: str
    look: Callable[[Subject], Iterator[Finding]]
    # Components without which there is nothing to look at; `collector` is whichever it is.
    needs: tuple[str, ...] = ()


_CHECKS = (
    _Check("docker", "Docker and compose", machine.docker_findings),
    _Check("ports", "ports", machine.port_findings),
    _Check("images", "images", containers.image_findings),
    _Check("containers", "containers", containers.container_findings),
    _Check("containers", "the config that runs", containers.applied_findings, ("loki",)),
    _Check("clocks", "clocks", machine.clock_findings),
    _Check("volumes", "volumes and disk", volumes.volume_findings),
    _Check("loki", "Loki", loki.ready_findings, ("loki",)),
    _Check("compaction", "compaction and retention", loki.compaction_findings, ("loki",)),
    _Check("retention", "the oldest lines", loki.oldest_findings, ("loki",)),
    _Check("labels", "labels and streams", labels.label_findings, ("loki",)),
    _Check("collector", "the collector", collector.collector_findings, ("collector",)),
    _Check("apps", "containers to collect", collector.source_findings),
    _Check("grafana", "Grafana", chain.grafana_findings, ("grafana",)),
    _Check("audit", "the audit trail's database", chain.audit_findings, ("grafana",)),
    _Check("chain", "lines through the whole chain", chain.chain_findings, ("loki", "collector")),
)
# What a check may meet on a machine where something is not as it should be.
_EXPECTED = (LoglaneError, DockerException, OSError, LookupError, TypeError, ValueError)


def examine(
    project: Project, reporter: Reporter, chain_timeout_s: float = 60.0
) -> Iterator[Finding]:
    """Run every check that can run.

    Args:
        project: The project and environment to look at.
        reporter: Where progress goes.
        chain_timeout_s: How long a line may take through the whole chain, in seconds.

    Yields:
        Findings in the order of the checks: files, machine, servers, the whole chain.
    """
    with reporter.working("files"):
        found = [
            *_looked(files.rendered_findings, project, "files"),
            *_looked(files.secret_findings, project, "secrets"),
        ]
    yield from found
    try:
        client = engine.connect()
    except EnvironmentMissing as error:
        what = str(error).splitlines()[0]
        yield Finding("docker", "problem", what, "sudo systemctl start docker")
        return
    try:
        yield from _with_docker(project, client, reporter, chain_timeout_s)
    finally:
        client.close()


def _with_docker(
    project: Project, client: docker.DockerClient, reporter: Reporter, chain_timeout_s: float
) -> Iterator[Finding]:
    there = tuple(engine.containers(client, project.spec.project))
    subject = Subject(project, client, there, chain_timeout_s)
    skipped: list[str] = []
    for check in _CHECKS:
        needed = (project.spec.collector if need == "collector" else need for need in check.needs)
        if not all(subject.running(component) for component in needed):
            skipped.append(check.title)
            continue
        with reporter.working(check.title):
            found = _looked(check.look, subject, check.topic)
        yield from found
    if skipped:
        what = f"not looked at, as it needs what does not run: {', '.join(skipped)}"
        yield Finding("skipped", "warning", what, subject.up)


def _looked(look: Callable[..., Iterator[Finding]], of: object, topic: str) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(look(of))
    except _EXPECTED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        what, _, advice = reason.partition(". ")
        mend = advice if isinstance(error, LoglaneError) and advice else "docker info"
        found.append(Finding(topic, "problem", f"cannot be looked at: {what}", mend))
    return found
