"""What a WSGI app may do, and what servers do with it: one access line, a context each."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import loglane
from loglane.integrations.wsgi import RequestLogWsgiMiddleware
from tests.unit.integrations.wsgi_apps import log, make_flask, plain, request, values


def test_the_end_of_the_process_is_no_crash(lines):
    """A worker that is stopped writes the access line, without a status."""

    def app(_environ, _start_response):
        raise SystemExit

    with pytest.raises(SystemExit):
        request(RequestLogWsgiMiddleware(app))
    assert [("info", None)] == [(line["level"], line["status"]) for line in lines()]


@pytest.mark.parametrize(
    ("first", "status"), [(b"", 500), (b"a", 200)], ids=["before-bytes", "after-bytes"]
)
def test_a_stream_that_breaks_is_a_crash(lines, first, status):
    """Until the first bytes the server can still answer 500, afterwards the status is out."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        yield first
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        request(RequestLogWsgiMiddleware(app))
    assert [("unhandled exception", None), ("request", status)] == [
        (line["message"], line.get("status")) for line in lines()
    ]


@pytest.mark.parametrize("close", [True, False], ids=["closed", "only-read"])
def test_the_access_line_is_written_once(lines, close):
    """When the last part is read, and not again when the server closes the answer."""
    request(make_flask(), "/stream/", close)
    assert 1 == [line["message"] for line in lines()].count("request")


def test_a_stream_that_the_server_gives_up_is_closed_in_its_context(lines):
    """When the client is gone the server closes early: the app cleans up, and the line is there."""

    def parts():
        try:
            yield b"a"
            yield b"b"
        finally:
            log.info("cleaned")

    def app(_environ, start_response):
        start_response("200 OK", [])
        return parts()

    environ = {}
    setup_testing_defaults(environ)
    body = RequestLogWsgiMiddleware(app)(environ, lambda *_: None)
    assert b"a" == next(iter(body))
    body.close()
    cleaned, access = lines()
    assert ("cleaned", "request") == (cleaned["message"], access["message"])
    assert cleaned["trace_id"] == access["trace_id"]


def test_a_second_start_with_an_exception_replaces_the_first(lines):
    """PEP 3333: an app may start again with exc_info while nothing was sent."""

    def app(_environ, start_response):
        start_response("200 OK", [("X-Request-ID", "own")])
        try:
            raise ValueError("no")
        except ValueError:
            start_response("503 Service Unavailable", [], sys.exc_info())
        return [b"later"]

    status, headers, _ = request(RequestLogWsgiMiddleware(app))
    (access,) = lines()
    assert (503, 503) == (status, access["status"])
    assert [access["request_id"]] == values(headers, "x-request-id")


def test_write_is_the_servers(lines):
    """An app that writes by hand writes to the server."""
    written = []

    def app(_environ, start_response):
        start_response("200 OK", [])(b"by hand")
        return []

    environ = {}
    setup_testing_defaults(environ)
    assert [] == list(RequestLogWsgiMiddleware(app)(environ, lambda *_: written.append))
    assert ([b"by hand"], [200]) == (written, [line["status"] for line in lines()])


def test_a_file_is_left_to_the_server(lines):
    """What is wrapped for the server's own way of sending files stays as it is."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    environ = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    result = RequestLogWsgiMiddleware(app)(environ, lambda *_: None)
    assert FileWrapper is type(result)
    assert [200] == [line["status"] for line in lines()]


def test_installed_twice_it_acts_once(lines):
    """Of two around each other the outer one acts."""
    app = make_flask()
    app.wsgi_app = RequestLogWsgiMiddleware(app.wsgi_app)
    _, headers, _ = request(app, "/items/3/")
    assert 1 == len(values(headers, "x-trace-id"))
    assert ["inside", "request"] == [line["message"] for line in lines()]


def test_a_thread_that_is_used_again_has_nothing_of_the_last_request(lines):
    """What a request binds is gone with it, also when nobody closes its answer."""
    app = make_flask()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(request, app, "/items/3/", False).result()
        assert {} == pool.submit(lambda: dict(loglane.get_context())).result()
        pool.submit(request, app, "/inner/a/").result()
    *_, last = lines()
    assert ("/inner/a/", False) == (last["path"], "user_id" in last)


def test_requests_in_many_threads_do_not_mix(lines):
    """Each line has the ids of its own request."""
    app = make_flask()
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(request, app, f"/items/{number}/", x_request_id=f"r{number}")
    assert {(f"r{number}", f"/items/{number}/", number) for number in range(200)} == {
        (line["request_id"], line["path"], line["user_id"]) for line in lines()
    }


def test_streams_read_in_turns_do_not_mix(lines):
    """Two answers read alternately in one thread have a context each."""

    def app(environ, start_response):
        start_response("200 OK", [])
        for _ in range(2):
            loglane.bind_context(seen=loglane.get_context().get("seen", 0) + 1)
            log.info("part")
            yield environ["PATH_INFO"].encode()

    bodies = []
    for path in ("/a", "/b"):
        environ = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        bodies.append(iter(RequestLogWsgiMiddleware(app)(environ, lambda *_: None)))
    assert [b"/a", b"/b", b"/a", b"/b"] == [next(body) for _ in range(2) for body in bodies]
    assert [("/a", 1), ("/b", 1), ("/a", 2), ("/b", 2)] == [
        (line["path"], line["seen"]) for line in lines()
    ]


def test_a_path_that_is_no_utf8_is_written(lines):
    """A path may hold any bytes; the line is valid all the same."""
    request(RequestLogWsgiMiddleware(plain), "/caf\xc3\xa9/\xff/\u20ac")
    assert ["/café/\ufffd/?"] == [line["path"] for line in lines()]


@pytest.mark.parametrize(
    "value", ["", "a b", "a\r\nb: c", "ü", "a" * 129, "one,two"], ids=lambda value: ascii(value)[:9]
)
def test_a_hostile_header_gives_a_new_id(lines, value):
    """What is no id reaches neither a line nor the answer; of two, servers make a list."""
    request(RequestLogWsgiMiddleware(plain), x_trace_id=value, x_request_id=value)
    (line,) = lines()
    assert (32, 16) == (len(line["trace_id"]), len(line["request_id"]))
    assert (line["trace_id"] + line["request_id"]).isalnum()


def test_excluded_requests_have_ids_but_no_access_line(lines):
    """A health check is answered with ids, and not logged."""
    app = RequestLogWsgiMiddleware(plain, exclude=["/health"])
    _, headers, _ = request(app, "/health")
    assert ([], 1) == (lines(), len(values(headers, "x-trace-id")))


def test_it_keeps_the_rules_of_wsgi(lines):
    """The standard library's checker finds nothing wrong on either side."""

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"a", b"b"])

    environ = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    checked = validator(RequestLogWsgiMiddleware(validator(app)))

    def start_response(_status, _headers, _exc_info=None):
        return lambda _data: None

    parts = checked(environ, start_response)
    assert [b"a", b"b"] == list(parts)
    parts.close()
