"""Pushes, queries and tails at the same time, over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from websockets.sync.client import connect

from loglane.devserver import running

_API = "/loki/api/v1"
_PUSHERS = 3
_PUSHES = 40
_AT_ONCE = 25


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_server_keeps_every_line_under_mixed_load(tmp_path: Any, kind: str) -> None:
    """Nothing is lost or doubled, and no request fails, while all is done at once."""
    db = None if kind == "memory" else str(tmp_path / "logs.db")
    with running(db=db) as url, ThreadPoolExecutor(_PUSHERS + 3) as pool:
        stop = threading.Event()
        tails = [pool.submit(_tail, url) for _ in range(2)]
        asking = pool.submit(_until(stop, lambda: _count(url)))
        for push in [pool.submit(_push, url, number) for number in range(_PUSHERS)]:
            push.result()
        stop.set()
        counts = asking.result()
        assert counts == sorted(counts)
        assert _count(url) == _PUSHERS * _PUSHES * _AT_ONCE
        expected = {
            f"{pusher}-{n}" for pusher in range(_PUSHERS) for n in range(_PUSHES * _AT_ONCE)
        }
        for tail in tails:
            lines = tail.result()
            assert (len(lines), set(lines)) == (len(expected), expected)


def _push(url: str, pusher: int) -> None:
    """Push in small batches, two pushers to one stream, every batch twice."""
    stream = {"app": "mixed", "part": str(pusher % 2)}
    with httpx2.Client(base_url=url) as client:
        for number in range(_PUSHES):
            lines = [f"{pusher}-{number * _AT_ONCE + n}" for n in range(_AT_ONCE)]
            values = [[str(time.time_ns()), line] for line in lines]
            for _ in range(2):
                body = {"streams": [{"stream": stream, "values": values}]}
                assert client.post(f"{_API}/push", json=body).status_code == 204


def _count(url: str) -> int:
    answer = httpx2.get(
        f"{url}{_API}/query", params={"query": 'sum(count_over_time({app="mixed"} |= "-" [1h]))'}
    )
    assert answer.status_code == 200, answer.text
    result = answer.json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def _until(stop: threading.Event, ask: Callable[[], int]) -> Callable[[], list[int]]:
    def run() -> list[int]:
        answers = []
        while not stop.is_set():
            answers.append(ask())
        return answers

    return run


def _tail(url: str) -> list[str]:
    lines: list[str] = []
    query = urlencode({"query": '{app="mixed"}', "limit": 5000})
    with connect(f"ws{url[4:]}{_API}/tail?{query}") as session:
        while len(lines) < _PUSHERS * _PUSHES * _AT_ONCE:
            message = json.loads(session.recv(timeout=30))
            assert "dropped_entries" not in message
            lines += [stream["values"][0][1] for stream in message["streams"]]
    return lines
