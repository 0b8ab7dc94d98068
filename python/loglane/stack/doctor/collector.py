"""The collector: what it reads, what it could not send."""

from __future__ import annotations

from collections.abc import Iterator

from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.metrics import Samples
from loglane.stack.doctor.subject import Subject, ask, listed
from loglane.stack.probeapp import container_name

# (clients/pkg/promtail/client/client.go; alloy: internal/component/common/loki/client/metrics.go)
_PREFIXES = {
    "promtail": ("promtail", "promtail_docker_target"),
    "alloy": ("loki_write", "loki_source_docker_target"),
}
_READY = {"promtail": "/ready", "alloy": "/-/ready"}


def source_findings(subject: Subject) -> Iterator[Finding]:
    """Say which containers are there to be collected."""
    names = collected_containers(subject)
    apps = subject.spec.apps
    how = f"the label {apps.label}" if apps.label else f"a service of {listed(apps.services, 3)}"
    if names:
        yield Finding("apps", "ok", f"{len(names)} containers with {how}: {listed(names, 3)}")
    else:
        what = f"no running container has {how}: nothing is collected"
        mend = (
            f"label an app's container {apps.label}" if apps.label else "apps in stack/stack.yaml"
        )
        yield Finding("apps", "warning", what, mend)
    for name in names:
        driver = subject.client.containers.get(name).attrs["HostConfig"]["LogConfig"]["Type"]
        if driver not in ("json-file", "local", "journald"):
            what = f"{name} logs by the driver {driver}, which Docker cannot read back"
            mend = "logging: {driver: json-file} in its compose file"
            yield Finding("apps", "problem", what, mend)


def collected_containers(subject: Subject) -> list[str]:
    """Return the names of the running containers that the spec collects, without the probe's."""
    apps = subject.spec.apps
    services = [f"com.docker.compose.service={service}" for service in apps.services]
    wanted = [apps.label] if apps.label else services
    return sorted(
        {
            container.name or ""
            for label in wanted
            for container in subject.client.containers.list(filters={"label": label})
            if container.name != container_name(subject.spec)
        }
    )


def collector_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether the collector is ready, and what it dropped."""
    name = subject.spec.collector
    ask(subject.url(name) + _READY[name])
    yield from drop_findings(subject, subject.metrics(name))


def drop_findings(subject: Subject, metrics: Samples) -> Iterator[Finding]:
    """Read a collector's own numbers."""
    name = subject.spec.collector
    client, target = _PREFIXES[name]
    read = metrics.total(f"{target}_entries_total")
    sent = metrics.total(f"{client}_sent_entries_total")
    yield Finding("collector", "ok", f"{name} is ready; read {read:.0f} lines, sent {sent:.0f}")
    logs = f"{subject.compose} logs --since 1h {name}"
    dropped = metrics.by(f"{client}_dropped_entries_total", "reason")
    for reason, count in dropped.items():
        what = f"{count:.0f} lines were given up since its start: {reason}"
        yield Finding("collector", "problem", what, logs)
    broken = metrics.total(f"{target}_parsing_errors_total")
    if broken:
        what = f"{broken:.0f} lines of Docker's could not be read"
        yield Finding("collector", "warning", what, logs)
    retries = metrics.total(f"{client}_batch_retries_total")
    if retries:
        what = f"{retries:.0f} batches had to be sent again since its start"
        yield Finding("collector", "ok", f"{what}; Loki was absent or busy")
    if not dropped and not broken:
        yield Finding("collector", "ok", "no line was given up since its start")
