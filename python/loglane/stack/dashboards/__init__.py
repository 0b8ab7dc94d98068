"""What the dashboard templates insert: datasources, links, colours and every query, by topic."""

from __future__ import annotations

from typing import Any

from loglane.stack.dashboards import errors, health, look, overview, records, service, trace, volume
from loglane.stack.spec import StackSpec

__all__ = ["dashboard_context"]


def dashboard_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the dashboard templates insert; `queries` has a map for each dashboard."""
    return {
        **look.look_context(spec),
        "queries": {
            "overview": overview.queries(),
            "service": service.queries(spec),
            "trace": trace.queries(spec),
            "errors": errors.queries(),
            "volume": volume.queries(spec),
            "health": health.queries(spec),
            "records": records.queries(spec),
        },
        "volume": volume.facts(spec),
        "sql_datasource": records.datasource(spec),
    }
