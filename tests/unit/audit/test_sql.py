"""The sink: what is written, refused, tried again and given up, on every database."""

from __future__ import annotations

import asyncio
import gc
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from loglane.audit.batch import read
from loglane.audit.database import open_engine
from loglane.audit.event import AuditEvent
from loglane.audit.marked import event_of_line
from loglane.audit.rows import row_with_json
from loglane.audit.sink import Masked
from loglane.audit.sql import SqlSink
from loglane.errors import SinkUnavailable
from loglane.event_id import new_event_id
from loglane.settings.audit import Audit
from tests.unit.audit.stores import engine_of, event, execute, made, stored, until, write


@pytest.fixture
def url(database_url):
    return made(database_url)


@pytest.fixture(params=["mariadb", "postgresql"])
def own_server(request):
    """Return a server that the test may stop, once for each kind."""
    name = {"mariadb": "own_mariadb", "postgresql": "own_postgres"}[request.param]
    return request.getfixturevalue(name)


def test_batch_is_stored_in_its_order(url):
    """Every record is a row, with its values, in the order of the batch."""
    batch = [event(user_id=number, extra={"total": number / 8}) for number in range(50)]
    assert [["written"] * 50] == write(url, batch)
    rows = stored(url)
    assert [one.event_id for one in batch] == [row.event_id for row in rows]
    assert [(str(number), {"total": number / 8}) for number in range(50)] == [
        (row.user_id, row.extra) for row in rows
    ]


def test_every_column_comes_back(url):
    """What is stored is what the record says, to the microsecond and in UTC."""
    at = datetime(2026, 3, 29, 1, 30, 0, 7, timezone(timedelta(hours=2)))
    one = event(
        occurred_at=at, actor="alice", resource="order:17", status="failure", error="no stock",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736", service="shop", env="dev",
        duration_ms=0.1 + 0.2,
    )  # fmt: skip
    before = datetime.now(timezone.utc)
    write(url, [one])
    row = stored(url)[0]._asdict()
    assert before <= row.pop("recorded_at") <= datetime.now(timezone.utc)
    assert row.pop("id")
    assert one.model_dump() == row
    assert timezone.utc == row["occurred_at"].tzinfo


def test_large_batch_is_one_batch(url):
    """A thousand records go at once."""
    batch = [event(extra={"text": "x" * 2000}) for _ in range(1000)]
    assert [["written"] * 1000] == write(url, batch)
    assert 1000 == len(stored(url))


def test_empty_batch_asks_nothing(tmp_path):
    """Nothing to write needs no database."""
    assert [[]] == write(f"sqlite:///{tmp_path}/missing/audit.db", [])


def test_record_is_stored_once(url):
    """A record that is there already is told from a new one, within a batch of both."""
    batch = [event() for _ in range(4)]
    assert [["written"] * 2, ["known", "known", "written", "written"], ["known"] * 4] == write(
        url, batch[:2], batch, batch
    )
    assert 4 == len(stored(url))


def test_known_record_is_told_over_an_apps_own_engine(url):
    """An engine that counts known rows as affected misleads nobody."""
    drivers = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+aiomysql",
               "postgresql": "postgresql+psycopg"}  # fmt: skip
    name = url.partition("://")[0]
    one = event()

    async def run() -> list[str]:
        sink = SqlSink(create_async_engine(url.replace(name, drivers[name], 1)))
        try:
            return [(await sink.write([one]))[0].status for _ in range(2)]
        finally:
            await sink.close()

    assert ["written", "known"] == asyncio.run(run())


TEXTS = {
    "emoji": "😀 Grüße — 日本語 \U0010ffff",
    "quotes": "'\"`\\ %s %(x)s :name ? $1 {} -- ; /*",
    "controls": "\t\r\n\x01\x1a\x7f\x85\u2028",
    "spaces": "  a  ",
}


@pytest.mark.parametrize("value", TEXTS.values(), ids=TEXTS)
def test_text_comes_back(url, value):
    """No character is lost, in a column or in JSON."""
    write(url, [event(actor=value, error=value, extra={value: [value]})])
    row = stored(url)[0]
    assert (value, value, {value: [value]}) == (row.actor, row.error, row.extra)


def test_nul_becomes_a_replacement_character(url):
    """What PostgreSQL cannot store is replaced on every database, and only that."""
    extra = {"a\0b": ["\0", {"c": "\\u0000"}]}
    write(url, [event(actor="a\0b", error="\0", extra=extra)])
    row = stored(url)[0]
    assert ("a\ufffdb", "\ufffd") == (row.actor, row.error)
    assert {"a\ufffdb": ["\ufffd", {"c": "\\u0000"}]} == row.extra


VALUES = {
    "surrogate": ("\ud800", "\\ud800"),
    "64-bit": (2**64 - 1, 2**64 - 1),
    "beyond-64-bit": (2**64, str(2**64)),
    "negative": (-(2**63), -(2**63)),
    "nan": (float("nan"), "NaN"),
    "infinity": (float("-inf"), "-Infinity"),
    "exponent": (1e300, 1e300),
    "small": (5e-324, 5e-324),
    "moment": (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00+00:00"),
    "bytes": (b"\xff", "\\xff"),
}


@pytest.mark.parametrize(("given", "expected"), VALUES.values(), ids=VALUES)
def test_extra_is_json_whatever_it_was(url, given, expected):
    """What JSON has no form for becomes text, and no record is lost for it."""
    write(url, [event(extra={"value": given})])
    assert {"value": expected} == stored(url)[0].extra


class Transfer(AuditEvent):
    """A record with fields of its own."""

    amount: float
    iban_password: str = "hunter2"


def test_fields_of_a_subclass_are_in_extra(url):
    """An app's own fields are stored under their names, masked as in lines."""
    write(url, [Transfer(action="transfer", amount=17.5, extra={"more": 1})])
    extra = stored(url)[0].extra
    assert (17.5, 1) == (extra["amount"], extra["more"])
    assert "hunter2" not in json.dumps(extra)


def test_refused_record_does_not_keep_the_others_out(request, url):
    """The good ones of a batch are written; the bad ones have the reason."""
    if url.startswith("sqlite"):
        execute(url, "CREATE TRIGGER no BEFORE INSERT ON audit_records WHEN length(NEW.action) > "
                     "100 BEGIN SELECT RAISE(ABORT, 'too_long'); END")  # fmt: skip
    else:
        execute(url, "ALTER TABLE audit_records ADD CONSTRAINT too_long "
                     "CHECK (char_length(action) <= 100)")  # fmt: skip
    batch = [event(action="x" * (120 if number in (3, 17, 49) else 5)) for number in range(50)]

    async def run() -> Any:
        sink = SqlSink.of(Audit(url=url))
        try:
            return await sink.write(batch)
        finally:
            await sink.close()

    outcomes = asyncio.run(run())
    assert [one.event_id for one in batch] == [one.event_id for one in outcomes]
    refused = {number: one.reason for number, one in enumerate(outcomes) if one.status == "refused"}
    assert [3, 17, 49] == list(refused)
    assert all("too_long" in reason and "xxxx" not in reason for reason in refused.values())
    assert 47 == len(stored(url))


def test_megabyte_of_extra_is_stored(url):
    """What is large is written, among others; each text is bounded as in lines."""
    large = {f"part{number}": "\"\\'é" * 10_000 for number in range(25)}
    batch = [event(), event(extra=large), event()]
    assert [["written"] * 3] == write(url, batch)
    assert large == stored(url)[1].extra


def test_more_than_a_packet_is_refused(mariadb_server):
    """A record that MySQL would hang up for is refused; the others are written."""
    url = made(mariadb_server.new_database())
    large = {f"part{number}": "x" * 60_000 for number in range(300)}
    batch = [event(), event(extra=large), event()]
    assert [["written", "refused", "written"]] == write(url, batch)


def test_missing_table_says_what_makes_it(database_url):
    """The error names the command, and not the password."""
    with pytest.raises(SinkUnavailable, match="loglane audit init") as caught:
        write(database_url, [event()])
    assert "loglane:" not in str(caught.value)


def test_missing_column_says_what_adds_it(url):
    """Tables of an older version are told from other errors."""
    execute(url, "ALTER TABLE audit_records DROP COLUMN duration_ms")
    with pytest.raises(SinkUnavailable, match="loglane audit migrate"):
        write(url, [event()])


def test_moment_is_utc_on_a_server_of_another_zone(own_server):
    """The server's time zone moves nothing."""
    zone = "SET GLOBAL time_zone = '+05:30'"
    if "postgres" in own_server.program:
        zone = "ALTER SYSTEM SET timezone = 'Asia/Kolkata'"
    own_server.execute(zone)
    own_server.stop()
    own_server.start()
    if "maria" in own_server.program:
        own_server.execute(zone)
    url = made(own_server.new_database())
    at = datetime(2026, 10, 25, 0, 59, 59, 999_999, timezone.utc)
    write(url, [event(occurred_at=at)])
    assert at == stored(url)[0].occurred_at


def test_stopped_server_is_tried_again_over_a_new_connection(own_server):
    """A server that is away is an error of its kind; when it is back, the same sink writes."""
    url = made(own_server.new_database())
    batch = [event() for _ in range(50)]

    async def run() -> list[str]:
        sink = SqlSink.of(Audit(url=url))
        try:
            await sink.write([event()])
            own_server.kill()
            with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1"):
                await sink.write(batch)
            own_server.start()
            return [one.status for one in await sink.write(batch)]
        finally:
            await sink.close()

    assert ["written"] * 50 == asyncio.run(run())
    assert 51 == len(stored(url))


def test_stale_connection_costs_nothing(own_server):
    """A server that was restarted between two batches is not noticed."""
    url = made(own_server.new_database())

    async def run() -> list[str]:
        sink = SqlSink.of(Audit(url=url))
        try:
            await sink.write([event()])
            own_server.stop()
            own_server.start()
            return [one.status for one in await sink.write([event()])]
        finally:
            await sink.close()

    assert ["written"] == asyncio.run(run())


def test_paused_server_does_not_hold_a_batch_for_ever(own_server):
    """A batch is given up at its deadline; the sink writes it when the server goes on."""
    url = made(own_server.new_database())
    batch = [event() for _ in range(50)]

    async def run() -> list[str]:
        sink = SqlSink(open_engine(url, pool_size=1), deadline_s=1)
        try:
            await sink.write([event()])
            own_server.pause()
            with pytest.raises(SinkUnavailable, match="no answer within 1 s"):
                await sink.write(batch)
            own_server.resume()
            return [one.status for one in await sink.write(batch)]
        finally:
            own_server.resume()
            await sink.close()

    assert {"written"} == set(asyncio.run(run()))
    assert 51 == len(stored(url))


KILL = {
    "mysql": (
        "SELECT id FROM information_schema.processlist WHERE info LIKE 'INSERT INTO audit%'",
        "KILL CONNECTION {}",
    ),
    "postgresql": (
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO audit%' "
        "AND wait_event_type = 'Lock'",
        "SELECT pg_terminate_backend({})",
    ),
}


@pytest.mark.parametrize("server", ["mariadb_server", "postgres_server"])
def test_connection_killed_in_an_insert_is_made_anew(request, server):
    """The batch is written over another connection, once."""
    server = request.getfixturevalue(server)
    url = made(server.new_database())
    find, kill = KILL[url.partition("://")[0]]
    batch = [event() for _ in range(50)]

    async def run() -> list[str]:
        sink = SqlSink.of(Audit(url=url))
        try:
            with engine_of(url) as engine, engine.connect() as blocker:
                # Another transaction has one of the ids: the insert waits for what becomes of it.
                with blocker.begin() as transaction:
                    _insert(blocker, batch[20])
                    writing = asyncio.create_task(sink.write(batch))
                    await until(lambda: bool(server.execute(find)))
                    for (number,) in server.execute(find):
                        server.execute(kill.format(number))
                    transaction.rollback()
                return [one.status for one in await writing]
        finally:
            await sink.close()

    assert ["written"] * 50 == asyncio.run(run())
    assert 50 == len(stored(url))


def _insert(connection: Any, one: AuditEvent) -> None:
    connection.execute(
        text(
            "INSERT INTO audit_records (event_id, occurred_at, recorded_at, action, status, extra) "
            "VALUES (:id, '2026-01-01', '2026-01-01', 'a', 'success', '{}')"
        ),
        {"id": one.event_id},
    )


WAITING = {
    "mysql": "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
}


@pytest.mark.parametrize("server", ["mariadb_server", "postgres_server"])
def test_deadlock_is_tried_again(request, server):
    """The batch is the one that is rolled back for the other, and is written after it."""
    server = request.getfixturevalue(server)
    url = made(server.new_database())
    waiting = WAITING[url.partition("://")[0]]
    first, gate, last = event(), event(), event()

    def waits(count: int) -> bool:
        return server.execute(waiting) == [(count,)]

    async def run(other: Any, guard: Any) -> list[str]:
        sink = SqlSink.of(Audit(url=url))
        try:
            others, guards = other.begin(), guard.begin()
            if other.dialect.name == "postgresql":
                # Who looks first is rolled back.
                other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
            # It has changed more, so that MariaDB prefers to roll the batch back.
            for one in (last, *(event() for _ in range(20))):
                _insert(other, one)
            _insert(guard, gate)
            writing = asyncio.create_task(sink.write([first, gate, last]))
            # MariaDB looks again only when nobody has asked for a tenth of a second.
            await until(lambda: waits(1), pause_s=0.15)
            meeting = asyncio.create_task(asyncio.to_thread(_insert, other, first))
            await until(lambda: waits(2), pause_s=0.15)
            # The batch goes on, to wait for the other, which waits for the batch.
            guards.rollback()
            await meeting
            others.rollback()
            return [one.status for one in await writing]
        finally:
            await sink.close()

    with engine_of(url) as engine, engine.connect() as other, engine.connect() as guard:
        assert ["written"] * 3 == asyncio.run(run(other, guard))
    assert 3 == len(stored(url))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_cancelled_batch_leaves_nothing_half_done(url):
    """A batch that is given up at any moment is there as a whole or not at all; the pool works."""

    async def run() -> None:
        sink = SqlSink.of(Audit(url=url, workers=1))
        try:
            await sink.write([event()])
            for steps in range(30):
                batch = [event() for _ in range(50)]
                writing = asyncio.ensure_future(sink.write(batch))
                for _ in range(steps):
                    await asyncio.sleep(0)
                writing.cancel()
                await asyncio.wait([writing])
            assert ["written"] == [one.status for one in await sink.write([event()])]
        finally:
            await sink.close()

    asyncio.run(run())
    assert 2 == len(stored(url)) % 50
    # A connection that aiosqlite was just opening is closed by nobody else.
    gc.collect()


def test_workers_write_at_the_same_time(url):
    """Many batches over few connections: no error, no record twice."""
    batches = [[event() for _ in range(10)] for _ in range(40)]

    async def run() -> None:
        sink = SqlSink.of(Audit(url=url, workers=4))
        try:
            await asyncio.gather(*(sink.write(batch) for batch in [*batches, *batches]))
        finally:
            await sink.close()

    asyncio.run(run())
    assert {one.event_id for batch in batches for one in batch} == {
        row.event_id for row in stored(url)
    }
    assert 400 == len(stored(url))


def test_database_in_memory_is_one_database():
    """For tests of an app: every batch goes to the same memory."""

    async def run() -> list[str]:
        engine = open_engine("sqlite://")
        sink = SqlSink(engine)
        try:
            async with engine.begin() as connection:
                from loglane.audit.table import metadata

                await connection.run_sync(metadata.create_all)
            one = event()
            written = await asyncio.gather(*(sink.write([one]) for _ in range(2)))
            return [outcome.status for (outcome,) in written]
        finally:
            await sink.close()

    assert ["written", "known"] == asyncio.run(run())


def test_events_made_by_hand_are_masked(database_url):
    """Whoever gives them to the sink; what was read from a line was masked when it was written."""
    write(made(database_url), [event(error="password=hunter2", extra={"token": "hunter2"})])
    assert "hunter2" not in repr(stored(database_url))


def test_events_of_lines_are_not_masked_again(monkeypatch):
    """It takes as long as all the rest; fields of a subclass may be of any type, though."""
    line = orjson.dumps({"event_id": new_event_id(), "level": "info", "message": "pay", "n": 1})

    class Payment(AuditEvent):
        n: Decimal

    masked = asyncio.run(read([(line, 0.0, None)], AuditEvent)).events
    assert isinstance(masked, Masked)
    rows = [row_with_json(masked[0], is_masked=is_masked) for is_masked in (True, False)]
    assert rows[0] == rows[1]
    own = row_with_json(event_of_line(line, Payment), is_masked=True)
    assert '{"n":"1"}' == own["extra"]
    monkeypatch.setattr(AuditEvent, "row", None)
    assert rows[0] == row_with_json(masked[0], is_masked=True)
