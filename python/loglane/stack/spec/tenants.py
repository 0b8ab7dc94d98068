"""Tenants: whose lines are whose, with limits and retention each."""

from __future__ import annotations

import hashlib

from pydantic import Field

from loglane.stack.kinds import ServiceName
from loglane.stack.spec.lifecycle import TenantLimits, TenantRetention
from loglane.stack.spec.model import Model

# Grafana's limit (grafana: pkg/util/shortid_generator.go).
_MAX_UID = 40
_DIGEST = 8


class Tenant(Model):
    """One tenant of Loki: its services' lines, its limits and how long they are kept."""

    # Services whose lines are this tenant's; a container may also name it by a label.
    services: tuple[ServiceName, ...] = Field(default=(), max_length=1000)
    limits: TenantLimits = TenantLimits()
    # None: as `retention` says for everybody.
    retention: TenantRetention | None = None


def tenant_uid(uid: str, tenant: str) -> str:
    """Return the uid of a tenant's datasource, as short as Grafana wants it."""
    whole = f"{uid}-{tenant}"
    if len(whole) <= _MAX_UID:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]
    return f"{whole[: _MAX_UID - _DIGEST - 1]}-{digest}"
