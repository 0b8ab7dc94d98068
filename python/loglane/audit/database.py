"""From the address of a database to an engine of SQLAlchemy.

The driver is chosen when the address names none, or one of the other kind:

    database      asyncio     else
    sqlite        aiosqlite   sqlite3
    mysql         aiomysql    PyMySQL
    mariadb       aiomysql    PyMySQL
    postgresql    psycopg     psycopg

Every connection is made so that nothing is cut or lost silently: SQLite writes through to the disk
(WAL, `synchronous=FULL`), MySQL and MariaDB refuse what does not fit (strict mode).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from loglane.errors import EnvironmentMissing, Problem, SpecError
from loglane.settings.audit import TWO_AT_SIGNS, has_open_password

CONNECT_S = 10
# How long an answer may take, where a driver that is not asynchronous can tell.
ANSWER_S = 30
# How long a statement waits for a lock of somebody else.
LOCK_S = 10
_POOL_WAIT_S = 10
# Below the eight hours after which MySQL hangs up, and what firewalls forget.
_RECYCLE_S = 1800

_ASYNC = {"sqlite": "aiosqlite", "mysql": "aiomysql", "postgresql": "psycopg"}
_SYNC = {"sqlite": "pysqlite", "mysql": "pymysql", "postgresql": "psycopg"}
# SQLAlchemy's MariaDB is its MySQL under another name, but reads other options of a table.
_SAME = {"mariadb": "mysql", "postgres": "postgresql"}
# Option of an execution: how SQLite begins a transaction that reads before it writes.
SQLITE_BEGIN = "loglane_sqlite_begin"
# What a connection has in its `info`, when the rows that it says were affected are new ones.
COUNTS_NEW = "loglane_counts_new"
# That affected rows are those found (mysql: include/mysql_com.h, CLIENT_FOUND_ROWS).
_FOUND_ROWS = 2


def open_engine(
    url: str, *, password_file: str | Path | None = None, pool_size: int = 5, **options: Any
) -> AsyncEngine:
    """Return an engine for asyncio; nothing is connected yet.

    Args:
        url: Address of the database, in SQLAlchemy's form.
        password_file: Read for each connection; in place of a password in the address.
        pool_size: The most connections at a time.
        options: For SQLAlchemy's `create_engine`.

    Raises:
        SpecError: The address is none.
        EnvironmentMissing: The driver is not installed.
    """
    address = _address(url, _ASYNC, wants_async=True)
    made: AsyncEngine = _create(
        create_async_engine, address, _options(address, pool_size, CONNECT_S, None) | options
    )
    _prepare(made.sync_engine, password_file)
    return made


def open_sync_engine(
    url: str,
    *,
    password_file: str | Path | None = None,
    pool_size: int = 5,
    answer_s: int = ANSWER_S,
    **options: Any,
) -> Engine:
    """Return an engine for code without asyncio; see `open_engine`.

    Args:
        url: The address of a database.
        password_file: See `open_engine`.
        pool_size: The most connections at a time.
        answer_s: How long an answer of a server may take, in seconds.
        options: For SQLAlchemy's `create_engine`.
    """
    address = _address(url, _SYNC, wants_async=False)
    made: Engine = _create(
        create_engine, address, _options(address, pool_size, CONNECT_S, answer_s) | options
    )
    _prepare(made, password_file)
    if address.drivername == "postgresql+psycopg":
        _limit_answers(made, answer_s)
    return made


def _address(url: str, drivers: dict[str, str], *, wants_async: bool) -> URL:
    if has_open_password(url):
        raise SpecError([Problem(TWO_AT_SIGNS, path="url")])
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # What is wrong is not repeated: it may be the password.
        raise SpecError(
            [Problem("is not the address of a database, such as sqlite:///audit.db", path="url")]
        ) from None
    backend, _, driver = address.drivername.partition("+")
    backend = _SAME.get(backend, backend)
    if backend not in drivers:
        known = "sqlite, mysql, mariadb and postgresql"
        raise SpecError([Problem(f"{backend!r} is not one of {known}", path="url")])
    if not driver or not _fits(f"{backend}+{driver}", wants_async):
        driver = drivers[backend]
    return address.set(drivername=f"{backend}+{driver}")


def _fits(drivername: str, wants_async: bool) -> bool:
    try:
        dialect = URL.create(drivername).get_dialect(_is_async=wants_async)
    except NoSuchModuleError:
        raise SpecError(
            [Problem(f"{drivername!r} is no driver that SQLAlchemy knows", path="url")]
        ) from None
    return dialect.is_async == wants_async


def _create(create: Callable[..., Any], address: URL, options: dict[str, Any]) -> Any:
    try:
        return create(address, **options)
    except ModuleNotFoundError as missing:
        raise EnvironmentMissing(
            f"{address.drivername} needs the package {missing.name}; pip install 'loglane[audit]' "
            "brings the drivers that are chosen when the address names none"
        ) from None


def _options(address: URL, pool_size: int, connect_s: int, answer_s: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "hide_parameters": True,
        "connect_args": _connect_args(address.get_driver_name(), connect_s, answer_s),
    }
    if _is_in_memory(address):
        return options | {"poolclass": StaticPool}
    return options | {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": _POOL_WAIT_S,
        "pool_recycle": _RECYCLE_S,
        "pool_pre_ping": True,
    }


def _connect_args(driver: str, connect_s: int, answer_s: int | None) -> dict[str, Any]:
    if driver in ("pymysql", "aiomysql"):
        waits = {} if answer_s is None else {"read_timeout": answer_s, "write_timeout": answer_s}
        return {"charset": "utf8mb4", "connect_timeout": connect_s, **waits}
    if driver == "psycopg":
        return {"connect_timeout": connect_s}
    if driver == "asyncpg":
        return {"timeout": connect_s}
    if driver in ("aiosqlite", "pysqlite"):
        return {"timeout": LOCK_S}
    return {}


def _is_in_memory(address: URL) -> bool:
    return address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:")


def _prepare(engine: Engine, password_file: str | Path | None) -> None:
    """Have every connection of an engine made as it must be."""
    backend = engine.url.get_backend_name()

    @event.listens_for(engine, "do_connect")
    def arguments(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> None:
        if password_file is not None:
            given["password"] = Path(password_file).read_text().rstrip("\r\n")
        if backend == "mysql":
            _mysql_arguments(engine.url.get_driver_name(), given)
        elif backend == "sqlite":
            _make_file(engine.url)

    if backend == "mysql":
        event.listen(engine, "connect", _be_strict)
    elif backend == "sqlite":
        event.listen(engine, "connect", _write_through)
        event.listen(engine, "begin", _begin)


def _limit_answers(engine: Engine, answer_s: int) -> None:
    """Have connections of psycopg give up, as those of PyMySQL do by their own time-outs."""
    from loglane.audit.patience import connect

    @event.listens_for(engine, "do_connect")
    def give_up(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> Any:
        return connect(answer_s, **given)


def _mysql_arguments(driver: str, given: dict[str, Any]) -> None:
    if "client_flag" in given:
        # An upsert that changes nothing then counts as no row: this tells new records from known.
        given["client_flag"] &= ~_FOUND_ROWS
    if driver == "aiomysql" and isinstance(given.get("ssl"), dict):
        given["ssl"] = _tls(given["ssl"])


def _tls(files: dict[str, Any]) -> ssl.SSLContext:
    """Return what aiomysql takes, of what SQLAlchemy makes of `ssl_ca=` and its like."""
    context = ssl.create_default_context(cafile=files.get("ca"), capath=files.get("capath"))
    context.check_hostname = bool(files.get("check_hostname", files.get("ca")))
    if not files.get("ca") and not files.get("capath"):
        context.verify_mode = ssl.CERT_NONE
    if files.get("cert"):
        context.load_cert_chain(files["cert"], files.get("key"))
    return context


def _make_file(url: URL) -> None:
    """Make the file for its owner alone; SQLite's own files beside it take its mode."""
    name = url.database
    if _is_in_memory(url) or name is None or name.startswith("file:"):
        return
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        # It is there, or SQLite says better why it cannot be.
        return


def _be_strict(connection: Any, record: Any) -> None:
    driver = getattr(connection, "driver_connection", connection)
    if not getattr(driver, "client_flag", _FOUND_ROWS) & _FOUND_ROWS:
        record.info[COUNTS_NEW] = True
    cursor = connection.cursor()
    try:
        cursor.execute(
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), "
            f"SESSION innodb_lock_wait_timeout = {LOCK_S}"
        )
    finally:
        cursor.close()


def _write_through(connection: Any, _record: Any) -> None:
    # The driver would begin late, and not for all statements.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    how = connection.get_execution_options().get(SQLITE_BEGIN, "")
    connection.exec_driver_sql(f"BEGIN {how}".rstrip())
