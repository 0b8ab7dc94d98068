"""Rules that several keys of the spec must agree on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from loglane.fields import MAX_LABELS
from loglane.stack.spec.lifecycle import Limits, TenantLimits, TenantRetention, burst_problems
from loglane.stack.spec.model import Found
from loglane.stack.spec.tenants import tenant_uid
from loglane.stack.values import hours, parse_selector

if TYPE_CHECKING:
    from loglane.stack.spec import StackSpec

# Names that are folders of the store beside the tenants' own.
_STORE_FOLDERS = ("index", "delete_requests", "rules", "loki_cluster_seed.json")

# Secrets that hold something else than an address.
_OTHER_SECRETS = (
    "grafana_admin_password", "grafana_smtp_password", "audit_reader_password",
    "audit_writer_password", "s3_credentials",
)  # fmt: skip


def cross_problems(spec: StackSpec) -> Found:
    """Find what is right key by key and wrong together."""
    return [
        *_labels(spec),
        *_retention(spec, spec.retention, ("retention",)),
        *_phases(spec),
        *_ages(spec),
        *_tenants(spec),
        *_gateway(spec),
        *_datasources(spec),
        *_alerts(spec),
        *_sources(spec),
    ]


def _labels(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for service, item in spec.services.items():
        for name in item.labels:
            if name in (*spec.labels, *spec.structured_metadata):
                yield ("services", service, "labels", name), f"{name!r} is read from the line"
    count = len(spec.labels) + len(spec.extra_labels)
    if spec.extra_labels and count > MAX_LABELS:
        yield ("services",), f"{count} labels with the services' own; Loki takes {MAX_LABELS}"


def _retention(
    spec: StackSpec, retention: TenantRetention, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    known = (*spec.labels, *spec.extra_labels, "service_name")
    for index, stream in enumerate(retention.streams):
        for name in parse_selector(stream.selector):
            if name not in known:
                yield (
                    (*path, "streams", index, "selector"),
                    f"{name!r} is no label of this stack (labels: {', '.join(known[:-1])}), "
                    "so the rule would match nothing",
                )


def _phases(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    phases = spec.retention.phases
    if phases.cold is not None and spec.storage.type != "s3":
        yield ("retention", "phases", "cold"), "needs storage: {type: s3}; a volume has no classes"
    shortest = hours(spec.retention.default)
    if phases.warm is not None and hours(phases.warm) >= shortest:
        yield (
            ("retention", "phases", "warm"),
            f"{phases.warm!r}: not before the {spec.retention.default} after which lines go",
        )


def _ages(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Lines older than any that is kept would be stored, and deleted by the next run."""
    rules = spec.retention.streams
    owners: list[tuple[tuple[str, ...], Limits | TenantLimits, TenantRetention]] = [
        ((), spec.limits, spec.retention)
    ]
    owners += [
        (("tenants", name), tenant.limits, tenant.retention or spec.retention)
        for name, tenant in spec.tenants.items()
    ]
    for path, limits, retention in owners:
        periods = (retention.default, *(rule.period for rule in (*retention.streams, *rules)))
        longest, age = max(periods, key=hours), limits.reject_old_samples_max_age
        if age is not None and hours(age) > hours(longest):
            yield (
                (*path, "limits", "reject_old_samples_max_age"),
                f"{age!r}: no line is kept longer than {longest}, so older ones would be stored "
                f"and deleted at once; write {longest} or less",
            )


def _tenants(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    owners: dict[str, str] = {}
    for name, tenant in spec.tenants.items():
        path = ("tenants", name)
        if name in _STORE_FOLDERS:
            yield path, f"{name!r} is a folder of Loki's store; choose another name"
        for index, service in enumerate(tenant.services):
            owner = owners.setdefault(service, name)
            if owner != name or service in tenant.services[:index]:
                yield (*path, "services", index), f"{service!r} belongs to tenant {owner!r} already"
        if tenant.retention is not None:
            yield from _retention(spec, tenant.retention, (*path, "retention"))
        for place, message in burst_problems(_merged(spec.limits, tenant.limits)):
            yield (*path, "limits", *place), message
    if spec.default_tenant in spec.tenants and spec.tenants[spec.default_tenant].services:
        message = "takes what no other tenant takes; give it no services of its own"
        yield ("tenants", spec.default_tenant, "services"), message


def _merged(limits: Limits, own: object) -> Limits:
    given = {name: value for name, value in vars(own).items() if value is not None}
    return limits.model_copy(update=given)


def _gateway(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, user in enumerate(spec.gateway.users if spec.gateway else ()):
        path = ("gateway", "users", index, "tenant")
        if spec.tenants and user.tenant is None:
            yield (
                path,
                f"is missing; with tenants a user has one of: {', '.join(spec.tenant_names)}",
            )
        elif spec.tenants and user.tenant not in spec.tenant_names:
            yield path, f"there is no tenant {user.tenant!r}: {', '.join(spec.tenant_names)}"
        elif not spec.tenants and user.tenant is not None:
            yield path, "this stack has no tenants; add `tenants`, or leave it out"


def _datasources(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    sources = spec.grafana.datasources
    owners: dict[str, str] = {}
    for tenant in spec.tenant_names if spec.tenants else ():
        loki = sources.loki
        for text in (f"{loki.name} {tenant}", tenant_uid(loki.uid, tenant)):
            owners[text] = f"the datasource of tenant {tenant!r}"
    for kind in ("loki", "prometheus", "audit"):
        for key in ("name", "uid"):
            text = getattr(getattr(sources, kind), key)
            if text in owners:
                yield ("grafana", "datasources", kind, key), f"{text!r} is taken by {owners[text]}"
            owners[text] = f"grafana.datasources.{kind}"


def _alerts(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, point in spec.alerts.contact_points.items():
        if point.type == "email" and spec.grafana.smtp is None:
            yield ("alerts", "contact_points", name), "type: email needs grafana.smtp"
        secret = point.url_secret or ""
        if secret.startswith("gateway_") or secret in _OTHER_SECRETS:
            path = ("alerts", "contact_points", name, "url_secret")
            yield path, f"{secret!r} is the name of another secret; choose one as alert_webhook_url"


def _sources(spec: StackSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    paths = [item.path for item in spec.sources.files]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            yield ("sources", "files", index, "path"), f"{path!r} is listed twice"
        yield from _mounted(spec, path, ("sources", "files", index, "path"))
    if spec.sources.journal is not None:
        path = spec.sources.journal.path
        yield from _mounted(spec, f"{path.rstrip('/')}/*", ("sources", "journal", "path"))


def _mounted(
    spec: StackSpec, path: str, key: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    first, _, rest = path.removeprefix("/").partition("/")
    if not rest or "*" in first:
        message = f"{path!r}: the whole host would be mounted; name a folder, as in /var/log/"
        yield key, message
    elif _real(spec.docker.socket).is_relative_to(_real(path.partition("*")[0].rpartition("/")[0])):
        yield (
            key,
            f"{path!r}: Docker's socket lies there too, and whoever reaches it owns the machine",
        )


def _real(path: str) -> PurePosixPath:
    # A link on every Linux.
    return PurePosixPath(f"{path}/".replace("/var/run/", "/run/", 1))
