"""Running the server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
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
