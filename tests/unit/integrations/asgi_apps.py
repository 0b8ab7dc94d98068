"""ASGI apps for the tests, ways to give them the middleware, and a request without a client."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, StreamingResponse

import loglane
from loglane.integrations.asgi import RequestLogMiddleware, install

log = loglane.get_logger("app")
endpoints = APIRouter()


class OwnHeader:
    """Middleware of an app's own that answers with ids of its own."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_more(message):
            if message["type"] == "http.response.start":
                own = [(b"X-Trace-Id", b"own"), (b"x-request-id", b"own")]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self.app(scope, receive, send_more)


@endpoints.get("/items/{number}")
async def item(number: int):
    loglane.bind_context(user_id=number)
    log.info("inside")
    return number


@endpoints.get("/threaded/{number}")
def threaded(number: int):
    log.info("inside")
    return number


@endpoints.get("/crash")
async def crash():
    return 1 / 0


@endpoints.get("/custom")
async def custom():
    raise LookupError("no")


@endpoints.get("/stream")
async def stream():
    async def parts():
        for part in ("a", "b"):
            log.info("part")
            yield part

    return StreamingResponse(parts())


@endpoints.get("/threaded-stream")
async def threaded_stream():
    def parts():
        for part in ("a", "b"):
            log.info("part")
            yield part

    return StreamingResponse(parts())


@endpoints.get("/broken-stream")
async def broken_stream():
    def parts():
        yield "a"
        raise RuntimeError("late")

    return StreamingResponse(parts())


def make_app() -> FastAPI:
    app = FastAPI()
    app.include_router(endpoints)
    app.add_middleware(OwnHeader)

    @app.exception_handler(LookupError)
    async def answer(_request, _error):
        log.info("handled")
        return JSONResponse({"custom": True}, 418)

    return app


def wrapped(app):
    return RequestLogMiddleware(app)


def installed(app):
    install(app)
    return app


def added(app):
    app.add_middleware(RequestLogMiddleware)
    return app


def twice(app):
    app.add_middleware(RequestLogMiddleware)
    install(app)
    install(app)
    return RequestLogMiddleware(app)


async def call(app, headers=(), path="/", receive=None, **scope):
    """Send an app one request without a framework's help; return what it sent."""
    sent = []

    async def send(message):
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    await app({**base, **scope}, receive, send)
    return sent


async def respond(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
