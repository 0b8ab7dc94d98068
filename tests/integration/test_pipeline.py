"""From an app's log call through Docker, Promtail and Loki to the answer of a query."""

from __future__ import annotations

import time
import uuid
from collections import Counter

import pytest

import loglane
from loglane.errors import ServiceUnavailable
from loglane.fields import LABELS, STRUCTURED_METADATA
from loglane.query import Stream
from loglane.testing import capturing
from tests.integration.conftest import eventually

pytestmark = pytest.mark.integration

LINES = 2000


def numbered_lines(service: str, count: int) -> list[bytes]:
    """Let the package write lines, each with ids of its own, and return them."""
    loglane.configure(service=service, mode="container")
    with capturing() as capture:
        log = loglane.get_logger("test")
        for number in range(count):
            level = ("info", "warning", "error")[number % 3]
            with loglane.bound(trace_id=f"{number:032x}", request_id=f"r{number}"):
                log.log(level, f"line {number}", number=number, log_category="test")
    loglane.reset()
    return [line.rstrip(b"\n") for line in capture.lines]


def numbers_found(stack, service: str, since_ns: int) -> Counter[int]:
    entries = stack.loki.iter_range(f'{{service="{service}"}}', since_ns, time.time_ns() + 10**10)
    return Counter(int(entry.fields()["number"]) for entry in entries)


def test_lines_of_a_container_are_found_exactly_once(stack, app_container):
    """N lines on stdout are N entries in Loki, with the contract's labels and metadata."""
    service = f"api-{uuid.uuid4().hex[:8]}"
    since = time.time_ns()
    container = app_container(numbered_lines(service, LINES))
    found = eventually(lambda: stack.count(f'{{service="{service}"}}', since), LINES)
    assert LINES == found
    assert Counter(range(LINES)) == numbers_found(stack, service, since)

    query = f'{{service="{service}"}} | trace_id="{7:032x}"'
    entries = stack.loki.query_range(query, since, time.time_ns() + 10**10)
    assert ["line 7"] == [entry.fields()["message"] for entry in entries]
    expected_labels = {
        "service": service,
        "service_name": service,
        "env": "dev",
        "level": "warning",
        "log_category": "test",
        "container_name": container.get_wrapped_container().name,
        "stream": "stdout",
    }
    assert expected_labels == entries[0].labels
    assert {"trace_id": f"{7:032x}", "request_id": "r7"} == entries[0].metadata
    assert set(entries[0].labels) <= {*LABELS, "service_name"}
    assert set(entries[0].metadata) <= set(STRUCTURED_METADATA)


def test_lines_that_are_no_json_are_stored_under_the_container_name(stack, app_container):
    """Foreign output is collected too: its service is its container's name."""
    since = time.time_ns()
    container = app_container([b"plain text", b'{"broken": '], name="plain")
    name = container.get_wrapped_container().name
    query = f'{{service="{name}"}}'
    assert 2 == eventually(lambda: stack.count(query, since), 2)
    entries = stack.loki.query_range(query, since, time.time_ns() + 10**10, direction="forward")
    assert ["plain text", '{"broken": '] == [entry.line for entry in entries]
    assert {"dev"} == {entry.labels["env"] for entry in entries}


def test_lines_of_a_compose_service_carry_its_name_and_project(stack, app_container):
    """Foreign output of a compose service is found by the service's and the project's name."""
    since = time.time_ns()
    compose = {
        "com.docker.compose.project": f"shop-{uuid.uuid4().hex[:8]}",
        "com.docker.compose.service": "worker",
    }
    app_container([b"plain text"], name="worker", labels=compose)
    query = f'{{service="worker", compose_project="{compose["com.docker.compose.project"]}"}}'
    assert 1 == eventually(lambda: stack.count(query, since), 1)


def test_lines_survive_a_restart_of_loki(stack, docker_engine, app_container):
    """Loki is restarted while the app writes; every line is found once all the same."""
    service = f"restart-{uuid.uuid4().hex[:8]}"
    since = time.time_ns()
    app_container(numbered_lines(service, LINES), pause_every=20, name="restart")
    query = f'{{service="{service}"}}'
    eventually(lambda: stack.count(query, since) > 0, True)
    assert stack.count(query, since) < LINES
    loki_id = stack.compose.get_container("loki").ID
    docker_engine.containers.get(loki_id).restart(timeout=30)
    found = eventually(lambda: _count_or_none(stack, query, since), LINES, timeout_s=120)
    assert LINES == found
    assert Counter(range(LINES)) == numbers_found(stack, service, since)


def _count_or_none(stack, query: str, since: int) -> int | None:
    try:
        return stack.count(query, since)
    except ServiceUnavailable:
        return None


def test_lines_pushed_directly_are_found_exactly_once(stack):
    """The same batch pushed twice is stored once, labels and metadata as sent."""
    service = f"push-{uuid.uuid4().hex[:8]}"
    since = time.time_ns()
    labels = {"service": service, "env": "dev", "level": "info"}
    entries = [(since + n, f"line {n}", {"trace_id": f"{n:032x}"}) for n in range(1000)]
    batch = [Stream(labels, entries)]
    stack.loki.push(batch)
    stack.loki.push(batch)
    found = list(stack.loki.iter_range(f'{{service="{service}"}}', since, since + 10**9))
    assert [(at, line, meta) for at, line, meta in entries] == [
        (entry.timestamp_ns, entry.line, entry.metadata) for entry in found
    ]
    assert {**labels, "service_name": service} == found[0].labels


def test_lines_that_arrive_late_are_found_at_once(stack):
    """A line that is six hours old when it is pushed is found by the next query."""
    service = f"late-{uuid.uuid4().hex[:8]}"
    at = time.time_ns() - 6 * 3600 * 10**9
    labels = {"service": service, "env": "dev", "level": "info"}
    stack.loki.push([Stream(labels, [(at, "late", {})])])
    found = stack.loki.query_range(f'{{service="{service}"}}', at, at + 1)
    assert ["late"] == [entry.line for entry in found]
