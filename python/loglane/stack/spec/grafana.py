"""Grafana: organisation, first user, datasources and dashboards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loglane.stack.kinds import HostPort, MailAddress, Text, Uid, Word
from loglane.stack.spec.model import Model

DashboardName = Literal[
    "logs-overview", "service", "trace", "errors", "volume", "stack-health", "audit"
]
DASHBOARDS: tuple[DashboardName, ...] = DashboardName.__args__  # type: ignore[attr-defined]


class Datasource(Model):
    """One provisioned datasource; dashboards and rules refer to it by `uid`."""

    name: Text
    uid: Uid


class Datasources(Model):
    """Grafana's provisioned datasources."""

    loki: Datasource = Datasource(name="Loki", uid="loglane-loki")
    prometheus: Datasource = Datasource(name="Prometheus", uid="loglane-prometheus")
    audit: Datasource = Datasource(name="Audit", uid="loglane-audit")


class Smtp(Model):
    """The mail server that Grafana sends alerts through."""

    address: HostPort
    sender: MailAddress
    # With a user, the password is the secret `grafana_smtp_password`.
    user: Text | None = None


class Grafana(Model):
    """Grafana's organisation, first user and provisioned content."""

    org: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    admin_user: Word = "loglane"
    folder: Text = "loglane"
    datasources: Datasources = Datasources()
    # `audit` is rendered only where there is `audit.database`.
    dashboards: tuple[DashboardName, ...] = DASHBOARDS
    smtp: Smtp | None = None
