"""Grafana: organisation, first user, datasources and dashboards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loglane.stack.kinds import HostPort, Identifier, MailAddress, Text, Uid, Word
from loglane.stack.spec.model import Model

DashboardName = Literal[
    "logs-overview", "service", "trace", "errors", "volume", "stack-health", "records"
]
DASHBOARDS: tuple[DashboardName, ...] = DashboardName.__args__  # type: ignore[attr-defined]


class Datasource(Model):
    """One provisioned datasource; dashboards and rules refer to it by `uid`."""

    name: Text
    uid: Uid


class SqlDatasource(Model):
    """A SQL database whose records are shown beside the log lines."""

    type: Literal["mysql", "postgresql"]
    name: Text = "Records"
    uid: Uid = "loglane-sql"
    # host:port as the Grafana container reaches it.
    address: HostPort
    database: Identifier
    # A user that may only read; its password is the secret `grafana_sql_password`.
    user: Identifier
    table: Identifier = "audit_records"
    time_column: Identifier = "occurred_at"


class Datasources(Model):
    """Grafana's provisioned datasources."""

    loki: Datasource = Datasource(name="Loki", uid="loglane-loki")
    prometheus: Datasource = Datasource(name="Prometheus", uid="loglane-prometheus")
    sql: SqlDatasource | None = None


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
    # `records` is rendered only where a SQL datasource is.
    dashboards: tuple[DashboardName, ...] = DASHBOARDS
    smtp: Smtp | None = None
