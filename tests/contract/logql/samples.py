"""Streams of the data set whose lines carry numbers: latencies, sizes, counters, odd values.

Their names begin with `sample-`, so that no query of `corpus-` streams sees them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

# What Go's ParseFloat, ParseDuration and go-humanize's ParseBytes accept, or do not.
_NUMBERS = (
    "1", "-2.5", "+3", ".5", "5.", "1e3", "0x1p-2", "NaN", "Inf", "-inf", "+Infinity",
    "1_000", "1e400", " 7", "1,5", "seven", "0", "-0", "1e-7", "123456789.123456789", "0x10",
    "0b11", "1__0", "infinite", "\u0663",
)  # fmt: skip
_DURATIONS = (
    "1s", "1.5h", "250ms", "3m20s", "10us", "7\u00b5s", "1ns", "-4s", "100", "0", "1d", "5 s",
    "s", ".5s", "1h1h", "",
)  # fmt: skip
_SIZES = (
    "1B", "5KB", "5kb", "1KiB", "1.5MB", "10 MiB", "1,000B", "7", "-1KB", "1EB", "20EB", "KB",
    "1Kb", "3 XB", "0",
)  # fmt: skip
_REGIONS = ("eu", "us", "ap")

Moment = Callable[[float], str]


def streams(at: Moment) -> list[tuple[dict[str, str], list[list[Any]]]]:
    """Return the labels and values of the streams; `at` makes a timestamp of seconds."""
    return [
        ({"app": "sample-shop", "env": "prod", "level": "info"}, _shop(at, 60, 0)),
        ({"app": "sample-shop", "env": "prod", "level": "error"}, _shop(at, 25, 1)),
        ({"app": "sample-shop", "env": "dev", "level": "info"}, _shop(at, 30, 2)),
        ({"app": "sample-meter", "env": "prod"}, _meter(at)),
        ({"app": "sample-odd", "kind": "number"}, _odd(at, "v", _NUMBERS, 0)),
        ({"app": "sample-odd", "kind": "duration"}, _odd(at, "took", _DURATIONS, 1)),
        ({"app": "sample-odd", "kind": "bytes"}, _odd(at, "size", _SIZES, 2)),
    ]


def _shop(at: Moment, count: int, kind: int) -> list[list[Any]]:
    values: list[list[Any]] = []
    for number in range(count):
        line = (
            f"took={(number * 53 + kind * 7) % 700 + 5}ms size={number * 7 % 40}KB "
            f"items={(number * 11 + kind) % 9} price={number * 1.25 - 9:g}"
        )
        if number % 7 == 3:
            # Some lines lack the value, which an average must not count.
            line = f"took={number}ms note=none"
        metadata = {"region": _REGIONS[(number + kind) % 3], "cart": f"c{number % 4}"}
        values.append([at(number * (39.5 + kind * 11) + kind / 4), line, metadata])
    return values


def _meter(at: Moment) -> list[list[Any]]:
    values: list[list[Any]] = []
    total = 40
    for number in range(70):
        # A counter that starts again at times.
        total = 3 if number in {25, 48} else total + number % 5
        body = {"total": total, "temp": (number % 13) - 4.5, "unit": {"id": number % 2}}
        values.append([at(number * 33 + 2), json.dumps(body, separators=(",", ":"))])
    return values


def _odd(at: Moment, name: str, found: tuple[str, ...], kind: int) -> list[list[Any]]:
    return [
        [at(number * 90 + kind), f'n={number} {name}="{text}"'] for number, text in enumerate(found)
    ]
