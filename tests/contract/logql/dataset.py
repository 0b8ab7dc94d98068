"""The entries that the LogQL corpus is asked about, relative to a base time.

They lie between 12 and 55 minutes after the base and the corpus looks back 10 minutes at most
before that, so the data sets of two hours never meet, also in a Loki without tenants.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.contract.logql import lines, samples

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_METHODS = ("GET", "POST", "PUT", "DELETE")
_STATUSES = (200, 201, 404, 500, 502)


def base_time_ns() -> int:
    """Return the base time for now: the last full hour, minus one.

    So everything is in the past, but younger than two hours: what is older, Loki 3.7 does not
    show before it has flushed it.
    """
    return time.time_ns() // HOUR * HOUR - HOUR


def push_body(base_ns: int) -> dict[str, Any]:
    """Build the push with every entry of the data set."""
    return {
        "streams": [
            _stream({"app": "corpus-api", "env": "prod", "level": "info"}, _api(base_ns, 40, 0)),
            _stream({"app": "corpus-api", "env": "prod", "level": "error"}, _api(base_ns, 12, 1)),
            _stream({"app": "corpus-web", "env": "dev", "level": "info"}, _web(base_ns)),
            _stream({"app": "corpus-worker", "env": "prod", "empty": ""}, _worker(base_ns)),
            _stream({"app": "corpus-edge", "env": "dev", "level": "warning"}, _edge(base_ns)),
            _stream({"app": "metadata-names"}, _names(base_ns)),
            *(_stream(*found) for found in samples.streams(lambda seconds: _at(base_ns, seconds))),
            *(_stream(*found) for found in lines.streams(lambda seconds: _at(base_ns, seconds))),
        ]
    }


def _stream(labels: dict[str, str], values: list[list[Any]]) -> dict[str, Any]:
    return {"stream": labels, "values": values}


def _names(base_ns: int) -> list[list[Any]]:
    """Return entries whose names of structured metadata become the same."""
    return [
        [_at(base_ns, 800), "dotted first", {"a.b": "dotted", "a_b": "plain"}],
        [_at(base_ns, 801), "dotted last", {"a_b": "plain", "a.b": "dotted"}],
        [_at(base_ns, 802), "three", {"a-b": "dashed", "a.b": "dotted", "a_b": "plain"}],
        [_at(base_ns, 803), "dashed last", {"a.b": "dotted", "a-b": "dashed"}],
        [_at(base_ns, 804), "emptied", {"a_b": "plain", "a.b": ""}],
        [_at(base_ns, 805), "doubled", {"a__b": "doubled", "__a_b__": "own", "1st": "digit"}],
        [_at(base_ns, 806), "not a character", {"a_b": "x\ufffdy", "é_x": "umlaut"}],
    ]


def _at(base_ns: int, seconds: float) -> str:
    return str(base_ns + 12 * MINUTE + int(seconds * 1000) * 1_000_000)


def _api(base_ns: int, count: int, kind: int) -> list[list[Any]]:
    values: list[list[Any]] = []
    for number in range(count):
        body = {
            "message": f"request {number} done" if kind == 0 else f"request {number} failed",
            "method": _METHODS[number % 4],
            "status": _STATUSES[(number * 3 + kind) % 5],
            "latency": f"{(number * 37) % 900 + 1}ms",
            "size": f"{number * 13 % 50 + 1}KB",
            "ratio": number / 8,
            "env": "from-line",
            "user": {"id": 9000 + number % 10, "na-me": f"u{number % 3}"},
            "tags": ["a", "b"],
            "ok": kind == 0,
            "nothing": None,
        }
        values.append(
            [
                _at(base_ns, number * (61.5 - 3 * kind) + kind),
                json.dumps(body, separators=(",", ":")),
                {"trace_id": f"{number % 6:032x}", "request_id": f"r-{kind}-{number}"},
            ]
        )
    return values


def _web(base_ns: int) -> list[list[Any]]:
    values: list[list[Any]] = []
    for number in range(30):
        line = (
            f'ts={number} msg="page \\"{number % 4}\\" sent" method={_METHODS[number % 4]} '
            f"status={_STATUSES[number % 5]} took=1.{number}s size={number}kB env=line empty= flag"
        )
        values.append([_at(base_ns, number * 83), line])
    return values


def _worker(base_ns: int) -> list[list[Any]]:
    texts = [
        "started worker pool with 4 threads",
        '{"level":"debug","job":"mail","n":1}',
        '{"level":"debug","job":"mail","n":2',
        '{"level":"info","job":',
        "[1,2,3]",
        '{"job":"sync","n":1e3,"big":123456789012345678901234567890,"neg":-0.50}',
        '{"job":"a","job":"b","nested":{"job":"c"},"nested_job":"d"}',
        '{"1st":"digit","sp ace":"x","dot.ted":"y","ünï":"z","":"none"," ":"blank"}',
        '{"esc":"tab\\tquote\\"u\\u00e9","bad":"\\x","pair":"\\ud83d\\ude00","lone":"\\ud83d"}',
        '{"trailing":1} garbage',
        '{"a":{"b":{"c":{"d":1,"e":"f"}}},"x":[{"y":1}]}',
        'level=warn job="unterminated',
        "level=warn =novalue job=x=y ok=1",
        "Timeout after 30s while calling upstream",
        "timeout after 5s while calling upstream",
        "finished",
    ]
    return [[_at(base_ns, number * 150 + 7), line] for number, line in enumerate(texts)]


def _edge(base_ns: int) -> list[list[Any]]:
    same = _at(base_ns, 600)
    return [
        [_at(base_ns, 0), ""],
        [_at(base_ns, 30), "two\nlines"],
        [_at(base_ns, 60), 'tab\there "quoted" back\\slash `tick`'],
        [_at(base_ns, 90), "snow ☃ and 😀"],
        [same, "first at one instant"],
        [same, "second at one instant"],
        [same, "third at one instant"],
        [same, "first at one instant"],
        [same, "first at one instant", {"trace_id": "other"}],
        [_at(base_ns, 700), "metadata", {"level": "meta", "http.method": "GET", "empty": ""}],
        [_at(base_ns, 701), "code=999", {"code": "999"}],
        [_at(base_ns, 702), "code=9990", {"code": "9990"}],
        [_at(base_ns, 703), "code=1999", {"code": "1999"}],
        [_at(base_ns, 704), "code=warn", {"code": "warn"}],
        [_at(base_ns, 705), "code=warning", {"code": "warning"}],
        [_at(base_ns, 706), "code=prewarning", {"code": "prewarning"}],
    ]
