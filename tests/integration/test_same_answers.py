"""A live Loki and the embedded server answer the same queries alike."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from loglane.devserver import running
from loglane.stack import engine, probe
from loglane.stack.layout import RENDERED
from loglane.stack.project import open_project
from tests.contract.logql.client import (
    ask,
    comparable,
    load_corpus,
    load_defaults,
    push_dataset,
    wanted,
)
from tests.contract.logql.dataset import base_time_ns
from tests.contract.logql.random_log_queries import make_query
from tests.contract.logql.random_queries import random_case
from tests.integration.conftest import ROOT, START_TIMEOUT_S

pytestmark = pytest.mark.integration

URL_VARIABLE = "LOGLANE_TEST_LOKI_URL"
# More of them: LOGLANE_TEST_RANDOM_QUERIES=5000 pytest -m integration -k random
RANDOM_QUERIES = int(os.environ.get("LOGLANE_TEST_RANDOM_QUERIES", "150"))


@pytest.fixture(scope="module")
def live_loki(request, tmp_path_factory) -> Iterator[str]:
    """Return the address of a Loki with tenants, by default one of our own with our config."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given.rstrip("/")
        return
    client = request.getfixturevalue("docker_engine")
    project = open_project("dev", ROOT / "stack" / "stack.yaml")
    image = project.spec.images.loki
    if not engine.has_image(client, image):
        pytest.skip(f"needs an image that is not here: docker pull {image} (or set {URL_VARIABLE})")
    config = tmp_path_factory.mktemp("loki") / "loki.yaml"
    config.write_text(project.render()[str(RENDERED / "loki/loki.yaml")])
    config.chmod(0o644)
    config.parent.chmod(0o755)
    container = (
        DockerContainer(image)
        .with_command("-config.file=/etc/loki/loki.yaml -auth.enabled=true")
        .with_volume_mapping(config, "/etc/loki/loki.yaml", "ro")
        .with_exposed_ports(3100)
    )
    with container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(3100)
        url = f"http://{host}:{port}"
        probe.wait_until(lambda: probe.answers(f"{url}/ready"), START_TIMEOUT_S, "Loki")
        yield url


def test_embedded_server_and_live_loki_agree(live_loki):
    """Every query of the corpus is accepted or refused by both, with the same answer."""
    base_ns, tenant = base_time_ns(), f"corpus-{uuid.uuid4().hex[:12]}"
    cases = load_corpus()
    differing = []
    with running() as embedded:
        for url in (embedded, live_loki):
            push_dataset(url, tenant, base_ns)
        for case in cases:
            expected = wanted(ask(live_loki, tenant, base_ns, case), case)
            if expected != comparable(ask(embedded, tenant, base_ns, case)):
                differing.append(case["name"])
    assert len(cases) > 300
    assert [] == differing


def test_random_metric_queries_agree(live_loki):
    """Metric queries that nobody chose have the same answer, up to the rounding of floats."""
    base_ns, tenant = base_time_ns(), f"random-{uuid.uuid4().hex[:12]}"
    defaults = load_defaults()
    differing, answered = [], 0
    with running() as embedded:
        for url in (embedded, live_loki):
            push_dataset(url, tenant, base_ns)
        for seed in range(RANDOM_QUERIES):
            case = {**defaults, **random_case(seed)}
            expected = ask(live_loki, tenant, base_ns, case)
            answered += bool(expected.get("result"))
            if not _alike(expected, ask(embedded, tenant, base_ns, case)):
                differing.append(case)
    assert answered > RANDOM_QUERIES / 4
    assert [] == differing


def test_random_log_queries_agree(live_loki):
    """Log queries that nobody chose are refused by both servers, or have the same answer."""
    base_ns, tenant = base_time_ns(), f"random-{uuid.uuid4().hex[:12]}"
    random = Random(1)  # noqa: S311 - the same queries each time
    defaults = {**load_defaults(), "text": True}
    differing, answered, unknown = [], 0, 0
    with running() as embedded:
        for url in (embedded, live_loki):
            push_dataset(url, tenant, base_ns)
        for number in range(RANDOM_QUERIES):
            case = {**defaults, "query": make_query(random), "categorise": number % 2 == 0}
            expected = ask(live_loki, tenant, base_ns, case)
            actual = ask(embedded, tenant, base_ns, case)
            answered += bool(expected.get("result"))
            if _is_unknown(actual):
                unknown += 1
            elif not _same_entries(expected, actual):
                differing.append(case["query"])
    assert answered > RANDOM_QUERIES / 2
    assert unknown < RANDOM_QUERIES / 20
    assert [] == differing


def _is_unknown(answer: dict[str, Any]) -> bool:
    return "not supported by the development server" in answer.get("text", "")


def _same_entries(expected: dict[str, Any], actual: dict[str, Any]) -> bool:
    if actual["status"] != 200:
        # With categorised labels Loki 3.7.6 answers a stage that it refuses, but with no entries.
        return expected["status"] == actual["status"] or not expected.get("result", True)
    return expected["status"] == 200 and _sorted(expected) == _sorted(actual)


def _sorted(answer: dict[str, Any]) -> list[Any]:
    # Entries of one instant have no order of their own.
    return [
        (stream["stream"], sorted(json.dumps(value, sort_keys=True) for value in stream["values"]))
        for stream in answer["result"]
    ]


def _alike(expected: dict[str, Any], actual: dict[str, Any]) -> bool:
    if expected["status"] != 200 or actual["status"] != 200:
        return expected["status"] // 100 == actual["status"] // 100
    if expected["type"] == "scalar":
        return _close(expected["result"], actual["result"])
    pairs = zip(expected["result"], actual["result"], strict=False)
    return len(expected["result"]) == len(actual["result"]) and all(
        one["metric"] == other["metric"]
        and [ts for ts, _ in one["values"]] == [ts for ts, _ in other["values"]]
        and all(
            _close(first, second)
            for (_, first), (_, second) in zip(one["values"], other["values"], strict=True)
        )
        for one, other in pairs
    )


def _close(expected: str, actual: str) -> bool:
    # Loki adds in the order of a hash map, and a deviation of equal numbers is nothing but that.
    first, second = float(expected), float(actual)
    if not (math.isfinite(first) and math.isfinite(second)):
        return expected == actual
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-6)
