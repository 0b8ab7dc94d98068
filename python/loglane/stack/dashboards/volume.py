"""The queries of *Volume and labels*: who writes how much, in how many streams, kept how long."""

from __future__ import annotations

from typing import Any

from loglane.stack import capacity
from loglane.stack.dashboards.lines import CHOSEN, NO_LEVEL
from loglane.stack.spec import StackSpec
from loglane.stack.spec.lifecycle import TenantRetention


def queries(spec: StackSpec) -> dict[str, str]:
    """Return the queries by the name that the template knows."""
    chosen = f"{{{CHOSEN}}}"
    labels = ", ".join((*spec.labels, *spec.extra_labels))
    streams = f"sum by ({labels}) (count_over_time({chosen} [$__range]))"
    room = capacity.days_of_room_promql if spec.metrics else capacity.days_of_room_logql
    per_day = capacity.bytes_per_day_promql if spec.metrics else capacity.bytes_per_day_logql
    return {
        "per_day": per_day(),
        "days_of_room": room(spec) or "",
        "streams": f"count({streams})",
        "bytes_by_service": f"sum by (service) (bytes_rate({chosen} [$__interval]))",
        "lines_by_service": f"sum by (service) (rate({chosen} [$__interval]))",
        "table_bytes": f"sum by (service) (bytes_over_time({chosen} [$__range]))",
        "table_lines": f"sum by (service) (count_over_time({chosen} [$__range]))",
        "table_streams": f"count by (service) ({streams})",
        "by_label": (
            f'topk(20, label_replace(count by ($label) ({streams}), "$label", "{NO_LEVEL}",'
            ' "$label", ""))'
        ),
    }


def facts(spec: StackSpec) -> dict[str, Any]:
    """Return what the spec says of retention and disk, as the panels show it."""
    days = capacity.longest_retention_days(spec)
    return {
        "has_budget": spec.disk_budget is not None,
        "retention_days": days,
        # Room for less than what is to be kept is red; little more than that is orange.
        "room_steps": [
            {"color": "red", "value": None},
            {"color": "orange", "value": days},
            {"color": "green", "value": days * 1.25},
        ],
        "text": _text(spec),
    }


def _text(spec: StackSpec) -> str:
    rows = [("everything else", spec.retention.default)]
    rows = [*_rules(spec.retention), *rows]
    for name, tenant in spec.tenants.items():
        if tenant.retention:
            rows += [(f"{name}: {which}", kept) for which, kept in _rules(tenant.retention)]
            rows.append((f"{name}: everything else", tenant.retention.default))
    table = "\n".join(f"| {which} | {kept} |" for which, kept in rows)
    phases = spec.retention.phases
    budget = spec.disk_budget or "none"
    return (
        f"| lines | kept |\n| --- | --- |\n{table}\n\n"
        f"In memory for at most {phases.hot}; deleted {phases.delete} after the mark.  \n"
        f"Disk budget: {budget}. Change them in `stack/stack.yaml`: `retention`, `disk_budget`."
    )


def _rules(retention: TenantRetention) -> list[tuple[str, str]]:
    # A pipe would end the cell.
    return [
        (f"`{rule.selector}`".replace("|", "&#124;"), rule.period) for rule in retention.streams
    ]
