"""Connections to Redis, and what is said when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError

from loglane.errors import Problem, SinkUnavailable, SpecError
from loglane.settings.audit import AuditRedis

CONNECT_S = 5
# Longer than any command that waits for messages.
ANSWER_S = 10


def connect(settings: AuditRedis) -> Redis:
    """Return a client; it connects when it is used, and again when a connection is lost.

    Raises:
        SpecError: There is no address, or it is none.
    """
    url = settings.url
    address_of(url)
    assert url is not None  # noqa: S101 - there would be no address
    credentials = None
    if settings.password_file is not None:
        parts = urlsplit(url)
        credentials = PasswordFile(Path(settings.password_file), unquote(parts.username or ""))
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return Redis.from_url(
        url,
        credential_provider=credentials,
        client_name="loglane-audit",
        protocol=2,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        socket_keepalive=True,
        # A connection that Redis has closed meanwhile is opened once more. Whoever calls decides
        # about anything else, and has the patience for it.
        retry=Retry(NoBackoff(), 1, (ConnectionFailed,)),
        retry_on_error=[ConnectionFailed],
    )


def address_of(url: str | None) -> str:
    """Return an address as it may be shown: without its user and password.

    Raises:
        SpecError: It is none.
    """
    try:
        parts = urlsplit(url or "")
        port = f":{parts.port}" if parts.port else ""
        if parts.scheme == "unix" and parts.path:
            return f"unix://{parts.path}"
        if parts.scheme in ("redis", "rediss") and parts.hostname:
            return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    except ValueError:
        # A password with a slash in it, for one; the error would show it.
        pass
    message = (
        "is not the address of a Redis, such as redis://127.0.0.1:6379/0; "
        "special characters of a password are written as %2F and so on, or use password_file"
    )
    raise SpecError([Problem(message, path="audit.redis.url")])


class PasswordFile(CredentialProvider):
    """Reads the password for each connection, so that it may change while the process runs."""

    def __init__(self, file: Path, user: str = "") -> None:
        self._file = file
        self._user = user

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user and password, or the password alone for Redis's default user."""
        password = self._file.read_text(encoding="utf-8").rstrip("\r\n")
        return (self._user, password) if self._user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same."""
        return self.get_credentials()


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Turn whatever a command fails with into SinkUnavailable.

    That Redis is full, read-only, loading or refuses the password counts as not reaching it: the
    records are sound, and somebody will mend it.
    """
    try:
        yield
    except (RedisError, OSError, asyncio.TimeoutError, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        # What caused it may have more in it than may be shown.
        raise SinkUnavailable(f"Redis at {address} takes no audit records: {reason}") from None
