"""Running the server."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from loglane.devserver import running
from loglane.errors import LoglaneError


def test_running_server_answers_and_stops() -> None:
    """The server answers as soon as the block is entered, and leaves no thread."""
    before = threading.active_count()
    with running() as url, httpx2.Client(base_url=url) as client:
        assert client.get("/ready").text == "ready\n"
    assert threading.active_count() == before
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/ready")


def test_running_server_keeps_its_file(tmp_path: Path) -> None:
    """What was pushed to a file is there for the next server."""
    db = str(tmp_path / "logs.db")
    for _ in range(2):
        with running(db=db) as url:
            body = {"streams": [{"stream": {"app": "a"}, "values": []}]}
            assert httpx2.post(f"{url}/loki/api/v1/push", json=body).status_code == 204
    assert Path(db).is_file()


def test_running_servers_do_not_meet() -> None:
    """Each server has a port and data of its own."""
    with running() as one, running() as other:
        assert one != other


def test_taken_port_is_refused() -> None:
    """A port that is in use gives an error that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(LoglaneError, match=f"cannot listen on 127.0.0.1:{port}"),
            running(port=port),
        ):
            pass


def test_running_server_leaves_the_loggers_of_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Handlers and levels of uvicorn's loggers stay as they are, and nothing normal is logged."""
    caplog.set_level(logging.INFO)
    names = ("uvicorn", "uvicorn.error", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    handler = logging.NullHandler()
    loggers[2].addHandler(handler)
    try:
        before = [(one.level, list(one.handlers), one.propagate) for one in loggers]
        with running() as url:
            assert httpx2.get(f"{url}/ready").status_code == 200
            after = [(one.level, list(one.handlers), one.propagate) for one in loggers]
    finally:
        loggers[2].removeHandler(handler)
    assert before == after
    assert [] == [one.getMessage() for one in caplog.records if one.name in names]


def test_serve_without_standard_streams() -> None:
    """A service manager may start it with stdout and stderr closed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"from loglane.devserver import serve; serve(port={port})"
    shell = 'exec "$0" -c "$1" >&- 2>&-'
    process = subprocess.Popen(["/bin/sh", "-c", shell, sys.executable, command])
    try:
        assert httpx2.get(_when_up(f"http://127.0.0.1:{port}/ready", process)).text == "ready\n"
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def _when_up(url: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(url)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return url
    pytest.fail(f"the server did not start: {process.returncode}")


def test_serve_says_where_and_that_it_is_not_for_production() -> None:
    """The first line names the URL and what the server is for; an interrupt ends it cleanly."""
    command = "from loglane.devserver import serve; serve(port=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    # It listens already, so the request waits until the server answers.
    answer = httpx2.get(line.split(" on ")[1].split(" ")[0] + "/ready", timeout=30)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert answer.text == "ready\n"
    assert "http://127.0.0.1:" in line
    assert "never for production" in line
    assert (process.returncode, errors) == (0, "")
