"""Running the development server: in the foreground, or in a thread beside a test."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn

from loglane.devserver.api import create_app
from loglane.errors import LoglaneError

_START_TIMEOUT_S = 30.0
_THREAD = "loglane-devserver"


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Leave out what is normal beside a test, and websockets that were refused with a text."""
    if record.threadName == _THREAD and record.levelno < logging.WARNING:
        return False
    return record.getMessage() != "ASGI callable returned without completing handshake."


class _Config(uvicorn.Config):
    """Leaves uvicorn's loggers as they are: beside a test they are those of the application."""

    def configure_logging(self) -> None:
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).addFilter(_is_worth_logging)


class _Server(uvicorn.Server):
    """Announces that it accepts connections, so that nobody has to poll for it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


def serve(host: str = "127.0.0.1", port: int = 3100, db: str | None = None) -> None:
    """Serve until interrupted, and print where.

    Args:
        host: Address to listen on; loopback, because there is no authentication.
        port: Port to listen on.
        db: A database file, created when missing; None keeps everything in memory.

    Raises:
        LoglaneError: The port is taken, or the file is not a database of this server.
    """
    listener = _listen(host, port)
    with listener:
        app = create_app(db)
        where = db or "memory, gone when it stops"
        url = _url(listener)
        print(  # noqa: T201 - the one line a person waits for
            f"loglane development server on {url} (data in {where}). "
            "For development and tests only, never for production.",
            flush=True,
        )
        # uvicorn raises the interrupt again after it has shut down.
        with suppress(KeyboardInterrupt):
            _Server(_config(app)).run(sockets=[listener])


@contextmanager
def running(db: str | None = None, port: int = 0) -> Iterator[str]:
    """Run the server in a background thread and yield its URL, for example in a test fixture.

    Args:
        db: A database file, created when missing; None keeps everything in memory.
        port: Port on loopback; 0 takes a free one.

    Raises:
        LoglaneError: The port is taken, or the file is not a database of this server.
    """
    with _listen("127.0.0.1", port) as listener:
        server = _Server(_config(create_app(db)))

        def run() -> None:
            try:
                server.run(sockets=[listener])
            finally:
                server.settled.set()

        thread = threading.Thread(target=run, name=_THREAD)
        thread.start()
        try:
            server.settled.wait(_START_TIMEOUT_S)
            if not server.started:
                raise LoglaneError("the development server did not start; see its log")
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP explicitly: asyncio turns off the delay of small packets only then.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # From here on connections wait for the server instead of being refused.
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise LoglaneError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port"
        ) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _config(app: object) -> uvicorn.Config:
    return _Config(
        app,  # type: ignore[arg-type]
        lifespan="on",
        timeout_graceful_shutdown=5,
    )
