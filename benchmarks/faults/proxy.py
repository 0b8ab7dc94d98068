"""A proxy in front of Loki that delays, refuses, or keeps answers to itself."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_TIMEOUT_S = 60.0
# What belongs to one connection and not to the request.
_OF_A_CONNECTION = ("host", "connection", "content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What happens to one request.

    Attributes:
        status: Answered in place of Loki; None passes Loki's own answer on.
        forwarded: Whether Loki gets the request: with a `status`, its answer is lost.
        headers: Of the answer in place of Loki's.
        delay_s: How long the request waits first.
    """

    status: int | None = None
    forwarded: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


Rule = Callable[[int], Treatment]
"""Tells what happens to the request of a number; the first one is 0."""


def every_second(status: int, headers: Mapping[str, str] | None = None) -> Rule:
    """Refuse every second request before Loki has it."""
    refused = Treatment(status, forwarded=False, headers=headers or {})
    return lambda number: refused if number % 2 else Treatment()


def every_second_fails(number: int) -> Treatment:
    """Answer every second request with 500; Loki has stored every second one of those."""
    return Treatment(500, forwarded=number % 4 == 3) if number % 2 else Treatment()


def always(delay_s: float) -> Rule:
    """Let every request wait."""
    return lambda _: Treatment(delay_s=delay_s)


class Proxy:
    """A running proxy: where it is, and how often it answered what."""

    def __init__(self, target: str, rule: Rule) -> None:
        self.answers: dict[int, int] = {}
        self._counter = itertools.count()
        self._lock = threading.Lock()
        self._target = urlsplit(target)
        self._rule = rule
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else the answer waits for the acknowledgement of its headers.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                with contextlib.suppress(ConnectionError):
                    proxy.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Treat one request as the rule says."""
        with self._lock:
            treatment = self._rule(next(self._counter))
        body = request.rfile.read(int(request.headers["Content-Length"]))
        time.sleep(treatment.delay_s)
        status, headers, text = treatment.status, dict(treatment.headers), b""
        if treatment.forwarded:
            own_status, own_headers, own_text = self._forward(request, body)
            if status is None:
                status, headers, text = own_status, own_headers, own_text
        assert status is not None, "a request that goes nowhere needs a status"
        with self._lock:
            self.answers[status] = self.answers.get(status, 0) + 1
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 204:
            request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(
            str(self._target.hostname), self._target.port, timeout=_TIMEOUT_S
        )
        try:
            connection.request("POST", request.path, body, _passed_on(dict(request.headers)))
            answer = connection.getresponse()
            return answer.status, _passed_on(dict(answer.headers)), answer.read()
        except OSError:
            return 502, {}, b""
        finally:
            connection.close()


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION}


@contextlib.contextmanager
def running_proxy(target: str, rule: Rule) -> Iterator[Proxy]:
    """Run a proxy in front of a Loki."""
    proxy = Proxy(target, rule)
    thread = threading.Thread(target=proxy.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
