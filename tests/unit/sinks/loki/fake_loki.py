"""An HTTP server that answers pushes as the test says, and remembers what was pushed."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cramjam import snappy

from tests.unit.sinks.loki import push_messages

_WAIT_S = 15.0


@dataclass
class Reply:
    """What is answered: `hold` until set; `drop` the connection instead; `leave` it after."""

    status: int = 204
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    hold: threading.Event | None = None
    drop: bool = False
    leave: bool = False
    chunked: bool = False


@dataclass
class Push:
    """One request, as it came."""

    path: str
    headers: dict
    data: bytes
    status: int
    connection: tuple

    @cached_property
    def streams(self):
        """Return [(labels, [(timestamp_ns, line, metadata), ...]), ...]."""
        if self.headers["content-type"] == "application/x-protobuf":
            return push_messages.streams(bytes(snappy.decompress_raw(self.data)))
        body = json.loads(gzip.decompress(self.data))
        return [
            (one["stream"], [(int(at), line, more) for at, line, more in one["values"]])
            for one in body["streams"]
        ]

    @cached_property
    def records(self):
        """Return the lines, parsed, in the order of their streams."""
        return [json.loads(line) for _, values in self.streams for _, line, _ in values]

    @property
    def messages(self):
        """Return the messages of the lines."""
        return [record["message"] for record in self.records]


class FakeLoki:
    """Gives the replies one after the other, and 204 when there are no more.

    Attributes:
        replies: Those to come: `Reply`, a status, or a function of the `Push`.
        pushes: What came.
    """

    def __init__(self, *replies, tls=None, host="127.0.0.1", port=0):
        self.replies = deque(replies)
        self.always = Reply()
        self.pushes = []
        self._lock = threading.Lock()
        self._server = _Server(self, host, port)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        shown = f"[{host}]" if ":" in host else host
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://{shown}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Stop; connections that are open are closed."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.connections):
            _close(connection)
        self._thread.join()

    def take(self, path, headers, data, connection):
        """Note a push and return what to answer."""
        with self._lock:
            reply = self.replies.popleft() if self.replies else self.always
            push = Push(path, headers, data, 0, connection)
            if callable(reply):
                reply = reply(push)
            if isinstance(reply, int):
                reply = Reply(reply)
            push.status = 0 if reply.drop else reply.status
            self.pushes.append(push)
            return reply

    @property
    def stored(self):
        """The lines of the pushes that were accepted."""
        return [r for push in list(self.pushes) if push.status // 100 == 2 for r in push.records]

    @property
    def messages(self):
        """The messages of `stored`."""
        return [record["message"] for record in self.stored]

    def wait_for(self, done, timeout_s=_WAIT_S):
        """Wait until a function of this object returns something true, and return it."""
        return wait_for(lambda: done(self), timeout_s)


def wait_for(done, timeout_s=_WAIT_S):
    """Wait until a function returns something true, and return it."""
    until = time.monotonic() + timeout_s
    while not (found := done()):
        assert time.monotonic() < until, "it did not come to that in time"
        time.sleep(0.005)
    return found


def free_port():
    """Return a port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _close(connection):
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.server.connections.add(self.request)
        super().setup()

    def finish(self):
        self.server.connections.discard(self.request)
        super().finish()

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        # One that is sent twice shows, as RFC 9110, section 5.3, has it.
        headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
        reply = self.server.fake.take(self.path, headers, data, self.client_address)
        if reply.hold is not None:
            reply.hold.wait(_WAIT_S)
        self.close_connection = reply.drop or reply.leave
        if not reply.drop:
            self._answer(reply)

    def _answer(self, reply):
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if not reply.chunked:
            self.wfile.write(reply.body)
            return
        for at in range(0, len(reply.body), 1000):
            piece = reply.body[at : at + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, fake, host, port):
        self.fake = fake
        self.connections = set()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, *_):
        """Say nothing: the client may go away, and a handshake may fail."""
