"""Records are found by filters and read page by page, newest first."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import insert, text

from loglane.audit import AuditEvent, AuditLog, AuditPage, SyncAuditLog
from loglane.audit.reading import select_page
from loglane.audit.rows import row_of
from loglane.audit.table import audit_records
from loglane.errors import AuditError, SinkUnavailable
from tests.unit.audit.business import make_tables, opened_sync, shop

START = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


class Payment(AuditEvent):
    """A record with fields of its own."""

    amount: Decimal
    due: date | None = None


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def store(url, *events):
    with opened_sync(url) as engine, engine.begin() as connection:
        rows = [row_of(event, START) for event in events]
        connection.execute(insert(audit_records), rows)


@pytest.fixture
def url(database_url):
    """Return the address of a database with the tables, once for each kind of database."""
    return make_tables(database_url)


@pytest.fixture
def sqlite_url(tmp_path):
    return make_tables(f"sqlite:///{tmp_path}/audit.db")


@pytest.fixture
def audit(sqlite_url):
    with SyncAuditLog(sqlite_url) as audit:
        yield audit


FILTERS = {
    "actor": ("ann", "bob"),
    "user_id": (7, 8),
    "action": ("pay", "refund"),
    "resource": ("order:1", "order:2"),
    "status": ("success", "failure"),
    "trace_id": ("t1", "t2"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_finds_its_records(url, name):
    """And no others."""
    wanted, other = FILTERS[name]
    same = {"action": "x"} if name != "action" else {}
    found, not_found = (AuditEvent(**same, **{name: value}) for value in (wanted, other))
    store(url, found, not_found)
    with SyncAuditLog(url) as audit:
        assert (found,) == audit.query(**{name: wanted}).events


@pytest.mark.parametrize("other", ["ANN", "\u00e1nn"], ids=["case", "accent"])
def test_a_filter_takes_no_other_spelling(url, other):
    """`ann` and `ANN` are two, on MySQL and MariaDB too."""
    store(url, AuditEvent(action="x", actor=other))
    with SyncAuditLog(url) as audit:
        assert () == audit.query(actor="ann").events


def test_filters_hold_together(audit, sqlite_url):
    """A record has to fit each of them; those that are None fit all."""
    both = AuditEvent(action="pay", actor="ann")
    store(sqlite_url, both, AuditEvent(action="pay"), AuditEvent(action="x", actor="ann"))
    assert (both,) == audit.query(action="pay", actor="ann", resource=None).events


def test_since_is_inclusive_and_until_exclusive(url):
    """Times of any zone, to the microsecond; the newest record comes first."""
    times = [at(0) + n * timedelta.resolution for n in range(4)]
    events = [AuditEvent(action="a", occurred_at=time) for time in times]
    store(url, *events)
    zone = timezone(timedelta(hours=5))
    since, until = (events[n].occurred_at.astimezone(zone) for n in (1, 3))
    with SyncAuditLog(url) as audit:
        assert (events[2], events[1]) == audit.query(since=since, until=until).events


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_naive_time_is_refused(audit, name):
    """Nobody knows which moment it means."""
    with pytest.raises(ValueError, match=f"{name} has no time zone"):
        audit.query(**{name: datetime(2026, 11, 22)})


@pytest.mark.parametrize("limit", [0, 1001, -1, True, 1.5, None])
def test_a_wrong_limit_is_refused(audit, limit):
    """Pages have 1 to 1000 records."""
    with pytest.raises(ValueError, match="1 to 1000"):
        audit.query(limit=limit)


def test_an_unknown_filter_or_status_is_refused(audit):
    """A misspelt name must not find everything."""
    with pytest.raises(TypeError, match="ressource"):
        audit.query(ressource="order:1")
    with pytest.raises(ValueError, match="success or failure"):
        audit.query(status="ok")


def test_pages_have_every_record_once(url):
    """Also where many share a moment and while others are written."""
    old = [AuditEvent(action="old", actor=str(n), occurred_at=at(n // 4)) for n in range(23)]
    store(url, *old)
    seen: list[AuditEvent] = []
    cursor = None
    with SyncAuditLog(url) as audit:
        for number in range(20):
            page = audit.query(limit=5, cursor=cursor)
            seen += page.events
            cursor = page.cursor
            if cursor is None:
                break
            store(url, AuditEvent(action="new", occurred_at=at(100 + number)))
    assert [str(n) for n in reversed(range(23))] == [event.actor for event in seen]
    assert 4 == number


def test_the_last_page_has_no_cursor(audit, sqlite_url):
    """Not even when it is full; no record at all is one empty page."""
    assert AuditPage(()) == audit.query()
    store(sqlite_url, *(AuditEvent(action="a") for _ in range(4)))
    first = audit.query(limit=2)
    second = audit.query(limit=2, cursor=first.cursor)
    assert (2, 2, None) == (len(first.events), len(second.events), second.cursor)


def encoded(text):
    return urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "MTox", encoded("1:x:1"), encoded("2:1:1"), encoded("1:1:-1"),
     encoded("1:1:1:1"), encoded(f"1:{10**17}9:1"), encoded(f"1:1:{2**63}"), 5, b"MTox"],
)  # fmt: skip
def test_a_damaged_cursor_is_refused(audit, cursor):
    """Whatever comes from outside, there is one error."""
    with pytest.raises(ValueError, match="cursor"):
        audit.query(cursor=cursor)


def test_history_is_the_pages_of_a_resource(url):
    """Newest first, as all pages are."""
    mine = [AuditEvent(action=str(n), resource="order:1", occurred_at=at(n)) for n in range(3)]
    store(url, *mine, AuditEvent(action="x", resource="order:2"))

    async def run():
        async with AuditLog(url) as audit:
            first = await audit.history("order:1", limit=2)
            return first, await audit.history("order:1", cursor=first.cursor)

    first, second = asyncio.run(run())
    assert ((mine[2], mine[1]), (mine[0],)) == (first.events, second.events)


def test_iter_goes_through_all_pages(sqlite_url, monkeypatch):
    """Newest first; asynchronous or not."""
    monkeypatch.setattr("loglane.audit.sync.PAGE", 2)
    monkeypatch.setattr("loglane.audit.service.PAGE", 2)
    store(sqlite_url, *(AuditEvent(action=str(n), occurred_at=at(n)) for n in range(5)))

    async def run():
        async with AuditLog(sqlite_url) as audit:
            return [event.action async for event in audit.iter(since=at(1))]

    with SyncAuditLog(sqlite_url) as audit:
        assert ["4", "3", "2", "1"] == [event.action for event in audit.iter(since=at(1))]
    assert ["4", "3", "2", "1"] == asyncio.run(run())


def test_get_finds_a_record_by_its_id(url):
    """In any case of letters; None when there is none."""
    event = AuditEvent(action="a")
    store(url, event)

    async def run():
        async with AuditLog(url) as audit:
            return await audit.get(event.event_id.upper()), await audit.get("no id")

    assert (event, None) == asyncio.run(run())


def test_a_session_reads_what_it_wrote(url):
    """Reading within the transaction sees its records before they are committed."""

    async def run():
        async with AuditLog(url) as audit, shop(url) as sessions, sessions() as session:
            made = await audit.create_log(AuditEvent(action="a"), session=session)
            page = await audit.query(session=session)
            one = await audit.get(made.event_id, session=session)
            return (made,) == page.events, made == one

    assert (True, True) == asyncio.run(run())


def test_fields_of_a_subclass_come_back(url):
    """With their types, out of `extra`; what is not theirs stays there."""
    payment = Payment(action="pay", amount=Decimal("5.10"), due=date(2026, 12, 1), extra={"a": [1]})
    store(url, payment)

    async def run():
        async with AuditLog(url) as audit:
            typed = await audit.query(model=Payment)
            return typed.events, await audit.get(payment.event_id)

    typed, plain = asyncio.run(run())
    assert (payment,) == typed
    assert {"a": [1], "amount": "5.10", "due": "2026-12-01"} == plain.extra


def test_a_record_that_does_not_fit_the_model_is_named(audit, sqlite_url):
    """With what is wrong and how to read it all the same."""
    event = AuditEvent(action="login")
    store(sqlite_url, event)
    with pytest.raises(AuditError, match=rf"{event.event_id} .*'login' is no Payment \(amount: "):
        audit.query(model=Payment)


def plan(connection, statement) -> str:
    dialect = connection.dialect
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
    rows = connection.exec_driver_sql(explain + sql.replace("%", "%%")).fetchall()
    return "\n".join(str(tuple(row)) for row in rows)


EXPECTED = {
    "actor": "ix_audit_records_actor",
    "user_id": "ix_audit_records_user_id",
    "action": "ix_audit_records_action",
    "resource": "ix_audit_records_resource",
    "trace_id": "ix_audit_records_trace_id",
    "status": "ix_audit_records_status",
    "since": "ix_audit_records_occurred_at",
    "until": "ix_audit_records_occurred_at",
    "cursor": "ix_audit_records_occurred_at",
    "nothing": "ix_audit_records_occurred_at",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a function that fills a database with 5,000 records, of 200 values each."""
    made: dict[str, str] = {}

    def fill(kind, new_url):
        if kind not in made:
            made[kind] = make_tables(new_url())
            events = []
            for n in range(5000):
                rare = {name: f"{name}-{n % 200}" for name in EXPECTED if name in FILTERS}
                rare["status"] = "failure" if n % 200 == 0 else "success"
                events.append(AuditEvent(**rare, occurred_at=at(n)))
            store(made[kind], *events)
        return made[kind]

    return fill


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "postgresql"])
@pytest.mark.parametrize("name", EXPECTED)
def test_each_filter_has_its_index(request, filled, tmp_path_factory, kind, name):
    """The database reads by it, as its EXPLAIN says."""
    if kind == "sqlite":
        url = filled(kind, lambda: f"sqlite:///{tmp_path_factory.mktemp('plans')}/audit.db")
    else:
        server = {"mariadb": "mariadb_server", "postgresql": "postgres_server"}[kind]
        url = filled(kind, request.getfixturevalue(server).new_database)
    filters = {name: f"{name}-3"} if name in FILTERS else {}
    filters |= {"status": "failure"} if name == "status" else {}
    filters |= {"since": at(4990)} if name == "since" else {}
    filters |= {"until": at(10)} if name == "until" else {}
    with opened_sync(url) as engine, engine.connect() as connection:
        analyse = "ANALYZE TABLE audit_records" if kind == "mariadb" else "ANALYZE audit_records"
        connection.execute(text(analyse))
        cursor = (
            encoded(f"1:{int(at(20).timestamp()) * 1_000_000}:20") if name == "cursor" else None
        )
        statement = select_page(filters, limit=20, cursor=cursor)
        assert EXPECTED[name] in plan(connection, statement)


def test_filters_find_what_was_stored_of_odd_texts(url):
    """NUL and half of a surrogate pair are other characters in the table."""
    odd = "a\0b\ud800c"

    async def run():
        async with AuditLog(url) as audit:
            event = AuditEvent(action="a\0", resource=odd, error=odd, extra={odd: [odd]})
            stored = await audit.create_log(event, independent=True)
            page = await audit.query(resource=odd, action="a\0")
            assert await audit.get(odd) is None
            return stored, page.events

    stored, found = asyncio.run(run())
    kept = "a\N{REPLACEMENT CHARACTER}b\\ud800c"
    assert (kept, kept, {kept: [kept]}) == (stored.resource, stored.error, stored.extra)
    assert (stored,) == found


@pytest.mark.parametrize("kind", [AuditLog, SyncAuditLog])
def test_reading_without_tables_says_what_to_do(database_url, kind):
    """As writing does: the error names the command, and not the statement."""
    log = kind(database_url)

    async def run():
        try:
            await log.query() if kind is AuditLog else log.query()
        finally:
            await log.close() if kind is AuditLog else log.close()

    with pytest.raises(SinkUnavailable, match="loglane audit init"):
        asyncio.run(run())


@pytest.mark.parametrize("kind", [AuditLog, SyncAuditLog])
def test_reading_without_a_server_says_where(kind):
    """The place, without user and password."""
    log = kind("postgresql://app:hunter2@127.0.0.1:1/d")
    with pytest.raises(SinkUnavailable) as caught:
        asyncio.run(log.get("x")) if kind is AuditLog else log.get("x")
    assert "postgresql://127.0.0.1:1/d" in str(caught.value)
    assert "hunter2" not in str(caught.value)
