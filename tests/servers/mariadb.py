"""A MariaDB of the tests' own."""

from __future__ import annotations

import os
import secrets
import uuid

import pymysql

from tests.servers.process import Server

_USER = "loglane"
_DATABASE = "loglane"
# What the data was made with, it must be run with. Small, so that copying it is quick.
_REDO_LOG = "--innodb-log-file-size=16M"


class MariaDB(Server):
    """A MariaDB that is as durable as one in production, and smaller."""

    program = "mariadbd"
    package = "mariadb-server"
    search = ("/usr/sbin", "/opt/homebrew/opt/mariadb/bin", "/usr/local/opt/mariadb/bin")

    def __init__(self, like: MariaDB | None = None) -> None:
        super().__init__(like)
        self.password = secrets.token_hex(16)

    @property
    def url(self) -> str:
        """Return the URL of the default database."""
        return self._url_of(_DATABASE)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"audit_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url_of(name)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the server's administrator and return its rows."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def answers(self) -> bool:
        """Tell whether the server takes a connection now."""
        try:
            self._connect(read_timeout=2).close()
        except pymysql.err.OperationalError:
            return False
        return True

    def _connect(self, read_timeout: int | None = None) -> pymysql.Connection:
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            connect_timeout=2,
            read_timeout=read_timeout,
            autocommit=True,
        )

    def _url_of(self, database: str) -> str:
        return f"mysql://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def _tmpdir(self) -> str:
        """Return the option for temporary tables of this server alone.

        One that starts deletes those that it finds, and in /tmp they may be another's.
        """
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return f"--tmpdir={folder}"

    def _make_data(self) -> None:
        self._run(
            [
                self.find("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.data}",
                self._tmpdir,
                *_as_root(),
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                _REDO_LOG,
            ]
        )

    def _command(self) -> list[str]:
        start = self.folder / "start.sql"
        start.touch(0o600)
        start.write_text(
            f"CREATE DATABASE IF NOT EXISTS {_DATABASE};\n"
            f"CREATE USER IF NOT EXISTS '{_USER}'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO '{_USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        return [
            self.find(self.program),
            "--no-defaults",
            *_as_root(),
            f"--datadir={self.data}",
            self._tmpdir,
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={start}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=64M",
            "--performance-schema=OFF",
            _REDO_LOG,
        ]


def _as_root() -> list[str]:
    """Return what makes the server run as root, which it does only when told."""
    return ["--user=root"] if os.geteuid() == 0 else []
