"""An hour of a small shop's lines, made up: what the dashboards look like with something on them.

The lines have the fields that the package writes, and times of the past, which no app that runs
now could give them. The same seed gives the same lines.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from loglane.demo.incidents import INCIDENTS, SUMMARY, TRACEBACK
from loglane.fields import route
from loglane.query import LokiClient, Stream

Record = dict[str, Any]

SERVICES = ("gateway", "shop", "payments", "mailer")
OLD_VERSION, NEW_VERSION = "1.4.2", "1.5.0"
# When in the span the shop's new version starts, and when its new error begins.
_RELEASE, _REGRESSION = 0.6, 0.7
_PUSH_AT_ONCE = 2000
# Method, route, share of requests, typical milliseconds.
_ROUTES = (
    ("GET", "/products", 0.4, 12.0),
    ("GET", "/orders/{order_id}", 0.3, 25.0),
    ("POST", "/orders", 0.2, 70.0),
    ("POST", "/orders/{order_id}/refund", 0.04, 110.0),
    ("GET", "/report", 0.06, 420.0),
)


def push_history(
    client: LokiClient, end_ns: int, span_s: int = 3600, requests_per_second: float = 4.0
) -> int:
    """Push made-up lines that end at a time; return how many.

    Raises:
        PushRejected: Loki refused some.
        ServiceUnavailable: Loki is down or overloaded.
    """
    made = history(end_ns, span_s, requests_per_second)
    count = 0
    while batch := list(islice(made, _PUSH_AT_ONCE)):
        client.push(streams(batch))
        count += len(batch)
    return count


def streams(records: list[tuple[int, Record]]) -> list[Stream]:
    """Group records by their labels, as a collector does that read them from containers."""
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, str, dict[str, str]]]] = {}
    for at_ns, record in records:
        place = {"container_name": f"shop-{record['service']}-1", "compose_project": "shop"}
        labels, metadata = route({**record, **place, "stream": "stdout"})
        line = json.dumps(record, separators=(",", ":"))
        found.setdefault(tuple(sorted(labels.items())), []).append((at_ns, line, metadata))
    return [Stream(dict(labels), entries) for labels, entries in found.items()]


def history(
    end_ns: int, span_s: int, requests_per_second: float, seed: int = 4
) -> Iterator[tuple[int, Record]]:
    """Make up the lines of a span of time.

    Args:
        end_ns: The end of the span, in nanoseconds since 1970-01-01 UTC.
        span_s: Its length.
        requests_per_second: On average; it goes up and down over the span.
        seed: Of chance.

    Yields:
        Times in nanoseconds and lines, nearly in order.
    """
    chance = random.Random(seed)  # noqa: S311 - made-up lines, not secrets
    start_ns = end_ns - span_s * 10**9
    for service in SERVICES:
        yield _line(start_ns, service, "info", "started", _version(service, 0), _SYSTEM)
    released = False
    for number in range(int(span_s * requests_per_second)):
        part = number / (span_s * requests_per_second)
        # Twice in the span there is more to do.
        part += 0.05 * math.sin(4 * math.pi * part)
        at_ns = start_ns + int(part * span_s * 10**9) + chance.randrange(10**8)
        if part >= _RELEASE and not released:
            released = True
            yield _line(at_ns, "shop", "info", "started", _version("shop", part), _SYSTEM)
        yield from _request(chance, at_ns, part)
        if number % 400 == 399:
            yield _line(at_ns, "mailer", "error", **SUMMARY, version=_version("mailer", part))
        if number % 3000 == 2999:
            lost = {"lost": {"stdout": 12, "file": 3}, "logger": "loglane"}
            yield _line(at_ns, "mailer", "warning", "log lines were lost", OLD_VERSION, lost)


_SYSTEM = {"log_category": "system", "logger": "app"}


def _version(service: str, part: float) -> str:
    return NEW_VERSION if service == "shop" and part >= _RELEASE else OLD_VERSION


def _request(chance: random.Random, at_ns: int, part: float) -> Iterator[tuple[int, Record]]:
    ((method, template, _, typical_ms),) = chance.choices(
        _ROUTES, weights=[weight for _, _, weight, _ in _ROUTES]
    )
    path = template.replace("{order_id}", str(chance.randrange(1, 5000)))
    ids = {
        "trace_id": f"{chance.getrandbits(128):032x}",
        "request_id": f"{chance.getrandbits(64):016x}",
    }
    user = {**ids, "method": method, "path": path, "user_id": f"u-{chance.randrange(200)}"}
    version = _version("shop", part)
    took_ms = typical_ms * chance.lognormvariate(0, 0.5)
    middle_ns = at_ns + int(took_ms * 5e5)
    ended_ns = at_ns + int(took_ms * 1e6)
    failed = _incident(chance, template, part)
    status = 500 if failed else chance.choices((200, 404, 422), (0.96, 0.03, 0.01))[0]
    yield _line(at_ns + 10**6, "shop", "debug", "price looked up", version, user)
    if failed:
        number = chance.randrange(1, 9999)
        message = failed.message.format(number=number)
        yield _line(middle_ns, failed.service, "error", message, version, {
            **user, "logger": failed.logger, "exception": TRACEBACK.format(
                file=failed.file, line=failed.line, function=failed.function,
                source=failed.source, kind=failed.kind,
                text=failed.text.format(number=number),
            ),
        })  # fmt: skip
    elif status == 404:
        yield _line(middle_ns, "shop", "warning", "unknown order", version, user)
    elif method == "POST":
        audit = {"log_category": "audit", "event_id": f"{chance.getrandbits(128):032x}"}
        total = round(chance.uniform(1, 90), 2)
        yield _line(middle_ns, "payments", "info", "payment_taken", OLD_VERSION, user, total=total)
        yield _line(
            middle_ns + 10**6, "shop", "info", "order_created", version, {**user, **audit},
            total=total,
        )  # fmt: skip
        yield _line(ended_ns + 10**9, "mailer", "info", "mail sent", OLD_VERSION, ids)
    access = {**user, "logger": "loglane.access", "log_category": "access", "route": template}
    answer = {"status": status, "client": "10.0.0.7"}
    for service, more_ms in (("shop", 0.0), ("gateway", chance.uniform(0.5, 3))):
        yield _line(
            ended_ns + int(more_ms * 1e6), service, "info", "request", _version(service, part),
            access, duration_ms=round(took_ms + more_ms, 3), **answer,
        )  # fmt: skip


def _incident(chance: random.Random, template: str, part: float) -> Any:
    for incident in INCIDENTS:
        begun = not incident.is_new or part >= _REGRESSION
        if incident.route == template and begun and chance.random() < incident.share:
            return incident
    return None


def _line(
    at_ns: int,
    service: str,
    level: str,
    message: str,
    version: str,
    fields: Record | None = None,
    **more: Any,
) -> tuple[int, Record]:
    at = datetime.fromtimestamp(at_ns / 1e9, timezone.utc)
    record = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": level,
        "message": message,
        "logger": service,
        "service": service,
        "env": "dev",
        "version": version,
    }
    return at_ns, {**record, **(fields or {}), **more}
