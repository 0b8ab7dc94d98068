"""Trace headers for requests that the app makes; what the hooks of the clients share."""

from __future__ import annotations

from collections.abc import MutableMapping

from loglane.trace import outgoing_headers


def add_trace_headers(headers: MutableMapping[str, str]) -> None:
    """Add `X-Trace-ID` and `traceparent` of the current trace, unless they are there; never raise.

    Args:
        headers: Of a request that is about to be sent; must find names in any case.
    """
    try:
        for name, value in outgoing_headers().items():
            if name not in headers:
                headers[name] = value
    except Exception:  # noqa: BLE001, S110 - a request goes out without its ids rather than not at all
        pass
