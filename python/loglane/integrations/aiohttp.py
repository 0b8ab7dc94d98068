"""Trace headers on what aiohttp sends: `ClientSession(trace_configs=[trace_config()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loglane.integrations.outgoing import add_trace_headers

if TYPE_CHECKING:
    from aiohttp import TraceConfig, TraceRequestStartParams


def trace_config() -> TraceConfig:
    """Return a trace config for a session that adds the current trace's headers."""
    from aiohttp import TraceConfig

    config = TraceConfig()
    config.on_request_start.append(_add)
    return config


async def _add(_session: Any, _context: Any, params: TraceRequestStartParams) -> None:
    add_trace_headers(params.headers)
