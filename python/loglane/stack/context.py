"""Every value that a template inserts, derived from the spec. Templates compute nothing."""

from __future__ import annotations

import json
from typing import Any

from loglane.stack.alerting import alerting_context
from loglane.stack.collecting import collector_context
from loglane.stack.dashboards import dashboard_context
from loglane.stack.gateway import gateway_context
from loglane.stack.layout import RENDERED, SECRETS
from loglane.stack.lifecycle import storage_context
from loglane.stack.metrics import metrics_context
from loglane.stack.secrets import AUDIT_READER, AUDIT_WRITER, secrets_context
from loglane.stack.spec import StackSpec
from loglane.stack.spec.audit import WRITER

# What each component listens on inside its container.
_CONTAINER_PORTS = {
    "loki": 3100, "grafana": 3000, "promtail": 9080, "alloy": 12345, "prometheus": 9090,
    "gateway": 8443, "mariadb": 3306,
}  # fmt: skip


def template_context(spec: StackSpec) -> dict[str, Any]:
    """Derive what the templates insert, apart from the header and the digests of other files."""
    plain = json.loads(spec.model_dump_json())
    kept = ("project", "env", "images", "resources", "grafana", "metrics", "gateway", "docker")
    return {
        **{key: plain[key] for key in kept},
        "collector": spec.collector,
        "tenants": spec.tenant_names if spec.tenants else (),
        "published": {
            name: f"{_bracketed(address)}:{port}:{_CONTAINER_PORTS[name]}"
            for name, (address, port) in spec.published.items()
        },
        "mounts": _mounts(),
        "bundled_database": _bundled_database(spec),
        "home_dashboard": _home_dashboard(spec),
        "trace_link": {
            # As it stands in a JSON line, and as the dashboards write it.
            "regex": r'"?trace_id"?[:=]\s?"?(\w+)',
            "query": '{service=~".+"} | trace_id="${__value.raw}"',
        },
        **collector_context(spec),
        **storage_context(spec),
        **dashboard_context(spec),
        **metrics_context(spec),
        **alerting_context(spec),
        **gateway_context(spec),
        **secrets_context(spec),
    }


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _mounts() -> dict[str, str]:
    return {
        "loki": f"./{RENDERED}/loki:/etc/loki:ro",
        "prometheus": f"./{RENDERED}/prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro",
        "gateway": f"./{RENDERED}/gateway/nginx.conf:/etc/nginx/nginx.conf:ro",
        "provisioning": f"./{RENDERED}/grafana/provisioning:/etc/grafana/provisioning:ro",
        "dashboards": f"./{RENDERED}/grafana/dashboards:/etc/grafana/dashboards:ro",
        "secrets": f"./{SECRETS}:/host",
    }


def _bundled_database(spec: StackSpec) -> dict[str, str] | None:
    bundled = spec.audit.bundled
    if bundled is None:
        return None
    return {
        "database": bundled.database,
        "writer": WRITER,
        "writer_secret": AUDIT_WRITER,
        "reader": bundled.user,
        "reader_secret": AUDIT_READER,
    }


def _home_dashboard(spec: StackSpec) -> str | None:
    names = spec.dashboards
    return f"/etc/grafana/dashboards/{names[0]}.json" if names else None
