"""Real servers, real requests: every line on their stdout is JSON and of the right request."""

from __future__ import annotations

import asyncio
import collections
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

WAIT_S = 30
HERE = "tests.unit.integrations"
REQUESTS = 40


class Server:
    """A server in a process of its own, on a socket file; `lines` is what it wrote to stdout."""

    def __init__(self, command: list[str], directory: Path, root: Path) -> None:
        self.path = str(directory / "socket")
        self.out, self.err = directory / "out", directory / "err"
        (directory / "meeting").mkdir()
        environment = {**os.environ, "MEETING": str(directory / "meeting")}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            command = [sys.executable, "-m", *(part.format(self.path) for part in command)]
            self.process = subprocess.Popen(
                command, cwd=root, env=environment, stdout=out, stderr=err
            )

    def until(self, done) -> None:
        """Wait until a condition holds, or fail with what the server said."""
        end = time.monotonic() + WAIT_S
        while not done():
            said = self.out.read_text() + self.err.read_text()
            assert self.process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.02)

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            if connection.connect_ex(self.path):
                return False
        return self.ask("/ready").status_code == 200

    def ask(self, path: str, **headers: str) -> httpx2.Response:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=self.path)) as client:
            return client.get(f"http://server{path}", headers=headers, timeout=WAIT_S)

    def ask_many(self, paths: list[str]) -> list[httpx2.Response]:
        """Send requests at once, numbered by their request ids."""

        async def main() -> list[httpx2.Response]:
            transport = httpx2.AsyncHTTPTransport(uds=self.path)
            async with httpx2.AsyncClient(transport=transport, timeout=WAIT_S) as client:
                return await asyncio.gather(
                    *(
                        client.get(f"http://server{path}", headers={"X-Request-ID": f"r{number}"})
                        for number, path in enumerate(paths)
                    )
                )

        return asyncio.run(main())

    def lines(self) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self.out.read_text().splitlines()]
        return [line for line in found if line.get("path") != "/ready"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)


@contextmanager
def running(command: list[str], root: Path) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="loglane-") as directory:
        server = Server(command, Path(directory), root)
        try:
            server.until(server.answers)
            yield server
            server.stop()
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


UVICORN = ["uvicorn", f"{HERE}.served_asgi:app", "--uds", "{}"]
GUNICORN_ASGI = ["gunicorn", f"{HERE}.served_asgi:app", "-k", "asgi", "--bind", "unix:{}"]
GUNICORN = ["gunicorn", f"{HERE}.served_wsgi:app", "-w", "2", "--bind", "unix:{}"]


@pytest.fixture
def uvicorn(root):
    with running(UVICORN, root) as server:
        yield server


def by_request(lines):
    """Return the lines of each request id that the tests chose."""
    found = collections.defaultdict(list)
    for line in lines:
        if str(line.get("request_id")).startswith("r"):
            found[line["request_id"]].append(line)
    return found


def check_requests(server, answers, expected):
    """Each request has its own lines, of one trace, and one access line, its last but for tasks."""
    found = by_request(server.lines())
    assert {f"r{number}" for number in range(len(answers))} == set(found)
    for number, answer in enumerate(answers):
        own = found[f"r{number}"]
        assert sorted(expected[number]) == sorted(line["message"] for line in own)
        assert {answer.headers["x-trace-id"]} == {line["trace_id"] for line in own}
        assert [f"r{number}"] == answer.headers.get_list("x-request-id")
    assert len(answers) == len({answer.headers["x-trace-id"] for answer in answers})


ASGI_LINES = {
    "/items": ["in a thread", "afterwards", "request"],
    "/stream": ["part", "part", "part", "request"],
    "/crash": ["unhandled exception", "request"],
}


@pytest.mark.parametrize("command", [UVICORN, GUNICORN_ASGI], ids=["uvicorn", "gunicorn"])
def test_requests_at_once_have_their_own_lines(root, command):
    """In threads, streams, background tasks and crashes; no server writes a line beside."""
    if command is GUNICORN_ASGI:
        pytest.importorskip("gunicorn.workers.gasgi", reason="the asgi worker: gunicorn >= 24")
    kinds = ["/items", "/stream", "/crash"]
    paths = [f"{kinds[n % 3]}/{n}" if n % 3 < 2 else "/crash" for n in range(REQUESTS)]
    expected = [ASGI_LINES[kinds[n % 3]] for n in range(REQUESTS)]
    with running(command, root) as server:
        answers = server.ask_many(paths)
        server.until(lambda: len(by_request(server.lines())) == REQUESTS)
        server.stop()
        check_requests(server, answers, expected)
    assert {200, 500} == {answer.status_code for answer in answers}


def test_uvicorn_writes_no_access_line_beside(uvicorn):
    """Its access log is on by default; what we log, it does not."""
    uvicorn.ask("/plain")
    uvicorn.stop()
    inside, access = [line for line in uvicorn.lines() if line.get("path") == "/plain"]
    assert ("inside", "loglane.access") == (inside["message"], access["logger"])
    assert "GET /plain" not in uvicorn.err.read_text()


def test_a_request_read_while_the_last_is_answered_has_nothing_of_it(uvicorn):
    """HTTP pipelining: uvicorn starts the second request in the first one's context."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(uvicorn.path)
        one = "GET {} HTTP/1.1\r\nHost: server\r\nX-Request-ID: {}\r\nConnection: {}\r\n\r\n"
        connection.sendall(one.format("/items/7", "r0", "keep-alive").encode())
        connection.sendall(one.format("/plain", "r1", "close").encode())
        while connection.recv(65536):
            pass
    uvicorn.stop()
    found = by_request(uvicorn.lines())
    assert {7} == {line["user_id"] for line in found["r0"]}
    assert ["inside", "request"] == [line["message"] for line in found["r1"]]
    assert [False, False] == ["user_id" in line for line in found["r1"]]
    assert found["r0"][0]["trace_id"] != found["r1"][0]["trace_id"]


def test_a_client_that_leaves_a_stream_is_no_crash(uvicorn):
    """The app's generator is closed in its context; the access line says that the client left."""
    transport = httpx2.HTTPTransport(uds=uvicorn.path)
    with (
        httpx2.Client(transport=transport) as client,
        client.stream("GET", "http://server/endless", headers={"X-Request-ID": "r0"}) as answer,
    ):
        next(answer.iter_raw())
    uvicorn.until(lambda: len(by_request(uvicorn.lines())["r0"]) == 2)
    lines = by_request(uvicorn.lines())["r0"]
    assert {"cleaned", "request"} == {line["message"] for line in lines}
    (access,) = [line for line in lines if line["message"] == "request"]
    assert (200, True, "info") == (access["status"], access["disconnected"], access["level"])


def test_gunicorns_workers_write_whole_lines_and_none_twice(root):
    """Two workers share one stdout: every line is JSON, and of the request that it names."""
    kinds = {"/items": ["inside", "request"], "/stream": ["part", "part", "part", "request"]}
    paths = [f"{'/items' if n % 2 else '/stream'}/{n}" for n in range(REQUESTS)]
    paths += ["/meet", "/meet"]
    expected = [kinds["/items" if n % 2 else "/stream"] for n in range(REQUESTS)]
    expected += [["met", "request"]] * 2
    with running(GUNICORN, root) as server:
        answers = server.ask_many(paths)
        server.stop()
        check_requests(server, answers, expected)
        met = {line["pid"] for line in server.lines() if line["message"] == "met"}
    assert 2 == len(met)
    assert {str(pid) for pid in met} == {answer.text for answer in answers[-2:]}


def test_a_crash_under_gunicorn_is_answered_with_the_ids(root):
    """Flask answers its exceptions itself, so its answer carries the ids."""
    with running(GUNICORN, root) as server:
        answer = server.ask("/crash", **{"x-trace-id": "abc"})
        server.stop()
        (access,) = [line for line in server.lines() if line["logger"] == "loglane.access"]
    assert (500, ["abc"]) == (answer.status_code, answer.headers.get_list("x-trace-id"))
    assert ("abc", 500, "/crash") == (access["trace_id"], access["status"], access["route"])
