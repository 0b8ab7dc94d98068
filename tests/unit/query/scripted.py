"""A server that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

EMPTY = json.dumps({"status": "success", "data": {"resultType": "streams", "result": []}})


class Reply(NamedTuple):
    """One answer; without a status the connection is cut."""

    status: int | None = 200
    body: str = EMPTY
    headers: tuple[tuple[str, str], ...] = ()


class Asked(NamedTuple):
    """One question."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: dict[str, str]


@contextmanager
def scripted(replies: Sequence[Reply]) -> Iterator[tuple[str, list[Asked]]]:
    """Serve these replies in turn, and the last one for ever; yield the URL and what was asked."""
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, form: str) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, parts.path, parse_qs(form or parts.query), headers))
            reply = replies[min(len(asked), len(replies)) - 1]
            if reply.status is None:
                self.close_connection = True
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
