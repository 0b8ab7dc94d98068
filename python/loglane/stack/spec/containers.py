"""The containers of a stack: images, ports and limits, by the component's name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from loglane.stack.kinds import Image, Memory, Port
from loglane.stack.spec.model import Found, Model, value_unless


class Images(Model):
    """Container images, each pinned to a version."""

    loki: Image = "grafana/loki:3.7.6"
    promtail: Image = "grafana/promtail:3.6.11"
    alloy: Image = "grafana/alloy:v1.19.1"
    grafana: Image = "grafana/grafana:13.2.1"
    nginx: Image = "nginx:1.30.5"
    prometheus: Image = "prom/prometheus:v3.13.2"
    mariadb: Image = "mariadb:11.8.8"


class Ports(Model):
    """Ports published on this machine, each only when its component runs."""

    loki: Port = 3100
    grafana: Port = 3000
    promtail: Port = 9080
    alloy: Port = 12345
    prometheus: Port = 9090
    gateway: Port = 8443
    mariadb: Port = 3306

    @model_validator(mode="after")
    def _distinct(self) -> Ports:
        owners: dict[int, str] = {}
        found: Found = []
        for name, port in self:
            if port in owners:
                found.append(((name,), f"{port} is taken by ports.{owners[port]}"))
            owners.setdefault(port, name)
        return value_unless(found, self)


class Resource(Model):
    """Upper limits of one container."""

    cpus: Annotated[float, Field(ge=0.1, le=256, allow_inf_nan=False)]
    memory: Memory


class Resources(Model):
    """Upper limits of each container."""

    loki: Resource = Resource(cpus=2, memory="2g")
    promtail: Resource = Resource(cpus=1, memory="256m")
    alloy: Resource = Resource(cpus=1, memory="512m")
    grafana: Resource = Resource(cpus=1, memory="1g")
    prometheus: Resource = Resource(cpus=1, memory="512m")
    gateway: Resource = Resource(cpus=1, memory="128m")
    docker_proxy: Resource = Resource(cpus=0.5, memory="64m")
    mariadb: Resource = Resource(cpus=1, memory="512m")
