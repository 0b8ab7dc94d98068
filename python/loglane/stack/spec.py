"""The spec: every key of `stack/stack.yaml` as a frozen model.

The defaults live here and nowhere else; `stack/stack.yaml` repeats them with the reasons.
Rules that only Loki, Docker or Grafana would notice at start-up are checked here instead, so that
a wrong spec fails before anything is written. `stack.loading` reads the files and turns what
pydantic finds into problems with a file, a line and a path.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from loglane.fields import BODY, COLLECTOR_LABELS, LABELS, MAX_LABELS, STRUCTURED_METADATA
from loglane.stack.values import (
    Address,
    DockerLabel,
    Duration,
    EnvName,
    Image,
    Label,
    LabelName,
    Memory,
    Port,
    ProjectName,
    RetentionPeriod,
    Selector,
    Size,
    Text,
    Uid,
    Word,
    parse_selector,
    size_bytes,
)

# Dashboards and alert rules select by these, so a stack without them could not show itself.
REQUIRED_LABELS = ("service", "env", "level")
DASHBOARDS: tuple[Literal["logs-overview"], ...] = ("logs-overview",)

Found = list[tuple[tuple[str | int, ...], str]]
T = TypeVar("T")


class CrossKeyError(ValueError):
    """Values that are right one by one and wrong together: a list of (path, message)."""

    def __init__(self, found: Found) -> None:
        super().__init__("; ".join(message for _, message in found))
        self.found = found


def _none_or_raise(value: T, found: Found) -> T:
    if found:
        raise CrossKeyError(found)
    return value


class Model(BaseModel):
    """Base of the spec's maps: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Images(Model):
    """Container images, each pinned to a version."""

    loki: Image = "grafana/loki:3.7.6"
    promtail: Image = "grafana/promtail:3.6.11"
    grafana: Image = "grafana/grafana:13.2.1"


class Ports(Model):
    """Ports published on `bind_address`."""

    loki: Port = 3100
    grafana: Port = 3000
    promtail: Port = 9080

    @model_validator(mode="after")
    def _distinct(self) -> Ports:
        owners: dict[int, str] = {}
        found: Found = []
        for name, port in self:
            if port in owners:
                found.append((("ports", name), f"{port} is taken by ports.{owners[port]}"))
            owners.setdefault(port, name)
        return _none_or_raise(self, found)


class RetentionStream(Model):
    """A shorter or longer life for the streams that a selector matches."""

    selector: Selector
    period: RetentionPeriod


class Retention(Model):
    """How long lines are kept; the first stream rule that matches wins over the default."""

    default: RetentionPeriod = "31d"
    streams: tuple[RetentionStream, ...] = Field(default=(), max_length=100)


class Limits(Model):
    """Loki's `limits_config`, under Loki's own names."""

    ingestion_rate_mb: Annotated[int, Field(ge=1, le=10_000)] = 16
    ingestion_burst_size_mb: Annotated[int, Field(ge=1, le=10_000)] = 32
    per_stream_rate_limit: Size = "8MB"
    per_stream_rate_limit_burst: Size = "32MB"
    max_line_size: Size = "256KB"
    max_global_streams_per_user: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    max_entries_limit_per_query: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    # Loki's own default: 30 days and the hour of a clock change.
    max_query_length: Duration = "30d1h"
    reject_old_samples_max_age: Duration = "7d"
    discover_service_name: bool = True
    discover_log_levels: bool = False

    @model_validator(mode="after")
    def _burst_holds_the_rate(self) -> Limits:
        found: Found = []
        if self.ingestion_burst_size_mb < self.ingestion_rate_mb:
            message = f"less than ingestion_rate_mb, {self.ingestion_rate_mb}"
            found.append((("limits", "ingestion_burst_size_mb"), message))
        if size_bytes(self.per_stream_rate_limit_burst) < size_bytes(self.per_stream_rate_limit):
            message = f"less than per_stream_rate_limit, {self.per_stream_rate_limit}"
            found.append((("limits", "per_stream_rate_limit_burst"), message))
        return _none_or_raise(self, found)


class Datasource(Model):
    """One provisioned datasource; dashboards and rules refer to it by `uid`."""

    name: Text
    uid: Uid


class Datasources(Model):
    """Grafana's provisioned datasources."""

    loki: Datasource = Datasource(name="Loki", uid="loglane-loki")


class Grafana(Model):
    """Grafana's organisation, first user and provisioned content."""

    org: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    admin_user: Word = "loglane"
    folder: Text = "loglane"
    datasources: Datasources = Datasources()
    dashboards: tuple[Literal["logs-overview"], ...] = DASHBOARDS


class Resource(Model):
    """Upper limits of one container."""

    cpus: Annotated[float, Field(ge=0.1, le=256, allow_inf_nan=False)]
    memory: Memory


class Resources(Model):
    """Upper limits of each container."""

    loki: Resource = Resource(cpus=2, memory="2g")
    promtail: Resource = Resource(cpus=1, memory="256m")
    grafana: Resource = Resource(cpus=1, memory="1g")


class Apps(Model):
    """Which containers are collected: those with a Docker label, or named compose services."""

    label: DockerLabel | None = None
    services: tuple[Word, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _one_way(self) -> Apps:
        if (self.label is None) == (not self.services):
            raise ValueError("give either label or services: one of them says what is collected")
        return self


class StackSpec(Model):
    """A whole stack: what `stack/stack.yaml` and one overlay say together."""

    project: ProjectName = "loglane"
    env: EnvName
    bind_address: Address = "127.0.0.1"
    collector: Literal["promtail"] = "promtail"
    images: Images = Images()
    ports: Ports = Ports()
    labels: tuple[Label, ...] = LABELS
    structured_metadata: tuple[LabelName, ...] = STRUCTURED_METADATA
    retention: Retention = Retention()
    limits: Limits = Limits()
    grafana: Grafana = Grafana()
    resources: Resources = Resources()
    apps: Apps = Apps(label="logging=enabled")

    @field_validator("labels")
    @classmethod
    def _labels_suffice(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        found = _repeated("labels", labels)
        if len(labels) > MAX_LABELS:
            message = f"{len(labels)} labels; Loki takes {MAX_LABELS} at most. Put the ones with "
            found.append((("labels",), message + "many values under structured_metadata"))
        found.extend(
            (("labels",), f"{name!r} is missing; dashboards and rules select by it")
            for name in REQUIRED_LABELS
            if name not in labels
        )
        return _none_or_raise(labels, found)

    @field_validator("structured_metadata")
    @classmethod
    def _metadata_is_no_label(
        cls, metadata: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        found = _repeated("structured_metadata", metadata)
        found.extend(
            (("structured_metadata", index), f"{name!r} is a label already; keep it in one place")
            for index, name in enumerate(metadata)
            if name in info.data.get("labels", ())
        )
        found.extend(
            (("structured_metadata", index), f"{name!r} {reason}")
            for index, name in enumerate(metadata)
            for names, reason in (
                (BODY, "stays in the line, where `| json` finds it"),
                (COLLECTOR_LABELS, "is known to the collector only, so it can only be a label"),
            )
            if name in names
        )
        return _none_or_raise(metadata, found)

    @field_validator("retention")
    @classmethod
    def _selectors_use_labels(cls, retention: Retention, info: ValidationInfo) -> Retention:
        labels = info.data.get("labels")
        if labels is None:
            return retention
        found: Found = [
            (
                ("retention", "streams", index, "selector"),
                f"{name!r} is no label of this stack (labels: {', '.join(labels)}), "
                "so the rule would match nothing",
            )
            for index, stream in enumerate(retention.streams)
            for name in parse_selector(stream.selector)
            if name not in (*labels, "service_name")
        ]
        return _none_or_raise(retention, found)

    @property
    def app_labels(self) -> tuple[str, ...]:
        """Labels read from the app's line, in the spec's order."""
        return tuple(name for name in self.labels if name not in COLLECTOR_LABELS)


def _repeated(key: str, names: tuple[str, ...]) -> Found:
    return [
        ((key, index), f"{name!r} is listed twice")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def keys_at(path: tuple[str | int, ...]) -> list[str]:
    """List the keys that the spec knows in the map at `path`, for near-miss suggestions."""
    model: Any = StackSpec
    for part in path:
        if isinstance(part, int):
            continue
        info = model.model_fields.get(part)
        if info is None:
            return []
        model = _model_of(info.annotation)
        if model is None:
            return []
    return list(model.model_fields)


def _model_of(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_of(inner)
        if found is not None:
            return found
    return None
