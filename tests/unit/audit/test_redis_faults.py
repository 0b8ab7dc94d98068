"""Records through Redis, with servers that stop and workers that are killed."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from loglane.audit.redis import RedisSink
from loglane.audit.sql import SqlSink
from loglane.audit.transport.process import serve
from loglane.audit.transport.stream import Stream
from loglane.errors import SinkUnavailable
from tests.unit.audit.redis_workers import (
    client_of,
    events_of,
    eventually,
    make_table,
    rows_in,
    send,
    settings_of,
    waiting_in,
    worker_process,
)


def ids_of(events):
    return sorted(event.event_id for event in events)


def stop(process):
    """Stop a worker as an operator does; return what it has done."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert 0 == process.returncode
    return json.loads(output.splitlines()[-1])


def test_every_database_gets_each_record_once(redis_url, database_url):
    """10,000 records, some sent twice, are 10,000 rows."""
    settings = settings_of(redis_url, make_table(database_url), workers=2)
    events = events_of(10_000)
    send(settings, events)
    send(settings, events[:500])
    tally = asyncio.run(serve(settings, SqlSink.of(settings), drain=True))
    assert ids_of(events) == rows_in(database_url)
    assert (10_000, 0, 0) == (tally.written, tally.dead, tally.left)
    assert (0, 0) == waiting_in(settings)


@pytest.mark.parametrize("point", ["before", "after"])
def test_killed_workers_batch_is_claimed(redis_url, database_url, point):
    """A worker that is killed before or after its commit leaves its batch to another one."""
    settings = settings_of(redis_url, make_table(database_url))
    events = events_of(200)
    send(settings, events)
    with worker_process(settings, "first", point) as first:
        assert f"{point}\n" == next(line for line in first.stdout if not line.startswith("{"))
        first.kill()
        first.wait()
    assert 4 == waiting_in(settings)[1]
    assert (50 if point == "after" else 0) == len(rows_in(database_url))
    with worker_process(settings, "second") as second:
        eventually(lambda: waiting_in(settings) == (0, 0))
        done = stop(second)
    assert ids_of(events) == rows_in(database_url)
    # What was committed and not acknowledged came a second time.
    assert (50 if point == "after" else 0) == done["known"]


def test_what_was_written_counts_though_redis_did_not_hear_of_it(redis_url, tmp_path, monkeypatch):
    """Redis goes away between the commit and the acknowledgement: the records come once more."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    # So that they are claimed at once.
    settings = settings_of(redis_url, url, redis={"claim_after_s": 0.001})
    send(settings, events_of(50))
    settle = Stream.settle
    failures = [SinkUnavailable("Redis went away")]

    async def fail_once(stream, messages, dead):
        if failures:
            raise failures.pop()
        await settle(stream, messages, dead)

    monkeypatch.setattr(Stream, "settle", fail_once)
    tally = asyncio.run(serve(settings, SqlSink.of(settings), drain=True))
    assert (50, 50, 1) == (tally.written, tally.known, tally.batches)


def test_two_workers_share_the_load(redis_url, postgres_server):
    """Two processes both store records, and no record is stored twice."""
    settings = settings_of(redis_url, make_table(postgres_server.new_database()))
    events = events_of(5_000)
    with worker_process(settings, "one") as one, worker_process(settings, "two") as two:
        for each in one, two:
            next(line for line in each.stdout if "audit worker started" in line)
        send(settings, events, size=10)
        eventually(lambda: waiting_in(settings) == (0, 0))
        done = [stop(one), stop(two)]
    assert ids_of(events) == rows_in(settings.url)
    assert 5_000 == sum(each["written"] for each in done)
    assert all(each["written"] > 500 for each in done), done
    assert [0, 0] == [each["known"] for each in done]


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_database_that_stops_and_comes_back(request, redis_url, kind):
    """While the database is away nothing is acknowledged; when it is back all of it is stored."""
    server = request.getfixturevalue(f"own_{kind}")
    settings = settings_of(redis_url, make_table(server.new_database()), workers=2)
    events = events_of(2_000)
    with worker_process(settings, "one") as one, worker_process(settings, "two") as two:
        send(settings, events[:1_000])
        eventually(lambda: rows_in(settings.url) != [])
        server.kill()
        send(settings, events[1_000:])
        # Four consumers with up to ten batches each, and more in the stream than they take.
        assert waiting_in(settings)[0] >= 20
        server.start()
        eventually(lambda: waiting_in(settings) == (0, 0))
        done = [stop(one), stop(two)]
    assert ids_of(events) == rows_in(settings.url)
    assert 0 == sum(each["dead"] + each["left"] for each in done)


def test_worker_waits_for_a_database_that_is_not_there_yet(redis_url, own_postgres):
    """A worker that starts first waits; it can be stopped meanwhile, and loses nothing."""
    settings = settings_of(redis_url, make_table(own_postgres.new_database()))
    own_postgres.stop()
    events = events_of(20)
    send(settings, events)
    with worker_process(settings, "early") as early:
        eventually(lambda: waiting_in(settings) == (1, 1))
        assert 0 == stop(early)["written"]
    assert (1, 1) == waiting_in(settings)
    with worker_process(settings, "second") as second:
        eventually(lambda: _owner(settings) == "second-1")
        own_postgres.start()
        eventually(lambda: waiting_in(settings) == (0, 0))
        assert 20 == stop(second)["written"]
    assert ids_of(events) == rows_in(settings.url)


def _owner(settings):
    with client_of(settings.redis.url) as client:
        found = client.xpending_range(settings.redis.stream, settings.redis.group, "-", "+", 1)
    return found[0]["consumer"].decode() if found else None


def test_redis_that_is_killed_and_comes_back(own_redis, tmp_path):
    """What Redis confirmed outlives its kill, and both sides go on when it is back."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    settings = settings_of(own_redis.url, url)
    events = events_of(3_000)

    async def send_all():
        """Send as AuditWorker does: the same batch again until it is confirmed."""
        sink = RedisSink.of(settings)
        away = 0
        for start in range(0, len(events), 10):
            while True:
                try:
                    await sink.write(events[start : start + 10])
                    break
                except SinkUnavailable:
                    away += 1
                    await asyncio.sleep(0.05)
            if start in (1_000, 2_000):
                own_redis.kill()
                restart = asyncio.create_task(asyncio.to_thread(own_redis.start))
            await asyncio.sleep(0)
        await restart
        await sink.close()
        return away

    with worker_process(settings, "one") as one:
        away = asyncio.run(send_all())
        eventually(lambda: waiting_in(settings) == (0, 0))
        done = stop(one)
    assert ids_of(events) == rows_in(url)
    assert away > 0
    assert 3_000 == done["written"]


def test_worker_starts_before_redis(own_redis, tmp_path):
    """A worker whose Redis is not there yet waits for it; one that is stopped meanwhile ends."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    settings = settings_of(own_redis.url, url)
    own_redis.stop()
    with worker_process(settings, "early") as early:
        line = next(line for line in early.stdout if "waiting for Redis" in line)
        assert json.loads(line)["level"] == "warning"
        own_redis.start()
        send(settings, events_of(5))
        eventually(lambda: len(rows_in(url)) == 5)
        own_redis.stop()
        assert 5 == stop(early)["written"]


def test_worker_that_cannot_finish_leaves_its_batch(redis_url, tmp_path):
    """After `drain_s` the worker ends, and what it had in hand is for another one."""
    url = make_table(f"sqlite:///{tmp_path}/audit.db")
    settings = settings_of(redis_url, url, drain_s=0.2)
    events = events_of(20)
    send(settings, events)
    with worker_process(settings, "one", "before") as one:
        next(line for line in one.stdout if line == "before\n")
        assert 0 == stop(one)["written"]
    assert (1, 1) == waiting_in(settings)
    with worker_process(settings, "two") as two:
        eventually(lambda: waiting_in(settings) == (0, 0))
        stop(two)
    assert ids_of(events) == rows_in(url)
