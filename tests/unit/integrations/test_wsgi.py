"""Flask and Django: ids, one access line with its route, whoever answers."""

from __future__ import annotations

import logging

import pytest

from loglane.integrations.wsgi import RequestLogWsgiMiddleware
from tests.unit.integrations.wsgi_apps import (
    make_django,
    make_flask,
    plain,
    request,
    values,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("make", [make_flask, make_django], ids=["flask", "django"])
@pytest.mark.parametrize(
    ("path", "status", "messages"),
    [
        ("/items/3/", 200, ["inside", "request"]),
        ("/stream/", 200, ["part", "part", "request"]),
        ("/none/", 404, ["request"]),
        ("/crash/", 500, ["request"]),
    ],
    ids=["answer", "stream", "missing", "crash"],
)
def test_every_answer_carries_the_ids_of_its_lines_once(lines, make, path, status, messages):
    """One access line for each request, with the ids that the answer and the app's lines have."""
    found, headers, _ = request(make(), path, traceparent=PARENT, x_request_id="r-1")
    own = [line for line in lines() if line["logger"] in ("app", "loglane.access")]
    assert (status, [TRACE], ["r-1"]) == (
        found,
        values(headers, "x-trace-id"),
        values(headers, "x-request-id"),
    )
    assert messages == [line["message"] for line in own]
    assert {(TRACE, "r-1", "GET", path)} == {
        (line["trace_id"], line["request_id"], line["method"], line["path"]) for line in own
    }


@pytest.mark.parametrize(
    ("make", "path", "route"),
    [
        (make_flask, "/items/3/", "/items/<int:number>/"),
        (make_flask, "/inner/a/", "/inner/<name>/"),
        (make_flask, "/stream/", "/stream/"),
        (make_flask, "/none/", None),
        (make_django, "/items/3/", "/items/<int:number>/"),
        (make_django, "/inner/a/", "/inner/<name>/"),
        (make_django, "/none/", None),
        (lambda: RequestLogWsgiMiddleware(plain), "/plain/", None),
    ],
    ids=["flask", "blueprint", "stream", "flask-none", "django", "include", "django-none", "plain"],
)
def test_route_is_the_template_that_matched(lines, make, path, route):
    """Flask's rule or Django's route; a plain app has none."""
    request(make(), path)
    access = lines()[-1]
    expected = {"path": path, "route": route, "client": "203.0.113.9", "log_category": "access"}
    assert expected.items() <= access.items()


def test_the_apps_handler_of_an_exception_has_the_context(lines):
    """An exception that the app handles is its own business; the answer carries the ids."""
    status, headers, body = request(make_flask(), "/custom/")
    handled, access = [line for line in lines() if line["logger"] in ("app", "loglane.access")]
    assert (418, b"custom") == (status, body)
    assert values(headers, "x-trace-id") == [handled["trace_id"]] == [access["trace_id"]]


def test_an_exception_that_the_app_lets_out_is_logged_and_goes_on(lines):
    """As told by `testing`, Flask lets exceptions out: a debugger or a test wants them."""
    app = make_flask()
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        request(app, "/crash/")
    error, access = lines()
    assert ("unhandled exception", "error", 500) == (
        error["message"],
        error["level"],
        access["status"],
    )
    assert error["exception"].endswith("ZeroDivisionError: division by zero")
    assert error["trace_id"] == access["trace_id"]


def test_development_servers_write_no_access_line_beside(lines):
    """Those of Flask and Django write one each; what else they say stays."""
    RequestLogWsgiMiddleware(lambda _environ, _start: [])
    for name in ("werkzeug", "django.server"):
        logging.getLogger(name).warning('"%s" %s %s', "GET / HTTP/1.1", 200, 5)
        logging.getLogger(name).warning("it says")
    assert ["it says", "it says"] == [line["message"] for line in lines()]
