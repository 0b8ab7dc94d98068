"""One question to Loki and its answer, without any I/O.

What asks several questions is a plan: a generator that yields a `Request` and is sent its `Answer`.
`LogService` and `AsyncLogService` only carry them back and forth.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import orjson

from loglane.errors import QueryError, ServiceUnavailable, TooManyResults

T = TypeVar("T")

API = "/loki/api/v1"
# loki: pkg/util/httpreq; structured metadata and parsed fields come apart from the labels.
HEADERS: Mapping[str, str] = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}

_TOO_MANY = re.compile(r"maximum (?:number )?of (?:unique )?series|would read too many bytes")


@dataclass(frozen=True, slots=True)
class Request:
    """A GET of Loki's API.

    Attributes:
        path: Below `/loki/api/v1`.
        params: Of the query string.
        headers: Of this question, beside those of the connection.
    """

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` as it was sent, decompressed."""

    status: int
    body: bytes


Plan: TypeAlias = Generator[Request, Answer, T]


def ask(path: str, *, apart: bool = True, **params: object) -> Plan[Any]:
    """Ask one question and return the `data` of its answer.

    Args:
        path: Below `/loki/api/v1`.
        apart: Whether structured metadata is wanted apart from the labels.
        params: Of the query string; those that are None are left out.

    Raises:
        QueryError: Loki refused it.
        TooManyResults: Loki refused it for its size.
        ServiceUnavailable: What answered is no Loki.
    """
    sent = {name: str(value) for name, value in params.items() if value is not None}
    answer = yield Request(path, sent, HEADERS if apart else {})
    if answer.status != 200:
        raise refusal(answer.status, answer.body, sent.get("query", path))
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    if not _is_lokis(document, path):
        said = answer.body[:200].decode("utf-8", "replace")
        raise ServiceUnavailable(f"what answers there is no Loki; it says: {said}")
    return document.get("data")


def _is_lokis(document: Any, path: str) -> bool:
    """Tell whether an answer has the shape of Loki's; another server may answer 200 too."""
    if not isinstance(document, dict) or document.get("status") != "success":
        return False
    if not path.startswith("/query"):
        return isinstance(document.get("data", []), list)
    data = document.get("data")
    return isinstance(data, dict) and "resultType" in data and isinstance(data.get("result"), list)


def refusal(status: int, body: bytes, query: str) -> QueryError:
    """Make the error of an answer that is no success."""
    said = body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    if _TOO_MANY.search(said):
        return TooManyResults(f"{said}; narrow the query or its time range", query, status)
    if status in (401, 403):
        said += " (Loki wants a tenant, or who is in front of it a password or token)"
    elif status == 404 or 300 <= status < 400:
        said = f"HTTP status {status}: {said} (is this the address of a Loki?)"
    return QueryError(said, query, status)
