"""Errors, retries, and what is sent with a question; against a server that does as it is told."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest

from loglane.errors import QueryError, ServiceUnavailable, TooManyResults
from loglane.query import AsyncLogService, LogService, Retry
from tests.unit.query.scripted import EMPTY, Reply, scripted

QUICK = Retry(tries=3, total_s=5, first_s=0.001)


def ask(url: str, face: type = LogService, **options):
    """Ask one question through either face."""
    options = {"retry": QUICK, **options}
    if face is LogService:
        with LogService(url, **options) as service:
            return service.query_logs()

    async def asking():
        async with AsyncLogService(url, **options) as service:
            return await service.query_logs()

    return asyncio.run(asking())


faces = pytest.mark.parametrize("face", [LogService, AsyncLogService], ids=["blocking", "async"])


@faces
@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 504, 520])
def test_passing_trouble_is_tried_again(face, status):
    """A cut connection, 429 and 5xx are asked again, and the answer counts."""
    with scripted([Reply(status), Reply(status), Reply()]) as (url, asked):
        assert [] == ask(url, face)
    assert 3 == len(asked)


@faces
@pytest.mark.parametrize("status", [None, 429, 503])
def test_lasting_trouble_is_service_unavailable(face, status):
    """After the budget the error says where, what and how often."""
    with scripted([Reply(status, "too busy")]) as (url, asked):
        with pytest.raises(ServiceUnavailable) as caught:
            ask(url, face)
        assert url in str(caught.value)
        assert "3 tries" in str(caught.value)
    assert status is None or f"{status}: too busy" in str(caught.value)
    assert 3 == len(asked)


@faces
@pytest.mark.parametrize(
    ("status", "said", "expected", "hint"),
    [
        (400, "parse error at line 1", QueryError, "parse error"),
        (401, "no org id", QueryError, "tenant"),
        (404, "page not found", QueryError, "address of a Loki"),
        (302, "", QueryError, "address of a Loki"),
        (400, "maximum number of series (500) reached", TooManyResults, "narrow"),
    ],
    ids=["parse error", "no tenant", "not found", "redirect", "too many series"],
)  # fmt: skip
def test_refusal_is_a_query_error(face, status, said, expected, hint):
    """What asking again cannot help is not asked again, and carries the query."""
    with (
        scripted([Reply(status, said)]) as (url, asked),
        pytest.raises(expected, match=hint) as caught,
    ):
        ask(url, face)
    assert ('{service=~".+"}', status, 1) == (caught.value.query, caught.value.status, len(asked))


@faces
@pytest.mark.parametrize(
    "said",
    [
        "<html>login</html>", "[]", "{}", '{"status": "success"}',
        '{"status": "error", "data": {"resultType": "streams", "result": []}}',
        '{"status": "success", "data": {"resultType": "streams"}}',
        '{"status": "success", "data": {"result": []}}',
    ],
)  # fmt: skip
def test_answer_of_something_else_is_service_unavailable(face, said):
    """A 200 may be the page of a proxy, or come from another server."""
    with (
        scripted([Reply(200, said)]) as (url, _),
        pytest.raises(ServiceUnavailable, match="is no Loki; it says: ") as caught,
    ):
        ask(url, face)
    assert said in str(caught.value)


def test_names_of_something_else_are_service_unavailable():
    """Loki leaves `data` out where there are no labels, and says success."""
    replies = [Reply(body='{"status": "success"}'), Reply(body="{}")]
    with scripted(replies) as (url, _), LogService(url) as service:
        assert [] == service.labels()
        with pytest.raises(ServiceUnavailable, match="is no Loki"):
            service.labels()


def test_retry_after_is_waited_for():
    """A wait that Loki asks for is longer than ours, and beyond the budget it is the end."""
    reply = Reply(429, "slow down", (("Retry-After", "60"),))
    with scripted([reply]) as (url, asked), pytest.raises(ServiceUnavailable, match="one try"):
        ask(url)
    assert 1 == len(asked)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("3", 3.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", 0.0),
    ],
    ids=["seconds", "past date", "nonsense"],
)  # fmt: skip
def test_wait_is_at_least_what_is_asked_for(header, expected):
    """Retry-After holds seconds or a date; another value is as none."""
    waited = Retry(tries=5, total_s=100, first_s=0.5).wait_s(1, 0.0, header)
    assert expected <= waited <= max(expected, 0.5)


def test_wait_grows_and_ends():
    """The longest wait doubles up to its limit; tries and time both end it."""
    retry = Retry(tries=9, total_s=10, first_s=1, longest_s=4)
    longest = [max(retry.wait_s(tried, 0) for _ in range(300)) for tried in (1, 2, 3, 4)]
    assert [1, 2, 4, 4] == [round(wait) for wait in longest]
    assert (None, None) == (retry.wait_s(9, 0), retry.wait_s(1, 10.1))


def test_secrets_are_read_for_each_question(tmp_path):
    """A password in a file or behind a function may change without a restart."""
    secret = tmp_path / "password"
    secret.write_text("one\n")
    tokens = iter(["t1", "t2"])
    with scripted([Reply()]) as (url, asked):
        with LogService(url, auth=("me", secret)) as service:
            service.query_logs()
            secret.write_text("two")
            service.query_logs()
        with LogService(url, token=lambda: next(tokens)) as service:
            service.query_logs()
            service.query_logs()
    sent = [question.headers["authorization"] for question in asked]
    basic = [f"Basic {base64.b64encode(pair).decode()}" for pair in (b"me:one", b"me:two")]
    assert [*basic, "Bearer t1", "Bearer t2"] == sent


def test_tenant_and_headers_are_sent():
    """The tenant has its header, more headers are the caller's."""
    with scripted([Reply()]) as (url, asked):
        ask(url, tenant="team-a", headers={"X-Own": "1"})
    headers = asked[0].headers
    assert ("team-a", "1") == (headers["x-scope-orgid"], headers["x-own"])


def test_password_of_the_address_is_used_and_not_shown():
    """`http://user:password@host` is sent as basic auth, and no message has the password."""
    with scripted([Reply(400, "no")]) as (url, asked):
        with (
            pytest.raises(QueryError) as caught,
            LogService(url.replace("//", "//me:s3cret@"), retry=QUICK) as service,
        ):
            service.query_logs()
        assert "s3cret" not in str(caught.value) + repr(service._link.connection)
    assert b"me:s3cret" == base64.b64decode(asked[0].headers["authorization"].split()[1])


def test_path_of_the_address_stays_in_front():
    """A Loki behind a proxy has a path."""
    with scripted([Reply()]) as (url, asked):
        ask(f"{url}/loki-of-b/")
    assert "/loki-of-b/loki/api/v1/query_range" == asked[0].path


@pytest.mark.parametrize(
    "options",
    [
        {"url": "localhost:3100"}, {"url": "ftp://x"}, {"auth": ("a", "b"), "token": "t"},
        {"url": "http://x:y"}, {"url": "http://x:99999"}, {"url": "http://[::1"},
        {"url": "http://me:s3cret@x:y"}, {"token": "s3cret\nX: y"}, {"tenant": "ten\u00e9"},
        {"headers": {"X-A": "a\r\nb"}},
    ],
    ids=[
        "no scheme", "other scheme", "auth and token", "port of letters", "port too high", "half",
        "password", "two headers", "tenant", "header",
    ],
)  # fmt: skip
def test_wrong_connection_is_refused_at_once(options):
    """What cannot work is an error when the service is made."""
    with pytest.raises(ValueError, match=r"address of a Loki|not both|HTTP cannot carry") as caught:
        LogService(**{"url": "http://127.0.0.1:1", **options})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the secret in {} cannot be read: No such file or directory"),
        (b"\xff", "the secret in {} cannot be read: it is no text"),
        (b"s3cret\nX: y", "the header Authorization has a character that HTTP cannot carry"),
    ],
    ids=["missing", "binary", "two lines"],
)
def test_secret_that_cannot_be_sent_is_service_unavailable(tmp_path, content, said):
    """It may be mended while the app runs; the message has no secret."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with scripted([Reply()]) as (url, asked), LogService(url, token=file) as service:
        with pytest.raises(ServiceUnavailable) as caught:
            service.query_logs()
        assert (True, []) == (said.format(file) in str(caught.value), asked)
        assert "s3cret" not in str(caught.value)
        file.write_text("good")
        assert [] == service.query_logs()


@pytest.mark.parametrize("logql", ['{a="b"} |~ "("', '{a="b"} | line_format "{{"'])
def test_loki_is_made_to_say_what_is_wrong_with_a_query(logql):
    """Asked for structured metadata apart, Loki 3.7 finds nothing with a query it cannot run."""
    with (
        scripted([Reply(), Reply(400, "parse error")]) as (url, asked),
        LogService(url) as service,
        pytest.raises(QueryError, match="parse error"),
    ):
        service.raw(logql)
    flag = "x-loki-response-encoding-flags"
    assert [True, False] == [flag in question.headers for question in asked]


def test_what_cannot_be_wrong_is_asked_once():
    """A query without expressions and templates that finds nothing has found nothing."""
    with scripted([Reply()]) as (url, asked), LogService(url) as service:
        assert [] == service.query_logs(service="a", contains="(", trace_id="4bf9")
    assert 1 == len(asked)


def test_long_query_is_sent_as_a_form():
    """Proxies refuse long addresses, so a long query is posted."""
    with scripted([Reply()]) as (url, asked), LogService(url) as service:
        service.query_logs(contains="x" * 5000)
    assert ("POST", f'{{service=~".+"}} |= "{"x" * 5000}"') == (
        asked[0].method, asked[0].params["query"][0],
    )  # fmt: skip


@faces
def test_http_client_logs_nothing_for_questions(face, caplog):
    """A line for each question could be shipped to the very Loki that is asked."""
    caplog.set_level(logging.DEBUG)
    with scripted([Reply(503), Reply()]) as (url, _):
        ask(url, face)
    names = [record.name for record in caplog.records]
    assert [] == [name for name in names if name.startswith("http")]


def test_http_client_still_logs_for_the_app(caplog):
    """The app's own requests with the same client are none of our business."""
    import httpx2

    caplog.set_level(logging.INFO)
    with scripted([Reply()]) as (url, _):
        httpx2.get(url, trust_env=False)
    assert ["httpx2"] == [record.name for record in caplog.records]


def test_proxy_of_the_environment_is_not_for_this_machine(monkeypatch):
    """A server on loopback is reached past HTTP_PROXY."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with scripted([Reply(200, EMPTY)]) as (url, _):
        assert [] == ask(url)


def test_page_size_is_learnt_from_a_refusal():
    """A Loki that allows less is asked for less."""
    said = "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 1000)"
    with scripted([Reply(400, said), Reply()]) as (url, asked), LogService(url) as service:
        list(service.iter_logs())
    assert ["5000", "1000"] == [question.params["limit"][0] for question in asked]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("query_logs", []), ("label_values", ["service"])],
    ids=["lines", "values"],
)
def test_length_of_a_query_is_learnt_from_a_refusal(method, arguments):
    """A Loki that allows a week at once is asked week by week."""
    said = "the query time range exceeds the limit (query length: 672h0m0s, limit: 1w)"
    empty = '{"status": "success"}' if arguments else EMPTY
    with (
        scripted([Reply(400, said), Reply(body=empty)]) as (url, asked),
        LogService(url) as service,
    ):
        getattr(service, method)(*arguments, start_time="4w")
    spans = [(int(one.params["start"][0]), int(one.params["end"][0])) for one in asked]
    assert [28, 7, 7, 7, 7] == [(end - start) // (86400 * 10**9) for start, end in spans]
    assert [end for _, end in spans[2:]] == [start for start, _ in spans[1:-1]]


def test_count_of_months_asks_first_whether_there_is_anything():
    """Loki counts an empty month as slowly as a full one; the newest is counted at once."""
    series = '"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]'
    stream = '"resultType": "streams", "result": [{"stream": {}, "values": []}]'
    vector, line = (f'{{"status": "success", "data": {{{one}}}}}' for one in (series, stream))
    replies = [Reply(body=body) for body in (vector, EMPTY, line, vector, EMPTY)]
    with scripted(replies) as (url, asked), LogService(url) as service:
        assert 14 == service.get_log_count(start_time="100d", end_time="now")
    paths = [question.path.rpartition("/")[2] for question in asked]
    assert ["query", "query_range", "query_range", "query", "query_range"] == paths
