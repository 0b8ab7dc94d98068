"""The database is stopped, killed, locked, or breaks an insert off."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import sqlalchemy
from sqlalchemy import exc

from benchmarks.audit_faults.bench import Bench, Outcome
from benchmarks.audit_faults.plan import event_id
from benchmarks.databases import Database
from benchmarks.faults.bench import AppProcess, poll
from loglane.audit.table import audit_records

_TURNS = 5
# An app is to write for longer than all turns take, on a slow machine too.
_TURNS_S = 8
_FIRST = 0.2
# Lines that are written until a transaction has taken its place.
_AHEAD = 80
_WEIGHT = 100
_WAIT_S = 30.0
_MEET_S = 3.0
_AT_WORK = {
    "mariadb": "SELECT id FROM information_schema.processlist WHERE info LIKE 'INSERT%'",
    "postgresql": (
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT%'"
        " AND datname = current_database()"
    ),
}
_END = {"mariadb": "KILL CONNECTION {}", "postgresql": "SELECT pg_terminate_backend({})"}
_HOLD = {
    "mariadb": ("LOCK TABLES audit_records WRITE", "UNLOCK TABLES"),
    "postgresql": ("LOCK TABLE audit_records IN EXCLUSIVE MODE", "ROLLBACK"),
}


def calm(bench: Bench) -> Outcome:
    """Do nothing."""
    return bench.finished(bench.start())


def stopped(bench: Bench) -> Outcome:
    """Stop the database for a while."""
    return _away(bench, bench.server.stop, bench.server.start)


def killed(bench: Bench) -> Outcome:
    """Kill the database and start it again after a while."""
    return _away(bench, bench.server.kill, bench.server.start)


def hung(bench: Bench) -> Outcome:
    """Let the database hang with its connections open."""
    return _away(bench, bench.server.pause, bench.server.resume)


def locked(bench: Bench) -> Outcome:
    """Have another process lock the file of SQLite."""
    path = bench.database.url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        return _away(
            bench, lambda: other.execute("BEGIN EXCLUSIVE"), lambda: other.execute("ROLLBACK")
        )


def disconnected(bench: Bench) -> Outcome:
    """End the connections of inserts that are at work, again and again."""
    app = bench.start(rate=bench.scale.events // _TURNS_S)
    broken = 0
    for turn in range(_TURNS):
        app.wait_for((turn + 1) / (_TURNS + 2))
        with held_table(bench.database):
            for number in waiting_inserts(bench.database):
                end = sqlalchemy.text(_END[bench.database.kind].format(number))
                bench.database.run(end)
                broken += 1
    return bench.finished(app, f"{broken} inserts were broken off")


def deadlocked(bench: Bench) -> Outcome:
    """Let inserts meet transactions that want the same records in another order."""
    app = bench.start(rate=bench.scale.events // _TURNS_S)
    app.wait_for(_FIRST)
    seen = 0
    while seen < _TURNS and app.returned + 2 * _AHEAD < bench.scale.events:
        seen += _meet(bench, app)
    problems = [] if seen else ["there was no deadlock"]
    return bench.finished(app, f"{seen} deadlocks", problems)


def _away(bench: Bench, leave: Callable[[], object], come_back: Callable[[], object]) -> Outcome:
    app = bench.start()
    app.wait_for(_FIRST)
    leave()
    time.sleep(bench.scale.away_s)
    come_back()
    return bench.finished(app)


@contextlib.contextmanager
def held_table(database: Database) -> Iterator[None]:
    """Let every insert into the table wait, until the block ends."""
    statement, undo = _HOLD[database.kind]
    with database.engine().connect() as other:
        other.execute(sqlalchemy.text(statement))
        try:
            yield
        finally:
            other.execute(sqlalchemy.text(undo))
            other.rollback()


def waiting_inserts(database: Database, timeout_s: float = _WAIT_S) -> list[int]:
    """Wait until inserts are at work; return the numbers of their connections.

    Raises:
        AssertionError: There was none within the time.
    """
    found: list[int] = []

    def look() -> bool:
        found[:] = [int(str(one)) for one in database.run(sqlalchemy.text(_AT_WORK[database.kind]))]
        return bool(found)

    poll(look, "an insert that waits", timeout_s)
    return found


def _meet(bench: Bench, app: AppProcess) -> bool:
    """Hold a record that comes soon, wait until an insert wants it, and want the one before it.

    Returns:
        Whether that was a deadlock. It is none when the record came too soon, or was the first
        one of its batch.
    """
    with bench.database.engine().connect() as other:
        # MariaDB ends the transaction that has written less.
        other.execute(_insert("other", *range(_WEIGHT)))
        soon = app.returned + _AHEAD
        try:
            other.execute(_insert(app.plan.name, soon))
            waiting_inserts(bench.database, _MEET_S)
            # Its batch has written this one, so it can only be written when the batch was ended.
            other.execute(_insert(app.plan.name, soon - 1))
        except exc.DBAPIError as error:
            return _is_deadlock(error)
        except AssertionError:
            return False
        finally:
            other.rollback()
    return True


def _is_deadlock(error: exc.DBAPIError) -> bool:
    """Tell whether it was this transaction that was ended."""
    code = getattr(error.orig, "sqlstate", None) or (error.orig.args if error.orig else (None,))[0]
    return code in ("40P01", 1213)


def _insert(name: str, *numbers: int) -> sqlalchemy.Insert:
    now = datetime.now(timezone.utc)
    fixed = {
        "occurred_at": now, "recorded_at": now, "action": "deadlock", "status": "success",
        "extra": {},
    }  # fmt: skip
    rows = [{"event_id": event_id(name, number), **fixed} for number in numbers]
    return audit_records.insert().values(rows)
