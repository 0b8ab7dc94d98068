"""Trace headers on what httpx and httpx2 send.

`install(client)`, or `httpx2.Client(event_hooks={"request": [trace_headers]})`.
"""

from __future__ import annotations

from typing import Any

from loglane.integrations.outgoing import add_trace_headers


def install(client: Any) -> None:
    """Add the current trace's headers to everything that a client sends from now on.

    Args:
        client: A `Client` or `AsyncClient` of httpx or httpx2. Doing it twice changes nothing.
    """
    hook = trace_headers_async if hasattr(client, "aclose") else trace_headers
    hooks = client.event_hooks
    if hook not in hooks["request"]:
        client.event_hooks = {**hooks, "request": [*hooks["request"], hook]}


def trace_headers(request: Any) -> None:
    """Add the headers to a request; a hook for `Client`."""
    add_trace_headers(request.headers)


async def trace_headers_async(request: Any) -> None:
    """Add the headers to a request; a hook for `AsyncClient`."""
    add_trace_headers(request.headers)
