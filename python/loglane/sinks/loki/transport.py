"""One connection to Loki's push API.

By the standard library alone: it writes no log lines that could come back to the sink, and lets
the next request be made ready while the answer to this one is under way.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from loglane.settings.loki import LokiAuth, LokiPush, LokiTls

# https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
_PATH = "/loki/api/v1/push"
_MAX_ANSWER = 64 * 1024
_MAX_REASON = 500
_EVER = float("inf")
# One more try when the time is over already, as a signal's handler makes.
_SHORTEST_S = 0.1
# A connection that was idle for longer may be dead without a word, behind a NAT that has forgotten
# it or after a sleep; the usual proxies keep one for a minute or two.
_KEPT_S = 30.0
# Headers that HTTP cannot carry, and files with no text in them, are a ValueError.
_FAILURES = (OSError, http.client.HTTPException, ValueError)
# A connection that had been idle, and that the other side has closed meanwhile.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Unreachable(Exception):
    """No answer: no connection, none in time, or one that broke."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Loki said: `retry_after_s` is None unless it asked for a pause."""

    status: int
    text: str
    retry_after_s: float | None

    @property
    def reason(self) -> str:
        """The text for people: one line, not too long, nothing that a terminal would obey."""
        words = " ".join(self.text[:_MAX_REASON].split())
        return "".join(one if one.isprintable() else "?" for one in words)


class Transport:
    """Sends one request at a time over a connection that is kept."""

    def __init__(self, settings: LokiPush, until: float = _EVER) -> None:
        """Set the place; it connects at the first request.

        Args:
            settings: Address, tenant, credentials, certificates and timeouts.
            until: Moment of `time.monotonic` at which nothing is waited for any more.
        """
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        # Always with a port: http.client would look for one in an IPv6 address.
        self._place = (parts.hostname or "", parts.port or (443 if self._secure else 80))
        self._path = parts.path.rstrip("/") + _PATH
        self._settings = settings
        self._until = until
        self._connection: http.client.HTTPConnection | None = None
        self._headers: dict[str, str] = {}
        self._has_answered = False
        self._answered_at = 0.0
        self._request: tuple[bytes, Mapping[str, str]] = (b"", {})

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a request, without waiting for the answer.

        Raises:
            Unreachable: There is no connection, or it broke.
        """
        self._request = (body, headers)
        # By the clock, which goes on while a laptop sleeps or a function is frozen.
        if self._has_answered and abs(time.time() - self._answered_at) > _KEPT_S:
            self.close()
        try:
            self._send()
        except _FAILURES as error:
            self._send_anew(error)

    def answer(self) -> Answer:
        """Wait for the answer to what was sent.

        Raises:
            Unreachable: There was none, or none in time.
        """
        try:
            return self._answer()
        except _STALE as error:
            self._send_anew(error)
        except _FAILURES as error:
            self._give_up(error)
        try:
            return self._answer()
        except _FAILURES as error:
            return self._give_up(error)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._has_answered = False

    def abandon(self) -> None:
        """Let go of a connection that belongs to the parent of this process."""
        connection, self._connection = self._connection, None
        # Closed without a word to the server: TLS would say good-bye in the parent's name.
        if connection is not None and connection.sock is not None:
            socket.close(connection.sock.detach())

    def _send(self) -> None:
        body, headers = self._request
        connection = self._connection or self._connect()
        connection.sock.settimeout(self._left(self._settings.timeouts.read_s))
        connection.request("POST", self._path, body, {**self._headers, **headers})

    def _send_anew(self, error: Exception) -> None:
        """Send again, once, when the connection turns out to have been closed while it was idle."""
        was_kept = self._has_answered
        self.close()
        if not was_kept:
            self._give_up(error)
        try:
            self._send()
        except _FAILURES as again:
            self._give_up(again)

    def _give_up(self, error: Exception) -> Answer:
        self.close()
        raise Unreachable(_words(error)) from None

    def _connect(self) -> http.client.HTTPConnection:
        self._headers = _headers(self._settings)
        host, port = self._place
        left_s = self._left(self._settings.timeouts.connect_s)
        connection: http.client.HTTPConnection
        if self._secure:
            context = _context(self._settings.tls)
            connection = http.client.HTTPSConnection(host, port, timeout=left_s, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=left_s)
        connection.connect()
        self._connection = connection
        return connection

    def _left(self, longest_s: float) -> float:
        return min(longest_s, max(_SHORTEST_S, self._until - time.monotonic()))

    def _answer(self) -> Answer:
        if self._connection is None:
            raise Unreachable("nothing was sent")
        self._connection.sock.settimeout(self._left(self._settings.timeouts.read_s))
        response = self._connection.getresponse()
        text = response.read(_MAX_ANSWER).decode(errors="replace")
        self._has_answered, self._answered_at = True, time.time()
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, text, _pause_s(response.headers.get("Retry-After")))


def _headers(settings: LokiPush) -> dict[str, str]:
    own = {"X-Scope-OrgID": settings.tenant, "Authorization": _authorization(settings.auth)}
    found = {"user-agent": ("User-Agent", "loglane")}
    for name, value in (*settings.headers.items(), *own.items()):
        if value is not None:
            # Each once, however its name is written: of two, a proxy takes either.
            found[name.lower()] = (name, value)
    headers = dict(found.values())
    for name, value in headers.items():
        # What http.client says of it would show the secret.
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name} has a character that HTTP cannot carry")
    return headers


def _authorization(auth: LokiAuth) -> str | None:
    token = _secret(auth.token, auth.token_file)
    if token is not None:
        return f"Bearer {token}"
    password = _secret(auth.password, auth.password_file)
    if password is None:
        return None
    pair = f"{auth.username}:{password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _secret(value: str | None, file: str | None) -> str | None:
    # Read for each connection, so that a rotated secret is taken up.
    if file is None:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text") from None


def _context(tls: LokiTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _pause_s(text: str | None) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    file = getattr(error, "filename", None)
    return f"{file}: {text}" if file else text
