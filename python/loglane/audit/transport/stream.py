"""The stream as one consumer of its group sees it: read, claim, settle, measure.

Commands: https://redis.io/docs/latest/commands/?group=stream
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from loglane.audit.transport.connection import reaching
from loglane.audit.transport.message import DeadLetter, Message
from loglane.settings.audit import AuditRedis

DEAD = ":dead"
# Deleting a consumer forgets what it has in hand, so Redis must look and delete in one step. A
# consumer that asked for nothing for a day is one of a process that is no more.
_LEAVE = """
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local fact = {}
    for i = 1, #consumer, 2 do fact[consumer[i]] = consumer[i + 1] end
    if fact['pending'] == 0 and (fact['name'] == ARGV[2] or fact['idle'] > 86400000) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], fact['name'])
    end
end
"""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """How much waits in the stream.

    Attributes:
        messages: Batches that are not stored yet; those in hand are among them.
        in_hand: Batches that a worker has, or had when it died.
        dead_letters: Records that were refused, in the stream beside it.
        oldest_s: Age of the oldest batch, in seconds; 0 when there is none.
    """

    messages: int
    in_hand: int
    dead_letters: int
    oldest_s: float


class Stream:
    """The stream, for one consumer; every method raises SinkUnavailable when Redis is away."""

    def __init__(self, redis: Redis, settings: AuditRedis, address: str, consumer: str) -> None:
        self.consumer = consumer
        self._redis = redis
        self._address = address
        self._key = settings.stream
        self._group = settings.group
        self._idle_ms = max(1, int(settings.claim_after_s * 1000))

    async def join(self) -> None:
        """Make the group if there is none; it gets everything that is in the stream."""
        with reaching(self._address):
            try:
                await self._redis.xgroup_create(self._key, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def read(self, count: int, wait_ms: int | None) -> list[Message]:
        """Return new messages.

        Args:
            count: So many at most.
            wait_ms: How long to wait for the first one; None not to wait.
        """
        with reaching(self._address):
            answer = await _given(
                self._redis.xreadgroup(
                    self._group, self.consumer, {self._key: ">"}, count=count, block=wait_ms
                )
            )
        return _messages(answer[0][1]) if answer else []

    async def claim(self, count: int) -> list[Message]:
        """Return messages that nobody has touched for `claim_after_s`: their worker is dead."""
        start = "0-0"
        while True:
            with reaching(self._address):
                answer = await _given(
                    self._redis.xautoclaim(
                        self._key,
                        self._group,
                        self.consumer,
                        min_idle_time=self._idle_ms,
                        start_id=start,
                        count=count,
                    )
                )
            # One call looks at a part of what is in hand, and says where it stopped.
            start = answer[0].decode()
            if answer[1] or start == "0-0":
                return _messages(answer[1])

    async def keep(self, messages: Sequence[Message]) -> None:
        """Say that messages are still in hand, so that nobody else claims them."""
        await self._touch(messages, idle_ms=0)

    async def give_back(self, messages: Sequence[Message]) -> None:
        """Let others claim messages at once."""
        await self._touch(messages, idle_ms=self._idle_ms)

    async def _touch(self, messages: Sequence[Message], idle_ms: int) -> None:
        ids: list[Any] = [message.id for message in messages]
        with reaching(self._address):
            # Claimed from itself, which sets the clock; a message that is settled is passed over.
            claim = self._redis.xclaim(
                self._key, self._group, self.consumer, 0, ids, idle=idle_ms, justid=True
            )
            await _given(claim)

    async def settle(self, messages: Sequence[Message], dead: Iterable[DeadLetter]) -> None:
        """Acknowledge messages and delete them, when their dead letters are kept: in one step."""
        ids = [message.id for message in messages]
        with reaching(self._address):
            async with self._redis.pipeline(transaction=True) as pipe:
                for letter in dead:
                    pipe.xadd(
                        self._key + DEAD,
                        {
                            "event_id": letter.event_id,
                            "reason": letter.reason,
                            "record": letter.record,
                        },
                    )
                pipe.xack(self._key, self._group, *ids)
                pipe.xdel(self._key, *ids)
                await pipe.execute()

    async def leave(self) -> None:
        """Strike this consumer off the group, and those of dead processes that had nothing."""
        with reaching(self._address):
            await _given(self._redis.eval(_LEAVE, 1, self._key, self._group, self.consumer))

    async def stats(self) -> StreamStats:
        """Count what waits."""
        with reaching(self._address):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.xlen(self._key)
                pipe.xpending(self._key, self._group)
                pipe.xlen(self._key + DEAD)
                pipe.xrange(self._key, count=1)
                pipe.time()
                messages, pending, dead, oldest, (seconds, micros) = await pipe.execute()
        age = 0.0
        if oldest:
            came_ms = int(oldest[0][0].partition(b"-")[0])
            age = max(0.0, seconds + micros / 1e6 - came_ms / 1000)
        return StreamStats(messages, pending["pending"], dead, round(age, 3))


def _messages(entries: Iterable[tuple[bytes | None, dict[bytes, bytes]]]) -> list[Message]:
    # Redis 6.2 names none for a message that somebody has deleted while it was in hand.
    return [Message(name.decode(), fields) for name, fields in entries if name is not None]


async def _given(answer: Any) -> Any:
    """Wait for an answer; redis-py's types are those of its client without asyncio, too."""
    return await answer
