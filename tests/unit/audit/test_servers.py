"""The database servers that the other tests rely on."""

from __future__ import annotations

import time

import pymysql
import pytest
import redis
import sqlalchemy

from loglane.errors import EnvironmentMissing
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgreSQL
from tests.servers.process import Server, ServerFailed

_SQL = ("own_mariadb", "own_postgres")
_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


def engine_of(url: str) -> sqlalchemy.Engine:
    scheme, _, rest = url.partition("://")
    return sqlalchemy.create_engine(
        f"{_DRIVERS[scheme]}://{rest}", poolclass=sqlalchemy.pool.NullPool
    )


def run_sql(url: str, *statements: str) -> list[object]:
    """Run statements in one transaction; return the first column of the last one's rows."""
    with engine_of(url).begin() as connection:
        for statement in statements:
            result = connection.execute(sqlalchemy.text(statement))
        return list(result.scalars()) if result.returns_rows else []


@pytest.fixture(params=_SQL, ids=["mariadb", "postgresql"])
def own_server(request) -> MariaDB | PostgreSQL:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[*_SQL, "own_redis"], ids=["mariadb", "postgresql", "redis"])
def any_server(request) -> Server:
    return request.getfixturevalue(request.param)


def test_a_database_is_empty_and_of_its_own(database_url):
    """Each test finds a database without tables, and may make what it likes."""
    run_sql(database_url, "CREATE TABLE numbers (n INTEGER)", "INSERT INTO numbers VALUES (7)")
    assert [7] == run_sql(database_url, "SELECT n FROM numbers")


def test_two_databases_of_a_server_share_nothing(postgres_server, mariadb_server, redis_server):
    """Every call of `new_database` names another one."""
    for server in (postgres_server, mariadb_server, redis_server):
        assert server.new_database() != server.new_database()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_committed_rows_outlive_the_server(own_server, end):
    """A server that was stopped, or killed, has its rows when it is back, at the same address."""
    url = own_server.new_database()
    run_sql(url, "CREATE TABLE numbers (n INTEGER)", "INSERT INTO numbers VALUES (7)")
    getattr(own_server, end)()
    assert not own_server.answers()
    own_server.start()
    assert [7] == run_sql(url, "SELECT n FROM numbers")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_keys_outlive_a_redis(own_redis, end):
    """A Redis that was stopped, or killed, has its keys when it is back."""
    url = own_redis.new_database()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set("n", "7")
        getattr(own_redis, end)()
        assert not own_redis.answers()
        own_redis.start()
        assert "7" == client.get("n")


def test_a_kill_ends_what_a_transaction_had_open(own_server):
    """A connection with an open transaction does not keep a killed server from coming back."""
    url = own_server.new_database()
    run_sql(url, "CREATE TABLE numbers (n INTEGER)")
    engine = engine_of(url)
    connection = engine.connect()
    connection.execute(sqlalchemy.text("INSERT INTO numbers VALUES (7)"))
    own_server.kill()
    own_server.start()
    connection.invalidate()
    connection.close()
    assert [] == run_sql(url, "SELECT n FROM numbers")


def test_a_paused_server_answers_when_it_goes_on(any_server):
    """A paused server keeps its port and answers nobody until it is let go on."""
    any_server.pause()
    assert not any_server.answers()
    any_server.resume()
    deadline = time.monotonic() + 30
    while not any_server.answers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert any_server.answers()


def test_a_server_that_does_not_start_shows_its_log(mariadb_template):
    """The error has the end of the log, which says why; nothing is left behind."""
    server = MariaDB(mariadb_template)
    server.initialise()
    (server.data / "ibdata1").write_bytes(b"broken")
    with pytest.raises(ServerFailed, match="InnoDB"):
        server.__enter__()
    assert (False, None) == (server.folder.exists(), server.pid)


def test_a_missing_program_names_its_package(monkeypatch):
    """What is not installed fails with the package to install."""
    monkeypatch.setattr(PostgreSQL, "search", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EnvironmentMissing, match=r"apt-get install .* postgresql "):
        PostgreSQL.find("postgres")


def test_a_server_runs_under_an_administrator(own_mariadb, own_postgres):
    """What is done to a server from outside, such as ending a connection, is one statement."""
    assert [(7,)] == own_mariadb.execute("SELECT 7")
    assert [(7,)] == own_postgres.execute("SELECT 7")
    with pytest.raises(pymysql.err.ProgrammingError):
        own_mariadb.execute("SELECT FROM")
