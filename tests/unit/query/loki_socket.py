"""A Loki with a websocket that does as a test tells it to, and with what it has stored."""

from __future__ import annotations

import json
import ssl
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve


class FakeLoki:
    """Use it as a context manager.

    Attributes:
        entries: `(timestamp_ns, line)`, all there will be.
        stored: How many of them query_range gives.
        stored_then: How many it gives once it has answered, and a new connection too.
        away: How many tails are refused after the first one.
        connections: What each tail asked for.
    """

    def __init__(
        self, status: int = 101, said: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.entries: list[tuple[int, str]] = []
        self.stored = 0
        self.stored_then: int | None = None
        self.away = 0
        self.connections: list[dict[str, list[str]]] = []
        self._status, self._said, self._tls = status, said, tls
        self._scripts: list[tuple[list[int], int, bool, bool]] = []
        self._server = serve(self._tail, "127.0.0.1", 0, process_request=self._request, ssl=tls)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def sends(
        self, numbers: list[int], *, stored: int, cut: bool = False, dropped: bool = False
    ) -> None:
        """Let the next connection send these entries, when so many are stored, and then break."""
        self._scripts.append((numbers, stored, cut, dropped))

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> FakeLoki:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()

    def _request(self, _connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path.endswith("/tail"):
            status, said = self._status, self._said
            if self.connections and self.away:
                self.away -= 1
                status, said = 503, "not yet"
            else:
                self.connections.append(parse_qs(parts.query))
            if status == 101:
                return None
            return Response(status, "", Headers(Connection="close"), said.encode())
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        start_ns, end_ns = int(params["start"]), int(params["end"])
        stored = self.entries[: self.stored]
        values = [[str(at), line] for at, line in stored if start_ns <= at < end_ns]
        if self.stored_then is not None:
            self.stored = self.stored_then
        body = self._document({"resultType": "streams", "result": _streams(values)})
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
        return Response(200, "OK", headers, body)

    def _tail(self, connection: ServerConnection) -> None:
        number = min(len(self.connections), len(self._scripts)) - 1
        numbers, stored, cut, dropped = self._scripts[number]
        if self.stored_then is None:
            self.stored = stored
        values = [[str(self.entries[at][0]), self.entries[at][1]] for at in numbers]
        message: dict[str, Any] = {"streams": _streams(values)}
        if dropped:
            message["dropped_entries"] = [{"timestamp": "1", "labels": {}}]
        try:
            connection.send(json.dumps(message))
            if not cut:
                connection.recv()
        except ConnectionClosed:
            pass

    def _document(self, data: object) -> bytes:
        return json.dumps({"status": "success", "data": data}).encode()


def _streams(values: list[list[str]]) -> list[dict[str, object]]:
    return [{"stream": {"service": "api"}, "values": values}] if values else []
