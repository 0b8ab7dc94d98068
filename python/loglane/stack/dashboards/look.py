"""One look for all dashboards: their variables, links, datasources, colours and thresholds."""

from __future__ import annotations

import re
from typing import Any

from loglane.fields import LEVELS
from loglane.stack.dashboards.lines import NO_LEVEL
from loglane.stack.spec import StackSpec

LEVEL_COLOURS = {
    "debug": "#8e8e8e",
    "info": "#5794f2",
    "warning": "#f2cc0c",
    "error": "#e02f44",
    "critical": "#a352cc",
}
# From calm to loud, the same on every chart.
PERCENTILE_COLOURS = {
    "p50": LEVEL_COLOURS["info"],
    "p95": LEVEL_COLOURS["warning"],
    "p99": LEVEL_COLOURS["error"],
}
_STATUS_COLOURS = {
    "1xx": LEVEL_COLOURS["debug"],
    "2xx": "#73bf69",
    "3xx": LEVEL_COLOURS["info"],
    "4xx": LEVEL_COLOURS["warning"],
    "5xx": LEVEL_COLOURS["error"],
}
_GREEN, _ORANGE, _RED = "green", "orange", "red"

# What a person chooses on one dashboard stays chosen on the next.
_KEPT = "${__url_time_range}&${env:queryparam}"
TENANT = "&${datasource:queryparam}"


def look_context(spec: StackSpec) -> dict[str, Any]:
    """Return what every dashboard template inserts, apart from its queries."""
    kept = _KEPT + (TENANT if spec.tenants else "")
    return {
        "loki_datasource": _loki(spec),
        "prometheus_datasource": _prometheus(spec),
        # What measures the days of room.
        "capacity_datasource": _prometheus(spec) if spec.metrics else _loki(spec),
        "variables": _variables(spec),
        "navigation": [
            # The row of buttons at the top: every dashboard of ours, with time and variables.
            {
                "type": "dashboards",
                "title": "loglane",
                "tags": ["loglane"],
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "service_link": column(
            "service",
            "Service",
            {
                "title": "Open the service",
                "url": f"/d/loglane-service?var-service=${{__value.text}}&{kept}",
            },
        ),
        "trace_column": column(
            "trace_id",
            "Trace",
            {
                "title": "Show all lines of this trace",
                "url": f"/d/loglane-trace?var-id=${{__value.text}}&{kept}",
            },
        ),
        "level_colours": _by_name(
            {**{level: LEVEL_COLOURS[level] for level in LEVELS}, NO_LEVEL: "#4d4d4d"}
        ),
        "percentiles": [*PERCENTILE_COLOURS],
        "percentile_colours": _by_name(PERCENTILE_COLOURS),
        "percentile_names": _by_query(PERCENTILE_COLOURS),
        "narrow_columns": [width(name, 90) for name in ("Method", "p95", "Slowest")],
        "status_colours": _by_name(_STATUS_COLOURS),
        "ratio_colours": _by_name(
            {"failed requests": LEVEL_COLOURS["critical"], "error lines": LEVEL_COLOURS["error"]}
        ),
        "batch_colours": _by_name(
            {"sent again": LEVEL_COLOURS["warning"], "given up": LEVEL_COLOURS["error"]}
        ),
        "colours": LEVEL_COLOURS,
        "thresholds": {
            "error_ratio": _thresholds((_GREEN, None), (_ORANGE, 0.01), (_RED, 0.05)),
            "none_wanted": _thresholds((_GREEN, None), (_RED, 1)),
            # Twice the interval of the compactor, and an hour.
            "compacted": _thresholds((_GREEN, None), (_ORANGE, 1200), (_RED, 3600)),
            "up": _thresholds((_RED, None), (_GREEN, 1)),
        },
    }


def _loki(spec: StackSpec) -> dict[str, str]:
    uid = "${datasource}" if spec.tenants else spec.grafana.datasources.loki.uid
    return {"type": "loki", "uid": uid}


def _prometheus(spec: StackSpec) -> dict[str, str]:
    return {"type": "prometheus", "uid": spec.grafana.datasources.prometheus.uid}


def _variables(spec: StackSpec) -> dict[str, list[dict[str, Any]]]:
    first = [_tenant(spec)] if spec.tenants else []
    env, service, level = (
        _labels(spec, name, title, every)
        for name, title, every in (
            ("env", "Environment", ".*"),
            # Loki wants one matcher that cannot match an empty value.
            ("service", "Service", ".+"),
            ("level", "Level", ".*"),
        )
    )
    label = {
        "name": "label",
        "label": "Label",
        "type": "custom",
        "query": ",".join(spec.labels),
        "current": {"text": spec.labels[0], "value": spec.labels[0]},
    }
    return {
        "overview": [*first, env, service, level, text_field("search", "Text")],
        "service": [*first, env, service],
        "trace": [*first, env, text_field("id", "Trace, request or event id")],
        "errors": [*first, env, service],
        "volume": [*first, env, service, label],
        "health": first,
        "audit": first,
    }


def _tenant(spec: StackSpec) -> dict[str, Any]:
    source = spec.grafana.datasources.loki
    return {
        "name": "datasource",
        "label": "Tenant",
        "type": "datasource",
        "query": "loki",
        # One datasource for all tenants, and one for each that is named after it.
        "regex": f"/^{re.escape(source.name)}( .*)?$/",
        "current": {"text": source.name, "value": source.uid},
    }


def _labels(spec: StackSpec, name: str, title: str, every: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": _loki(spec),
        "query": f"label_values({name})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": every,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def text_field(name: str, title: str) -> dict[str, Any]:
    """Return a variable that is typed in."""
    return {
        "name": name,
        "label": title,
        "type": "textbox",
        "query": "",
        "current": {"text": "", "value": ""},
    }


def column(field: str, title: str, *links: dict[str, str]) -> dict[str, Any]:
    """Return what a table calls a column, and where its values lead."""
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [
            {"id": "displayName", "value": title},
            *([{"id": "links", "value": list(links)}] if links else []),
        ],
    }


def _by_name(colours: dict[str, str]) -> list[dict[str, Any]]:
    """Give each of a chart's series its colour."""
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in colours.items()
    ]


def _by_query(colours: dict[str, str]) -> list[dict[str, Any]]:
    """Give each query's value its name and colour: an instant one is called after its query."""
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": name},
            "properties": [
                {"id": "displayName", "value": name},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}},
            ],
        }
        for name, colour in colours.items()
    ]


def width(field: str, pixels: int) -> dict[str, Any]:
    """Return how wide a table shows a column."""
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [{"id": "custom.width", "value": pixels}],
    }


def _thresholds(*steps: tuple[str, float | None]) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for colour, value in steps],
    }
