"""How long lines live, where, and how many of them Loki takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from loglane.stack.kinds import (
    BucketName,
    Duration,
    RetentionPeriod,
    Selector,
    Size,
    Url,
    Word,
)
from loglane.stack.spec.model import Found, Model, value_unless
from loglane.stack.values import hours, matchers_of, size_bytes

# Classes that Loki can read from at once; from GLACIER and DEEP_ARCHIVE an object must be restored
# first (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html).
StorageClass = Literal["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]
# S3 refuses an earlier move to these (same page).
_NEED_30_DAYS = ("STANDARD_IA", "ONEZONE_IA")
_MIN_HOT_H = 10 / 60
# How long Loki may go on using an index that it has read: 5m in its cache, 3 tries of 5m each.
_MIN_DELETE_H = 20 / 60


class Storage(Model):
    """Where chunks and the index lie: a volume of this machine, or an S3 bucket."""

    type: Literal["filesystem", "s3"] = "filesystem"
    bucket: BucketName | None = None
    region: Word | None = None
    # For another S3 than Amazon's.
    endpoint: Url | None = None
    path_style: bool = False

    @model_validator(mode="after")
    def _fits_the_type(self) -> Storage:
        found: Found = []
        if self.type == "s3":
            found += [
                ((name,), "is missing; S3 needs it")
                for name in ("bucket", "region")
                if getattr(self, name) is None
            ]
        else:
            found += [
                ((name,), "belongs to type: s3")
                for name in ("bucket", "region", "endpoint")
                if getattr(self, name) is not None
            ]
        return value_unless(found, self)


class Phases(Model):
    """The life of a line: hot, warm, cold, deleted."""

    # In the ingester's memory and its WAL, at most this long before it is flushed.
    hot: Duration = "2h"
    # In the store; with S3 and a cold class: how long before it moves there.
    warm: Duration | None = None
    # The class of S3 that it then moves to.
    cold: StorageClass | None = None
    # Between the compactor's mark and the deletion of the file.
    delete: Duration = "2h"

    @model_validator(mode="after")
    def _in_order(self) -> Phases:
        found: Found = []
        if (self.warm is None) != (self.cold is None):
            missing = "warm" if self.warm is None else "cold"
            message = "is missing: warm says when a line moves, cold says to which class"
            found.append(((missing,), message))
        if self.warm is not None and hours(self.warm) % 24:
            found.append((("warm",), f"{self.warm!r}: S3 counts whole days"))
        if self.warm and self.cold in _NEED_30_DAYS and hours(self.warm) < 30 * 24:
            found.append((("warm",), f"{self.warm!r}: S3 moves nothing to {self.cold} before 30d"))
        if not _MIN_HOT_H <= hours(self.hot) <= 12:
            message = f"{self.hot!r}: choose 10m to 12h; less makes countless small files, more "
            found.append((("hot",), message + "has to be replayed after a crash"))
        if not _MIN_DELETE_H <= hours(self.delete) <= 7 * 24:
            message = f"{self.delete!r}: choose 20m to 7d; a query that began with the index of "
            found.append((("delete",), message + "before still looks for the file"))
        return value_unless(found, self)


class RetentionStream(Model):
    """A shorter or longer life for the streams that a selector matches."""

    selector: Selector
    period: RetentionPeriod


class TenantRetention(Model):
    """How long lines are kept; the first stream rule that matches wins over the default."""

    default: RetentionPeriod = "31d"
    streams: tuple[RetentionStream, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _rules_differ(self) -> TenantRetention:
        seen: dict[tuple[str, ...], int] = {}
        found: Found = []
        for index, rule in enumerate(self.streams):
            first = seen.setdefault(matchers_of(rule.selector), index)
            if first != index:
                message = f"the same selector as streams[{first}], which wins always"
                found.append((("streams", index, "selector"), message))
        return value_unless(found, self)


class Retention(TenantRetention):
    """How long lines are kept, and the phases of their life."""

    phases: Phases = Phases()


class TenantLimits(Model):
    """Limits of one tenant under Loki's own names; what is left out is as in `limits`."""

    ingestion_rate_mb: Annotated[int, Field(ge=1, le=10_000)] | None = None
    ingestion_burst_size_mb: Annotated[int, Field(ge=1, le=10_000)] | None = None
    per_stream_rate_limit: Size | None = None
    per_stream_rate_limit_burst: Size | None = None
    max_line_size: Size | None = None
    max_global_streams_per_user: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_entries_limit_per_query: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_query_length: Duration | None = None
    reject_old_samples_max_age: Duration | None = None


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
    def _bursts_hold_the_rates(self) -> Limits:
        return value_unless(burst_problems(self), self)


def burst_problems(limits: Limits) -> Found:
    """Find bursts below their rates; paths are relative to the limits."""
    found: Found = []
    if limits.ingestion_burst_size_mb < limits.ingestion_rate_mb:
        message = f"less than ingestion_rate_mb, {limits.ingestion_rate_mb}"
        found.append((("ingestion_burst_size_mb",), message))
    if size_bytes(limits.per_stream_rate_limit_burst) < size_bytes(limits.per_stream_rate_limit):
        message = f"less than per_stream_rate_limit, {limits.per_stream_rate_limit}"
        found.append((("per_stream_rate_limit_burst",), message))
    return found
