"""How to reach a Loki: address, tenant, who asks, TLS."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from loglane.errors import ServiceUnavailable
from loglane.query.exchange import API, Request

# Given as text, as a file that holds it, or as what returns it; the last two are asked each time,
# so that a changed secret needs no restart.
Secret: TypeAlias = "str | Path | Callable[[], str]"  # noqa: S105 - a type

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Connection:
    """Where Loki is and what it is told with every question.

    Attributes:
        url: Address, `http://127.0.0.1:3100`; a path in it stays in front of Loki's own.
        tenant: For a Loki with `auth_enabled`; several as `a|b`.
        auth: `(user, password)` for a proxy in front of Loki.
        token: A bearer token, instead of `auth`.
        ca_file: Certificates to trust instead of the system's.
        client_cert: `(certificate file, key file)` of this client.
        verify: False takes any certificate; only for a test.
        headers: More headers.
        timeout_s: How long to wait for one answer.
    """

    url: str
    tenant: str | None = None
    auth: tuple[str, Secret] | None = None
    token: Secret | None = None
    ca_file: str | Path | None = None
    client_cert: tuple[str | Path, str | Path] | None = None
    verify: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            shown = self.url.rpartition("@")[2]
            raise ValueError(f"{shown!r} is no address of a Loki; write http://host:3100")
        for name, value in self._fixed_headers.items():
            check_header(name, value)
        if self.token is not None and self._basic is not None:
            raise ValueError("give auth or token, not both: there is one Authorization header")

    def __repr__(self) -> str:
        return f"Connection({self.shown!r}, tenant={self.tenant!r})"

    @cached_property
    def shown(self) -> str:
        """The address without a password in it, for messages."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @property
    def trust_env(self) -> bool:
        """Whether a proxy of the environment may be used; it is for other machines."""
        return urlsplit(self.url).hostname not in _LOOPBACK

    @property
    def is_https(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.url).scheme == "https"

    def address(self, path: str) -> str:
        """Return the URL of a path below `/loki/api/v1`."""
        return f"{self.shown}{API}{path}"

    def ask_headers(self) -> dict[str, str]:
        """Return the headers of one question, with the secrets as they are now.

        Raises:
            ServiceUnavailable: A secret cannot be read or sent.
        """
        found = dict(self._fixed_headers)
        if self.token is not None:
            token = f"Bearer {_read(self.token)}"
            try:
                check_header("Authorization", token)
            except ValueError as error:
                raise ServiceUnavailable(f"Loki at {self.shown} is not asked: {error}") from None
            found["Authorization"] = token
        elif (basic := self._basic) is not None:
            pair = f"{basic[0]}:{_read(basic[1])}".encode()
            found["Authorization"] = f"Basic {b64encode(pair).decode()}"
        return found

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """What to trust and to show; None leaves it to the client."""
        if self.verify and self.ca_file is None and self.client_cert is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ValueError(f"ca_file {self.ca_file}: {_reason(error)}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert is not None:
            try:
                context.load_cert_chain(*self.client_cert)
            except OSError as error:
                shown = " and ".join(map(str, self.client_cert))
                raise ValueError(f"client_cert {shown}: {_reason(error)}") from error
        return context

    @cached_property
    def _fixed_headers(self) -> dict[str, str]:
        found = dict(self.headers)
        if self.tenant is not None:
            found["X-Scope-OrgID"] = self.tenant
        if isinstance(self.token, str):
            found["Authorization"] = f"Bearer {self.token}"
        return found

    @property
    def _basic(self) -> tuple[str, Secret] | None:
        parts = urlsplit(self.url)
        if self.auth is None and parts.username is not None:
            return unquote(parts.username), unquote(parts.password or "")
        return self.auth


# A longer address than this is refused by some proxies (nginx: large_client_header_buffers 8k).
_LONGEST_ADDRESS = 4000


def needs_post(request: Request) -> bool:
    """Tell whether the parameters are too long for an address; Loki reads them from a form too."""
    return sum(map(len, request.params.values())) > _LONGEST_ADDRESS


def check_header(name: str, value: str) -> None:
    """Refuse what a header cannot have, without showing it.

    Raises:
        ValueError: It is not of printable ASCII: a line break would begin another header.
    """
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"the header {name} has a character that HTTP cannot carry")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _read(secret: Secret) -> str:
    if isinstance(secret, str):
        return secret
    if not isinstance(secret, Path):
        return secret()
    try:
        return secret.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceUnavailable(
            f"the secret in {secret} cannot be read: {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    return getattr(error, "strerror", None) or str(error)
