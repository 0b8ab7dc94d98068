"""Seals: what is sealed, and that every kind of tampering shows, on every database."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from loglane.audit import seals as sealing
from loglane.audit import sql, verification
from loglane.audit.chain import START, canonical, link
from loglane.audit.database import open_engine
from loglane.audit.rows import row_of
from loglane.audit.seals import seal, seal_records
from loglane.audit.sql import SqlSink
from loglane.audit.table import audit_records, audit_seals
from loglane.audit.verification import Verification, verify, verify_records
from loglane.settings.audit import Audit
from tests.unit.audit.stores import engine_of, event, execute, made, until, write


@pytest.fixture
def url(database_url):
    return made(database_url)


@pytest.fixture
def sealed(url):
    """Return a database with ten records, sealed."""
    batch = [event(user_id=number, extra={"total": number + 0.5}) for number in range(10)]
    write(url, batch, tamper_evident=True)
    return url


@pytest.fixture
def clock(monkeypatch):
    """Return a function that sets what the sealer takes for now."""

    class Clock(datetime):
        at = datetime.now(timezone.utc)

        @classmethod
        def now(cls, _tz=None):
            return cls.at

    monkeypatch.setattr(sealing, "datetime", Clock)

    def put(day: str) -> None:
        Clock.at = datetime.fromisoformat(f"{day}T12:00:00+00:00")

    return put


def seal_all(url: str, **options: bool) -> int:
    with engine_of(url) as engine, engine.connect() as connection:
        return seal_records(connection, **options)


def verified(url: str, **options: object) -> Verification:
    with engine_of(url) as engine, engine.connect() as connection:
        return verify_records(connection, **options)


def seals_of(url: str) -> list[tuple]:
    with engine_of(url) as engine, engine.connect() as connection:
        found = select(audit_seals).order_by(audit_seals.c.day, audit_seals.c.seq)
        return [tuple(row) for row in connection.execute(found)]


def breaks(url: str, **options: object) -> list[tuple[str, str]]:
    return [(one.kind, one.event_id) for one in verified(url, **options).breaks]


def add(url: str, *events: object, at: datetime | None = None) -> None:
    """Write records as a business transaction does: without the sink."""
    now = at or datetime.now(timezone.utc)
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(insert(audit_records), [row_of(one, now) for one in events])


def test_records_of_a_sink_are_sealed(sealed):
    """Each has a seal, in their order; the last hash is the head of the day."""
    found = verified(sealed)
    assert (True, 0) == (found.passed, found.pending)
    rows = seals_of(sealed)
    assert [*range(1, 11)] == [seq for _, seq, _, _ in rows]
    assert [(rows[-1][0], 10, rows[-1][3])] == [(d.day, d.count, d.head) for d in found.days]


def test_sink_seals_within_a_second(url, monkeypatch):
    """It does not wait for its end, and seals what comes while it seals."""
    monkeypatch.setattr(sql, "_SEAL_S", 0.01)

    async def run() -> None:
        sink = SqlSink.of(Audit(url=url, tamper_evident=True))
        try:
            for count in (1, 2, 3):
                await sink.write([event()])
                await until(lambda count=count: len(seals_of(url)) == count)
        finally:
            await sink.close()

    asyncio.run(run())


def test_sink_without_tamper_evidence_seals_nothing(url):
    """It costs nothing when it is off."""
    write(url, [event()])
    assert [] == seals_of(url)


def test_failing_seals_fail_no_batch(url, caplog):
    """The records are written; that they have no seals is logged."""
    execute(url, "DROP TABLE audit_seals")
    assert [["written"]] == write(url, [event()], tamper_evident=True)
    assert "not sealed yet" in caplog.text


def test_records_of_the_app_are_sealed_too(sealed):
    """Whoever wrote a record, the next sealer takes it."""
    add(sealed, event(), event())
    write(sealed, [event()], tamper_evident=True)
    assert (13, True) == (len(seals_of(sealed)), verified(sealed).passed)


def test_hash_is_what_the_documentation_says(sealed):
    """Anybody can compute the chain without this package."""
    with engine_of(sealed) as engine, engine.connect() as connection:
        row = connection.execute(select(audit_records).order_by(audit_records.c.id)).first()
    record = dict(row._mapping)
    record.pop("id")
    for name in ("occurred_at", "recorded_at"):
        record[name] = record[name].strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    import hashlib

    text = "0" * 64 + "\n" + json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == seals_of(sealed)[0][3]


TAMPERED = {
    "actor": ("UPDATE audit_records SET actor = 'eve' WHERE user_id = '4'", "changed"),
    "status": ("UPDATE audit_records SET status = 'failure' WHERE user_id = '4'", "changed"),
    "extra": ("UPDATE audit_records SET extra = '{\"total\": 5.5}' WHERE user_id = '4'", "changed"),
    "twice": ("UPDATE audit_records SET extra = '{\"total\": 1, \"total\": 4.5}' "
              "WHERE user_id = '4'", "changed"),
    "moment": ("UPDATE audit_records SET occurred_at = '2020-01-01 00:00:00.000000' "
               "WHERE user_id = '4'", "changed"),
    "seal": ("UPDATE audit_seals SET hash = 'f' WHERE seq = 5", "changed"),
    "removed": ("DELETE FROM audit_records WHERE user_id = '4'", "removed"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "kind"), TAMPERED.values(), ids=TAMPERED)
def test_tampering_shows(sealed, statement, kind):
    """What was done to the fifth record is told with its id, and nothing of the others is."""
    fifth = seals_of(sealed)[4][2]
    execute(sealed, statement)
    found = breaks(sealed)
    # A hash that was changed is also what the next one follows.
    assert (kind, fifth) == found[0]
    assert len(found) == (2 if "seal" in statement.split()[1] else 1)


def test_garbage_in_sqlite_shows(tmp_path):
    """SQLite keeps anything in any column; the check does not stumble over it."""
    url = made(f"sqlite:///{tmp_path}/audit.db")
    write(url, [event(user_id=number) for number in range(4)], tamper_evident=True)
    execute(url, "UPDATE audit_records SET occurred_at = 'soon' WHERE user_id = '1'")
    execute(url, "UPDATE audit_records SET extra = 'no json' WHERE user_id = '2'")
    assert ["changed", "changed"] == [kind for kind, _ in breaks(url)]


def test_removed_seal_shows(sealed):
    """The place is named, and the record that has none any more."""
    rows = seals_of(sealed)
    execute(sealed, "DELETE FROM audit_seals WHERE seq = 5")
    execute(sealed, "UPDATE audit_records SET recorded_at = '2020-01-01 00:00:00.000000' "
                    "WHERE user_id = '4'")  # fmt: skip
    assert [("seal removed", rows[5][2]), ("not sealed", rows[4][2])] == breaks(sealed)


def test_record_without_seal_shows(sealed):
    """One that was written past the sealer is told, but not in its first minute."""
    new, old = event(), event()
    add(sealed, new)
    assert (True, 1) == (verified(sealed).passed, verified(sealed).pending)
    add(sealed, old, at=datetime.now(timezone.utc) - timedelta(hours=1))
    assert [("not sealed", old.event_id)] == breaks(sealed)
    assert 2 == seal_all(sealed)
    assert [] == breaks(sealed)


def test_inserted_seal_shows(sealed):
    """A record and a seal made by hand do not fit the chain."""
    forged = event()
    add(sealed, forged)
    day = seals_of(sealed)[0][0]
    made_by_hand = {"day": day, "seq": 11, "event_id": forged.event_id, "hash": START}
    with engine_of(sealed) as engine, engine.begin() as connection:
        connection.execute(insert(audit_seals).values(made_by_hand))
    assert [("changed", forged.event_id)] == breaks(sealed)


def test_removed_tail_shows_against_a_kept_head(sealed):
    """The newest records gone with their seals leave a whole chain; the kept hash does not fit."""
    day, _, _, head = seals_of(sealed)[-1]
    assert [] == breaks(sealed, expect={day: head})
    execute(sealed, "DELETE FROM audit_seals WHERE seq > 7")
    execute(sealed, "DELETE FROM audit_records WHERE user_id IN ('7', '8', '9')")
    assert [] == breaks(sealed)
    assert [("other head", "")] == breaks(sealed, expect={day: head})


def test_head_kept_in_the_course_of_a_day_is_enough(sealed):
    """A hash that others have followed since is still in the chain."""
    day, _, _, head = seals_of(sealed)[3]
    assert [] == breaks(sealed, expect={day: head})


def test_days_follow_each_other(url, clock):
    """Each day counts from one, and starts from the last hash of the day before."""
    for day in ("2026-11-20", "2026-11-21", "2026-11-23"):
        clock(day)
        add(url, event(), event())
        seal_all(url)
    assert [1, 2] * 3 == [seq for _, seq, _, _ in seals_of(url)]
    days = [date(2026, 11, day) for day in (20, 21, 23)]
    assert days == [one.day for one in verified(url).days]
    assert days[1:2] == [one.day for one in verified(url, since=days[1], until=days[1]).days]
    assert [] == breaks(url) == breaks(url, since=days[1]) == breaks(url, until=days[1])
    # A kept head of a day that is not computed again is still looked for.
    kept = {days[0]: seals_of(url)[1][3]}
    assert [] == breaks(url, since=days[1], expect=kept)
    assert [("other head", "")] == breaks(url, since=days[1], expect={days[0]: "0" * 64})


def test_day_that_is_gone_shows(url, clock):
    """Whole days cannot vanish from the middle, nor from the beginning."""
    for day in ("2026-11-20", "2026-11-21", "2026-11-22"):
        clock(day)
        add(url, event())
        seal_all(url)
    rows = seals_of(url)
    execute(url, "DELETE FROM audit_seals WHERE day = '2026-11-21'")
    execute(url, "DELETE FROM audit_records WHERE event_id = :id", id=rows[1][2])
    assert [("changed", rows[2][2])] == breaks(url)
    execute(url, "DELETE FROM audit_seals WHERE day = '2026-11-20'")
    execute(url, "DELETE FROM audit_records WHERE event_id = :id", id=rows[0][2])
    assert [("changed", rows[2][2])] == breaks(url)
    # Unless they were archived, and their last hash was kept.
    assert [] == breaks(url, expect={date(2026, 11, 21): rows[1][3]})
    assert [("changed", rows[2][2])] == breaks(url, expect={date(2026, 11, 21): "0" * 64})


def test_clock_that_goes_back_starts_no_day_anew(url, clock):
    """The chain goes on in the last day that there is."""
    for day in ("2026-11-20", "2026-11-19"):
        clock(day)
        add(url, event())
        seal_all(url)
    assert [(date(2026, 11, 20), 1), (date(2026, 11, 20), 2)] == [row[:2] for row in seals_of(url)]
    assert [] == breaks(url)


def test_late_commit_is_sealed_in_the_end(url, monkeypatch):
    """What a long transaction commits behind the look-back is for the whole search."""
    monkeypatch.setattr(sealing, "_LOOK_BACK", 2)
    late = event()
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(
            insert(audit_records).values(id=1, **row_of(late, datetime.now(timezone.utc)))
        )
        connection.execute(
            insert(audit_seals).values(
                day=date(2026, 1, 1), seq=1, event_id=late.event_id, hash=START
            )
        )
    for _ in range(5):
        write(url, [event()], tamper_evident=True)
    execute(url, "DELETE FROM audit_seals WHERE event_id = :id", id=late.event_id)
    assert (0, 1) == (seal_all(url), seal_all(url, everything=True))


def test_many_are_sealed_in_pages(url, monkeypatch):
    """Neither sealing nor verifying holds all of them at once."""
    monkeypatch.setattr(sealing, "_AT_ONCE", 7)
    monkeypatch.setattr(verification, "_AT_ONCE", 7)
    add(url, *(event() for _ in range(50)))
    assert 50 == seal_all(url)
    assert (50, True) == (verified(url).days[0].count, verified(url).passed)


def test_sealers_at_a_time_seal_each_record_once(url, monkeypatch):
    """They meet on the key; the chain is whole and has no record twice."""
    monkeypatch.setattr(sealing, "_AT_ONCE", 50)
    add(url, *(event() for _ in range(200)))
    errors: list[BaseException] = []
    together = threading.Barrier(4)
    look = sealing._unsealed

    def look_together(*arguments: object) -> list[int]:
        found = look(*arguments)
        if not met.is_set():
            # All have seen the same records before one of them is sealed.
            together.wait(30)
            met.set()
        return found

    met = threading.Event()
    monkeypatch.setattr(sealing, "_unsealed", look_together)

    def run() -> None:
        try:
            seal_all(url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    seal_all(url)
    assert (200, True) == (len(seals_of(url)), verified(url).passed)


def test_seal_and_verify_of_asyncio(url):
    """Both are there for asyncio, too."""
    add(url, event(), event())

    async def run() -> tuple[int, bool]:
        engine = open_engine(url, pool_size=1)
        try:
            return await seal(engine), (await verify(engine)).passed
        finally:
            await engine.dispose()

    assert (2, True) == asyncio.run(run())


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_canonical_form_is_blind_to_spaces_order_and_points(extra):
    """What a database does to JSON leaves the hash as it is; what it means does not change."""
    plain = json.dumps(extra)
    turned = json.dumps(dict(reversed(extra.items())), indent=2, ensure_ascii=True)
    assert canonical({"extra": plain}) == canonical({"extra": turned})
    assert extra == json.loads(canonical({"extra": plain}))["extra"]
    assert link(START, {"extra": plain}) != link(START, {"extra": '{"0": "other"}'})


def test_values_survive_each_database(url):
    """Numbers, texts and moments that a database may write in its own way verify all the same."""
    extra = {
        "z": 1.0, "a": -0.0, "b": 1e22, "c": 0.1 + 0.2, "d": 5e-324, "e": 2**64 - 1, "f": -(2**63),
        "g": 1.7976931348623157e308, "h": [1, 1.5, None, True, {}, []], "é😀": "\x7f\u2028\\\"'",
        "": {"nested": {"k": 123456789.123456789}}, "i": 1e15, "j": 123456789012345680.0,
    }  # fmt: skip
    durations = [0.0, 1.0, 1 / 3, 1e-7, 123456.789, 1e15, 1.1e17]
    moments = [datetime(2026, 1, 2, 3, 4, 5, us, timezone.utc) for us in (0, 1, 10, 999_999)]
    batch = [event(extra=extra, duration_ms=one) for one in durations]
    batch += [event(occurred_at=at, error="  \r\n", actor="") for at in moments]
    write(url, batch, tamper_evident=True)
    assert (11, []) == (len(seals_of(url)), breaks(url))
