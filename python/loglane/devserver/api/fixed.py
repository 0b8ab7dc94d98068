"""Answers that do not depend on what is stored, as those of a Loki with the stack's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loglane.devserver.api.params import MAX_LIMIT
from loglane.devserver.api.volumes import MAX_SERIES

if TYPE_CHECKING:
    from starlette.requests import Request

# The version whose answers the contract tests compare with.
LOKI_VERSION = "3.7.6"


def fixed_routes() -> list[Route]:
    """Build the routes that Grafana and health checks ask."""
    return [
        Route("/ready", _ready),
        Route("/loki/api/v1/tail", _no_websocket),
        Route("/loki/api/v1/status/buildinfo", _build_info),
        Route("/loki/api/v1/drilldown-limits", _drilldown_limits),
        # Loki's answer when no pattern ingester runs.
        Route("/loki/api/v1/patterns", _no_patterns),
        # The alerting pages of Grafana ask every Loki for its rules.
        Route("/loki/api/v1/rules", _no_rules),
        Route("/prometheus/api/v1/rules", _no_groups),
        Route("/prometheus/api/v1/alerts", _no_alerts),
    ]


async def _ready(_request: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _no_websocket(_request: Request) -> Response:
    return PlainTextResponse("Bad Request\n", 400)


async def _build_info(_request: Request) -> Response:
    return JSONResponse(
        {
            "version": LOKI_VERSION,
            "revision": "loglane-devserver",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
    )


async def _drilldown_limits(request: Request) -> Response:
    if not request.headers.get("x-scope-orgid"):
        return PlainTextResponse("no org id", 401)
    limits = {
        "discover_log_levels": False,
        "max_entries_limit_per_query": MAX_LIMIT,
        "max_query_length": "30d1h",
        "max_query_lookback": "0s",
        "max_query_range": "0s",
        "metric_aggregation_enabled": False,
        "pattern_persistence_enabled": False,
        "retention_period": "0s",
        "volume_enabled": True,
        "volume_max_series": MAX_SERIES,
    }
    return JSONResponse(
        {"limits": limits, "pattern_ingester_enabled": False, "version": LOKI_VERSION}
    )


async def _no_rules(_request: Request) -> Response:
    return PlainTextResponse("no rule groups found\n", 404)


async def _no_patterns(_request: Request) -> Response:
    return Response(status_code=404)


async def _no_groups(_request: Request) -> Response:
    return _empty("groups")


async def _no_alerts(_request: Request) -> Response:
    return _empty("alerts")


def _empty(name: str) -> Response:
    return JSONResponse({"status": "success", "data": {name: []}, "errorType": "", "error": ""})
