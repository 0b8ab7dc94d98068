"""Trace headers on what requests sends: `install(session)`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from loglane.integrations.outgoing import add_trace_headers

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session


def install(session: Session) -> None:
    """Add the current trace's headers to everything that a session sends from now on.

    Args:
        session: Its adapters stay as they are. Doing it twice changes nothing.
    """
    send = session.send
    if hasattr(send, "loglane"):
        return

    @functools.wraps(send)
    def send_with_headers(request: PreparedRequest, **options: Any) -> Response:
        # An app's mistake, such as a request that is not prepared, is for requests to report.
        headers = getattr(request, "headers", None)
        if headers is not None:
            add_trace_headers(headers)
        return send(request, **options)

    send_with_headers.loglane = True  # type: ignore[attr-defined]
    session.send = send_with_headers  # type: ignore[method-assign]
