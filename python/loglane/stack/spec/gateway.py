"""The gateway: TLS, users and rate limits in front of Loki and Grafana."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from loglane.stack.kinds import HostName, HostPath, TenantName, UserName
from loglane.stack.spec.model import Found, Model, value_unless


class Tls(Model):
    """TLS: a certificate made for development, one's own files, or none."""

    mode: Literal["generated", "files", "off"] = "generated"
    # Names that a generated certificate is good for.
    names: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=50)] = ("localhost",)
    certificate: HostPath | None = None
    key: HostPath | None = None

    @field_validator("mode", mode="before")
    @classmethod
    def _off_without_quotes(cls, mode: object) -> object:
        # YAML 1.1 reads a bare `off` as false.
        return "off" if mode is False else mode

    @model_validator(mode="after")
    def _files_when_files(self) -> Tls:
        found: Found = []
        for name in ("certificate", "key"):
            given = getattr(self, name) is not None
            if self.mode == "files" and not given:
                found.append(((name,), "is missing; mode: files needs it"))
            elif self.mode != "files" and given:
                found.append(((name,), "belongs to mode: files"))
        return value_unless(found, self)


class User(Model):
    """Somebody who may push or query; the password is a secret of its own."""

    name: UserName
    # With tenants: whose lines. Without: left out.
    tenant: TenantName | None = None
    may: Annotated[tuple[Literal["push", "query"], ...], Field(min_length=1, max_length=2)] = (
        "push",
    )


class RequestRate(Model):
    """The most requests of one user; what is over it is answered with 429."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
    burst: Annotated[int, Field(ge=1, le=100_000)] = 200


class Gateway(Model):
    """One address for pushing, querying and Grafana, with TLS and users."""

    tls: Tls = Tls()
    users: tuple[User, ...] = Field(default=(), max_length=1000)
    rate_limit: RequestRate = RequestRate()

    @field_validator("users")
    @classmethod
    def _names_differ(cls, users: tuple[User, ...]) -> tuple[User, ...]:
        names = [user.name for user in users]
        found: Found = [
            ((index, "name"), f"{name!r} is listed twice")
            for index, name in enumerate(names)
            if name in names[:index]
        ]
        return value_unless(found, users)
