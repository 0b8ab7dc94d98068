"""The development server: lines a second in, and the time of queries over a million lines.

The server runs in a process of its own, as `loglane serve` starts it, and is asked over loopback.
A query is timed at the client, with the answer read; each is asked three times, the slowest counts.
Beside the times stands what the server's process took of the processors, which does not depend on
what else the machine does, and is not what the goals are about.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import cramjam

from loglane.sinks.loki import logproto

LINES = 1_000_000
BATCH_BYTES = 1 << 20
GOAL_LINES_PER_S = 50_000
GOAL_QUERY_S = 1.0

_SPACING_NS = 1_000_000
_RARE = 10_007
_TIMES = 3


def run() -> dict[str, Any]:
    """Print the figures beside the goals; it is fine when each is reached."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for where, db in (("memory", None), ("file", str(Path(folder) / "logs.db"))):
            with _server(db) as (url, pid):
                results[where] = _measure(url, pid, where)
    print(f"load of the machine in these minutes: {os.getloadavg()[1]:.1f}")
    ok = all(found["ok"] for found in results.values())
    return {"ok": ok, **results}


def _measure(url: str, pid: int, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    end_ns = time.time_ns()
    start_ns = end_ns - LINES // 2 * _SPACING_NS
    one = [("one", start_ns, LINES // 2)]
    four = [(f"four-{n}", start_ns, LINES // 8) for n in range(4)]
    for name, streams in (("1 stream", one), ("4 streams", four)):
        before = _cpu_s(pid)
        rate = _push_all(url, streams)
        each_us = (_cpu_s(pid) - before) / (LINES // 2) * 1e6
        found[name] = rate
        shown = f"{rate:,.0f} lines/s, CPU {each_us:.1f} us a line"
        print(_row(where, f"in, {name}", shown, rate >= GOAL_LINES_PER_S))
    selector = '{env="bench"}'
    at = {"start": start_ns, "end": end_ns + 1}
    queries = {
        "label": ("query_range", {"query": selector, **at}),
        "label + text": ("query_range", {"query": f'{selector} |= "rare word"', **at}),
        "label + text, none": ("query_range", {"query": f'{selector} |= "no such text"', **at}),
        "label + metadata": ("query_range", {"query": f'{selector} | trace_id="{"0" * 32}"', **at}),
        "count": ("query", {"query": f"sum(count_over_time({selector}[1h]))", "time": end_ns}),
        "count by level, steps": (
            "query_range",
            {"query": f"sum by (level) (count_over_time({selector}[1m]))", "step": "15s", **at},
        ),
        "count + text": (
            "query",
            {"query": f'sum(count_over_time({selector} |= "rare word" [1h]))', "time": end_ns},
        ),
    }
    for name, (path, params) in queries.items():
        before = _cpu_s(pid)
        seconds, amount = _ask(url, path, params)
        cpu_s = (_cpu_s(pid) - before) / _TIMES
        found[name] = seconds
        shown = f"{amount:,} found in {seconds:.3f} s, CPU {cpu_s:.3f} s"
        print(_row(where, f"{LINES:,} lines, {name}", shown, seconds < GOAL_QUERY_S))
    rates = [found[name] >= GOAL_LINES_PER_S for name in ("1 stream", "4 streams")]
    return {"ok": all([*rates, *(found[name] < GOAL_QUERY_S for name in queries)]), **found}


def _row(where: str, what: str, shown: str, reached: bool) -> str:
    return f"{where:<7} {what:<39} {shown:>46}  goal: {'yes' if reached else 'NO'}"


def _push_all(url: str, streams: list[tuple[str, int, int]]) -> float:
    """Push each stream over a connection of its own; return lines a second."""
    bodies = [_bodies(*stream) for stream in streams]
    began = time.perf_counter()
    with ThreadPoolExecutor(len(bodies)) as pool:
        for done in [pool.submit(_push, url, one) for one in bodies]:
            done.result()
    return sum(count for _, _, count in streams) / (time.perf_counter() - began)


def _push(url: str, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Content-Type": "application/x-protobuf"}
    for body in bodies:
        connection.request("POST", "/loki/api/v1/push", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 204:
            raise SystemExit(f"the server answered {answer.status}: {text!r}")
    connection.close()


def _bodies(name: str, start_ns: int, count: int) -> list[bytes]:
    """Build the pushes of one stream: batches of a MiB of lines as an app under loglane writes."""
    level = "error" if name.endswith("-3") else "info"
    labels = f'{{env="bench", level="{level}", service="{name}"}}'
    spacing = LINES // 2 * _SPACING_NS // count
    bodies: list[bytes] = []
    entries: list[bytes] = []
    size = 0
    # Ids that compress as ids do; always the same ones.
    chance = random.Random(name)  # noqa: S311 - nothing secret
    for number in range(count):
        entry = _entry(start_ns + number * spacing, _line(number, chance, name), chance)
        entries.append(entry)
        size += len(entry)
        if size >= BATCH_BYTES or number == count - 1:
            bodies.append(bytes(cramjam.snappy.compress_raw(logproto.stream(labels, entries))))
            entries, size = [], 0
    return bodies


def _line(number: int, chance: random.Random, service: str) -> bytes:
    word = "rare word" if number % _RARE == 0 else "done"
    return (
        f'{{"timestamp":"2026-11-22T03:00:{number % 60:02}.{number % 10**6:06}Z","level":"info",'
        f'"service":"{service}","message":"request {number} {word}",'
        f'"request_id":"{chance.getrandbits(64):016x}","path":"/v1/orders/{number % 977}",'
        f'"status":200,"duration_ms":{number % 311}}}'
    ).encode()


def _entry(ts_ns: int, line: bytes, chance: random.Random) -> bytes:
    # A traced request in ten lines.
    metadata = b""
    if chance.random() < 0.1:
        metadata = logproto.pair("trace_id", f"{chance.getrandbits(128):032x}")
    return logproto.entry(ts_ns, line, metadata)


def _ask(url: str, path: str, params: dict[str, Any]) -> tuple[float, int]:
    """Return the slowest time of some, and the number of entries, or the last sample's value."""
    slowest, result = 0.0, []
    for _ in range(_TIMES):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        began = time.perf_counter()
        connection.request("GET", f"/loki/api/v1/{path}?{urlencode({'limit': 100, **params})}")
        answer = connection.getresponse()
        body = answer.read()
        slowest = max(slowest, time.perf_counter() - began)
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"the server answered {answer.status}: {body!r}")
        result = json.loads(body)["data"]["result"]
    if path == "query":
        return slowest, int(result[0]["value"][1])
    return slowest, sum(len(series["values"]) for series in result)


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process; 0 where the system does not show it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # proc(5): utime and stime are the 14th and 15th fields, the name being the second.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _server(db: str | None) -> Iterator[tuple[str, int]]:
    command = f"from loglane.devserver import serve; serve(port=0, db={db!r})"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split(" on ")[1].split(" ")[0]
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()
