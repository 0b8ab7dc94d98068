"""Addresses and engines: which driver, which options, and no password anywhere."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import sys

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from loglane.audit import database
from loglane.audit.database import open_engine, open_sync_engine
from loglane.audit.faults import Fault, fault_of, place_of, unavailable
from loglane.errors import EnvironmentMissing, SpecError
from loglane.settings import load_settings
from tests.unit.audit.stores import engine_of, event, execute, made, stored, write

DRIVERS = {
    "sqlite:///a.db": ("sqlite+aiosqlite", "sqlite+pysqlite"),
    "sqlite+pysqlite:///a.db": ("sqlite+aiosqlite", "sqlite+pysqlite"),
    "mysql://h/d": ("mysql+aiomysql", "mysql+pymysql"),
    "mariadb://h/d": ("mysql+aiomysql", "mysql+pymysql"),
    "mariadb+aiomysql://h/d": ("mysql+aiomysql", "mysql+pymysql"),
    "postgresql://h/d": ("postgresql+psycopg", "postgresql+psycopg"),
    "postgres://h/d": ("postgresql+psycopg", "postgresql+psycopg"),
    "postgresql+psycopg://h/d": ("postgresql+psycopg", "postgresql+psycopg"),
}


@pytest.mark.parametrize(("url", "expected"), DRIVERS.items(), ids=DRIVERS)
def test_driver_is_chosen(url, expected):
    """Each kind of code gets a driver that it can use; a named one that fits is kept."""
    assert expected == (open_engine(url).url.drivername, open_sync_engine(url).url.drivername)


def test_driver_that_is_missing_is_named(monkeypatch):
    """A driver of one's own has to be installed; the error says which package."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(EnvironmentMissing, match="asyncpg"):
        open_engine("postgresql+asyncpg://h/d")


BAD = {
    "nothing": "",
    "no-address": "hunter2",
    "other": "oracle://app:hunter2@h/d",
    "driver": "mysql+nope://app:hunter2@h/d",
    "port": "mysql://app:hunter2@h:port/d",
}


@pytest.mark.parametrize("url", BAD.values(), ids=BAD)
def test_wrong_address_is_one_error(url):
    """It says what is wrong, and repeats nothing that may be a password."""
    with pytest.raises(SpecError) as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


def test_password_is_in_no_text():
    """Neither an engine nor an error shows it, wherever in the address it is."""
    engine = open_engine("mysql://app:hunter2@h:3306/audit?password=hunter2")
    assert "app:hunter2" not in repr(engine)
    assert "mysql://h:3306/audit" == place_of(engine.url)
    error = OperationalError("INSERT", {"password": "hunter2"}, Exception("no"))
    assert "hunter2" not in str(unavailable(error, engine.url))


def test_password_file_is_read_for_each_connection(mariadb_server, postgres_server, tmp_path):
    """A password that was changed is used at the next connection."""
    for server in (mariadb_server, postgres_server):
        url = made(server.new_database())
        password = url.split("@")[0].rpartition(":")[2]
        file = tmp_path / "password"
        file.write_text("wrong")
        engine = open_sync_engine(url.replace(f":{password}", ""), password_file=file)
        with pytest.raises(OperationalError):
            engine.connect()
        file.write_text(f"{password}\n")
        engine.connect().close()
        engine.dispose()
        bare = url.replace(f":{password}", "")
        assert [["written"]] == write(bare, [event()], password_file=str(file))


def test_sqlite_file_is_for_its_owner_alone(tmp_path):
    """Neither the file nor those beside it are readable by others; an existing mode is kept."""
    old = os.umask(0)
    try:
        url = made(f"sqlite:///{tmp_path}/audit.db")
        with engine_of(url) as engine, engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id INT)")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert dict.fromkeys(("audit.db", "audit.db-wal", "audit.db-shm"), 0o600) == modes


def test_sqlite_writes_through(tmp_path):
    """What is committed is on the disk."""
    with engine_of(f"sqlite:///{tmp_path}/audit.db") as engine, engine.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert {**expected, "busy_timeout": database.LOCK_S * 1000} == read


def test_sqlite_rolls_back_tables(tmp_path):
    """Transactions hold what makes tables, too."""
    url = f"sqlite:///{tmp_path}/audit.db"
    with engine_of(url) as engine:
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id INT)")
            connection.rollback()
        with engine.connect() as connection:
            assert [] == connection.exec_driver_sql("SELECT name FROM sqlite_master").all()


def test_mysql_refuses_what_does_not_fit(mariadb_server):
    """Nothing is cut, although the server would."""
    mariadb_server.execute("SET GLOBAL sql_mode = ''")
    try:
        url = made(mariadb_server.new_database())
        with pytest.raises(DBAPIError, match="too long"):
            execute(
                url,
                "INSERT INTO audit_records (event_id, occurred_at, recorded_at, action, status, "
                "extra) VALUES ('1', '2026-01-01', '2026-01-01', 'a', 'too long for it', '{}')",
            )
    finally:
        mariadb_server.execute("SET GLOBAL sql_mode = DEFAULT")
    assert [] == stored(url)


def test_mysql_compares_as_the_other_databases_do(database_url):
    """`Alice` and `alice` are two actors, everywhere."""
    url = made(database_url)
    write(url, [event(actor="Alice"), event(actor="alice")])
    with engine_of(url) as engine, engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT COUNT(*) FROM audit_records WHERE actor = 'alice'"
        )
        assert 1 == found.scalar()


def test_tls_of_aiomysql_is_a_context(monkeypatch):
    """Aiomysql takes a context where SQLAlchemy gives names of files."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)
    given = {"ssl": {"ca": "/ca.pem"}, "client_flag": 3}
    database._mysql_arguments("aiomysql", given)
    assert (ssl.CERT_REQUIRED, True) == (given["ssl"].verify_mode, given["ssl"].check_hostname)
    assert 1 == given["client_flag"]


def test_pool_is_as_large_as_asked(tmp_path):
    """No connection beyond the given number is ever made."""

    async def run() -> None:
        engine = open_engine(f"sqlite:///{tmp_path}/audit.db", pool_size=2, pool_timeout=0.01)
        taken = [await engine.connect() for _ in range(2)]
        try:
            with pytest.raises(PoolTimeout, match="limit of size 2 overflow 0"):
                await engine.connect()
        finally:
            for connection in taken:
                await connection.close()
            await engine.dispose()

    asyncio.run(run())


class Said(Exception):
    """An error of a driver."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


FAULTS = {
    "mysql-too-long": (Said(1406, "Data too long", sqlstate="22001"), Fault.refused),
    "mysql-deadlock": (Said(1213, "Deadlock", sqlstate="40001"), Fault.again),
    "mysql-lock": (Said(1205, "Lock wait timeout", sqlstate="HY000"), Fault.later),
    "mysql-gone": (Said(2006, "gone away"), Fault.again),
    "mysql-many": (Said(1040, "Too many connections", sqlstate="08004"), Fault.later),
    "mysql-read-only": (Said(1290, "--read-only", sqlstate="HY000"), Fault.later),
    "mysql-disk": (Said(1021, "Disk full", sqlstate="HY000"), Fault.later),
    "postgres-too-long": (Said("x", sqlstate="22001"), Fault.refused),
    "postgres-check": (Said("x", sqlstate="23514"), Fault.refused),
    "postgres-deadlock": (Said("x", sqlstate="40P01"), Fault.again),
    "postgres-ended": (Said("x", sqlstate="57P01"), Fault.again),
    "postgres-starting": (Said("x", sqlstate="57P03"), Fault.later),
    "postgres-many": (Said("x", sqlstate="53300"), Fault.later),
    "postgres-disk": (Said("x", sqlstate="53100"), Fault.later),
    "postgres-read-only": (Said("x", sqlstate="25006"), Fault.later),
    "postgres-denied": (Said("x", sqlstate="42501"), Fault.later),
    "sqlite-locked": (Said("database is locked"), Fault.later),
}


@pytest.mark.parametrize(("said", "expected"), FAULTS.values(), ids=FAULTS)
def test_error_says_what_is_to_be_done(said, expected):
    """Only what no second attempt mends is refused; what is unknown is tried again."""
    assert expected is fault_of(DBAPIError("INSERT", {}, said))


def test_a_hanging_postgresql_is_not_waited_for(own_postgres):
    """The connection is open and the kernel answers, but the server does not."""
    with engine_of(own_postgres.url, answer_s=1) as engine, engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT 1 FROM pg_sleep(0.2)")).scalar()
        own_postgres.pause()
        try:
            with pytest.raises(DBAPIError, match="no answer within 1 s"):
                connection.execute(text("SELECT 1"))
            assert connection.invalidated
        finally:
            own_postgres.resume()


def test_password_with_an_at_sign_is_not_taken_for_the_host():
    """What follows it would be shown as the host's name."""
    with pytest.raises(SpecError) as caught:
        open_sync_engine("mysql://u:s3/cret@pw@h/x")
    assert "write %40" in str(caught.value)
    assert "pw" not in str(caught.value).replace("password", "")
    with pytest.raises(SpecError) as caught:
        load_settings({"audit": {"url": "postgres:/u:hidden@h/x"}}, environ={})
    assert "hidden" not in str(caught.value)
