"""Labels and streams: what an id among the labels looks like before it hurts."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loglane.stack.doctor.finding import Finding, Level
from loglane.stack.doctor.subject import Subject, ask
from loglane.stack.spec import SINGLE_TENANT

# More values than this, and the label holds something that is different every time.
MANY_VALUES = 200
_NEAR_LIMIT = 0.8
_WINDOW_S = 24 * 3600

Series = Sequence[Mapping[str, str]]


def label_findings(subject: Subject) -> Iterator[Finding]:
    """Say which label has too many values, and how near each tenant is to its limit of streams."""
    open_streams = subject.metrics("loki").by("loki_ingester_memory_streams", "tenant")
    for tenant in subject.spec.tenant_names:
        yield from cardinality_findings(tenant, series_of_last_day(subject, tenant))
        yield stream_finding(subject, tenant, int(open_streams.get(tenant, 0)))


def series_of_last_day(subject: Subject, tenant: str) -> Series:
    """Return the labels of every stream that had a line within a day.

    Raises:
        ServiceUnavailable: Loki does not answer.
    """
    now_s = int(time.time())
    params = {"match[]": '{service=~".+"}', "start": now_s - _WINDOW_S, "end": now_s}
    found: Series = (
        ask(f"{subject.url('loki')}/loki/api/v1/series", tenant, params).json().get("data") or []
    )
    return found


def cardinality_findings(tenant: str, series: Series) -> Iterator[Finding]:
    """Say which labels have many values, and whose streams carry them."""
    values: dict[str, set[str]] = defaultdict(set)
    for labels in series:
        for name, value in labels.items():
            values[name].add(value)
    counted = sorted(((len(found), name) for name, found in values.items()), reverse=True)
    too_many = [(count, name) for count, name in counted if count > MANY_VALUES]
    for count, name in too_many:
        service, streams = Counter(
            labels.get("service", "?") for labels in series if name in labels
        ).most_common(1)[0]
        what = f"{_of(tenant)}{name} had {count} values within a day, most by {service} ({streams})"
        yield Finding("labels", "warning", what, f"{name}: from labels to structured_metadata")
    if counted and not too_many:
        count, name = counted[0]
        what = f"{_of(tenant)}streams within a day: {len(series)}; most values: {name}, {count}"
        yield Finding("labels", "ok", what)


def stream_finding(subject: Subject, tenant: str, count: int) -> Finding:
    """Say how near a tenant is to its limit of open streams."""
    own = subject.spec.tenants.get(tenant)
    limit = own.limits.max_global_streams_per_user if own is not None else None
    limit = limit or subject.spec.limits.max_global_streams_per_user
    what = f"{_of(tenant)}open streams: {count} of {limit}"
    if count < _NEAR_LIMIT * limit:
        return Finding("labels", "ok", what)
    mend = f"logcli series --analyze-labels --addr {subject.url('loki')} '{{service=~\".+\"}}'"
    level: Level = "problem" if count >= limit else "warning"
    return Finding("labels", level, f"{what}; lines of further ones are refused", mend)


def _of(tenant: str) -> str:
    return "" if tenant == SINGLE_TENANT else f"tenant {tenant}: "
