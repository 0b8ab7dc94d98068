"""What the dashboard templates insert: datasources, links, colours and every query, by topic."""

from __future__ import annotations

from typing import Any

from loglane.stack.dashboards import audit, errors, health, look, overview, service, trace, volume
from loglane.stack.spec import StackSpec

__all__ = ["dashboard_context"]


def dashboard_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the dashboard templates insert; `queries` has a map for each dashboard."""
    context = look.look_context(spec)
    variables: dict[str, list[dict[str, Any]]] = context["variables"]
    return {
        **context,
        "variables": {**variables, "audit": [*variables["audit"], *audit.variables(spec)]},
        "queries": {
            "overview": overview.queries(),
            "service": service.queries(spec),
            "trace": trace.queries(spec),
            "errors": errors.queries(),
            "volume": volume.queries(spec),
            "health": health.queries(spec),
            "audit": audit.queries(spec),
        },
        "volume": volume.facts(spec),
        "audit_columns": audit.columns(spec),
        "audit_database": audit.reference(spec),
        "audit_datasource": audit.datasource(spec),
    }
