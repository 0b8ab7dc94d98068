"""WSGI apps for the tests, and a request as a server makes it."""

from __future__ import annotations

import io
import sys
import types
from wsgiref.util import setup_testing_defaults

import django
import flask
from django.conf import settings

import loglane
from loglane.integrations.wsgi import RequestLogWsgiMiddleware

log = loglane.get_logger("app")


def make_flask():
    app = flask.Flask("shop")
    inner = flask.Blueprint("inner", "inner", url_prefix="/inner")

    @app.get("/items/<int:number>/")
    def item(number):
        loglane.bind_context(user_id=number)
        log.info("inside")
        return {"number": number}, 200, {"X-Trace-Id": "own", "x-request-id": "own"}

    @inner.get("/<name>/")
    def name_it(name):
        return name

    @app.get("/crash/")
    def crash():
        return 1 / 0

    @app.get("/custom/")
    def custom():
        raise LookupError("no")

    @app.errorhandler(LookupError)
    def handle(_error):
        log.info("handled")
        return "custom", 418

    @app.get("/stream/")
    def stream():
        def parts():
            for part in ("a", "b"):
                log.info("part", path=flask.request.path)
                yield part

        return flask.Response(flask.stream_with_context(parts()))

    @app.get("/file/")
    def file():
        return flask.send_file(io.BytesIO(b"file"), "text/plain")

    app.register_blueprint(inner)
    app.wsgi_app = RequestLogWsgiMiddleware(app.wsgi_app)
    return app


def make_django():
    """Return a Django app; Django is one a process, so it is made once."""
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import include, path

    def item(_request, number):
        loglane.bind_context(user_id=number)
        log.info("inside")
        return HttpResponse(str(number), headers={"X-Trace-Id": "own", "x-request-id": "own"})

    def crash(_request):
        return 1 / 0

    def stream(_request):
        def parts():
            for part in ("a", "b"):
                log.info("part")
                yield part

        return StreamingHttpResponse(parts())

    urls = types.ModuleType("loglane_test_urls")
    urls.urlpatterns = [
        path("items/<int:number>/", item),
        path("crash/", crash),
        path("stream/", stream),
        path("inner/", include(([path("<name>/", item)], "inner"))),
    ]
    sys.modules["loglane_test_urls"] = urls
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="loglane_test_urls",
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="test",
            LOGGING_CONFIG=None,
        )
        django.setup()
    return RequestLogWsgiMiddleware(get_wsgi_application())


def request(app, path="/", close=True, **headers):
    """Send an app one request as a server does; return status, headers and body."""
    environ = {"PATH_INFO": path, "REMOTE_ADDR": "203.0.113.9"}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    started = []

    def start_response(status, headers, exc_info=None):
        started[:] = [status, headers]
        return started.append

    parts = app(environ, start_response)
    body = b"".join(parts)
    if close and hasattr(parts, "close"):
        parts.close()
    return int(started[0][:3]), started[1], body


def values(headers, name):
    return [value for key, value in headers if key.lower() == name]


def plain(_environ, start_response):
    start_response("204 No Content", [])
    return []
