"""Records through Redis, with the consumers in this process and a database in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import pytest
import redis

from loglane.audit.event import AuditEvent
from loglane.audit.redis import RedisSink
from loglane.audit.sink import Outcome
from loglane.audit.transport import connection, process
from loglane.audit.transport.connection import address_of
from loglane.audit.transport.process import serve
from loglane.audit.transport.stream import Stream, StreamStats
from loglane.errors import SinkUnavailable, SpecError
from tests.unit.audit.redis_workers import (
    KeptSink,
    client_of,
    events_of,
    send,
    settings_of,
    waiting_in,
)


def drained(settings, sink):
    return asyncio.run(serve(settings, sink, drain=True))


def dead_letters(settings):
    with client_of(settings.redis.url) as client:
        return [fields for _, fields in client.xrange(settings.redis.stream + ":dead")]


def write_one(settings):
    """Send one record; return the message of the error there is."""

    async def write():
        sink = RedisSink.of(settings)
        try:
            await sink.write(events_of(1))
        finally:
            await sink.close()

    with pytest.raises(SinkUnavailable) as caught:
        asyncio.run(write())
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_records_come_out_as_they_went_in(redis_url):
    """What the consumer stores is what was sent, and nothing stays in Redis."""
    settings = settings_of(redis_url)
    events = [
        *events_of(120),
        AuditEvent(
            action="pay", actor="Zoë \U0001f600", status="failure", error="no", extra={"a": [1]}
        ),
    ]
    send(settings, events)
    sink = KeptSink()
    tally = drained(settings, sink)
    assert events == list(sink.rows.values())
    assert (121, 0, 0, 3) == (tally.written, tally.known, tally.dead, tally.batches)
    assert (0, 0) == waiting_in(settings)
    assert sink.closed


def test_sink_confirms_each_record(redis_url):
    """The outcome of each record is `written`, and the batch is one message."""
    settings = settings_of(redis_url)
    events = events_of(7)

    async def write():
        sink = RedisSink.of(settings)
        outcomes = await sink.write(events), await sink.write([])
        await sink.close()
        return outcomes

    assert ([Outcome(event.event_id, "written") for event in events], []) == asyncio.run(write())
    with client_of(redis_url) as client:
        assert 1 == client.xlen(settings.redis.stream)


def test_small_messages_are_written_together(redis_url):
    """Messages of one record each need one write for ten of them."""
    settings = settings_of(redis_url)
    send(settings, events_of(25), size=1)
    sink = KeptSink()
    drained(settings, sink)
    assert [10, 10, 5] == sink.batches


def test_batches_stay_within_their_limit(redis_url):
    """However much is in the messages, no more than `batch.max_items` are written at once."""
    settings = settings_of(redis_url, batch={"max_items": 40})
    send(settings, events_of(100), size=50)
    sink = KeptSink()
    drained(settings, sink)
    assert [40, 40, 20] == sink.batches


def test_message_sent_twice_is_known(redis_url):
    """A record that comes twice is written once."""
    settings = settings_of(redis_url)
    events = events_of(3)
    sink = KeptSink()
    send(settings, events)
    send(settings, events)
    drained(settings, sink)
    send(settings, events)
    tally = drained(settings, sink)
    assert (0, 3, 3) == (tally.written, tally.known, len(sink.rows))


def test_what_was_sent_before_the_group_is_read(redis_url):
    """A stream that is older than its group loses nothing of it."""
    settings = settings_of(redis_url)
    send(settings, events_of(2))
    with client_of(redis_url) as client:
        assert [] == client.xinfo_groups(settings.redis.stream)
    assert 2 == drained(settings, KeptSink()).written


BROKEN = {
    "no JSON": (b"{broken", "Invalid JSON"),
    "another shape": (b"[1, 2]", "should be an object"),
    "a field too many": (b'{"action": "a", "colour": "red"}', "colour: Extra inputs"),
    "no action": (b'{"actor": "me"}', "action: Field required"),
    "no text": (b"\xff\xfe", "Invalid JSON"),
}


@pytest.mark.parametrize(("record", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_record_is_a_dead_letter(redis_url, record, reason):
    """What is no record goes to the dead letters as it came; the rest of its batch is stored."""
    settings = settings_of(redis_url)
    event = events_of(1)[0]
    with client_of(redis_url) as client:
        client.xadd(settings.redis.stream, {b"bad": record, event.event_id: event.dump()})
    sink = KeptSink()
    tally = drained(settings, sink)
    letters = dead_letters(settings)
    assert [event] == list(sink.rows.values())
    assert [(b"bad", record)] == [(one[b"event_id"], one[b"record"]) for one in letters]
    assert reason in letters[0][b"reason"].decode()
    assert (1, 1, 0) == (tally.dead, tally.written, waiting_in(settings)[0])


def test_refused_record_is_a_dead_letter(redis_url):
    """What the database refuses goes to the dead letters with its reason."""
    settings = settings_of(redis_url)
    events = events_of(3)

    def refuse(batch):
        first, *others = batch
        return [
            Outcome(first.event_id, "refused", "value too long"),
            *(Outcome(event.event_id, "written") for event in others),
        ]

    send(settings, events)
    tally = drained(settings, KeptSink(refuse))
    expected = {
        b"event_id": events[0].event_id.encode(),
        b"reason": b"value too long",
        b"record": events[0].dump(),
    }
    assert [expected] == dead_letters(settings)
    assert (1, 2) == (tally.dead, tally.written)


def test_database_away_keeps_the_batch_in_hand(redis_url):
    """A batch is neither acknowledged nor given to another while the database is away."""
    # Away for much longer than it takes to be taken for dead.
    settings = settings_of(redis_url, workers=2, redis={"claim_after_s": 0.5})
    send(settings, events_of(5))
    tries = []

    def away(batch):
        tries.append(waiting_in(settings))
        if len(tries) < 15:
            raise SinkUnavailable("gone")

    sink = KeptSink(away)
    tally = asyncio.run(_until_empty(settings, sink))
    assert [(1, 1)] * 15 == tries
    assert (5, 0) == (tally.written, tally.known)


async def _until_empty(settings, sink):
    """Serve until nothing waits, then stop as by a signal."""

    async def stop():
        while waiting_in(settings)[0]:
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = asyncio.create_task(stop())
    tally = await serve(settings, sink)
    await stopping
    return tally


def test_stopped_worker_finishes_its_batch(redis_url):
    """What is in hand at SIGTERM is stored and acknowledged; what was not read stays."""
    settings = settings_of(redis_url)
    send(settings, events_of(600))
    sink = KeptSink(lambda _batch: os.kill(os.getpid(), signal.SIGTERM))
    tally = asyncio.run(serve(settings, sink))
    assert (500, 500) == (tally.written, len(sink.rows))
    assert (2, 0) == waiting_in(settings)


def test_stopped_worker_gives_its_batch_back(redis_url):
    """A worker that is stopped while the database is away leaves its batch to others at once."""
    settings = settings_of(redis_url, redis={"claim_after_s": 3600})
    send(settings, events_of(3))

    def stop(_batch):
        os.kill(os.getpid(), signal.SIGTERM)
        raise SinkUnavailable("gone")

    assert 0 == asyncio.run(serve(settings, KeptSink(stop))).written
    assert (1, 1) == waiting_in(settings)
    assert 3 == drained(settings, KeptSink()).written


def test_unexpected_error_leaves_the_batch_in_the_stream(redis_url):
    """An error nobody expected neither ends the worker nor loses the batch: it is tried again."""
    settings = settings_of(redis_url, redis={"claim_after_s": 0.3})
    send(settings, events_of(1), size=1)
    failures = iter([TypeError("a defect"), TypeError("a defect")])

    def fail(batch):
        error = next(failures, None)
        if error is not None:
            raise error

    tally = asyncio.run(_until_empty(settings, KeptSink(fail)))
    assert (1, 2) == (tally.written, tally.left)


def test_defect_ends_the_worker(redis_url, monkeypatch):
    """A consumer that fails outside of a batch takes the process with it, and it is seen."""
    settings = settings_of(redis_url, workers=2)

    async def fail(stream, count, wait_ms):
        if stream.consumer.endswith("-1"):
            raise AttributeError("a defect")
        return []

    monkeypatch.setattr(Stream, "read", fail)
    sink = KeptSink()
    with pytest.raises(AttributeError, match="a defect"):
        asyncio.run(serve(settings, sink))
    assert sink.closed


def test_worker_logs_what_waits(redis_url, monkeypatch):
    """The numbers of the worker and of the stream are logged again and again."""
    settings = settings_of(redis_url)
    send(settings, events_of(2))
    lines = []

    class Log:
        def info(self, message, **fields):
            lines.append((message, fields))

    def wait_for_a_report(_batch):
        if not any(message == "audit worker" for message, _ in lines):
            raise SinkUnavailable("gone")

    monkeypatch.setattr(process, "log", Log())
    sink = KeptSink(wait_for_a_report)
    asyncio.run(serve(settings, sink, drain=True, report_every_s=0.01))
    fields = next(fields for message, fields in lines if message == "audit worker")
    assert {"written": 0, "messages": 1, "in_hand": 1, "dead_letters": 0}.items() <= fields.items()
    assert fields["oldest_s"] > 0


def test_group_that_was_lost_is_made_again(redis_url):
    """A Redis that comes back empty is served as one that is new."""
    settings = settings_of(redis_url)
    sink = KeptSink()

    async def lose_and_send():
        with client_of(redis_url) as client:
            while not client.exists(settings.redis.stream):
                await asyncio.sleep(0.02)
            client.flushdb()
        other = RedisSink.of(settings)
        await other.write(events_of(4))
        await other.close()
        while len(sink.rows) < 4:
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    async def both():
        sending = asyncio.create_task(lose_and_send())
        await serve(settings, sink)
        await sending

    asyncio.run(both())
    assert 4 == len(sink.rows)


def test_worker_leaves_the_group(redis_url):
    """Consumers are struck off when they stop, but never one that has messages in hand."""
    settings = settings_of(redis_url, workers=3)
    send(settings, events_of(1))
    with client_of(redis_url) as client:
        client.xgroup_create(settings.redis.stream, settings.redis.group, id="0")
        client.xreadgroup(settings.redis.group, "dead-1", {settings.redis.stream: ">"})
        drained(settings, KeptSink())
        left = client.xinfo_consumers(settings.redis.stream, settings.redis.group)
    assert [(b"dead-1", 1)] == [(one["name"], one["pending"]) for one in left]


def test_consumer_with_a_batch_in_hand_stays(redis_url):
    """A consumer that still has messages is not struck off: that would lose them."""
    settings = settings_of(redis_url)
    send(settings, events_of(1))

    async def read_and_leave(stream):
        await stream.join()
        await stream.read(10, None)
        await stream.leave()

    with_stream(settings, read_and_leave)
    assert (1, 1) == waiting_in(settings)


def test_settled_message_is_neither_waiting_nor_pending(redis_url):
    """Acknowledging and deleting are one step."""
    settings = settings_of(redis_url)
    send(settings, events_of(1))

    async def read_and_settle(stream):
        await stream.join()
        await stream.settle(await stream.read(10, None), [])

    with_stream(settings, read_and_settle)
    assert (0, 0) == waiting_in(settings)


def with_stream(settings, use):
    """Use the stream as a consumer would; return what comes of it."""

    async def run():
        client = connection.connect(settings.redis)
        try:
            return await use(Stream(client, settings.redis, "here", "me"))
        finally:
            await client.aclose()

    return asyncio.run(run())


def test_claim_looks_behind_what_is_in_hand(redis_url):
    """A dead worker's batch is found behind any number that others have in hand."""
    settings = settings_of(redis_url, redis={"claim_after_s": 3600})
    stream, group = settings.redis.stream, settings.redis.group
    with client_of(redis_url) as client:
        client.xgroup_create(stream, group, id="0", mkstream=True)
        ids = [client.xadd(stream, {"a": "b"}) for _ in range(500)]
        client.xreadgroup(group, "busy", {stream: ">"}, count=499)
        client.xreadgroup(group, "dead", {stream: ">"})
        client.xclaim(stream, group, "dead", 0, [ids[-1]], idle=3_600_001, justid=True)

    found = with_stream(settings, lambda consumer: consumer.claim(10))
    assert [ids[-1].decode()] == [message.id for message in found]


def test_stats_count_what_waits(redis_url):
    """Messages, those in hand, dead letters and the age of the oldest are counted."""
    settings = settings_of(redis_url)
    stream, group = settings.redis.stream, settings.redis.group
    with client_of(redis_url) as client:
        seconds, _ = client.time()
        client.xadd(stream, {"a": "b"}, id=f"{(seconds - 60) * 1000}-0")
        client.xadd(stream, {"a": "b"})
        client.xadd(stream + ":dead", {"a": "b"})
        client.xgroup_create(stream, group, id="0")
        client.xreadgroup(group, "one", {stream: ">"}, count=1)

    stats = with_stream(settings, lambda consumer: consumer.stats())
    assert StreamStats(2, 1, 1, stats.oldest_s) == stats
    assert 60 <= stats.oldest_s < 120


def _full(client):
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def _locked(client):
    client.config_set("requirepass", "another")


REFUSALS = {
    "full": (_full, "maxmemory"),
    "password": (_locked, "password|Authentication"),
    "read-only": (lambda client: client.replicaof("127.0.0.1", "1"), "read only replica"),
    "another key": (lambda client: client.set("loglane:audit", "text"), "wrong kind"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal_is_no_loss(own_redis, make, reason):
    """A Redis that takes nothing now is one that is away: the caller keeps its records."""
    with client_of(own_redis.url) as client:
        make(client)
    url = own_redis.url.replace("//", "//:s3cret@") if make is _locked else own_redis.url
    message = write_one(settings_of(url))
    assert contains(reason, message), message
    assert "s3cret" not in message


def contains(pattern, text):
    return any(word.lower() in text.lower() for word in pattern.split("|"))


def test_redis_that_is_not_there_is_named(own_redis):
    """The message names the address without its password."""
    own_redis.stop()
    url = own_redis.url.replace("//", "//me:s3cret@")
    message = write_one(settings_of(url))
    assert f"Redis at {own_redis.url} takes no audit records" in message
    assert "s3cret" not in message


def test_redis_that_hangs_is_away(own_redis, monkeypatch):
    """A Redis that takes commands and does not answer them is away after a while."""
    monkeypatch.setattr(connection, "ANSWER_S", 0.3)
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    own_redis.pause()
    try:
        assert "Redis at" in write_one(settings_of(own_redis.url))
    finally:
        own_redis.resume()


def test_password_file_is_read_for_each_connection(own_redis, tmp_path):
    """A password that changes while the process runs is used by the next connection."""
    secret = tmp_path / "password"
    settings = settings_of(own_redis.url, redis={"password_file": str(secret)})

    def lock(password):
        with client_of(own_redis.url) as client:
            client.config_set("requirepass", password)

    async def write():
        sink = RedisSink.of(settings)
        try:
            await sink.write(events_of(1))
            secret.write_text("seco/nd\n")
            with contextlib.closing(redis.Redis(port=own_redis.port, password="first")) as client:
                client.config_set("requirepass", "seco/nd")
                client.client_kill_filter(_type="normal", skipme=True)
            return await sink.write(events_of(1))
        finally:
            await sink.close()

    secret.write_text("first\n")
    lock("first")
    assert "written" == asyncio.run(write())[0].status


def test_password_file_that_is_missing_is_said(redis_url, tmp_path):
    """Without its password file the sink is away, and says which file it is."""
    settings = settings_of(redis_url, redis={"password_file": str(tmp_path / "none")})
    assert str(tmp_path / "none") in write_one(settings)


WRONG = [None, "redis://", "redis://:se/cret@host:6379", "redis://host:port"]


@pytest.mark.parametrize("url", WRONG, ids=["none", "no host", "slash in password", "no port"])
def test_wrong_address_is_an_error_of_the_settings(url):
    """What is no address is said so, without what might be a password."""
    with pytest.raises(SpecError, match="is not the address of a Redis") as caught:
        RedisSink.of(settings_of(url))
    assert "cret" not in str(caught.value)


def test_address_is_shown_without_credentials():
    """Neither user nor password nor query are shown."""
    shown = address_of("rediss://me:secret@cache.example:6390/3?password=secret")
    assert "rediss://cache.example:6390/3" == shown
