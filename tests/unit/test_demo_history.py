"""The made-up history has the lines that the package would write."""

from __future__ import annotations

import itertools
from wsgiref.util import setup_testing_defaults

import loglane
from loglane.demo.history import history, streams
from loglane.fields import LABELS, LEVELS
from loglane.integrations.wsgi import RequestLogWsgiMiddleware

END_NS = 1_800_000_000 * 10**9
LINES = list(history(END_NS, span_s=3600, requests_per_second=1.0))


def test_history_is_the_same_for_the_same_seed():
    """Chance comes from the seed alone."""
    again = history(END_NS, span_s=3600, requests_per_second=1.0)
    assert LINES[:500] == list(itertools.islice(again, 500))


def test_history_lies_within_its_span():
    """No line is of the future, apart from the seconds in which the last request ends."""
    times = [at_ns for at_ns, _ in LINES]
    assert END_NS - 3600 * 10**9 <= min(times)
    assert max(times) <= END_NS + 60 * 10**9


def test_history_has_the_access_line_of_the_package(lines):
    """A made-up access line has the fields of a real one, and a user beside them."""
    loglane.configure(service="shop", env="dev", version="1", mode="container")
    environ: dict[str, object] = {}
    setup_testing_defaults(environ)
    answered = RequestLogWsgiMiddleware(_answer)(environ, lambda *_: None)
    assert b"done" == b"".join(answered)
    (real,) = [line for line in lines() if line["logger"] == "loglane.access"]
    made = next(line for _, line in LINES if line.get("log_category") == "access")
    assert set(made) - {"user_id"} == set(real)


def test_history_shows_what_the_dashboards_ask_for():
    """Each level of the contract but the worst, two versions of the shop, storms and losses."""
    assert set(LEVELS) - {"critical"} == {line["level"] for _, line in LINES}
    assert 2 == len({line["version"] for _, line in LINES if line["service"] == "shop"})
    assert {"suppressed", "lost"} <= {name for _, line in LINES for name in line}


def test_streams_are_few_and_hold_every_line():
    """Ids go beside the lines, so a stream is not opened for each."""
    made = streams(LINES)
    assert len(made) < 30
    assert len(LINES) == sum(len(stream.entries) for stream in made)
    assert set(LABELS) >= {name for stream in made for name in stream.labels}


def _answer(_environ, start):
    start("200 OK", [])
    return [b"done"]
