"""The databases that audit records are measured with: SQLite, and servers started for the run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import sqlalchemy

from loglane.audit import schema
from loglane.audit.table import audit_records
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgreSQL
from tests.servers.redis import Redis

Kind = Literal["sqlite", "mariadb", "postgresql"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TITLES = {"sqlite": "SQLite", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}
_BLOCKING = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}
_ASYNC = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "postgresql": "postgresql+psycopg",
}


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database with the table of audit records.

    Attributes:
        kind: Which one.
        url: Its address, without a driver.
        server: Its server; None for SQLite.
    """

    kind: Kind
    url: str
    server: MariaDB | PostgreSQL | None

    def engine(self) -> sqlalchemy.Engine:
        """Return an engine that keeps no connection."""
        return sqlalchemy.create_engine(
            _with_driver(self.url, _BLOCKING), poolclass=sqlalchemy.pool.NullPool
        )

    @property
    def async_url(self) -> str:
        """Its address with an asynchronous driver."""
        return async_url(self.url)

    def resources(self) -> list[str]:
        """Return the resource of every record."""
        return [str(value) for value in self.run(sqlalchemy.select(audit_records.c.resource))]

    def count(self) -> int:
        """Return how many records there are."""
        counting = sqlalchemy.select(sqlalchemy.func.count()).select_from(audit_records)
        return int(self.run(counting)[0])

    def run(self, statement: sqlalchemy.Executable) -> list[object]:
        """Run a statement in a transaction of its own; return its rows' first column."""
        with self.engine().begin() as connection:
            result = connection.execute(statement)
            return list(result.scalars()) if result.returns_rows else []


def async_url(url: str) -> str:
    """Return an address with an asynchronous driver."""
    return _with_driver(url, _ASYNC)


def _with_driver(url: str, drivers: dict[str, str]) -> str:
    scheme, _, rest = url.partition("://")
    return f"{drivers[scheme]}://{rest}"


@contextlib.contextmanager
def open_database(kind: Kind, folder: Path) -> Iterator[Database]:
    """Start a server of its own with an empty table; it is removed afterwards."""
    with contextlib.ExitStack() as stack:
        server = None
        url = f"sqlite:///{folder / 'audit.db'}"
        if kind != "sqlite":
            server = stack.enter_context(MariaDB() if kind == "mariadb" else PostgreSQL())
            url = server.new_database()
        database = Database(kind, url, server)
        schema.init(database.engine())
        yield database


@contextlib.contextmanager
def open_redis() -> Iterator[Redis]:
    """Start a Redis of its own; it is removed afterwards."""
    with Redis() as server:
        yield server
