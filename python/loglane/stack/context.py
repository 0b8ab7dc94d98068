"""Every value that a template inserts, derived from the spec. Templates compute nothing."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from loglane.fields import COLLECTOR_LABELS
from loglane.stack.dashboards import dashboard_context
from loglane.stack.spec import StackSpec

# Configs lie below this folder of a project, beside docker-compose.yml at its top.
RENDERED = PurePosixPath("stack/rendered")
SECRETS = PurePosixPath("stack/secrets")
ADMIN_PASSWORD_FILE = SECRETS / "grafana_admin_password"

# Prometheus' discovery names of what a collector label is read from
# (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#docker_sd_config).
_RELABELLING = {
    "container_name": ("__meta_docker_container_name", "/(.*)"),
    "compose_project": ("__meta_docker_container_label_com_docker_compose_project", "(.+)"),
    "stream": ("__meta_docker_container_log_stream", "(.+)"),
}
_COMPOSE_SERVICE = "com.docker.compose.service"
_TOP_PRIORITY = 1000
_UNIT_BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3}


def template_context(spec: StackSpec) -> dict[str, Any]:
    """Derive what the templates insert, apart from the header and the digests of other files."""
    plain = json.loads(spec.model_dump_json())
    return {
        **{key: plain[key] for key in ("project", "env", "images", "resources", "grafana")},
        "collector": spec.collector,
        "published": {
            name: f"{_bracketed(spec.bind_address)}:{port}:{_container_port(name)}"
            for name, port in spec.ports
        },
        "mounts": _mounts(),
        "home_dashboard": _home_dashboard(spec),
        "retention": _retention(spec),
        "wal_replay_memory": _half(spec.resources.loki.memory),
        "limits": [{"name": name, "value": value} for name, value in _limits(spec)],
        "discovery_labels": _discovery_labels(spec),
        "relabel_rules": [
            {"source": _RELABELLING[name][0], "regex": _RELABELLING[name][1], "target": name}
            for name in spec.labels
            if name in COLLECTOR_LABELS
        ],
        "app_labels": spec.app_labels,
        "structured_metadata": spec.structured_metadata,
        "extracted": [*spec.app_labels, *spec.structured_metadata],
        "trace_link": {
            # As it stands in a JSON line, and as the dashboards write it.
            "regex": r'"?trace_id"?[:=]\s?"?(\w+)',
            "query": '{service=~".+"} | trace_id="${__value.raw}"',
        },
        **dashboard_context(spec),
    }


def _container_port(name: str) -> int:
    return {"loki": 3100, "grafana": 3000, "promtail": 9080}[name]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _mounts() -> dict[str, str]:
    return {
        "loki": f"./{RENDERED}/loki/loki.yaml:/etc/loki/loki.yaml:ro",
        "promtail": f"./{RENDERED}/promtail/promtail.yaml:/etc/promtail/promtail.yaml:ro",
        "provisioning": f"./{RENDERED}/grafana/provisioning:/etc/grafana/provisioning:ro",
        "dashboards": f"./{RENDERED}/grafana/dashboards:/etc/grafana/dashboards:ro",
        "secrets": f"./{SECRETS}:/host",
    }


def _home_dashboard(spec: StackSpec) -> str | None:
    names = spec.grafana.dashboards
    return f"/etc/grafana/dashboards/{names[0]}.json" if names else None


def _retention(spec: StackSpec) -> dict[str, Any]:
    rules = [
        {"selector": rule.selector, "period": rule.period, "priority": _TOP_PRIORITY - index}
        for index, rule in enumerate(spec.retention.streams)
    ]
    return {"default": spec.retention.default, "rules": rules}


def _half(memory: str) -> str:
    """Half of a Docker memory size, as Loki's config writes bytes (replay must leave room)."""
    return f"{int(memory[:-1]) * _UNIT_BYTES[memory[-1]] // 2 // 1024**2}MB"


def _limits(spec: StackSpec) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in spec.limits:
        if name == "discover_service_name":
            # An empty list turns it off; left out, Loki looks at its own list of labels.
            if not value:
                found.append((name, []))
        else:
            found.append((name, value))
    return found


def _discovery_labels(spec: StackSpec) -> list[str]:
    if spec.apps.label is not None:
        return [spec.apps.label]
    # Docker joins several label filters with 'and', so each service is a discovery of its own;
    # Promtail reads a container that two of them find only once.
    return [f"{_COMPOSE_SERVICE}={service}" for service in spec.apps.services]
