"""Whatever an app answers, and however it has the middleware: the ids, and one access line."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from loglane.integrations.asgi import RequestLogMiddleware, install
from tests.unit.integrations.asgi_apps import (
    added,
    call,
    installed,
    log,
    make_app,
    respond,
    twice,
    wrapped,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(params=[wrapped, installed, added, twice], ids=lambda way: way.__name__)
def client(request, lines):
    """Return a client of an app that runs with its lifespan events, as under a server."""
    with TestClient(request.param(make_app()), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "messages"),
    [
        ("/items/3", 200, {"inside", "request"}),
        ("/threaded/3", 200, {"inside", "request"}),
        ("/items/x", 422, {"request"}),
        ("/none", 404, {"request"}),
        ("/custom", 418, {"handled", "request"}),
        ("/stream", 200, {"part", "request"}),
        ("/threaded-stream", 200, {"part", "request"}),
        ("/crash", 500, {"unhandled exception", "request"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_answer_carries_the_ids_of_its_lines_once(client, lines, path, status, messages):
    """However it is installed: one access line, and its ids in the answer and in every line."""
    answer = client.get(path, headers={"traceparent": PARENT, "x-request-id": "r-1"})
    found = lines()
    assert status == answer.status_code
    assert [TRACE] == answer.headers.get_list("x-trace-id")
    assert ["r-1"] == answer.headers.get_list("x-request-id")
    assert messages <= {line["message"] for line in found}
    assert [status] == [line["status"] for line in found if line["message"] == "request"]
    ours = [line for line in found if line["logger"] in ("app", "loglane.access")]
    assert {(TRACE, "r-1")} == {(line["trace_id"], line["request_id"]) for line in ours}


def test_access_line_says_what_was_asked_and_answered(client, lines):
    """Method, path, route template, status, duration and client are fields of the access line."""
    client.get("/items/3?password=hunter2")
    access = lines()[-1]
    expected = {
        "level": "info",
        "message": "request",
        "logger": "loglane.access",
        "log_category": "access",
        "method": "GET",
        "path": "/items/3",
        "route": "/items/{number}",
        "status": 200,
        "client": "testclient",
        "user_id": 3,
    }
    assert expected.items() <= access.items()
    assert access["duration_ms"] >= 0


def test_the_apps_lines_carry_method_and_path(client, lines):
    """What the app writes while it answers says for which request."""
    client.get("/items/3")
    inside, _ = lines()
    assert ("inside", "GET", "/items/3") == tuple(
        inside[name] for name in ("message", "method", "path")
    )


def test_nothing_of_a_request_is_left_for_the_next(client, lines):
    """Two requests in a row have different ids, and the second has none of the first's fields."""
    client.get("/items/3")
    client.get("/threaded/4")
    first, _, second, access = lines()
    assert first["trace_id"] != second["trace_id"]
    assert first["request_id"] != second["request_id"]
    assert "user_id" not in second | access


def test_crash_is_one_line_with_its_traceback(client, lines):
    """An exception that nobody handles is logged with its traceback, for its request."""
    client.get("/crash")
    (error,) = [line for line in lines() if line["level"] == "error"]
    assert ("unhandled exception", "/crash") == (error["message"], error["route"])
    assert error["exception"].endswith("ZeroDivisionError: division by zero")


def test_crash_after_the_answer_began_goes_on_to_the_server(lines):
    """A broken stream is logged, and raised so that the server closes the connection."""
    client = TestClient(RequestLogMiddleware(make_app()))
    with pytest.raises(RuntimeError, match="late"):
        client.get("/broken-stream")
    assert [("unhandled exception", None), ("request", 200)] == [
        (line["message"], line.get("status")) for line in lines()
    ]


def test_the_apps_handler_for_every_exception_answers(lines):
    """A handler for Exception is asked once, and its answer carries the ids."""
    app, asked = FastAPI(), []

    @app.get("/crash")
    async def crash():
        return 1 / 0

    @app.exception_handler(Exception)
    async def answer(_request, error):
        asked.append(type(error))
        log.info("handler")
        return JSONResponse({"custom": True}, 500)

    install(app)
    found = TestClient(app, raise_server_exceptions=False).get("/crash")
    handler = next(line for line in lines() if line["message"] == "handler")
    assert ([ZeroDivisionError], {"custom": True}) == (asked, found.json())
    assert [handler["trace_id"]] == found.headers.get_list("x-trace-id")


def test_by_add_middleware_the_first_crash_without_lifespan_is_answered_by_the_framework(lines):
    """Without lifespan events the first request is served from inside; the next from outside."""
    client = TestClient(added(make_app()), raise_server_exceptions=False)
    answers = [client.get("/crash") for _ in range(2)]
    found = lines()
    assert [500, 500] == [answer.status_code for answer in answers]
    assert [False, True] == ["x-trace-id" in answer.headers for answer in answers]
    assert [500, 500] == [line["status"] for line in found if line["message"] == "request"]


def test_middleware_of_a_single_route_stays_there(lines):
    """Only what `add_middleware` added moves out; a route's own middleware serves that route."""
    own = [Middleware(RequestLogMiddleware)]
    routes = [
        Route("/logged", lambda _: PlainTextResponse("a"), middleware=own),
        Route("/silent", lambda _: PlainTextResponse("a")),
    ]
    with TestClient(Starlette(routes=routes)) as client:
        answers = [client.get(path) for path in ("/logged", "/silent", "/logged")]
    assert [1, 0, 1] == [len(answer.headers.get_list("x-trace-id")) for answer in answers]
    assert ["/logged", "/logged"] == [line["path"] for line in lines()]


def test_install_after_the_first_request_takes_effect(lines):
    """An app that has served already is covered from then on."""
    app = make_app()
    client = TestClient(app)
    client.get("/items/1")
    install(app)
    client.get("/items/2")
    assert ["/items/2"] == [line["path"] for line in lines() if line["message"] == "request"]


def test_app_without_a_framework_that_crashes_is_answered_with_the_ids(lines):
    """When nobody inside answers a crash, the middleware does."""

    async def crash(_scope, _receive, _send):
        raise ValueError("no")

    start, body = asyncio.run(call(RequestLogMiddleware(crash)))
    error, access = sorted(lines(), key=lambda line: line["level"])
    assert (500, b"Internal Server Error") == (start["status"], body["body"])
    assert error["trace_id"].encode() == dict(start["headers"])[b"x-trace-id"]
    assert ("unhandled exception", 500) == (error["message"], access["status"])


def nested_app():
    router, outer, sub = APIRouter(prefix="/api"), APIRouter(prefix="/outer"), make_app()

    @router.get("/things/{number}")
    async def thing(number: int):
        return number

    app = FastAPI()
    app.include_router(router)
    outer.include_router(router)
    app.include_router(outer)
    install(sub)
    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory="/tmp", check_dir=False))
    return app


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/things/3", "/api/things/{number}"),
        ("/outer/api/things/3", "/outer/api/things/{number}"),
        ("/sub/items/3", "/sub/items/{number}"),
        ("/sub/nothing", "/sub"),
        ("/static/nothing", "/static"),
        ("/nothing", None),
    ],
)
def test_route_is_the_template_from_the_top(lines, path, route):
    """Through included routers and mounted apps, which may have the middleware too."""
    answer = TestClient(wrapped(nested_app())).get(path)
    assert 1 == len(answer.headers.get_list("x-trace-id"))
    assert [(path, route)] == [
        (line["path"], line["route"]) for line in lines() if line["message"] == "request"
    ]


def test_route_of_a_starlette_mount_is_the_template_from_the_top(lines):
    """Starlette's routes know only their own part of the path."""
    inner = Route("/things/{number:int}", lambda _: PlainTextResponse("a"))
    app = Starlette(routes=[Mount("/api", routes=[Mount("/v1", routes=[inner])])])
    TestClient(wrapped(app)).get("/api/v1/things/3")
    assert ["/api/v1/things/{number:int}"] == [line["route"] for line in lines()]


def test_method_not_allowed_has_its_route(client, lines):
    """A wrong method is found at the route that would have taken another."""
    client.post("/items/3")
    assert [(405, "/items/{number}")] == [(line["status"], line["route"]) for line in lines()]


@pytest.mark.parametrize("exclude", ["/items/3", ["/items/{number}"]], ids=["path", "route"])
def test_excluded_requests_have_ids_but_no_access_line(lines, exclude):
    """A health check's own lines stay, only its access line is left out."""
    answer = TestClient(RequestLogMiddleware(make_app(), exclude=exclude)).get("/items/3")
    (line,) = lines()
    assert ("inside", answer.headers["x-trace-id"]) == (line["message"], line["trace_id"])


@pytest.mark.parametrize("path", ["/items/30", "/ite"], ids=["longer", "part"])
def test_a_path_that_resembles_an_excluded_one_is_logged(lines, path):
    """Exclusion takes whole paths."""
    TestClient(RequestLogMiddleware(make_app(), exclude="/items/3")).get(path)
    assert [path] == [line["path"] for line in lines() if line["message"] == "request"]


def test_another_header_may_carry_the_trace_id(lines):
    """The header's name is the app's choice, in and out."""
    client = TestClient(RequestLogMiddleware(make_app(), header="X-Correlation-ID"))
    answer = client.get("/items/3", headers={"x-correlation-id": "abc", "x-trace-id": "other"})
    assert "abc" == answer.headers["x-correlation-id"] == lines()[0]["trace_id"]


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "ä", "a" * 65], ids=ascii)
def test_a_name_that_no_header_can_have_is_refused(name):
    """A wrong name is found when the app starts."""
    with pytest.raises(ValueError, match="HTTP header"):
        RequestLogMiddleware(respond, header=name)


def test_background_tasks_have_the_context_and_do_not_count(lines):
    """The access line is written when the answer is out, before background tasks end."""
    app = make_app()

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(lambda: log.info("later"))
        return 1

    TestClient(wrapped(app)).get("/later")
    access, background = lines()
    assert ["request", "later"] == [access["message"], background["message"]]
    assert access["trace_id"] == background["trace_id"]


def test_a_background_task_that_crashes_is_logged(lines):
    """The answer was fine; the exception is an error line of the same request."""
    app = make_app()

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(lambda: 1 / 0)
        return 1

    assert 200 == TestClient(wrapped(app)).get("/later").status_code
    access, error = lines()
    assert (200, "error") == (access["status"], error["level"])
    assert access["trace_id"] == error["trace_id"]


def test_context_is_there_in_middleware_that_runs_the_app_in_another_task(lines):
    """Starlette's BaseHTTPMiddleware starts a task for what is inside of it."""
    app = make_app()

    async def dispatch(request, call_next):
        log.info("around")
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    TestClient(wrapped(app)).get("/items/3")
    found = lines()
    assert ["around", "inside", "request"] == [line["message"] for line in found]
    assert 1 == len({line["trace_id"] for line in found})
