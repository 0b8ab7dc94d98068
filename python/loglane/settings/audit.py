"""The `logging.audit` section: where audit records go, and what is done until they are there."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from loglane.settings.section import Section, wrong_key
from loglane.settings.values import Count, FilePath, Seconds, Size, text_value

MIB = 1024 * 1024
# What stands before `://`, with or without a driver behind a plus sign.
DATABASES = ("sqlite", "mysql", "mariadb", "postgresql", "postgres")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:
        # Somebody has put something else in its place.
        return package in sys.modules


TWO_AT_SIGNS = "has more than one @; in a name or a password write %40, and %2F for /"


def has_open_password(url: str) -> bool:
    """Tell whether a part of a password would be taken for the host, and be shown as such."""
    return not url.startswith("sqlite") and url.partition("?")[0].count("@") > 1


def _database_url(value: Any) -> str:
    text = text_value(value)
    if text.partition("://")[0].partition("+")[0] not in DATABASES or "://" not in text:
        raise ValueError(
            "is not the address of a database, such as sqlite:///audit.db, "
            "mysql://user@host/audit or postgresql://user@host/audit"
        )
    if has_open_password(text):
        raise ValueError(TWO_AT_SIGNS)
    return text


def _redis_url(value: Any) -> str:
    text = text_value(value)
    if urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("is not the address of a Redis, such as redis://127.0.0.1:6379/0")
    return text


DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]
RedisUrl = Annotated[str, BeforeValidator(_redis_url)]
Name = Annotated[str, BeforeValidator(text_value), Field(min_length=1, max_length=200)]
Overflow = tuple[Literal["block", "outbox", "raise"], ...]


class AuditBatch(Section):
    """What is written at once.

    Attributes:
        max_items: A batch is written when it has so many records,
        max_wait_s: or when its first one is so old.
    """

    max_items: Annotated[int, Field(ge=1, le=1000)] = 50
    max_wait_s: Seconds = 1


class AuditQueue(Section):
    """How many records wait in memory, and what happens to one that finds no room.

    Attributes:
        max_items: Records.
        max_bytes: Their size together.
        overflow: What is tried, in this order: `block` until there is room, for `block_s` at most;
            `outbox` writes it there; `raise` lets the call fail with AuditOverflow.
        block_s: The longest wait for room.
    """

    max_items: Count = 10_000
    max_bytes: Annotated[Size, Field(ge=1024)] = 64 * MIB
    overflow: Overflow = ("block", "outbox", "raise")
    block_s: Seconds = 1

    @field_validator("overflow", mode="after")
    @classmethod
    def _ends_somewhere(cls, overflow: Overflow) -> Overflow:
        if not overflow or len(set(overflow)) < len(overflow):
            raise ValueError("should name block, outbox and raise, each at most once, one at least")
        return overflow


class AuditRetry(Section):
    """How often a batch is tried before it goes to the outbox, with growing pauses.

    Attributes:
        attempts: How often.
        first_s: The first pause; each one after it is twice as long,
        max_s: up to this one. It is also how often a database that was away is tried again.
    """

    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    first_s: Seconds = 0.1
    max_s: Seconds = 10


class AuditOutbox(Section):
    """A file in which records wait for a database that is away; also of those it refused.

    Attributes:
        path: The file; None for none: what cannot be written is then lost, and said so.
        max_bytes: Beyond this size it takes no more.
    """

    path: FilePath | None = "audit-outbox.db"
    max_bytes: Annotated[Size, Field(ge=64 * 1024)] = 1024 * MIB


class AuditRedis(Section):
    """Redis Streams between this process and the one that writes records into the database.

    Attributes:
        url: Address; None to write into the database from here.
        password_file: Read for each connection; in place of a password in the address.
        stream: Key of the stream.
        group: Consumer group of the processes that write.
        claim_after_s: A batch that a worker has had for so long is given to another.
    """

    url: RedisUrl | None = None
    password_file: FilePath | None = None
    stream: Name = "loglane:audit"
    group: Name = "loglane-audit"
    claim_after_s: Seconds = 60

    @field_validator("url", mode="after")
    @classmethod
    def _has_extra(cls, url: str | None) -> str | None:
        if url is not None and not _is_installed("redis"):
            raise ValueError("needs the package redis; pip install 'loglane[redis]'")
        return url


class Audit(Section):
    """The audit trail: records in a SQL database, beside the log lines.

    Attributes:
        enabled: Whether marked lines (`persist_db=True`) are recorded.
        url: Address of the database; the driver is chosen when it names none.
        password_file: Read for each connection; in place of a password in the address.
        durability: With `outbox` a call returns when its record is on the disk. With `memory` it
            returns at once; what is in the queue is lost when the process is killed.
        tamper_evident: Whether records are linked by a chain of hashes, a new one each day.
        workers: How many batches are written at a time, each over a connection of its own. By
            default 3, and 1 for SQLite, which has one writer at a time.
        batch: What is written at once.
        queue: How many wait in memory.
        retry: How often a batch is tried.
        outbox: Where records wait for a database that is away.
        redis: Another process writes the records.
        drain_s: How long the end of the process waits for what is left.
    """

    enabled: bool = False
    url: DatabaseUrl = "sqlite:///audit.db"
    password_file: FilePath | None = None
    durability: Literal["memory", "outbox"] = "memory"
    tamper_evident: bool = False
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    batch: AuditBatch = AuditBatch()
    queue: AuditQueue = AuditQueue()
    retry: AuditRetry = AuditRetry()
    outbox: AuditOutbox = AuditOutbox()
    redis: AuditRedis = AuditRedis()
    drain_s: Seconds = 10

    @field_validator("enabled", mode="after")
    @classmethod
    def _has_extra(cls, enabled: bool) -> bool:
        if enabled and not _is_installed("sqlalchemy"):
            raise ValueError("needs the package sqlalchemy; pip install 'loglane[audit]'")
        return enabled

    @field_validator("outbox", mode="after")
    @classmethod
    def _has_outbox(cls, outbox: AuditOutbox, info: Any) -> AuditOutbox:
        if outbox.path is None and info.data.get("durability") == "outbox":
            raise wrong_key("path", "is where records go with durability 'outbox'; name a file")
        return outbox

    @property
    def writers(self) -> int:
        """How many batches are written at a time."""
        is_sqlite = self.url.startswith("sqlite") and self.redis.url is None
        return self.workers or (1 if is_sqlite else 3)
