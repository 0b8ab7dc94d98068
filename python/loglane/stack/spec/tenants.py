"""Tenants: whose lines are whose, with limits and retention each."""

from __future__ import annotations

from pydantic import Field

from loglane.stack.kinds import ServiceName
from loglane.stack.spec.lifecycle import TenantLimits, TenantRetention
from loglane.stack.spec.model import Model


class Tenant(Model):
    """One tenant of Loki: its services' lines, its limits and how long they are kept."""

    # Services whose lines are this tenant's; a container may also name it by a label.
    services: tuple[ServiceName, ...] = Field(default=(), max_length=1000)
    limits: TenantLimits = TenantLimits()
    # None: as `retention` says for everybody.
    retention: TenantRetention | None = None
