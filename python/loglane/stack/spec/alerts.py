"""Alerts as code: rules, contact points, the notification policy and mute times."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from loglane.stack.kinds import (
    ClockTime,
    Duration,
    MailAddress,
    SecretName,
    ServiceName,
    TimeZone,
    Word,
)
from loglane.stack.spec.model import Found, Model, value_unless
from loglane.stack.values import hours

Severity = Literal["info", "warning", "critical"]
# The contact point that is always there: an alert becomes a log line of the service `alerts`.
LOG_CONTACT_POINT = "log"

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Rule(Model):
    """What every rule has."""

    enabled: bool = True
    severity: Severity = "warning"
    # How long it must hold before somebody is told.
    pending_period: Duration = "5m"


class ErrorRatio(Rule):
    """Errors divided by all lines of a service."""

    above: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05
    window: Duration = "5m"
    # A service with fewer lines in the window is left alone.
    min_lines: Annotated[int, Field(ge=1, le=1_000_000)] = 20


class NoLogs(Rule):
    """The dead man: no line from a service that should write."""

    severity: Severity = "critical"
    services: tuple[ServiceName, ...] = Field(default=(), max_length=200)
    window: Duration = "15m"
    pending_period: Duration = "1m"


class RejectedLines(Rule):
    """Lines that Loki refused, or that the collector gave up."""

    window: Duration = "10m"
    pending_period: Duration = "1m"


class DiskBudget(Rule):
    """The lines of a retention period no longer fit into `disk_budget`."""

    pending_period: Duration = "1h"


class CollectorLag(Rule):
    """Lines wait in the collector, or nothing comes from it."""

    severity: Severity = "critical"
    # With metrics: lines read and not sent.
    lines_above: Annotated[int, Field(ge=1, le=100_000_000)] = 10_000
    # Without: nothing from the stack's own containers for so long.
    silence: Duration = "10m"


class Rules(Model):
    """The rules that come with the stack."""

    error_ratio: ErrorRatio = ErrorRatio()
    no_logs: NoLogs = NoLogs()
    rejected_lines: RejectedLines = RejectedLines()
    disk_budget: DiskBudget = DiskBudget()
    collector_lag: CollectorLag = CollectorLag()


class ContactPoint(Model):
    """Whom an alert is told. A web address is a secret: it often holds a token."""

    type: Literal["webhook", "email", "slack"]
    # webhook, slack: the secret that holds the address.
    url_secret: SecretName | None = None
    # email
    addresses: tuple[MailAddress, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _fits_the_type(self) -> ContactPoint:
        found: Found = []
        by_mail = self.type == "email"
        if by_mail and not self.addresses:
            found.append((("addresses",), "is missing; type: email needs one at least"))
        if by_mail and self.url_secret is not None:
            found.append((("url_secret",), "belongs to webhook and slack"))
        if not by_mail and self.url_secret is None:
            message = "is missing; it names the file in stack/secrets/ that holds the address"
            found.append((("url_secret",), message))
        if not by_mail and self.addresses:
            found.append((("addresses",), "belongs to type: email"))
        return value_unless(found, self)


class MuteTime(Model):
    """Hours of some weekdays in which nobody is told."""

    weekdays: tuple[Weekday, ...] = Field(default=(), max_length=7)
    start: ClockTime = "00:00"
    end: ClockTime = "24:00"
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> MuteTime:
        found: Found = []
        if self.end <= self.start:
            message = f"{self.end!r} is not after start; split a night into two mute times"
            found.append((("end",), message))
        return value_unless(found, self)


class Route(Model):
    """Alerts of a service or a severity go to another contact point."""

    contact_point: Word
    service: ServiceName | None = None
    severity: Severity | None = None
    mute_times: tuple[Word, ...] = ()

    @model_validator(mode="after")
    def _matches_something(self) -> Route:
        if self.service is None and self.severity is None:
            raise ValueError("give service, severity or both: a route must match something")
        return self


class Policy(Model):
    """Who is told by default, how alerts are grouped, how often they are repeated."""

    # None: `log`; alerts become log lines of the service `alerts`, and are seen in Grafana.
    contact_point: Word | None = None
    group_wait: Duration = "30s"
    group_interval: Duration = "5m"
    repeat_interval: Duration = "4h"
    routes: tuple[Route, ...] = Field(default=(), max_length=100)


class Removed(Model):
    """What Grafana still has of an earlier spec, and shall lose at its next start.

    Grafana keeps what was provisioned when a file stops naming it. Rules need no entry here.
    """

    contact_points: tuple[Word, ...] = Field(default=(), max_length=50)
    mute_times: tuple[Word, ...] = Field(default=(), max_length=50)
    # With `enabled: false`: the notification policy, and every contact point and mute time of the
    # spec with it.
    policy: bool = False


class Alerts(Model):
    """Grafana-managed alerting, provisioned."""

    enabled: bool = True
    # How often Grafana asks; it counts in steps of ten seconds.
    evaluation_interval: Duration = "1m"
    rules: Rules = Rules()
    contact_points: dict[Word, ContactPoint] = Field(default_factory=dict, max_length=50)
    policy: Policy = Policy()
    mute_times: dict[Word, MuteTime] = Field(default_factory=dict, max_length=50)
    removed: Removed = Removed()

    @model_validator(mode="after")
    def _is_evaluated_in_steps(self) -> Alerts:
        found: Found = []
        seconds = round(hours(self.evaluation_interval) * 3600, 6)
        if seconds % 10:
            message = f"{self.evaluation_interval!r}: Grafana counts in steps of 10s"
            found.append((("evaluation_interval",), message))
        return value_unless(found, self)

    @model_validator(mode="after")
    def _removed_are_gone(self) -> Alerts:
        found: Found = []
        removed = self.removed
        kinds: list[tuple[str, tuple[str, ...], Container[str]]] = [
            ("contact_points", removed.contact_points, self.contact_points),
            ("mute_times", removed.mute_times, self.mute_times),
        ]
        for kind, names, present in kinds:
            found += [
                (("removed", kind, index), f"{name!r} is still under alerts.{kind}")
                for index, name in enumerate(names)
                if name in present
            ]
            if kind == "contact_points" and LOG_CONTACT_POINT in names:
                # Grafana would not start: its policy may use it.
                index = names.index(LOG_CONTACT_POINT)
                message = f"{LOG_CONTACT_POINT!r} is always there; take it out of the list"
                found.append((("removed", kind, index), message))
            if names and not self.enabled and not self.removed.policy:
                message = "Grafana's policy may still use them; add `policy: true`"
                found.append((("removed", kind), message))
        if self.removed.policy and self.enabled:
            message = "there is a policy while alerts are enabled; set `enabled: false`"
            found.append((("removed", "policy"), message))
        return value_unless(found, self)

    @model_validator(mode="after")
    def _names_are_known(self) -> Alerts:
        found: Found = []
        if LOG_CONTACT_POINT in self.contact_points:
            message = "is the one that makes log lines of alerts; choose another name"
            found.append((("contact_points", LOG_CONTACT_POINT), message))
        known = (*self.contact_points, LOG_CONTACT_POINT)
        routes = self.policy.routes
        used: Found = [(("policy", "contact_point"), self.policy.contact_point or "")]
        used += [
            (("policy", "routes", i, "contact_point"), r.contact_point)
            for i, r in enumerate(routes)
        ]
        found += [
            (path, f"there is no contact point {name!r}; there are: {_listed(known)}")
            for path, name in used
            if name and name not in known
        ]
        found += [
            (
                ("policy", "routes", index, "mute_times", place),
                f"there is no mute time {name!r}; there are: {_listed(self.mute_times)}",
            )
            for index, route in enumerate(routes)
            for place, name in enumerate(route.mute_times)
            if name not in self.mute_times
        ]
        return value_unless(found, self)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
