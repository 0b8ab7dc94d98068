"""Asking the service for a page, and what its errors become for a caller."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException

from loglane.errors import QueryError, ServiceUnavailable, TooManyResults
from loglane.integrations.fastapi.access import log
from loglane.integrations.fastapi.models import Problem
from loglane.query import AsyncLogService, LogService, Page

_RETRY_AFTER = {"Retry-After": "5"}
_NOBODY_ANSWERS = "the log store does not answer; try again later"
_TOO_MANY = "too many results; narrow the filters or the time range"
_TOO_LONG = "this takes too long; narrow the time range"
_REFUSES_US = "the log store refuses to answer this app"


def _problem(description: str, detail: str) -> dict[str, Any]:
    content = {"application/json": {"example": {"detail": detail}}}
    return {"model": Problem, "description": description, "content": content}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _problem("A cursor or a value that no query can have.", "'abc' is no cursor"),
    401: _problem("Nobody is logged in; as `authorize` says.", "Not authenticated"),
    403: _problem("Not for you; as `authorize` says.", "you may not read logs"),
    413: _problem("More than can be read.", _TOO_MANY),
    502: _problem("The log store refuses this app.", _REFUSES_US),
    503: _problem("The log store is down; see `Retry-After`.", _NOBODY_ANSWERS),
    504: _problem("It took too long.", _TOO_LONG),
}


async def ask_page(
    service: LogService | AsyncLogService,
    options: Mapping[str, Any],
    cursor: str | None,
    timeout_s: float,
) -> Page:
    """Read a page; a blocking service is asked in a thread.

    Raises:
        HTTPException: There is none; what Loki said goes to the app's log, not to the caller.
    """
    with problems():
        if inspect.iscoroutinefunction(service.page):
            asked = service.page(cursor=cursor, **options)
        else:
            asked = asyncio.to_thread(service.page, cursor=cursor, **options)
        return await asyncio.wait_for(asked, timeout_s)


@contextmanager
def problems() -> Iterator[None]:
    """Turn errors of the service into answers."""
    try:
        yield
    except (TimeoutError, asyncio.TimeoutError):
        log.warning("a log query took too long")
        raise HTTPException(504, _TOO_LONG) from None
    except (ServiceUnavailable, QueryError, ValueError) as error:
        status, detail, headers = describe(error)
        raise HTTPException(status, detail, headers) from None


def describe(error: Exception) -> tuple[int, str, dict[str, str] | None]:
    """Return the status, the text for the caller and the headers of an error, and log the rest."""
    if isinstance(error, ServiceUnavailable):
        log.warning("log query without an answer: %s", error)
        return 503, _NOBODY_ANSWERS, _RETRY_AFTER
    if isinstance(error, TooManyResults):
        log.info("log query with too many results: %s", error)
        return 413, _TOO_MANY, None
    if isinstance(error, QueryError):
        log.warning("log query refused: %s (%s)", error, error.query)
        if error.status == 400:
            return 400, "the log store refuses this query; narrow the time range", None
        return 502, _REFUSES_US, None
    return 400, str(error), None
