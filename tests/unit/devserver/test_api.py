"""The read endpoints, tenants and refusals."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from loglane.devserver.api import params
from loglane.devserver.api.params import Bounds, read_bounds
from loglane.devserver.refusal import Refused

_API = "/loki/api/v1"
_SECOND = 10**9


def test_server_is_ready(client: TestClient) -> None:
    """`/ready` answers as Loki does."""
    assert client.get("/ready").text == "ready\n"


def test_build_info_names_the_version_that_is_followed(client: TestClient) -> None:
    """Grafana asks for a version to know what it may use."""
    assert client.get(f"{_API}/status/buildinfo").json()["version"] == "3.7.6"


@pytest.mark.parametrize("method", ["get", "post"])
def test_log_query_merges_labels(client: TestClient, push: Any, now_ns: int, method: str) -> None:
    """Without the header, structured metadata and parsed labels are labels of the stream."""
    push(('{"a":1}', {"id": "m"}))
    fields = {"query": '{app="a"} | json'}
    keyword = {"params": fields} if method == "get" else {"data": fields}
    data = client.request(method, f"{_API}/query_range", **keyword).json()["data"]
    assert data == {
        "resultType": "streams",
        "result": [
            {
                "stream": {"app": "a", "service_name": "a", "id": "m", "a": "1"},
                "values": [[str(now_ns), '{"a":1}']],
            }
        ],
        "stats": {},
    }


def test_log_query_categorises_labels(client: TestClient, push: Any, now_ns: int) -> None:
    """With the header, an entry has its structured metadata and parsed labels beside it."""
    push(('{"a":1}', {"id": "m"}), "plain")
    response = client.get(
        f"{_API}/query_range",
        params={"query": '{app="a"} | json | drop __error__, __error_details__'},
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
    )
    data = response.json()["data"]
    assert data["encodingFlags"] == ["categorize-labels"]
    assert data["result"] == [
        {
            "stream": {"app": "a", "service_name": "a"},
            "values": [
                [str(now_ns + _SECOND), "plain", {}],
                [
                    str(now_ns),
                    '{"a":1}',
                    {"structuredMetadata": {"id": "m"}, "parsed": {"a": "1"}},
                ],
            ],
        }
    ]


def test_range_query_answers_a_matrix(client: TestClient, push: Any, now_ns: int) -> None:
    """Timestamps are seconds as numbers, values are text, and steps are aligned."""
    push("x", "y")
    start = now_ns // (60 * _SECOND) * 60
    answer = client.get(
        f"{_API}/query_range",
        params={
            "query": 'sum by (app) (count_over_time({app="a"}[5m]))',
            "start": start + 120,
            "end": start + 121,
            "step": "60",
        },
    )
    assert answer.json()["data"]["result"] == [
        {"metric": {"app": "a"}, "values": [[start + 120, "2"], [start + 180, "2"]]}
    ]


def test_instant_query_answers_a_vector(client: TestClient, push: Any, now_ns: int) -> None:
    """A fraction of a second stays in the timestamp, in milliseconds."""
    push("x")
    at = now_ns // _SECOND * _SECOND + 2 * _SECOND + 500_000_000
    answer = client.get(f"{_API}/query", params={"query": 'rate({app="a"}[10s])', "time": str(at)})
    assert answer.json()["data"]["result"] == [
        {"metric": {"app": "a", "service_name": "a"}, "value": [at / _SECOND, "0.1"]}
    ]


def test_instant_query_answers_a_scalar(client: TestClient) -> None:
    """A number is a scalar."""
    data = client.get(f"{_API}/query", params={"query": "1 + 1", "time": "5"}).json()["data"]
    assert (data["resultType"], data["result"]) == ("scalar", [5, "2"])


def test_log_query_as_instant_query_is_refused(client: TestClient) -> None:
    """Loki takes log queries on `query_range` only."""
    response = client.get(f"{_API}/query", params={"query": '{app="a"}'})
    assert response.status_code == 400
    assert response.text.startswith("log queries are not supported as an instant query type")


def test_labels_and_values_are_listed(client: TestClient, push: Any) -> None:
    """Names and values come sorted; an empty list has no `data`, as in Loki."""
    push("x", stream={"app": "b", "env": "dev"})
    push("x", stream={"app": "a"})
    assert client.get(f"{_API}/labels").json()["data"] == ["app", "env", "service_name"]
    assert client.get(f"{_API}/label/app/values").json()["data"] == ["a", "b"]
    only_dev = {"query": '{env="dev"}'}
    assert client.get(f"{_API}/label/app/values", params=only_dev).json()["data"] == ["b"]
    assert client.get(f"{_API}/label/none/values").json() == {"status": "success"}
    past = {"start": "1000", "end": "2000"}
    assert client.get(f"{_API}/labels", params=past).json() == {"status": "success"}


@pytest.mark.parametrize("name", ["match", "match[]"])
def test_series_are_listed(client: TestClient, push: Any, name: str) -> None:
    """Every selector adds its streams, once each."""
    push("x", stream={"app": "a"})
    push("x", stream={"app": "b"})
    selectors = {name: ['{app="a"}', '{app=~"a|b"}']}
    expected = [{"app": "a", "service_name": "a"}, {"app": "b", "service_name": "b"}]
    assert client.get(f"{_API}/series", params=selectors).json()["data"] == expected
    assert client.get(f"{_API}/series", params={name: "{}"}).json()["data"] == expected
    assert client.get(f"{_API}/series").json()["data"] == expected


def test_index_statistics_are_counted(client: TestClient, push: Any) -> None:
    """Grafana shows what a query would read."""
    push("four", "twelve bytes")
    answer = client.get(f"{_API}/index/stats", params={"query": '{app="a"}'}).json()
    assert answer == {"streams": 1, "chunks": 1, "bytes": 16, "entries": 2}


def test_tenants_see_their_own_entries(client: TestClient, push: Any, lines: Any) -> None:
    """Without a header everything belongs to the tenant `fake`, as in Loki without tenants."""
    push("x")
    params = {"query": '{app="a"}'}
    found = {
        tenant: len(
            client.get(
                f"{_API}/query_range", params=params, headers={"X-Scope-OrgID": tenant}
            ).json()["data"]["result"]
        )
        for tenant in ("fake", "other")
    }
    assert found == {"fake": 1, "other": 0}


@pytest.mark.parametrize(("interval", "status"), [("1y", 200), ("3y", 400), ("290y", 400)], ids=str)
def test_instant_query_of_centuries_is_refused(
    client: TestClient, interval: str, status: int
) -> None:
    """It would be cut into millions of hours, and keep the server busy when nobody waits."""
    params = {"query": f'count_over_time({{app="a"}}[{interval}])'}
    response = client.get(f"{_API}/query", params=params)
    assert response.status_code == status
    assert ("more than two years is not supported" in response.text) is (status == 400)


def test_first_value_of_a_parameter_counts(client: TestClient) -> None:
    """Of a parameter that is given twice the first one counts, and a form before the URL."""
    first = client.get(f"{_API}/query?query=1&query=2").json()
    form = client.post(f"{_API}/query?query=3", data={"query": ["4", "5"]}).json()
    assert ["1", "4"] == [answer["data"]["result"][1] for answer in (first, form)]


@pytest.mark.parametrize("tenant", ["a|b", "a/b", "..", "x" * 151])
def test_bad_tenant_is_refused(client: TestClient, tenant: str) -> None:
    """Tenants that Loki does not accept are refused."""
    response = client.get(f"{_API}/labels", headers={"X-Scope-OrgID": tenant})
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"limit": "5001"}, "max entries limit per query exceeded"),
        ({"limit": "0"}, "limit must be a positive value"),
        ({"limit": "x"}, "invalid syntax"),
        ({"limit": "9" * 40}, "value out of range"),
        ({"direction": "up"}, "invalid direction 'up'"),
        ({"start": "x"}, "could not parse 'start' parameter"),
        ({"end": "9" * 40}, "could not parse 'end' parameter"),
        ({"since": "5x"}, "could not parse 'since' parameter"),
        ({"start": "20", "end": "10"}, "end timestamp must not be before"),
        (
            {"start": "0", "end": "2595600.001"},
            "the query time range exceeds the limit (query length: 721h0m0.001s, limit: 30d1h)",
        ),
        (
            {"query": "vector(1)", "start": "0", "end": "2595601", "step": "1d"},
            "(query length: 721h0m1s, limit: 30d1h)",
        ),
        ({"step": "0"}, "zero or negative query resolution"),
        ({"step": "x"}, "to a valid duration"),
        ({"step": "1e300"}, "overflows int64"),
        ({"step": "1ms"}, "exceeded maximum resolution of 11,000 points"),
        ({"interval": "5s"}, "not supported by the development server"),
        ({"query": "{"}, "parse error at line 1, col 2"),
        (
            {"query": '{app="a"} | line_format "{{template `x`}}"'},
            "not supported by the development server",
        ),
        ({"query": 'rate({app="a"}[40d])'}, "the query time range exceeds the limit"),
    ],
)
def test_bad_parameter_is_refused(client: TestClient, fields: dict[str, str], text: str) -> None:
    """A parameter that Loki refuses is refused, with its text where clients know it."""
    response = client.get(f"{_API}/query_range", params={"query": '{app="a"}', **fields})
    assert response.status_code == 400
    assert text in response.text
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("query", "hours", "status"),
    [
        ('rate({app="a"}[1h])', 721, 200),
        ('rate({app="a"}[1h] offset 40d)', 20, 200),
        ('rate({app="a"}[25d])', 6, 200),
        ('rate({app="a"}[25d])', 480, 400),
        ('rate({app="a"}[30d])', 2, 400),
        ('sum(rate({app="a"}[1h])) / sum(rate({app="a"}[30d2h]))', 0, 400),
    ],
    ids=["whole", "offset", "long-range", "parts", "longer-range", "range-alone"],
)
def test_part_of_a_metric_query_is_not_too_long(
    client: TestClient, query: str, hours: int, status: int
) -> None:
    """Each part of a query, with the range before it, is held against the limit, not the whole."""
    end = 1_795_341_660
    params = {"query": query, "start": end - hours * 3600, "end": end, "step": 3600}
    response = client.get(f"{_API}/query_range", params=params)
    assert response.status_code == status
    assert ("exceeds the limit (query length:" in response.text) is (status == 400)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("labels", "this data is no longer available"),
        ("label/app/values", "this data is no longer available"),
        ("series", "this data is no longer available"),
        ("index/stats", "end timestamp must not be before"),
        ("index/volume", "end timestamp must not be before"),
        ("detected_labels", "end timestamp must not be before"),
        ("detected_fields", "end timestamp must not be before"),
    ],
)
def test_bad_time_range_is_refused_everywhere(client: TestClient, path: str, text: str) -> None:
    """What reads labels or sizes has the limits of a query: 30d1h, and the start comes first."""
    asked = {"query": '{app="a"}', "step": "1d"}
    swapped = client.get(f"{_API}/{path}", params={**asked, "start": "20", "end": "10"})
    longer = client.get(f"{_API}/{path}", params={**asked, "start": "0", "end": "3456000"})
    assert (swapped.status_code, longer.status_code) == (400, 400)
    assert text in swapped.text
    assert "(query length: 960h0m0s, limit: 30d1h)" in longer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/loki/api/v1/format_query", 400),
        ("GET", "/loki/api/v1/index/shards", 400),
        ("POST", "/loki/api/v1/delete", 400),
        ("POST", "/otlp/v1/logs", 400),
        ("GET", "/metrics", 404),
    ],
)
def test_unknown_endpoint_is_refused(
    client: TestClient, method: str, path: str, status: int
) -> None:
    """What a real Loki has and this server has not is refused clearly."""
    response = client.request(method, path)
    assert response.status_code == status
    assert ("development server" in response.text) is (status == 400)


def test_failure_gives_no_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of the server is logged there, and the client gets one line."""

    def fail(*_args: object) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr("loglane.devserver.api.reads.parse", fail)
    response = client.get(f"{_API}/query", params={"query": "1"})
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", 1_700_000_000 * _SECOND),
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("1700000000.25", 1_700_000_000_250_000_000),
        ("2026-01-02T03:04:05Z", 1_767_323_045 * _SECOND),
        ("2026-01-02T04:04:05.000000001+01:00", 1_767_323_045 * _SECOND + 1),
    ],
)
def test_time_is_read(text: str, expected: int) -> None:
    """A time is seconds, nanoseconds, or RFC 3339."""
    assert read_bounds({"start": text}).start_ns == expected


def test_bounds_have_defaults() -> None:
    """Without parameters the last hour is asked; `since` counts back from the end, or from now."""
    now = 10_000 * _SECOND
    assert read_bounds({}, now) == Bounds(6400 * _SECOND, now)
    assert read_bounds({"since": "10s"}, now) == Bounds(9990 * _SECOND, now)
    later = {"since": "10s", "end": "20000"}
    assert read_bounds(later, now) == Bounds(9990 * _SECOND, 20_000 * _SECOND)


def test_default_step_is_a_250th_of_the_range() -> None:
    """The step without a parameter is at least a second."""
    steps = [
        params.read_range({"start": "0", "end": end})[1].step_ns // _SECOND
        for end in ("10", "3600", "100000")
    ]
    assert steps == [1, 14, 400]


def test_range_of_wrong_order_is_refused() -> None:
    """The end must not lie before the start."""
    with pytest.raises(Refused, match="end timestamp"):
        params.read_range({"start": "5", "end": "4"})
