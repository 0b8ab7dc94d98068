"""What the collector's templates insert: which containers, which labels, which stages."""

from __future__ import annotations

from typing import Any

from loglane.fields import COLLECTOR_LABELS
from loglane.stack.spec import StackSpec

# Prometheus' discovery names of what a collector label is read from
# (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#docker_sd_config).
_RELABELLING = {
    "container_name": ("__meta_docker_container_name", "/(.*)"),
    "compose_project": ("__meta_docker_container_label_com_docker_compose_project", "(.+)"),
    "stream": ("__meta_docker_container_log_stream", "(.+)"),
}
_COMPOSE_SERVICE = "com.docker.compose.service"


def collector_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the collector's template inserts."""
    return {
        "discovery_labels": _discovery_labels(spec),
        "relabel_rules": [
            {"source": _RELABELLING[name][0], "regex": _RELABELLING[name][1], "target": name}
            for name in spec.labels
            if name in COLLECTOR_LABELS
        ],
        "app_labels": spec.app_labels,
        "structured_metadata": spec.structured_metadata,
        "extracted": [*spec.app_labels, *spec.structured_metadata],
    }


def _discovery_labels(spec: StackSpec) -> list[str]:
    if spec.apps.label is not None:
        return [spec.apps.label]
    # Docker joins several label filters with 'and', so each service is a discovery of its own;
    # Promtail reads a container that two of them find only once.
    return [f"{_COMPOSE_SERVICE}={service}" for service in spec.apps.services]
