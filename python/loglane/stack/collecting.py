"""What the collector's templates insert: where lines come from, and what becomes of them."""

from __future__ import annotations

import math
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

from loglane.stack.layout import RENDERED
from loglane.stack.pipelines import (
    Rule,
    container_rules,
    container_stages,
    file_labels,
    journal_rules,
    line_stages,
    own_rules,
    own_stages,
)
from loglane.stack.spec import StackSpec
from loglane.stack.values import memory_bytes

# The stack's own services carry this Docker label, with the project as its value.
STACK_LABEL = "loglane.stack"
_COMPOSE_SERVICE = "com.docker.compose.service"
_ALERTS_PORT = 3500
_PROXY = "docker-proxy"
_PROXY_PORT = 2375
# Promtail and Alloy leave the host's own paths free for what they need themselves.
_HOST = PurePosixPath("/host")
_ROOT = "0"
_NOBODY = "10001"
_SOCKET = "/var/run/docker.sock"
_SOCKET_URL = f"unix://{_SOCKET}"
# Everybody may write here in both images, and so in a volume that begins as a copy of it: the
# collector runs as root or not, as the spec says.
_DATA = "/var/tmp"  # noqa: S108
_CONFIG = {"promtail": "promtail.yaml", "alloy": "config.alloy"}


def collector_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the templates of the collector, its service and its proxy insert."""
    config = _CONFIG[spec.collector]
    uid = _uid(spec)
    return {
        "jobs": [
            *_docker_jobs(spec),
            *_files(spec),
            *_journal(spec),
            *_alerts_listener(spec),
        ],
        "tenant": spec.default_tenant if spec.tenants else None,
        "collecting": {
            "docker_host": f"tcp://{_PROXY}:{_PROXY_PORT}" if spec.docker.proxy else _SOCKET_URL,
            "user": f"{uid}:{uid}",
            "runtime": _go_runtime(spec),
            # A file of its own for each user: neither could write the other's.
            "positions": f"{_DATA}/positions-{uid}.yaml",
            "storage_flag": f"--storage.path={_DATA}/alloy-{uid}",
            "data": f"collector-data:{_DATA}",
            "mounts": [
                f"./{RENDERED}/{spec.collector}/{config}:/etc/{spec.collector}/{config}:ro",
                *_source_mounts(spec),
            ],
            # Most logs of the host belong to other users.
            "capabilities": ["DAC_READ_SEARCH"] if _reads_host(spec) else [],
            "proxy_mounts": [
                f"./{RENDERED}/{_PROXY}/nginx.conf:/etc/nginx/nginx.conf:ro",
                f"{spec.docker.socket}:{_SOCKET}:ro",
            ],
        },
    }


def alert_log_url(spec: StackSpec) -> str:
    """Return where, inside the stack's network, raw text becomes a line of the service `alerts`."""
    paths = {"promtail": "/promtail/api/v1/raw", "alloy": "/loki/api/v1/raw"}
    return f"http://{spec.collector}:{_ALERTS_PORT}{paths[spec.collector]}"


def _go_runtime(spec: StackSpec) -> dict[str, str]:
    """Fit Go's scheduler and collector of garbage to the container's limits.

    Source: https://pkg.go.dev/runtime#hdr-Environment_Variables
    """
    limits = getattr(spec.resources, spec.collector)
    return {
        "GOMAXPROCS": str(math.ceil(limits.cpus)),
        "GOGC": "300",
        "GOMEMLIMIT": f"{memory_bytes(limits.memory) * 3 // 4}B",
    }


def _docker_jobs(spec: StackSpec) -> list[dict[str, Any]]:
    return [
        _docker_job("containers", _discovery_labels(spec), container_rules(spec))
        | {"stages": container_stages(spec)},
        _docker_job("stack", [f"{STACK_LABEL}={spec.project}"], own_rules(spec))
        | {"stages": own_stages(spec)},
    ]


def _docker_job(name: str, labels: list[str], rules: list[Rule]) -> dict[str, Any]:
    choosing = [rule for rule in rules if rule["action"] != "replace"]
    return {
        "name": name,
        "kind": "docker",
        "labels": labels,
        # Alloy chooses containers first and labels their lines later.
        "choosing": choosing,
        "rules": [rule for rule in rules if rule not in choosing],
    }


def _discovery_labels(spec: StackSpec) -> list[str]:
    if spec.apps.label is not None:
        return [spec.apps.label]
    # Docker joins several label filters with 'and', so each service is a discovery of its own;
    # a container that two of them find is read once.
    return [f"{_COMPOSE_SERVICE}={service}" for service in spec.apps.services]


def _files(spec: StackSpec) -> list[dict[str, Any]]:
    if not spec.sources.files:
        return []
    targets = [
        {"path": _inside(item.path), "labels": file_labels(spec, item.service)}
        for item in spec.sources.files
    ]
    # Where a line came from is no label: each file would open a stream.
    stages = line_stages(spec, ("filename",))
    job = {"name": "files", "kind": "files", "targets": targets}
    return [{**job, "choosing": [], "rules": [], "stages": stages}]


def _journal(spec: StackSpec) -> list[dict[str, Any]]:
    journal = spec.sources.journal
    if journal is None:
        return []
    rules = journal_rules(spec, journal)
    # Alloy adds the name of its component as `job`.
    stages = line_stages(spec, ("job",))
    job = {"name": "journal", "kind": "journal", "path": _inside(journal.path)}
    return [{**job, "choosing": [], "rules": rules, "stages": stages}]


def _alerts_listener(spec: StackSpec) -> list[dict[str, Any]]:
    if not spec.alerts.enabled:
        return []
    labels = {"service": "alerts", "env": spec.env, "level": "warning"}
    if "log_category" in spec.labels:
        labels["log_category"] = "system"
    job = {"name": "alerts", "kind": "listener", "port": _ALERTS_PORT, "labels": labels}
    return [{**job, "choosing": [], "rules": [], "stages": []}]


def _reads_host(spec: StackSpec) -> bool:
    return bool(spec.sources.files) or spec.sources.journal is not None


def _uid(spec: StackSpec) -> str:
    """Root where Docker's socket or the host's files are to be read, else nobody in particular."""
    return _NOBODY if spec.docker.proxy and not _reads_host(spec) else _ROOT


def _inside(path: str) -> str:
    return str(_HOST / path.lstrip("/"))


def _source_mounts(spec: StackSpec) -> list[str]:
    socket = [] if spec.docker.proxy else [f"{spec.docker.socket}:{_SOCKET}:ro"]
    folders = {source_folder(item.path) for item in spec.sources.files}
    if spec.sources.journal is not None:
        folders.add(PurePosixPath(spec.sources.journal.path))
    narrowest = [
        folder
        for folder in sorted(folders)
        if not any(other in folder.parents for other in folders)
    ]
    return socket + [f"{folder}:{_inside(str(folder))}:ro" for folder in narrowest]


def source_folder(path: str) -> PurePosixPath:
    """Return the folder to mount for a pattern; a mounted file would not outlive its rotation."""
    folders = PurePosixPath(path).parts[:-1]
    return PurePosixPath(*takewhile(lambda part: "*" not in part, folders))
