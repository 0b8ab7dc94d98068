"""The spec: every key of `stack/stack.yaml` as a frozen model.

The defaults live here and nowhere else; `stack/stack.yaml` repeats them with the reasons.
Rules that only Loki, Docker or Grafana would notice at start-up are checked here instead, so that
a wrong spec fails before anything is written. `stack.loading` reads the files and turns what
pydantic finds into problems with a file, a line and a path.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from loglane.fields import BODY, COLLECTOR_LABELS, LABELS, MAX_LABELS, STRUCTURED_METADATA
from loglane.stack.kinds import (
    Address,
    DiskSize,
    EnvName,
    Label,
    LabelName,
    ProjectName,
    ServiceName,
    TenantName,
)
from loglane.stack.spec.alerts import Alerts
from loglane.stack.spec.audit import BUNDLED, Audit
from loglane.stack.spec.collecting import Apps, Docker, Service, Sources
from loglane.stack.spec.containers import Images, Ports, Resources
from loglane.stack.spec.crosschecks import cross_problems
from loglane.stack.spec.gateway import Gateway
from loglane.stack.spec.grafana import DASHBOARDS, Grafana
from loglane.stack.spec.lifecycle import Limits, Retention, Storage
from loglane.stack.spec.model import CrossKeyError, Found, Model, value_unless
from loglane.stack.spec.tenants import Tenant

__all__ = ["DASHBOARDS", "REQUIRED_LABELS", "SINGLE_TENANT", "CrossKeyError", "StackSpec"]

# Dashboards and alert rules select by these, so a stack without them could not show itself.
REQUIRED_LABELS = ("service", "env", "level")
# What Loki calls its tenant when `auth_enabled` is false.
SINGLE_TENANT = "fake"


class StackSpec(Model):
    """A whole stack: what `stack/stack.yaml` and one overlay say together."""

    project: ProjectName = "loglane"
    env: EnvName
    bind_address: Address = "127.0.0.1"
    collector: Literal["promtail", "alloy"] = "promtail"
    images: Images = Images()
    ports: Ports = Ports()
    docker: Docker = Docker()
    apps: Apps = Apps(label="logging=enabled")
    services: dict[ServiceName, Service] = Field(default_factory=dict, max_length=1000)
    sources: Sources = Sources()
    labels: tuple[Label, ...] = LABELS
    structured_metadata: tuple[LabelName, ...] = STRUCTURED_METADATA
    storage: Storage = Storage()
    retention: Retention = Retention()
    disk_budget: DiskSize | None = "50GB"
    limits: Limits = Limits()
    tenants: dict[TenantName, Tenant] = Field(default_factory=dict, max_length=500)
    # Takes the lines that no tenant's services write; there is one only when there are tenants.
    default_tenant: TenantName = "main"
    gateway: Gateway | None = None
    metrics: bool = False
    audit: Audit = Audit()
    alerts: Alerts = Alerts()
    grafana: Grafana = Grafana()
    resources: Resources = Resources()

    @field_validator("labels")
    @classmethod
    def _labels_suffice(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        found = _repeated(labels)
        if len(labels) > MAX_LABELS:
            message = f"{len(labels)} labels; Loki takes {MAX_LABELS} at most. Put the ones with "
            found.append(((), message + "many values under structured_metadata"))
        found.extend(
            ((), f"{name!r} is missing; dashboards and rules select by it")
            for name in REQUIRED_LABELS
            if name not in labels
        )
        return value_unless(found, labels)

    @field_validator("structured_metadata")
    @classmethod
    def _metadata_is_no_label(
        cls, metadata: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        found = _repeated(metadata)
        found.extend(
            ((index,), f"{name!r} is a label already; keep it in one place")
            for index, name in enumerate(metadata)
            if name in info.data.get("labels", ())
        )
        found.extend(
            ((index,), f"{name!r} {reason}")
            for index, name in enumerate(metadata)
            for names, reason in (
                (BODY, "stays in the line, where `| json` finds it"),
                (COLLECTOR_LABELS, "is known to the collector only, so it can only be a label"),
            )
            if name in names
        )
        return value_unless(found, metadata)

    @model_validator(mode="after")
    def _keys_agree(self) -> StackSpec:
        return value_unless(cross_problems(self), self)

    @property
    def app_labels(self) -> tuple[str, ...]:
        """Labels read from the app's line, in the spec's order."""
        return tuple(name for name in self.labels if name not in COLLECTOR_LABELS)

    @property
    def extra_labels(self) -> tuple[str, ...]:
        """Static labels of single services, sorted."""
        return tuple(sorted({name for item in self.services.values() for name in item.labels}))

    @property
    def tenant_names(self) -> tuple[str, ...]:
        """Every tenant's name, the default one first; `("fake",)` without tenants."""
        if not self.tenants:
            return (SINGLE_TENANT,)
        others = sorted(name for name in self.tenants if name != self.default_tenant)
        return (self.default_tenant, *others)

    @property
    def components(self) -> tuple[str, ...]:
        """Containers that stay up, by the name of their compose service."""
        optional = {
            "docker-proxy": self.docker.proxy,
            "prometheus": self.metrics,
            "gateway": self.gateway is not None,
            BUNDLED: self.audit.bundled is not None,
        }
        chosen = tuple(name for name, wanted in optional.items() if wanted)
        return ("loki", self.collector, "grafana", *chosen)

    @property
    def pinned_images(self) -> tuple[str, ...]:
        """The images that this stack runs."""
        names = {"docker-proxy": "nginx", "gateway": "nginx"}
        fields = [names.get(component, component) for component in self.components]
        return tuple(dict.fromkeys(getattr(self.images, field) for field in fields))

    @property
    def published(self) -> dict[str, tuple[str, int]]:
        """Address and port on this machine of each component that publishes one.

        With a gateway, it alone is on `bind_address`: what has no login of its own stays here. So
        does the bundled database, which is for development.
        """
        inner = self.bind_address if self.gateway is None else "127.0.0.1"
        addresses = {"gateway": self.bind_address, BUNDLED: "127.0.0.1"}
        return {
            name: (addresses.get(name, inner), getattr(self.ports, name))
            for name in self.components
            if name != "docker-proxy"
        }

    @property
    def dashboards(self) -> tuple[str, ...]:
        """The dashboards that are rendered, in the spec's order."""
        has_records = self.audit.database is not None
        return tuple(name for name in self.grafana.dashboards if name != "audit" or has_records)


def _repeated(names: tuple[str, ...]) -> Found:
    return [
        ((index,), f"{name!r} is listed twice")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def keys_at(path: tuple[str | int, ...]) -> list[str]:
    """List the keys that the spec knows in the map at `path`, for near-miss suggestions."""
    annotation: Any = StackSpec
    for part in path:
        model = _model_of(annotation)
        if isinstance(part, str) and model is not None and part in model.model_fields:
            annotation = model.model_fields[part].annotation
        elif model is None or not _holds_items(annotation):
            return []
        else:
            # An item of a list, or a value of a map with free keys.
            annotation = model
    found = _model_of(annotation)
    return [] if found is None or _holds_items(annotation) else list(found.model_fields)


def _holds_items(annotation: Any) -> bool:
    origin = getattr(annotation, "__origin__", None)
    if origin in (dict, tuple):
        return True
    return any(_holds_items(inner) for inner in getattr(annotation, "__args__", ()))


def _model_of(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_of(inner)
        if found is not None:
            return found
    return None
