"""Every panel of every dashboard answers on real servers, with lines as the package writes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loglane.demo.history import push_history, streams
from loglane.query import Stream
from loglane.stack import capacity

pytestmark = pytest.mark.integration

APP = "dashboard-app"
# What the stack's parts write (Loki 3.7.6, Promtail 3.6.11), so that the test need not wait until
# a checkpoint, a flush and a compaction have come.
OWN_LINES = {
    "loki": (
        'level=info caller=checkpoint.go:670 msg="checkpoint done" time=54.013308909s',
        'level=info caller=flush.go:305 component=ingester msg="flushing stream" user=fake '
        'fp=61516d184ea21fce num_chunks=1 total_comp="107 kB" avg_comp="107 kB" synced=1',
        'level=info caller=tables_manager.go:289 msg="finished compacting table" '
        "table-name=index_20778",
        'level=info caller=marker.go:206 msg="no marks file found"',
        'level=error caller=manager.go:49 component=distributor path=write msg="write operation '
        'failed" details="entry for stream \'{service=\\"old\\"}\' has timestamp too old: '
        '2023-11-14T22:13:20Z, oldest acceptable timestamp is: 2026-11-15T00:34:13Z" org_id=fake',
    ),
    "promtail": (
        'level=warn caller=client.go:419 component=client host=loki:3100 msg="error sending batch, '
        'will retry" status=-1 tenant= error="connection refused"',
        "level=error caller=client.go:430 component=client host=loki:3100 "
        'msg="final error sending batch" status=400 tenant= error="server returned HTTP status '
        '400 Bad Request (400): max entry size exceeded"',
    ),
    "grafana": ('logger=context level=info msg="Request Completed" status=200',),
}


@pytest.fixture(scope="module")
def filled(stack):
    """Fill Loki with two hours of the demo, an app's lines and the stack's own."""
    end_ns = time.time_ns()
    push_history(stack.loki, end_ns, span_s=7200, requests_per_second=1.0)
    stack.loki.push(streams([(end_ns - n, line) for n, line in enumerate(app_lines())]))
    project = {"env": "dev", "compose_project": stack.project.spec.project}
    stack.loki.push(
        Stream({**project, "service": service, "level": level_of(text)}, [(end_ns - n, text, {})])
        for service, texts in OWN_LINES.items()
        for n, text in enumerate(texts)
    )
    return stack


def level_of(text):
    """Return the level of a line of the stack, as the collector finds it."""
    word = re.search(r"level=(\w+)", text)[1]
    return {"warn": "warning"}.get(word, word)


def app_lines():
    """Run an app under loglane and return what it wrote, parsed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "dashboard_app.py")],
        capture_output=True,
        check=True,
        env={
            **os.environ,
            "LOGGING_MODE": "container",
            "LOGLANE_STATIC__SERVICE": APP,
            "LOGLANE_STATIC__VERSION": "9.9.9",
            "LOGLANE_FLOW_CONTROL__FIRST": "2",
        },
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def boards(filled):
    """Return the dashboards that Grafana has, by uid."""
    uids = [item["uid"] for item in filled.grafana.get("/api/search?tag=loglane").json()]
    answers = [filled.grafana.get(f"/api/dashboards/uid/{uid}").json() for uid in uids]
    return {uid: answer["dashboard"] for uid, answer in zip(uids, answers, strict=True)}


@pytest.fixture(scope="module")
def trace_id(filled):
    """Return the id of a trace that has an error and requests."""
    found = filled.loki.query_range(
        '{service="payments", level="error"}', time.time_ns() - 3600 * 10**9, time.time_ns()
    )
    return found[0].metadata["trace_id"]


def ask(stack, board, panel, target, **chosen):
    """Send a panel's query as the panel does; return its rows or the error."""
    variables = {"env": ".*", "service": ".+", "level": ".*", "label": "level", "id": "", **chosen}
    values = {"${search:regex}": "", "$__interval": "1m", "$__range": "3600s"}
    values |= {f"${name}": value for name, value in variables.items()}
    text = target["expr"]
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, values[name])
    now_ms = time.time_ns() // 10**6
    answer = stack.grafana.post(
        "/api/ds/query",
        json={
            "from": str(now_ms - 3_600_000),
            "to": str(now_ms + 1000),
            "queries": [
                {
                    **target,
                    "datasource": panel["datasource"],
                    "expr": text,
                    "intervalMs": 60_000,
                    "maxDataPoints": 100,
                }
            ],
        },
    )
    found = answer.json().get("results", {}).get(target["refId"], {})
    if answer.status_code != 200 or "error" in found:
        pytest.fail(f"{board} / {panel['title']}: {answer.text[:300]}\n{text}")
    return [
        (*row, *labels_of(frame))
        for frame in found["frames"]
        if frame["data"]["values"]
        for row in zip(*frame["data"]["values"], strict=True)
    ]


def labels_of(frame):
    """Return the values of a series' labels, which Grafana keeps beside its numbers."""
    return [
        value for field in frame["schema"]["fields"] for value in field.get("labels", {}).values()
    ]


def test_grafana_has_every_dashboard_of_the_spec(filled, boards):
    """What the spec names is provisioned."""
    assert {f"loglane-{name}" for name in filled.project.spec.dashboards} == set(boards)


def test_every_panel_answers_and_none_is_empty(filled, boards, trace_id):
    """Each query of each panel and annotation is accepted through Grafana and finds something."""
    empty = []
    for uid, board in boards.items():
        marks = [
            {**mark, "title": mark["name"], "targets": [mark["target"]]}
            for mark in board.get("annotations", {}).get("list", [])
            if "target" in mark and mark["datasource"].get("type") == "loki"
        ]
        for panel in [*board["panels"], *marks]:
            for target in panel.get("targets", []):
                if not ask(filled, uid, panel, target, id=trace_id):
                    empty.append((uid, panel["title"], target["refId"]))
    assert [] == empty


def rows_of(stack, boards, uid, title, **chosen):
    """Return the rows of a panel's first query."""
    panels = [panel for panel in boards[uid]["panels"] if panel["title"] == title]
    panel = panels[-1]
    return ask(stack, uid, panel, panel["targets"][0], **chosen)


@pytest.mark.parametrize(
    ("uid", "title", "expected"),
    [
        ("service", "Exceptions by type and place", {"LookupError", 2}),
        ("service", "Slowest routes", {"GET", "/"}),
        ("errors", "New patterns", {"LookupError: no order #", 2}),
        ("errors", "Held back by pattern", {"it failed", "LookupError", 3}),
        ("errors", "Lost lines by service", {APP, 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_panel_shows_what_the_package_wrote(filled, boards, uid, title, expected):
    """Lines of the package itself, of this moment, are read by the panels made for them."""
    (row,) = rows_of(filled, boards, f"loglane-{uid}", title, service=APP)
    assert expected <= set(row)


def test_exception_is_placed_where_it_was_raised(filled, boards):
    """The place is the last frame, also below a message of two lines."""
    (row,) = rows_of(filled, boards, "loglane-service", "Exceptions by type and place", service=APP)
    (place,) = [value for value in row if isinstance(value, str) and " in " in value]
    assert place.endswith(" in fail")
    assert "dashboard_app.py:" in place


def test_trace_without_an_id_shows_nothing(filled, boards):
    """An empty field is not the id of all the lines that have none."""
    assert [] == rows_of(filled, boards, "loglane-trace", "Every line, in order")


def test_trace_shows_its_lines_only(filled, boards, trace_id):
    """All services' lines of the trace are there, and no other."""
    rows = rows_of(filled, boards, "loglane-trace", "Every line, in order", id=trace_id)
    labels = [next(value for value in row if isinstance(value, dict)) for row in rows]
    assert {trace_id} == {item["trace_id"] for item in labels}
    assert {"gateway", "shop", "payments"} <= {item["service"] for item in labels}


def test_known_patterns_are_not_new(filled, boards):
    """What the hour before had too is not listed; what came with the release is."""
    rows = rows_of(filled, boards, "loglane-errors", "New patterns", service="shop|payments")
    assert ["KeyError: #"] == [value for row in rows for value in row if "Error" in str(value)]


def test_capacity_is_estimated_from_the_newest_lines_of_a_fresh_stack(filled):
    """Without half a day of lines, 12 times the last two hours stand for the day."""
    at_ns = time.time_ns()
    (newest,) = filled.loki.query(f"sum(bytes_over_time({capacity.EVERYTHING}[2h]))", at_ns=at_ns)
    (day,) = filled.loki.query(capacity.bytes_per_day_logql(), at_ns=at_ns)
    assert newest.value * 12 == pytest.approx(day.value, rel=0.01)


def test_capacity_is_measured_over_the_day_of_an_older_stack(filled):
    """As soon as there are lines of half a day ago, the day itself is summed up."""
    selector = '{service="old-stack"}'
    hour_ns, now_ns = 3600 * 10**9, time.time_ns()
    entries = [(now_ns - hours * hour_ns, "x" * 1000, {}) for hours in (20, 13, 1)]
    labels = {"service": "old-stack", "env": "dev", "level": "info"}
    filled.loki.push([Stream(labels, sorted(entries))])
    (day,) = filled.loki.query(capacity.bytes_per_day_logql(selector), at_ns=now_ns)
    assert 3000 == day.value


def test_streams_are_counted_where_there_are_many(filled, boards):
    """The panels that show too many streams answer beyond the 500 groups of Loki's default."""
    now_ns = time.time_ns()
    labels = {"service": "many-streams", "env": "dev", "level": "info"}
    filled.loki.push(
        Stream({**labels, "container_name": f"container-{n}"}, [(now_ns, "line", {})])
        for n in range(700)
    )
    (row,) = rows_of(filled, boards, "loglane-volume", "Streams", service="many-streams")
    assert 700 in row
    by_level = rows_of(
        filled, boards, "loglane-volume", "Streams by value of $label", service="many-streams"
    )
    assert [{"info", 700}] == [set(row[1:]) for row in by_level]
