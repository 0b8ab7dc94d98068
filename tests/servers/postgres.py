"""A PostgreSQL of the tests' own."""

from __future__ import annotations

import secrets
import signal
import uuid

import psycopg

from tests.servers.process import Server

_USER = "loglane"


class PostgreSQL(Server):
    """A PostgreSQL that is as durable as one in production, and smaller."""

    program = "postgres"
    package = "postgresql"
    search = (
        "/usr/lib/postgresql/*/bin",
        "/opt/homebrew/opt/postgresql*/bin",
        "/usr/local/opt/postgresql*/bin",
    )
    account = "postgres"  # it refuses to run as root
    # The fast shutdown: it rolls back what clients have open instead of waiting for them.
    stop_signal = signal.SIGINT

    def __init__(self, like: PostgreSQL | None = None) -> None:
        super().__init__(like)
        # The password is in the data, so a copy has that of its original.
        self.password = secrets.token_hex(16) if like is None else like.password

    @property
    def url(self) -> str:
        """Return the URL of the default database."""
        return self._url_of("postgres")

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"audit_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url_of(name)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the server's administrator and return its rows."""
        with self._connect() as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def answers(self) -> bool:
        """Tell whether the server takes a connection now."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url, connect_timeout=2, autocommit=True)

    def _url_of(self, database: str) -> str:
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _make_data(self) -> None:
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(self.password)
        self._give_away(secret)
        self._run(
            [
                self.find("initdb"),
                f"--pgdata={self.data}",
                f"--username={_USER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ]
        )

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "max_connections": 50,
            "shared_buffers": "64MB",
            # In the data folder, so that nothing outlives a server that was killed.
            "dynamic_shared_memory_type": "mmap",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [self.find(self.program), "-D", str(self.data), *options]
