"""Apps with the router for log lines, served on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import orjson
import uvicorn
from fastapi import APIRouter, FastAPI

from loglane.query import LokiClient, Stream

WAIT_S = 20


@contextmanager
def served(what: APIRouter | FastAPI) -> Iterator[httpx2.Client]:
    """Serve an app, or one with this router, and yield a client for it."""
    app = what
    if isinstance(what, APIRouter):
        app = FastAPI()
        app.include_router(what)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx2.Client(base_url=url, timeout=WAIT_S, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def until(done: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def push(loki: LokiClient, *lines: dict, at_ns: int | None = None, service: str = "api") -> None:
    """Store JSON lines, one nanosecond after the other; ids among the fields are metadata."""
    begin_ns = time.time_ns() - 10**9 if at_ns is None else at_ns
    for number, line in enumerate(lines):
        labels = {
            "service": line.get("service", service),
            "level": line.get("level", "info"),
            "log_category": line.get("log_category", "system"),
        }
        metadata = {name: line[name] for name in ("trace_id", "user_id") if name in line}
        entry = (begin_ns + number, orjson.dumps(line).decode(), metadata)
        loki.push([Stream(labels, [entry])])


def messages(answer: httpx2.Response) -> list[str]:
    """Return the messages of a page, in its order."""
    assert 200 == answer.status_code, answer.text
    return [entry["message"] for entry in answer.json()["entries"]]
