"""A tail gives every line once, in order, goes on where its reader was, and ends with him."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from contextlib import contextmanager

import pytest

from loglane.devserver import running
from loglane.errors import ServiceUnavailable
from loglane.integrations.fastapi import TailRules, allow_all, logs_router
from loglane.integrations.fastapi.ordering import MAX_HELD, Ordering, Place, read_place
from loglane.integrations.fastapi.tail import EventStream
from loglane.query import AsyncLogService, LogEntry, LogService, LokiClient, Retry, Stream
from tests.unit.integrations.log_apps import WAIT_S, push, served, until

NUMBERS = itertools.count()
QUICK = TailRules(settle_s=0.2, heartbeat_s=5)


@pytest.fixture(scope="module")
def loki_url():
    with running() as url:
        yield url


@pytest.fixture
def tenant():
    return f"tail{next(NUMBERS)}"


@pytest.fixture
def loki(loki_url, tenant):
    with LokiClient(loki_url, tenant=tenant) as client:
        yield client


class Watched(AsyncLogService):
    """Knows how many of its tails are open."""

    open = 0

    def tail(self, **options):
        async def lines():
            self.open += 1
            try:
                async for entry in super(Watched, self).tail(**options):
                    yield entry
            finally:
                self.open -= 1

        return lines()


@pytest.fixture
def service(loki_url, tenant):
    return Watched(loki_url, tenant=tenant, retry=Retry(tries=1))


class Events:
    """Reads server-sent events as a browser does."""

    def __init__(self, answer):
        self._lines = answer.iter_lines()
        self.last_id = None
        self.retry = None

    def next(self):
        """Return the next event as `(kind, data)`; a comment is `(":", text)`."""
        kind, data = "message", None
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                return ":", value
            if line == "" and data is None:
                continue
            if line == "":
                return kind, json.loads(data)
            if name == "id":
                self.last_id = value
            elif name == "retry":
                self.retry = int(value)
            elif name == "event":
                kind = value
            else:
                data = value
        return "end", None

    def messages(self, count):
        found = []
        end = time.monotonic() + WAIT_S
        while len(found) < count:
            assert time.monotonic() < end, found
            kind, data = self.next()
            assert kind in ("message", ":"), (kind, data)
            if kind == "message":
                found.append(data["message"])
        return found


@contextmanager
def following(client, last_id=None, **parameters):
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with client.stream("GET", "/logs/tail", params=parameters, headers=headers) as answer:
        assert 200 == answer.status_code, answer.read()
        assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
        assert "no-store" == answer.headers["cache-control"]
        yield Events(answer)


def numbered(loki, numbers, *, at_ns=None, service="api"):
    push(loki, *({"message": str(number)} for number in numbers), at_ns=at_ns, service=service)


def test_a_tail_gives_lines_as_they_come(service, loki):
    """What is stored after the connect, with its fields, and only what fits the filters."""
    with served(logs_router(service, authorize=allow_all, tail=QUICK)) as client:
        with following(client, service="api") as events:
            until(lambda: service.open)
            numbered(loki, range(3), at_ns=time.time_ns())
            numbered(loki, [9], at_ns=time.time_ns(), service="other")
            numbered(loki, range(3, 6), at_ns=time.time_ns())
            # One that is stored while the tail connects may come late.
            assert ["0", "1", "2", "3", "4", "5"] == sorted(events.messages(6))
        until(lambda: not service.open)


def test_a_tail_may_begin_earlier(service, loki):
    """`start` gives what was before, then what comes."""
    numbered(loki, range(3))
    with (
        served(logs_router(service, authorize=allow_all, tail=QUICK)) as client,
        following(client, start="1m") as events,
    ):
        assert ["0", "1", "2"] == events.messages(3)
        numbered(loki, [3], at_ns=time.time_ns())
        assert ["3"] == events.messages(1)
        assert 3000 == events.retry


def test_a_blocking_service_is_followed_too(loki_url, loki, tenant):
    """A `LogService` is followed by an async twin."""
    numbered(loki, range(3))
    with (
        LogService(loki_url, tenant=tenant) as service,
        served(logs_router(service, authorize=allow_all, tail=QUICK)) as client,
        following(client, start="1m") as events,
    ):
        assert ["0", "1", "2"] == events.messages(3)


@pytest.mark.parametrize("same_ns", [False, True], ids=["spread", "one nanosecond"])
def test_a_reader_who_comes_back_misses_nothing_and_sees_nothing_twice(service, loki, same_ns):
    """Cut off after every few lines, while more are written, each line comes exactly once."""
    base_ns = time.time_ns() - 10**9
    expected = set()

    def write(numbers):
        for number in numbers:
            expected.add(str(number))
            at_ns = base_ns if same_ns else base_ns + number * 1000
            loki.push([Stream({"service": "api"}, [(at_ns, f'{{"message":"{number}"}}', {})])])

    write(range(40))
    found, last_id = [], None
    with served(logs_router(service, authorize=allow_all, tail=QUICK)) as client:
        for turn in range(8):
            with following(client, last_id, start="1m") as events:
                found += events.messages(5)
                last_id = events.last_id
            if not same_ns:
                write(range(40 + turn * 10, 50 + turn * 10))
        while len(found) < len(expected):
            with following(client, cursor=last_id) as events:
                found += events.messages(min(7, len(expected) - len(found)))
                last_id = events.last_id
    assert sorted(expected) == sorted(found)


def test_a_reader_cut_off_before_the_first_line_comes_back_to_its_begin(service, loki):
    """The stream begins with an id, so that nothing between the two connections is lost."""
    with served(logs_router(service, authorize=allow_all, tail=QUICK)) as client:
        with following(client) as events:
            numbered(loki, [1], at_ns=time.time_ns())
            assert ["1"] == events.messages(1)
        with following(client) as first:
            line = next(first._lines)
            assert "retry: 3000" == line
            first_id = next(first._lines).removeprefix("id: ")
        numbered(loki, [2], at_ns=time.time_ns())
        with following(client, first_id) as events:
            assert ["2"] == events.messages(1)


def test_a_quiet_tail_shows_that_it_lives(service):
    """A comment comes when there is nothing else, so no proxy cuts the connection."""
    rules = TailRules(heartbeat_s=0.05)
    with (
        served(logs_router(service, authorize=allow_all, tail=rules)) as client,
        following(client) as events,
    ):
        assert (":", "nothing new") == events.next()
        assert (":", "nothing new") == events.next()


def test_a_tail_ends_after_its_time(service):
    """The browser comes back by itself, and is asked again who it is."""
    rules = TailRules(longest_s=0.1)
    with (
        served(logs_router(service, authorize=allow_all, tail=rules)) as client,
        following(client) as events,
    ):
        assert ("end", None) == events.next()
        until(lambda: not service.open)


def test_tails_are_bounded_and_their_places_given_back(service):
    """One too many is told to come later; a reader who leaves makes room."""
    router = logs_router(service, authorize=allow_all, tail=TailRules(most=2, heartbeat_s=0.05))
    with served(router) as client:
        with following(client) as one, following(client) as two:
            assert ":" == one.next()[0] == two.next()[0]
            refused = client.get("/logs/tail")
            assert (503, "30") == (refused.status_code, refused.headers["retry-after"])
        until(lambda: not service.open)
        for _ in range(5):
            assert 400 == client.get("/logs/tail", params={"cursor": "x"}).status_code
        with following(client) as events:
            assert ":" == events.next()[0]


def test_a_tail_that_cannot_be_closed_gives_its_place_back():
    """Or one error after the other would take all places."""
    left = []

    async def lines():
        try:
            await asyncio.Event().wait()
            yield
        finally:
            raise RuntimeError("broken")

    async def leave_at_once():
        sent = asyncio.Event()

        async def receive():
            await sent.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message.get("body"):
                sent.set()

        stream = EventStream(lines(), Place(0), QUICK, lambda: left.append("left"))
        await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(leave_at_once())
    assert ["left"] == left


def test_a_tail_that_breaks_says_why_and_no_more(service, loki, caplog):
    """The event `problem` has a status and a sentence; Loki's words stay in the app's log."""

    class Breaking(Watched):
        def tail(self, **_options):
            async def lines():
                raise ServiceUnavailable("Loki at http://secret-host cannot be tailed")
                yield

            return lines()

    service.__class__ = Breaking
    with (
        served(logs_router(service, authorize=allow_all, tail=QUICK)) as client,
        following(client) as events,
    ):
        detail = "the log store does not answer; try again later"
        assert ("problem", {"status": 503, "detail": detail}) == events.next()
        assert ("end", None) == events.next()
    assert "secret-host" in caplog.text


def test_who_may_see_nothing_follows_nothing(service, loki):
    """An empty scope is refused before Loki is asked; another one narrows."""
    router = logs_router(service, authorize=allow_all, tail=QUICK, scope=lambda: {"service": "a"})
    with served(router) as client:
        assert 403 == client.get("/logs/tail", params={"service": "b"}).status_code
        assert 0 == service.open
        numbered(loki, [1], service="b")
        numbered(loki, [2], service="a")
        with following(client, start="1m") as events:
            assert ["2"] == events.messages(1)


def entry(at_ns, text):
    return LogEntry(at_ns, text)


def texts(found):
    return [line.raw for _, line in found]


class Clock:
    """Stands still."""

    now_ns = 1_000

    def __call__(self):
        return self.now_ns


def test_ordering_puts_lines_in_order_of_time():
    """Lines that come within the wait are given by their time."""
    clock = Clock()
    ordering = Ordering(Place(0), 100, clock)
    for at_ns in (990, 950, 970):
        ordering.add(entry(at_ns, str(at_ns)))
    assert [] == ordering.ready(paused=True)
    assert 50e-9 == pytest.approx(ordering.wait_s())
    clock.now_ns = 1_070
    assert ["950", "970"] == texts(ordering.ready(paused=True))
    assert Place(970, entry(970, "970").digest()) == ordering.place


def test_ordering_keeps_a_nanosecond_together():
    """While lines of one nanosecond come none is given, and then they come by digest."""
    ordering = Ordering(Place(0), 0, Clock())
    lines = [entry(5, str(number)) for number in range(20)]
    for line in lines:
        ordering.add(line)
        assert [] == ordering.ready(paused=False)
    found = [line.digest() for _, line in ordering.ready(paused=True)]
    assert sorted(line.digest() for line in lines) == found


def test_ordering_gives_a_late_line_without_going_back():
    """It is shown, and the place stays behind the newest line."""
    ordering = Ordering(Place(0), 0, Clock())
    ordering.add(entry(9, "on time"))
    [(place, _)] = ordering.ready(paused=True)
    ordering.add(entry(3, "late"))
    assert [(place, "late")] == [(at, line.raw) for at, line in ordering.ready(paused=True)]


def test_ordering_leaves_out_what_the_reader_has():
    """Of the nanosecond where he stands, the lines up to his."""
    lines = sorted((entry(5, str(number)) for number in range(9)), key=LogEntry.digest)
    ordering = Ordering(Place(5, lines[3].digest()), 0, Clock())
    for line in [*lines, entry(6, "next")]:
        ordering.add(line)
    expected = [*(line.raw for line in lines[4:]), "next"]
    assert expected == texts(ordering.ready(paused=True))


def test_ordering_is_bounded():
    """Beyond a number of lines the oldest do not wait."""
    ordering = Ordering(Place(0), 10**9, Clock())
    for at_ns in range(MAX_HELD + 5):
        ordering.add(entry(at_ns, str(at_ns)))
    assert ["0", "1", "2", "3", "4"] == texts(ordering.ready(paused=True))


@pytest.mark.parametrize("place", [Place(0), Place(2**63 - 1), Place(17, b"\x00\xff" * 4)], ids=str)
def test_places_are_read_as_written(place):
    """A place survives the way over the reader."""
    assert place == read_place(str(place))


@pytest.mark.parametrize("text", ["", "x", "-1", "1-", "1-xyz", "1-0f", "1" * 20, "1\n", "\u0661"])
def test_what_is_no_place_is_refused(text):
    """It is the reader's, so it may be anything."""
    with pytest.raises(ValueError, match="no id of an event"):
        read_place(text)
