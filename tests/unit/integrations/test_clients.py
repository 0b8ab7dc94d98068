"""Requests that the app makes carry its trace on."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import httpx2
import pytest
import requests

import loglane
from loglane.integrations import aiohttp as loglane_aiohttp
from loglane.integrations import httpx as loglane_httpx
from loglane.integrations import requests as loglane_requests

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class _Recorder(BaseHTTPRequestHandler):
    """Remembers each request's headers; `/redirect` leads to `/`."""

    def do_GET(self):
        self.server.seen.append(self.headers)
        redirect = self.path == "/redirect"
        self.send_response(302 if redirect else 200)
        self.send_header("Location", "/") if redirect else None
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """Run a server; its `url` is where, its `seen` what headers came."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Recorder) as server:
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def with_httpx(url, headers):
    with httpx.Client(follow_redirects=True) as client:
        loglane_httpx.install(client)
        loglane_httpx.install(client)
        client.get(url, headers=headers)


def with_httpx2(url, headers):
    hooks = {"request": [loglane_httpx.trace_headers]}
    with httpx2.Client(follow_redirects=True, event_hooks=hooks) as client:
        client.get(url, headers=headers)


def with_httpx_async(url, headers, module=httpx):
    async def main():
        async with module.AsyncClient(follow_redirects=True) as client:
            loglane_httpx.install(client)
            loglane_httpx.install(client)
            await client.get(url, headers=headers)

    asyncio.run(main())


def with_httpx2_async(url, headers):
    with_httpx_async(url, headers, httpx2)


def with_requests(url, headers):
    with requests.Session() as session:
        loglane_requests.install(session)
        loglane_requests.install(session)
        session.get(url, headers=headers)


def with_aiohttp(url, headers):
    async def main():
        async with (
            aiohttp.ClientSession(trace_configs=[loglane_aiohttp.trace_config()]) as session,
            session.get(url, headers=headers),
        ):
            pass

    asyncio.run(main())


every_client = pytest.mark.parametrize(
    "send",
    [with_httpx, with_httpx2, with_httpx_async, with_httpx2_async, with_requests, with_aiohttp],
    ids=lambda send: send.__name__.removeprefix("with_"),
)


def sent(server, name):
    return [headers.get_all(name) for headers in server.seen]


@every_client
def test_a_request_carries_the_trace_once(server, send):
    """`X-Trace-ID` is the trace's id, `traceparent` its W3C form."""
    with loglane.with_trace_id(TRACE):
        send(server.url, {})
    ((parent,),) = sent(server, "traceparent")
    assert [[TRACE]] == sent(server, "X-Trace-ID")
    assert ["00", TRACE, "01"] == [parent.split("-")[part] for part in (0, 1, 3)]


@every_client
def test_headers_that_are_there_stay(server, send):
    """Whoever sets a header by hand, in whatever case, means it."""
    with loglane.with_trace_id(TRACE):
        send(server.url, {"x-trace-id": "mine", "TraceParent": "other"})
    assert ([["mine"]], [["other"]]) == (sent(server, "X-Trace-ID"), sent(server, "traceparent"))


@every_client
def test_a_redirected_request_carries_the_trace_once(server, send):
    """Each request of a redirection has the headers, and has them once."""
    with loglane.with_trace_id(TRACE):
        send(f"{server.url}/redirect", {})
    assert [[TRACE]] * 2 == sent(server, "X-Trace-ID")
    assert [1, 1] == [len(values) for values in sent(server, "traceparent")]


@every_client
def test_without_a_trace_a_request_goes_out_as_it_is(server, send):
    """No trace id, no header."""
    send(server.url, {})
    assert ([None], [None]) == (sent(server, "X-Trace-ID"), sent(server, "traceparent"))


@every_client
def test_an_id_that_no_header_may_hold_is_not_sent(server, send):
    """What the app bound under this name may be anything; the request goes out all the same."""

    class Broken:
        def __str__(self):
            raise RuntimeError("no")

    for value in ("a\r\nb: c", "ü" * 9, Broken()):
        with loglane.bound(trace_id=value):
            send(server.url, {})
    assert [None] * 3 == sent(server, "X-Trace-ID")


def test_requests_still_reports_what_is_wrong_with_a_request():
    """A session with the hook refuses what a session refuses."""
    session = requests.Session()
    loglane_requests.install(session)
    with pytest.raises(ValueError, match="PreparedRequest"):
        session.send(requests.Request("GET", "http://127.0.0.1:1"))
