"""Fixtures that start database servers, each only when a test asks for it.

`mariadb_server`, `postgres_server` and `redis_server` run for the whole session; tests take an
empty database of theirs (`new_database`) and leave the server alone. A test that stops or kills a
server takes one of its own: `own_mariadb`, `own_postgres`, `own_redis`. A missing program fails
the test: nothing of this is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from loglane.errors import EnvironmentMissing
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgreSQL
from tests.servers.process import Server
from tests.servers.redis import Redis

AnyServer = TypeVar("AnyServer", bound=Server)


def _template(kind: type[AnyServer]) -> Iterator[AnyServer]:
    """Yield a server with data that is never started: the others copy it."""
    server = kind()
    try:
        server.initialise()
        yield server
    except EnvironmentMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    finally:
        server.remove()


def _running(template: AnyServer) -> Iterator[AnyServer]:
    with type(template)(template) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_template() -> Iterator[MariaDB]:
    yield from _template(MariaDB)


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[PostgreSQL]:
    yield from _template(PostgreSQL)


@pytest.fixture(scope="session")
def redis_template() -> Iterator[Redis]:
    yield from _template(Redis)


@pytest.fixture(scope="session")
def mariadb_server(mariadb_template) -> Iterator[MariaDB]:
    yield from _running(mariadb_template)


@pytest.fixture(scope="session")
def postgres_server(postgres_template) -> Iterator[PostgreSQL]:
    yield from _running(postgres_template)


@pytest.fixture(scope="session")
def redis_server(redis_template) -> Iterator[Redis]:
    yield from _running(redis_template)


@pytest.fixture
def own_mariadb(mariadb_template) -> Iterator[MariaDB]:
    yield from _running(mariadb_template)


@pytest.fixture
def own_postgres(postgres_template) -> Iterator[PostgreSQL]:
    yield from _running(postgres_template)


@pytest.fixture
def own_redis(redis_template) -> Iterator[Redis]:
    yield from _running(redis_template)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, once for each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.db"
    fixture = {"mariadb": "mariadb_server", "postgresql": "postgres_server"}[request.param]
    server: Server = request.getfixturevalue(fixture)
    return server.new_database()


@pytest.fixture
def redis_url(redis_server) -> str:
    """Return the URL of an empty Redis database."""
    return redis_server.new_database()
