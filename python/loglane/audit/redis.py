"""Batches of audit records into a Redis stream, for another process to store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from typing_extensions import Self

from loglane.audit.event import AuditEvent
from loglane.audit.sink import Outcome
from loglane.audit.transport.connection import address_of, connect, reaching
from loglane.audit.transport.message import pack
from loglane.errors import SinkUnavailable
from loglane.settings.audit import Audit


class RedisSink:
    """Puts each batch into the stream as one message; an AuditSink."""

    def __init__(self, redis: Redis, stream: str, address: str) -> None:
        self._redis = redis
        self._stream = stream
        self._address = address

    @classmethod
    def of(cls, settings: Audit) -> Self:
        """Return the sink that the settings describe; it connects at the first batch.

        Raises:
            SpecError: `redis.url` is not the address of a Redis.
        """
        redis = settings.redis
        return cls(connect(redis), redis.stream, address_of(redis.url))

    async def write(self, batch: Sequence[AuditEvent]) -> Sequence[Outcome]:
        """Put a batch into the stream.

        Returns:
            `written` for each record, when Redis has confirmed the message.

        Raises:
            SinkUnavailable: It has not; it may have the message nevertheless.
        """
        if batch:
            fields: dict[Any, Any] = {**pack(batch)}
            with reaching(self._address):
                # Never with a maximal length: that would throw away what nobody has read.
                await self._redis.xadd(self._stream, fields)
        return [Outcome(event.event_id, "written") for event in batch]

    async def close(self) -> None:
        """Close the connections; never raises."""
        with suppress(SinkUnavailable), reaching(self._address):
            await self._redis.aclose()
