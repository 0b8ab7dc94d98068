"""A Redis of the tests' own."""

from __future__ import annotations

import itertools

import redis

from tests.servers.process import Server

_DATABASES = 1000


class Redis(Server):
    """A Redis that writes every change to its append-only file before it answers."""

    program = "redis-server"
    package = "redis-server"
    search = ("/opt/homebrew/opt/redis/bin", "/usr/local/opt/redis/bin")

    def __init__(self, like: Redis | None = None) -> None:
        super().__init__(like)
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """Return the URL of database 0."""
        return self._url_of(0)

    def new_database(self) -> str:
        """Return the URL of a numbered database that nobody has used yet."""
        return self._url_of(next(self._numbers))

    def answers(self) -> bool:
        """Tell whether the server takes a command now."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            # Refused, or still reading its file.
            return False

    def _url_of(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def _make_data(self) -> None:
        self.data.mkdir()

    def _command(self) -> list[str]:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.data,
            "databases": _DATABASES,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        options = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
        return [self.find(self.program), *options]
