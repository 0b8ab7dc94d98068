"""The queries of *Audit and logs*: who did what, and the lines that were written meanwhile.

The table is `loglane.audit.table`'s. The macros are Grafana's, and the same for MySQL, MariaDB and
PostgreSQL (https://grafana.com/docs/grafana/latest/datasources/mysql/#macros).
"""

from __future__ import annotations

from typing import Any

from loglane.stack.dashboards import look
from loglane.stack.dashboards.lines import (
    ERRORS,
    LONG,
    NO_ERROR,
    SHORT,
    STEP,
    fields,
    of_category,
    readable,
)
from loglane.stack.spec import StackSpec

_IN_TIME = "FROM audit_records WHERE $__timeFilter(occurred_at)"
COLUMNS = (
    "occurred_at", "actor", "action", "resource", "status", "error", "trace_id", "service",
    "event_id",
)  # fmt: skip
# What Grafana calls its plugins; before version 11 the second one was called postgres.
_TYPES = {
    "mariadb": "mysql",
    "mysql": "mysql",
    "postgresql": "grafana-postgresql-datasource",
}
_WIDTHS = {"occurred_at": 170, "status": 80}
_EVERY = 'service=~".+"'
# An id is never a label, so Loki reads every line of the chosen time for it: but none as long as
# there is no id, for then the first of these fits no service. The second one is its opposite; it
# repeats that there is a service, for Loki wants a matcher that cannot match an empty value.
_WITH_AN_ID = f"{_EVERY}, service!~`${{trace_id:regex}}.*`"
_WITHOUT_ID = f"{_EVERY}, service=~`${{trace_id:regex}}.*`"


def datasource(spec: StackSpec) -> dict[str, Any] | None:
    """Return what is provisioned for the audit trail's database; None without one."""
    database = spec.audit.database
    if database is None:
        return None
    kind = _TYPES[database.type]
    return {
        "name": spec.grafana.datasources.audit.name,
        "uid": spec.grafana.datasources.audit.uid,
        "type": kind,
        "address": database.reached_at,
        "database": database.database,
        "user": database.user,
        "is_mysql": kind == "mysql",
    }


def reference(spec: StackSpec) -> dict[str, str]:
    """Return what a panel names the datasource by; empty without a database."""
    database = spec.audit.database
    if database is None:
        return {}
    return {"type": _TYPES[database.type], "uid": spec.grafana.datasources.audit.uid}


def queries(spec: StackSpec) -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    chosen = f"{_IN_TIME} AND {_chosen()}"
    failed = f"{chosen} AND status = 'failure'"
    errors = f"{{{_EVERY}, {ERRORS}}}"
    written = of_category(spec, _WITHOUT_ID, "audit")
    return {
        "records": f"SELECT count(*) AS records {chosen}",
        "failures": f"SELECT count(*) AS failures {failed}",
        "actions_over_time": _over_time(chosen),
        "failures_over_time": _over_time(failed),
        "newest": (
            f"SELECT {', '.join(COLUMNS)} {chosen} ORDER BY occurred_at DESC, id DESC LIMIT 200"
        ),
        "lines_of_trace": f"{{{_WITH_AN_ID}}} {_of_trace(spec)} {readable(STEP)}",
        "audit_lines": f"{written} {readable(SHORT)}",
        "errors": f"{errors} {readable(LONG)}",
    }


def variables(spec: StackSpec) -> list[dict[str, Any]]:
    """Return what records are chosen by, apart from the time."""
    every = {"includeAll": True, "current": {"text": ["All"], "value": ["$__all"]}}
    return [
        {
            "name": "action",
            "label": "Action",
            "type": "query",
            "datasource": reference(spec),
            "query": f"SELECT DISTINCT action {_IN_TIME} ORDER BY 1",
            "refresh": 2,
            "multi": True,
            "allValue": "action",
            **every,
        },
        {
            "name": "status",
            "label": "Status",
            "type": "custom",
            "query": "success,failure",
            "multi": True,
            "allValue": "status",
            **every,
        },
        look.text_field("actor", "Actor"),
        look.text_field("resource", "Resource"),
        look.text_field("trace_id", "Trace id"),
    ]


def columns(spec: StackSpec) -> list[dict[str, Any]]:
    """Return how the columns of the newest records are called, how wide they are, where they lead.

    Other dashboards keep the time and the tenant; the environment is nothing that this one knows.
    """
    kept = "${__url_time_range}" + (look.TENANT if spec.tenants else "")

    def link(title: str, path: str) -> dict[str, str]:
        return {"title": title, "url": f"/d/{path}=${{__value.text:percentencode}}&{kept}"}

    return [
        look.column("occurred_at", "Time"),
        look.column("actor", "Actor", link("Choose the actor", "loglane-audit?var-actor")),
        look.column("action", "Action"),
        look.column("resource", "Resource", link("Its history", "loglane-audit?var-resource")),
        look.column("status", "Status"),
        look.column("error", "Error"),
        look.column(
            "trace_id",
            "Trace",
            link("Its records and lines, here", "loglane-audit?var-trace_id"),
            link("Show all lines of this trace", "loglane-trace?var-id"),
        ),
        look.column("service", "Service", link("Open the service", "loglane-service?var-service")),
        look.column("event_id", "Event"),
        *(look.width(name, pixels) for name, pixels in _WIDTHS.items()),
    ]


def _chosen() -> str:
    # A field that is left empty is a constant that the database takes out before it plans. `All`
    # of a list is the name of its column (see `variables`): equal to itself, and no long list.
    texts = [
        f"(${{{name}:sqlstring}} = '' OR {name} = ${{{name}:sqlstring}})"
        for name in ("actor", "resource", "trace_id")
    ]
    lists = [f"{name} IN (${{{name}:sqlstring}})" for name in ("action", "status")]
    return " AND ".join([*lists, *texts])


def _over_time(rows: str) -> str:
    step = "$__timeGroupAlias(occurred_at, $__interval)"
    return f"SELECT {step}, action, count(*) AS records {rows} GROUP BY 1, 2 ORDER BY 1"


def _of_trace(spec: StackSpec) -> str:
    read = "" if "trace_id" in spec.structured_metadata else f"{fields('trace_id')} {NO_ERROR} "
    return f"{read}| trace_id = `$trace_id`"
