"""What a request says beside its path: tenant, parameters, flags and body."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams

from loglane.devserver.refusal import Refused

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

# loki: without `auth_enabled`, everything belongs to this tenant.
_DEFAULT_TENANT = "fake"
_MAX_FORM_BYTES = 1 << 20
_TENANT = re.compile(r"[a-zA-Z0-9!\-_.*'()]+\Z")
_FLAGS_HEADER = "X-Loki-Response-Encoding-Flags"


def tenant_of(request: HTTPConnection) -> str:
    """Return the tenant that a request names.

    Raises:
        Refused: Loki does not accept it.
    """
    tenant = request.headers.get("x-scope-orgid", "") or _DEFAULT_TENANT
    if "|" in tenant:
        raise Refused("multiple org IDs present")
    # Lengths and characters as Loki's own check (grafana/dskit: tenant.ValidTenantID).
    if len(tenant) > 150:
        raise Refused("tenant ID is too long: max 150 characters")
    if tenant in {".", ".."} or not _TENANT.match(tenant):
        raise Refused(f"tenant ID '{tenant}' contains unsupported character")
    return tenant


def encoding_flags(request: HTTPConnection) -> set[str]:
    """Return the flags that say how an answer is to be written."""
    return {
        flag.strip()
        for header in request.headers.getlist(_FLAGS_HEADER)
        for flag in header.split(",")
    }


async def read_params(request: Request) -> QueryParams:
    """Return the parameters of the URL and of a form.

    Raises:
        Refused: The form is too large.
    """
    pairs: list[tuple[str, str]] = []
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind == "application/x-www-form-urlencoded":
            form = await read_body(request, _MAX_FORM_BYTES)
            pairs += QueryParams(form.decode("utf-8", "replace")).multi_items()
    return first_values([*pairs, *request.query_params.multi_items()])


def first_values(pairs: Iterable[tuple[str, str]]) -> QueryParams:
    """Return parameters of which the first one of a name counts, a form before the URL as in Go."""
    # Starlette's own reading takes the last one.
    return QueryParams(list(pairs)[::-1])


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body.

    Raises:
        Refused: It has more bytes than `limit`.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise Refused("request body too large", status=413)
        parts.append(part)
    return b"".join(parts)
