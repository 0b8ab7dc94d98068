"""A WebSocket has ids, and one line when it closes."""

from __future__ import annotations

import contextlib

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.testclient import TestClient

from tests.unit.integrations.asgi_apps import log, wrapped


def socket_app():
    app = FastAPI()

    @app.websocket("/echo/{name}")
    async def echo(socket: WebSocket, name: str):
        await socket.accept(headers=[(b"X-Trace-ID", b"own")])
        log.info("inside")
        await socket.send_text(await socket.receive_text())
        with contextlib.suppress(WebSocketDisconnect):
            await socket.receive_text()

    @app.websocket("/uncaught")
    async def uncaught(socket: WebSocket):
        await socket.accept()
        await socket.receive_text()

    @app.websocket("/refused")
    async def refused(socket: WebSocket):
        await socket.close(4001)

    @app.websocket("/crash")
    async def crash(socket: WebSocket):
        await socket.accept()
        raise ValueError("no")

    return app


def test_a_websocket_has_ids_and_one_line_when_it_closes(lines):
    """The handshake's answer carries the ids; status is 101, and the close code is a field."""
    client = TestClient(wrapped(socket_app()))
    with client.websocket_connect("/echo/a", headers={"x-trace-id": "abc"}) as socket:
        names = [name.lower() for name, _ in socket.extra_headers]
        socket.send_text("hello")
        assert "hello" == socket.receive_text()
        socket.close(1001)
    inside, access = lines()
    assert (1, 1) == (names.count(b"x-trace-id"), names.count(b"x-request-id"))
    assert "abc" == inside["trace_id"] == access["trace_id"]
    expected = {
        "message": "websocket",
        "method": "WEBSOCKET",
        "path": "/echo/a",
        "route": "/echo/{name}",
        "status": 101,
        "close_code": 1001,
    }
    assert expected.items() <= access.items()


def test_a_client_that_closes_its_websocket_is_no_crash(lines):
    """An app that does not catch the disconnect has one access line and no error."""
    with TestClient(wrapped(socket_app())).websocket_connect("/uncaught"):
        pass
    assert [("websocket", 101)] == [(line["message"], line["status"]) for line in lines()]


def test_a_refused_websocket_has_its_status(lines):
    """Closed before it was accepted, the server answers 403."""
    client = TestClient(wrapped(socket_app()))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/refused"):
        pass
    assert [(403, 4001)] == [(line["status"], line["close_code"]) for line in lines()]


def test_a_crash_in_a_websocket_is_logged(lines):
    """It goes on to the server, which closes the connection."""
    client = TestClient(wrapped(socket_app()))
    with pytest.raises(ValueError, match="no"), client.websocket_connect("/crash") as socket:
        socket.receive_text()
    error, access = lines()
    assert ("error", 101) == (error["level"], access["status"])
