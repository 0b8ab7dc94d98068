"""The queries of *Records and logs*: rows of a SQL table beside the errors of the same time.

The macros are Grafana's, and the same for both kinds of database
(https://grafana.com/docs/grafana/latest/datasources/mysql/#macros).
"""

from __future__ import annotations

from typing import Any

from loglane.stack.dashboards.lines import CHOSEN, ERRORS, LONG, readable
from loglane.stack.spec import StackSpec

_DATASOURCE_TYPES = {"mysql": "mysql", "postgresql": "grafana-postgresql-datasource"}


def datasource(spec: StackSpec) -> dict[str, Any] | None:
    """Return what is provisioned for the SQL database; None without one."""
    sql = spec.grafana.datasources.sql
    if sql is None:
        return None
    return {
        "name": sql.name,
        "uid": sql.uid,
        "type": _DATASOURCE_TYPES[sql.type],
        "address": sql.address,
        "database": sql.database,
        "user": sql.user,
        "sslmode": "disable" if sql.type == "postgresql" else None,
    }


def queries(spec: StackSpec) -> dict[str, Any]:
    """Return the queries by the name that the template knows; empty without a SQL datasource."""
    sql = spec.grafana.datasources.sql
    if sql is None:
        return {}
    time = f"$__timeFilter({sql.time_column})"
    # The spec takes plain identifiers only, so nothing here needs quotes.
    rows = f"FROM {sql.table} WHERE {time}"
    step = f"$__timeGroupAlias({sql.time_column}, $__interval)"
    errors = f"{{{CHOSEN}, {ERRORS}}}"
    return {
        "datasource": {"type": _DATASOURCE_TYPES[sql.type], "uid": sql.uid},
        "count": f"SELECT count(*) AS records {rows}",
        "over_time": f"SELECT {step}, count(*) AS records {rows} GROUP BY 1 ORDER BY 1",
        "newest": f"SELECT * {rows} ORDER BY {sql.time_column} DESC LIMIT 200",
        "errors": f"sum(count_over_time({errors} [$__range])) or vector(0)",
        "errors_over_time": f"sum by (service) (count_over_time({errors} [$__interval]))",
        "newest_errors": f"{errors} {readable(LONG)}",
    }
