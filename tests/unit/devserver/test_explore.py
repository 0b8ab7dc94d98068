"""What Grafana asks beside queries, answered as by Loki 3.7.6 (recorded from it)."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from loglane.devserver.api import volumes

_API = "/loki/api/v1"
_SECOND = 10**9
_BOTH = '{app=~"v."}'
_JSON_LINE = (
    '{"a":1,"b":{"c d":"x"},"dur":"5ms","t":true,"size":"5KB","f":1.5,"env":"z","none":"word"}'
)


@pytest.fixture
def filled(client: TestClient, now_ns: int) -> TestClient:
    """Two streams, the second with a line half an hour earlier."""
    half_hour = 1800 * _SECOND
    streams = [
        {
            "stream": {"app": "v1", "env": "a"},
            "values": [
                [str(now_ns), "0123456789", {"m": "abc"}],
                [str(now_ns - _SECOND), _JSON_LINE],
                [str(now_ns - 2 * _SECOND), 'k=v l="x y"'],
            ],
        },
        {
            "stream": {"app": "v2", "env": "a", "num": "5"},
            "values": [[str(now_ns - half_hour), "01234"], [str(now_ns), "01234"]],
        },
    ]
    response = client.post(f"{_API}/push", json={"streams": streams})
    assert response.status_code == 204
    return client


def _get(client: TestClient, path: str, **params: Any) -> Any:
    response = client.get(f"{_API}/{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


def _sizes(answer: Any) -> list[tuple[dict[str, str], int]]:
    assert answer["data"]["resultType"] == "vector"
    return [(one["metric"], int(one["value"][1])) for one in answer["data"]["result"]]


_V1 = 10 + len(_JSON_LINE) + 11


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [({"app": "v1"}, _V1), ({"app": "v2"}, 10)]),
        ({"limit": 1}, [({"app": "v1"}, _V1)]),
        ({"limit": 0}, [({"app": "v1"}, _V1), ({"app": "v2"}, 10)]),
        ({"targetLabels": "env"}, [({"env": "a"}, _V1 + 10)]),
        ({"targetLabels": "env,num"}, [({"env": "a", "num": "5"}, 10)]),
        (
            {"aggregateBy": "labels"},
            [
                ({"app": ""}, _V1 + 10),
                ({"env": ""}, _V1 + 10),
                ({"service_name": ""}, _V1 + 10),
                ({"num": ""}, 10),
            ],
        ),
        ({"query": '{app="none"}'}, []),
        (
            {"query": "{}", "limit": 1},
            [({"app": "v1", "env": "a", "service_name": "v1"}, _V1)],
        ),
    ],
    ids=str,
)
def test_volume_counts_bytes(
    filled: TestClient, params: dict[str, Any], expected: list[Any]
) -> None:
    """Bytes of lines are summed by the labels that the query names, or those asked for."""
    assert _sizes(_get(filled, "index/volume", **{"query": _BOTH, **params})) == expected


def test_volume_range_counts_each_step(filled: TestClient, now_ns: int) -> None:
    """Steps end a millisecond before a multiple of their length, the last one at the end."""
    start = now_ns // (900 * _SECOND) * 900 - 2700
    params = {"query": _BOTH, "start": start, "end": now_ns + _SECOND, "step": 900}
    answer = _get(filled, "index/volume_range", **params)
    assert answer["data"]["resultType"] == "matrix"
    found = {one["metric"]["app"]: one["values"] for one in answer["data"]["result"]}
    end = (now_ns + _SECOND) // 10**6 / 1000
    assert found["v1"][-1] == [pytest.approx(end), str(_V1)]
    assert [value for _, value in found["v2"]] == ["5", "5"]
    assert round(found["v2"][0][0] * 1000) % 900_000 == 899_999


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"aggregateBy": "x"}, "invalid aggregation option"),
        ({"limit": -1}, "limit must be a positive value"),
        ({"query": ""}, "syntax error: unexpected $end"),
        ({"query": '{app="a"} |= "x"'}, "only label matchers are supported"),
        ({"start": "20", "end": "10"}, "end timestamp must not be before"),
    ],
    ids=str,
)
def test_bad_volume_is_refused(client: TestClient, params: dict[str, Any], text: str) -> None:
    """Loki's refusals and texts."""
    response = client.get(f"{_API}/index/volume", params={"query": _BOTH, **params})
    assert (response.status_code, text in response.text) == (400, True)


def test_volume_of_too_many_series_is_refused(
    filled: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More series than Loki's limit are not summed up."""
    monkeypatch.setattr(volumes, "MAX_SERIES", 1)
    response = filled.get(f"{_API}/index/volume", params={"query": _BOTH})
    assert "hit the max number of series limit (limit: 1 series)" in response.text


def test_detected_labels_leave_out_ids(filled: TestClient) -> None:
    """Labels whose values are all numbers or UUIDs are left out."""
    assert _get(filled, "detected_labels", query=_BOTH) == {
        "detectedLabels": [
            {"label": "app", "cardinality": 2},
            {"label": "env", "cardinality": 1},
            {"label": "service_name", "cardinality": 2},
        ]
    }
    assert _get(filled, "detected_labels", query='{app="none"}') == {}


@pytest.mark.parametrize("query", [_BOTH, _BOTH + " | json"])
def test_detected_fields_have_types(filled: TestClient, query: str) -> None:
    """Metadata and what JSON and logfmt give are listed with type, parser and path."""

    def parsed(label: str, kind: str, *path: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"label": label, "type": kind, "cardinality": 1}
        return {**shown, "parsers": ["json"], "jsonPath": list(path)}

    answer = _get(filled, "detected_fields", query=query)
    assert answer == {
        "fields": [
            parsed("a", "int", "a"),
            parsed("b_c_d", "string", "b", "c d"),
            parsed("dur", "duration", "dur"),
            parsed("env_extracted", "string", "env"),
            parsed("f", "float", "f"),
            {"label": "k", "type": "string", "cardinality": 1, "parsers": ["logfmt"]},
            {"label": "l", "type": "string", "cardinality": 1, "parsers": ["logfmt"]},
            {"label": "m", "type": "string", "cardinality": 1, "parsers": None},
            parsed("none", "string", "none"),
            parsed("size", "bytes", "size"),
            parsed("t", "boolean", "t"),
        ],
        "limit": 1000,
    }


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"limit": 0}, 400),
        ({"field_limit": 0}, 400),
        ({"limit": 0, "field_limit": 5}, 400),
        ({"limit": 5, "field_limit": 0}, 200),
    ],
)
def test_limit_of_detected_fields_is_positive(
    filled: TestClient, limits: dict[str, int], status: int
) -> None:
    """Nothing at all is no limit, and `limit` goes before its other name."""
    params = {"query": '{app="v1"}', **limits}
    response = filled.get("/loki/api/v1/detected_fields", params=params)
    assert status == response.status_code


def test_detected_fields_are_limited(filled: TestClient) -> None:
    """The newest lines are looked at, and so many fields are shown."""
    answer = _get(filled, "detected_fields", query='{app="v1"}', line_limit=1, limit=1)
    assert answer["limit"] == 1
    assert [one["label"] for one in answer["fields"]] == ["m"]


def test_values_of_a_detected_field_are_listed(filled: TestClient) -> None:
    """Values come from metadata and from parsed lines."""
    found = [
        _get(filled, f"detected_field/{name}/values", query=_BOTH) for name in ("m", "l", "no")
    ]
    expected = [{"values": ["abc"], "limit": 1000}, {"values": ["x y"], "limit": 1000}, {}]
    assert found == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [("", "unexpected $end"), ('rate({app="a"}[1m])', "only log selector is supported")],
)
def test_bad_detected_fields_are_refused(client: TestClient, query: str, text: str) -> None:
    """Fields are detected in the lines of a log query only."""
    response = client.get(f"{_API}/detected_fields", params={"query": query})
    assert (response.status_code, text in response.text) == (400, True)


@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        ("/loki/api/v1/patterns", {}, 404, ""),
        ("/loki/api/v1/rules", {}, 404, "no rule groups found"),
        ("/prometheus/api/v1/rules", {}, 200, '"groups":[]'),
        ("/prometheus/api/v1/alerts", {}, 200, '"alerts":[]'),
        ("/loki/api/v1/drilldown-limits", {}, 401, "no org id"),
        ("/loki/api/v1/drilldown-limits", {"X-Scope-OrgID": "x"}, 200, '"volume_enabled":true'),
    ],
)
def test_fixed_answer(
    client: TestClient, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    """What does not depend on entries is answered as by a Loki without rules and patterns."""
    response = client.get(path, headers=headers)
    assert (response.status_code, text in response.text) == (status, True)
