"""What is collected, and how the lines of each service are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from loglane.fields import FIELDS
from loglane.stack.kinds import (
    DockerLabel,
    HostPath,
    Label,
    LineRegex,
    ServiceName,
    Text,
    Word,
)
from loglane.stack.spec.model import Found, Model, value_unless

Format = Literal["loglane", "json", "logfmt", "nginx", "apache", "postgresql", "python", "plain"]
FORMATS: tuple[str, ...] = Format.__args__  # type: ignore[attr-defined]


class Apps(Model):
    """Which containers are collected: those with a Docker label, or named compose services."""

    label: DockerLabel | None = None
    services: tuple[Word, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _one_way(self) -> Apps:
        if (self.label is None) == (not self.services):
            raise ValueError("give either label or services: one of them says what is collected")
        return self


class Docker(Model):
    """How the collector reaches Docker: its socket read-only, or a proxy that only reads."""

    socket: HostPath = "/var/run/docker.sock"
    proxy: bool = False


class LineRate(Model):
    """The most lines that one service may send; what is over it is dropped and counted."""

    lines_per_second: Annotated[int, Field(ge=1, le=1_000_000)]
    burst: Annotated[int, Field(ge=1, le=10_000_000)]

    @model_validator(mode="after")
    def _burst_holds_the_rate(self) -> LineRate:
        found: Found = []
        if self.burst < self.lines_per_second:
            message = f"less than lines_per_second, {self.lines_per_second}"
            found.append((("burst",), message))
        return value_unless(found, self)


class Service(Model):
    """How the lines of one service are read."""

    format: Format = "loglane"
    # What a numeric level means: Python's 40 is an error, pino's 40 a warning.
    level_numbers: Literal["python", "pino"] = "python"
    drop: tuple[LineRegex, ...] = Field(default=(), max_length=20)
    rate_limit: LineRate | None = None
    labels: dict[Label, Text] = Field(default_factory=dict, max_length=4)

    @field_validator("labels")
    @classmethod
    def _labels_are_extra(cls, labels: dict[str, str]) -> dict[str, str]:
        known = {field.name for field in FIELDS} | {"service_name", "tenant"}
        found: Found = [
            ((name,), f"{name!r} is a field of the contract; choose another name")
            for name in labels
            if name in known
        ]
        return value_unless(found, labels)


class HostFiles(Model):
    """Files of the host that are followed as one service."""

    path: HostPath
    service: ServiceName


class Journal(Model):
    """The host's systemd journal; the unit's name becomes the service."""

    path: HostPath = "/var/log/journal"
    # Empty: every unit.
    units: tuple[ServiceName, ...] = Field(default=(), max_length=100)


class Sources(Model):
    """What is collected beside containers."""

    files: tuple[HostFiles, ...] = Field(default=(), max_length=100)
    journal: Journal | None = None
