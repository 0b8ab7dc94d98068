"""The router finds what is asked for, for whom may ask, and says clearly when it cannot."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import datetime, timezone

import httpx2
import pytest
from fastapi import Depends, Header, HTTPException
from fastapi.security import HTTPBearer

from loglane.devserver import running
from loglane.errors import QueryError, TooManyResults
from loglane.integrations.fastapi import TailRules, allow_all, logs_router
from loglane.query import AsyncLogService, LogService, LokiClient, Retry, Stream
from tests.unit.integrations.log_apps import messages, push, served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NUMBERS = itertools.count()
# Of a query without a filter.
OTHER_CURSOR = "AQEraZWmGOpCReGZHasY6j7_8rGvVBUlro_6TFOx"
PARAMETERS = ("service", "log_category", "text", "trace_id", "cursor", "level", "start", "end")
INJECTIONS = (
    '"} or {service=~".+"}',
    '"} |= "',
    '`} or {service=~`.+`}',
    'x", service=~".+',
    'x"\n| line_format "all',
    'x" or service=~".*',
    "\\",
    '\\"} or {service=~".+"} #',
    "a|.*",
    ".*",
    "%22%7D",
    "x\u2028y\x00z",
    "${jndi:x}{{.}}",
)  # fmt: skip


@pytest.fixture(scope="module")
def loki_url():
    with running() as url:
        yield url


@pytest.fixture
def tenant():
    return f"t{next(NUMBERS)}"


@pytest.fixture
def loki(loki_url, tenant):
    with LokiClient(loki_url, tenant=tenant) as client:
        yield client


@pytest.fixture
def service(loki_url, tenant):
    return AsyncLogService(loki_url, tenant=tenant, retry=Retry(tries=1))


@pytest.fixture
def logs(service):
    """Return a client of an open app."""
    with served(logs_router(service, authorize=allow_all)) as client:
        yield client


class Counted(AsyncLogService):
    """Counts how often it is asked, or raises an error."""

    def __init__(self, error=None):
        self.asked = 0
        self.error = error

    async def page(self, **_options):
        self.asked += 1
        raise self.error or AssertionError("nobody may come here")


def test_a_page_has_the_lines_and_says_what_they_are(logs, loki):
    """An entry has its time, level, message, labels, metadata, fields and raw line."""
    at_ns = time.time_ns() - 10**9
    push(loki, {"message": "boom", "order_id": 17, "trace_id": TRACE}, at_ns=at_ns)
    page = logs.get("/logs").json()
    assert page == {
        "entries": [
            {
                "timestamp": datetime.fromtimestamp(at_ns // 1000 / 1e6, timezone.utc).isoformat(),
                "timestamp_ns": str(at_ns),
                "level": "info",
                "message": "boom",
                "labels": {"service": "api", "service_name": "api", "level": "info",
                           "log_category": "system"},
                "metadata": {"trace_id": TRACE},
                "fields": {"message": "boom", "order_id": 17, "trace_id": TRACE},
                "raw": f'{{"message":"boom","order_id":17,"trace_id":"{TRACE}"}}',
            }
        ],
        "next_cursor": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["d", "c", "b", "a"]),
        ({"direction": "forward"}, ["a", "b", "c", "d"]),
        ({"level": "error"}, ["c", "b"]),
        ({"level": ["error", "info"]}, ["d", "c", "b", "a"]),
        ({"service": ["web", "nobody"]}, ["c"]),
        ({"service": ""}, ["d", "c", "b", "a"]),
        ({"log_category": "audit"}, ["d"]),
        ({"text": 'qu"oted'}, ["b"]),
        ({"trace_id": TRACE}, ["d", "b"]),
        ({"trace_id": TRACE, "level": "error"}, ["b"]),
        ({"limit": 2}, ["d", "c"]),
        ({"end": "30m"}, []),
        ({"start": "2d", "end": "now", "limit": 1}, ["d"]),
    ],
    ids=str,
)
def test_filters_narrow(logs, loki, parameters, expected):
    """Each parameter narrows; of several values one must fit; an empty one is not given."""
    push(
        loki,
        {"message": "a"},
        {"message": "b", "level": "error", "trace_id": TRACE, "note": 'qu"oted'},
        {"message": "c", "level": "error", "service": "web"},
        {"message": "d", "log_category": "audit", "trace_id": TRACE},
    )
    assert expected == messages(logs.get("/logs", params=parameters))


def test_the_lines_of_a_trace_come_oldest_first_and_of_a_day(logs, loki):
    """Who asks for a trace does not know when it was, and reads it from its beginning."""
    hours = 3600 * 10**9
    push(loki, {"message": "old", "trace_id": TRACE}, at_ns=time.time_ns() - 23 * hours)
    push(loki, {"message": "new", "trace_id": TRACE}, {"message": "x", "trace_id": "other"})
    assert ["old", "new"] == messages(logs.get(f"/logs/{TRACE}"))
    assert ["old"] == messages(logs.get(f"/logs/{TRACE}", params={"end": "2h"}))
    assert ["new"] == messages(logs.get(f"/logs/{TRACE}", params={"start": "2h"}))
    first = logs.get(f"/logs/{TRACE}", params={"limit": 1}).json()
    more = {"limit": 1, "cursor": first["next_cursor"]}
    assert ["new"] == messages(logs.get(f"/logs/{TRACE}", params=more))


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_cursors_lead_through_all_lines_once(logs, loki, direction):
    """Thousands of lines, many of one nanosecond, come exactly once over all pages."""
    base_ns = time.time_ns() - 60 * 10**9
    entries = [(base_ns + number // 700, f'{{"message":"{number}"}}', {}) for number in range(3500)]
    loki.push([Stream({"service": "api"}, entries)])
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        given = {"cursor": cursor} if cursor else {}
        answer = logs.get("/logs", params={"limit": 333, "direction": direction, **given})
        found += messages(answer)
        cursor = answer.json()["next_cursor"]
        pages += 1
    assert (3500, 3500, 11) == (len(found), len(set(found)), pages)


@pytest.mark.parametrize("injection", INJECTIONS, ids=repr)
def test_no_value_breaks_out_of_its_place(logs, loki, injection):
    """Whatever a parameter holds, it is a value: nothing it does not name is selected."""
    push(loki, {"message": "secret", "service": "bank", "trace_id": "t"}, {"message": "other"})
    for name in PARAMETERS:
        answer = logs.get("/logs", params={name: injection})
        assert answer.status_code in (200, 400, 422), (name, answer.text)
        if answer.status_code == 200:
            assert [] == messages(answer), name
    for path in ("/logs/{}", "/logs/tail?cursor={}", "/logs/tail?start={}"):
        address = httpx2.URL(path.format("")).copy_with()
        if "?" in path:
            name = path.partition("?")[2].partition("=")[0]
            answer = logs.get("/logs/tail", params={name: injection})
            assert answer.status_code in (400, 422), (path, answer.text)
        else:
            quoted = "".join(f"%{byte:02X}" for byte in injection.encode())
            answer = logs.get(f"{address}{quoted}")
            assert answer.status_code in (200, 400), answer.text
            assert [] == answer.json().get("entries", [])


def test_a_value_that_looks_like_an_injection_is_found_as_a_value(logs, loki):
    """The same texts select the line that has them."""
    for number, text in enumerate(INJECTIONS):
        push(loki, {"message": str(number), "trace_id": text.replace("\x00", "")}, {"message": "-"})
        found = messages(logs.get("/logs", params={"trace_id": text.replace("\x00", "")}))
        assert [str(number)] == found, text


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"limit": 0}, 422),
        ({"limit": 1001}, 422),
        ({"limit": "many"}, 422),
        ({"level": "loud"}, 422),
        ({"direction": "up"}, 422),
        ({"start": "yesterday"}, 422),
        ({"start": "2026-11-22T03:04:05"}, 422),
        ({"start": "1d", "end": "2d"}, 400),
        ({"cursor": "nonsense"}, 400),
        ({"cursor": OTHER_CURSOR, "service": "x"}, 400),
        ({"text": "x" * 1001}, 422),
    ],
    ids=str,
)
def test_wrong_values_are_refused_with_their_reason(logs, parameters, status):
    """A value that cannot be meant is 422, one that fits not here 400; both say why in JSON."""
    answer = logs.get("/logs", params=parameters)
    assert status == answer.status_code
    assert answer.json()["detail"]


@pytest.mark.parametrize("zone", ["Z", "+00:00", " 00:00"])
def test_moments_have_a_zone(logs, loki, zone):
    """RFC 3339, also when the + arrives as a space because nobody quoted it."""
    push(loki, {"message": "a"}, at_ns=time.time_ns() - 10**9)
    start = datetime.fromtimestamp(time.time() - 5, timezone.utc).isoformat()
    assert ["a"] == messages(logs.get("/logs", params={"start": start.replace("+00:00", zone)}))


def test_loki_down_is_503(loki_url):
    """Every route says so, and when to come again; where Loki is stays unsaid."""
    service = AsyncLogService("http://127.0.0.1:9", retry=Retry(tries=1))
    with served(logs_router(service, authorize=allow_all)) as client:
        for path in ("/logs", "/logs/x", "/logs/tail"):
            answer = client.get(path)
            assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
            detail = "the log store does not answer; try again later"
            assert {"detail": detail} == answer.json()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooManyResults("maximum of series", '{a="b"}'), 413),
        (QueryError("parse error at secret-host", '{a="b"}', 400), 400),
        (QueryError("no org id", '{a="b"}', 401), 502),
    ],
    ids=["many", "refused", "unauthorised"],
)
def test_what_loki_refuses_stays_in_the_log(caplog, error, status):
    """The caller gets a status and a sentence, the app's log what Loki said."""
    caplog.set_level(logging.INFO, "loglane.logs_router")
    with served(logs_router(Counted(error), authorize=allow_all)) as client:
        answer = client.get("/logs")
    assert (status, ["detail"]) == (answer.status_code, list(answer.json()))
    assert str(error) not in answer.text
    assert str(error) in caplog.text


def test_a_page_that_takes_too_long_is_504(service):
    """A blocking service is left alone in its thread."""

    class Slow(LogService):
        def __init__(self):
            pass

        def page(self, **_options):
            time.sleep(0.2)

    with served(logs_router(Slow(), authorize=allow_all, timeout_s=0.05)) as client:
        assert 504 == client.get("/logs").status_code


def test_a_blocking_service_does_as_well(loki_url, loki, tenant):
    """A `LogService` is asked in a thread."""
    push(loki, {"message": "a", "trace_id": "t"})
    with (
        LogService(loki_url, tenant=tenant) as service,
        served(logs_router(service, authorize=allow_all)) as client,
    ):
        assert ["a"] == messages(client.get("/logs"))
        assert ["a"] == messages(client.get("/logs/t"))


async def by_token(token: str = Header("", alias="X-Token")):
    if not token:
        raise HTTPException(401, "who are you?", {"WWW-Authenticate": "Token"})
    if token != "good":
        raise HTTPException(403, "not you")


@pytest.mark.parametrize(
    ("authorize", "headers", "status"),
    [
        (by_token, {}, 401),
        (by_token, {"X-Token": "bad"}, 403),
        (Depends(by_token), {}, 401),
        (HTTPBearer(), {}, 401),
        (lambda: False, {}, 403),
    ],
    ids=["nobody", "somebody", "wrapped", "bearer", "answers False"],
)
@pytest.mark.parametrize("path", ["/logs", "/logs/x", "/logs/tail", "/logs?limit=0&cursor=x"])
def test_who_does_not_pass_reaches_no_loki(authorize, headers, status, path):
    """Refused before the parameters are read and before anything is asked; also a plain False."""
    service, provided = Counted(), []

    def provide():
        provided.append(1)
        return service

    def scope():
        provided.append(2)
        return {}

    with served(logs_router(provide, authorize=authorize, scope=scope)) as client:
        answer = client.get(path, headers=headers)
    assert (status, 0, []) == (answer.status_code, service.asked, provided)


def test_who_passes_reads(service, loki):
    """The dependency lets in whom it does not refuse."""
    push(loki, {"message": "a"})
    with served(logs_router(service, authorize=by_token)) as client:
        assert ["a"] == messages(client.get("/logs", headers={"X-Token": "good"}))


@pytest.mark.parametrize("authorize", [None, True, "admin"], ids=str)
def test_without_a_dependency_there_is_no_router(service, authorize):
    """Open is what somebody wrote out, never what somebody forgot."""
    with pytest.raises(TypeError, match="authorize=allow_all"):
        logs_router(service, authorize=authorize)
    with pytest.raises(TypeError, match="authorize"):
        logs_router(service)


def test_an_open_router_is_in_the_log(service, caplog):
    """Once, when it is made."""
    with caplog.at_level(logging.WARNING, "loglane.logs_router"):
        logs_router(service, authorize=by_token)
        assert [] == caplog.records
        logs_router(service, authorize=allow_all, prefix="/all")
    assert ["/all is open: whoever reaches this app can read every log line"] == caplog.messages


SCOPED = (
    {"message": "mine", "service": "shop", "user_id": "7", "trace_id": "t"},
    {"message": "ours", "service": "pay", "level": "error", "trace_id": "t"},
    {"message": "secret", "service": "bank", "user_id": "8", "trace_id": "t"},
)


@pytest.mark.parametrize(
    ("forced", "parameters", "expected"),
    [
        ({"service": "shop"}, {}, ["mine"]),
        ({"service": ["shop", "pay"]}, {}, ["mine", "ours"]),
        ({"service": ["shop", "pay"]}, {"service": "pay"}, ["ours"]),
        ({"service": ["shop", "pay"]}, {"service": ["pay", "bank"]}, ["ours"]),
        ({"service": ["shop", "pay"]}, {"service": "bank"}, []),
        ({"service": "shop"}, {"trace_id": "t"}, ["mine"]),
        ({"service": "shop"}, {"text": "secret"}, []),
        ({"user_id": 7}, {}, ["mine"]),
        ({"user_id": "7"}, {"service": "bank"}, []),
        ({"level": "error"}, {"level": ["info", "error"]}, ["ours"]),
        ({"trace_id": "t", "user_id": "8"}, {}, ["secret"]),
        ({"contains": "pay"}, {"text": "ours"}, ["ours"]),
        ({"contains": "pay"}, {"text": "secret"}, []),
        ({"service": []}, {}, []),
        ({"service": ""}, {}, []),
        ({"service": None}, {}, []),
        ({"user_id": None}, {}, []),
        ({"user_id": ""}, {}, []),
        ({"service": ["shop", None]}, {}, []),
    ],
    ids=str,
)
def test_a_scope_can_only_be_narrowed(service, loki, forced, parameters, expected):
    """No parameter shows a line outside of the scope; an empty value in it shows nothing."""
    push(loki, *SCOPED)
    router = logs_router(service, authorize=allow_all, scope=lambda: forced)
    with served(router) as client:
        assert sorted(expected) == sorted(messages(client.get("/logs", params=parameters)))
        if not parameters:
            assert set(messages(client.get("/logs/t"))) <= set(expected)


def test_a_cursor_of_another_scope_is_refused(service, loki):
    """It belongs to the query of who got it."""
    push(loki, *SCOPED, *SCOPED)

    def scope(who: str = Header(alias="X-Who")):
        return {"service": who}

    with served(logs_router(service, authorize=allow_all, scope=scope)) as client:
        page = client.get("/logs", params={"limit": 1}, headers={"X-Who": "bank"}).json()
        assert page["next_cursor"]
        given = {"limit": 1, "cursor": page["next_cursor"]}
        assert 400 == client.get("/logs", params=given, headers={"X-Who": "shop"}).status_code
        assert 200 == client.get("/logs", params=given, headers={"X-Who": "bank"}).status_code


@pytest.mark.parametrize("forced", [None, ["service"], {"limit": 5}, {"start_time": "1h"}], ids=str)
def test_a_scope_that_is_none_fails_closed(service, loki, forced):
    """A scope that forgets to return, or forces no field, is a mistake of the app: nobody reads."""
    push(loki, *SCOPED)
    router = logs_router(service, authorize=allow_all, scope=lambda: forced)
    with served(router) as client:
        assert 500 == client.get("/logs").status_code


def test_the_service_may_depend_on_who_asks(loki_url, tenant):
    """A dependency in its place gives each caller the service of a tenant."""
    services = {name: AsyncLogService(loki_url, tenant=f"{tenant}-{name}") for name in "ab"}
    for name in "ab":
        with LokiClient(loki_url, tenant=f"{tenant}-{name}") as loki:
            push(loki, {"message": name})

    def provide(who: str = Header(alias="X-Who")):
        return services[who]

    with served(logs_router(provide, authorize=allow_all)) as client:
        assert ["b"] == messages(client.get("/logs", headers={"X-Who": "b"}))


def test_openapi_says_what_there_is(service):
    """Models, examples, limits and errors are in the document, and what authorises."""
    router = logs_router(service, authorize=HTTPBearer(), max_limit=50, tail=TailRules(most=1))
    with served(router) as client:
        document = client.get("/openapi.json").json()
    assert ["/logs", "/logs/tail", "/logs/{trace_id}"] == list(document["paths"])
    found = document["paths"]["/logs"]["get"]
    names = ["level", "service", "log_category", "text", "trace_id", "start", "end"]
    assert {*names, "cursor", "direction", "limit"} == {one["name"] for one in found["parameters"]}
    assert all(one["description"] for one in found["parameters"])
    limit = next(one["schema"] for one in found["parameters"] if one["name"] == "limit")
    assert 50 == limit["maximum"]
    assert {"200", "400", "401", "403", "413", "503"} <= set(found["responses"])
    assert [{"HTTPBearer": []}] == found["security"]
    assert document["components"]["schemas"]["LogLine"]["examples"]
    tail = document["paths"]["/logs/tail"]["get"]["responses"]["200"]
    assert ["text/event-stream"] == list(tail["content"])
