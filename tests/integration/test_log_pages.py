"""The router and the command line on a real Loki."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid

import pytest

from loglane.integrations.fastapi import TailRules, allow_all, logs_router
from loglane.query import AsyncLogService, LokiClient, Stream
from tests.integration.test_same_answers import live_loki  # noqa: F401 - a fixture
from tests.unit.integrations.log_apps import messages, served
from tests.unit.integrations.test_fastapi_tail import following
from tests.unit.test_cli_logs import finished, run

pytestmark = pytest.mark.integration


@pytest.fixture
def tenant():
    return f"pages-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def loki(live_loki, tenant, monkeypatch):  # noqa: F811
    monkeypatch.setenv("LOGLANE_LOKI__URL", live_loki)
    monkeypatch.setenv("LOGLANE_LOKI__TENANT", tenant)
    with LokiClient(live_loki, tenant=tenant) as client:
        yield client


@pytest.fixture
def logs(live_loki, tenant, loki):  # noqa: F811
    service = AsyncLogService(live_loki, tenant=tenant)
    with served(logs_router(service, authorize=allow_all, tail=TailRules())) as client:
        yield client


def store(loki, count):
    base_ns = time.time_ns() - 60 * 10**9
    for service in ("api", "pay"):
        entries = [
            (base_ns + at // 700, f'{{"message":"{service} {at}"}}', {}) for at in range(count)
        ]
        loki.push([Stream({"service": service, "level": "info"}, entries)])


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_cursors_lead_through_all_lines_once(logs, loki, direction):
    """Over two streams and thousands of lines of few nanoseconds."""
    store(loki, 3500)
    found, cursor = [], ""
    while cursor is not None:
        given = {"cursor": cursor} if cursor else {}
        answer = logs.get("/logs", params={"limit": 999, "direction": direction, **given})
        found += messages(answer)
        cursor = answer.json()["next_cursor"]
    assert (7000, 7000) == (len(found), len(set(found)))


def test_a_reader_who_comes_back_sees_each_line_once(logs, loki):
    """Two services write 200 lines a second; the reader is cut off after every 50 lines."""
    written, stop = [], threading.Event()

    def write():
        for number in itertools.count():
            if stop.wait(0.005):
                return
            service = ("api", "pay")[number % 2]
            line = f'{{"message":"{number}"}}'
            loki.push([Stream({"service": service}, [(time.time_ns(), line, {})])])
            written.append(str(number))

    found, last_id = [], None
    with following(logs) as events:
        writer = threading.Thread(target=write)
        writer.start()
        found += events.messages(10)
        last_id = events.last_id
    for _ in range(8):
        with following(logs, last_id) as events:
            found += events.messages(50)
            last_id = events.last_id
    stop.set()
    writer.join()
    with following(logs, last_id) as events:
        found += events.messages(len(written) - len(found))
    assert written == found


def test_the_command_line_reads_counts_and_lists(loki):
    """All lines once; their number and bytes; labels."""
    store(loki, 3500)
    code, out, _ = finished("logs", "--all", "--output", "raw")
    lines = out.splitlines()
    assert (0, 7000, 7000) == (code, len(lines), len(set(lines)))
    facts = json.loads(run("stats", "--json", "--since", "5m").stdout)
    size = sum(map(len, lines))
    assert (7000, size) == (facts["lines"], facts["bytes"])
    assert ["api", "pay"] == run("labels", "service").stdout.splitlines()
    code, _, err = finished("logs", '{service="api"')
    assert (2, True) == (code, "Loki refused the query: parse error" in err)
