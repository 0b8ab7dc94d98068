"""A real Grafana with the rendered dashboards works on the development server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from testcontainers.core.container import DockerContainer
from websockets.sync.client import connect

from loglane.demo.history import push_history, streams
from loglane.query import LokiClient, Stream
from loglane.stack import engine, probe
from loglane.stack.loading import load_spec
from tests.integration.conftest import ROOT, START_TIMEOUT_S
from tests.integration.test_dashboards import OWN_LINES, app_lines, ask, level_of

pytestmark = pytest.mark.integration

RENDERED = ROOT / "stack" / "rendered" / "grafana"
SPEC = load_spec(ROOT / "stack" / "stack.yaml", "dev")
DATASOURCE = SPEC.grafana.datasources.loki.uid
# Of a Grafana that lives for a minute, on loopback.
LOGIN = ("admin", "devserver-test")


@dataclass(frozen=True)
class Setting:
    """A Grafana, and the development server that its datasource points at."""

    grafana: httpx2.Client
    base: str
    loki: LokiClient


def _address() -> str:
    """Return the address under which a container reaches this machine: Docker's bridge."""
    command = ["docker", "network", "inspect", "bridge", "--format"]
    form = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    found = subprocess.run([*command, form], check=True, capture_output=True, text=True).stdout
    address = next((item for item in found.split() if ":" not in item), "")
    with socket.socket() as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip(f"Docker's bridge {address or '(none)'} is not on this machine")
        return address


@pytest.fixture(scope="module")
def devserver(docker_engine) -> Iterator[str]:
    """Run `loglane serve` where containers reach it; yield its URL."""
    address = _address()
    with socket.socket() as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "loglane", "serve", "--host", address, "--port", str(port)]
    url = f"http://{address}:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ) as process:
        try:
            probe.wait_until(lambda: probe.answers(f"{url}/ready"), START_TIMEOUT_S, "the server")
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def setting(docker_engine, devserver, tmp_path_factory) -> Iterator[Setting]:
    """Start Grafana with the rendered provisioning, its Loki datasource on the server."""
    image = SPEC.images.grafana
    if not engine.has_image(docker_engine, image):
        pytest.skip(f"needs an image that is not on this machine: docker pull {image}")
    folder = tmp_path_factory.mktemp("grafana")
    shutil.copytree(RENDERED, folder, dirs_exist_ok=True)
    sources = folder / "provisioning" / "datasources" / "datasources.yaml"
    sources.write_text(sources.read_text().replace("http://loki:3100", devserver))
    # Alerts would ask the server too, in their own time.
    shutil.rmtree(folder / "provisioning" / "alerting")
    container = (
        DockerContainer(image)
        .with_name(f"loglane-devserver-grafana-{uuid.uuid4().hex[:8]}")
        .with_env("GF_SECURITY_ADMIN_PASSWORD", LOGIN[1])
        .with_env("GF_ANALYTICS_REPORTING_ENABLED", "false")
        .with_env("GF_ANALYTICS_CHECK_FOR_UPDATES", "false")
        .with_env("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false")
        .with_env("GF_NEWS_NEWS_FEED_ENABLED", "false")
        .with_env("GF_PLUGINS_PREINSTALL_DISABLED", "true")
        .with_env("GF_PLUGINS_PREINSTALL_AUTO_UPDATE", "false")
        .with_volume_mapping(folder / "provisioning", "/etc/grafana/provisioning", "ro")
        .with_volume_mapping(folder / "dashboards", "/etc/grafana/dashboards", "ro")
    )
    _readable(folder)
    with container:
        # Over the bridge, so that no port is published.
        wrapped = container.get_wrapped_container()
        base = f"http://{container.get_docker_client().bridge_ip(wrapped.id)}:3000"
        probe.wait_until(lambda: probe.answers(f"{base}/api/health"), START_TIMEOUT_S, "Grafana")
        with (
            httpx2.Client(base_url=base, auth=LOGIN, timeout=60) as grafana,
            LokiClient(devserver, timeout_s=60) as loki,
        ):
            yield Setting(grafana, base, loki)


@pytest.fixture(scope="module")
def filled(setting) -> Setting:
    """Fill the server with two hours of the demo, an app's lines and those of a stack's parts."""
    end_ns = time.time_ns()
    push_history(setting.loki, end_ns, span_s=7200, requests_per_second=1.0)
    setting.loki.push(streams([(end_ns - n, line) for n, line in enumerate(app_lines())]))
    project = {"env": "dev", "compose_project": SPEC.project}
    setting.loki.push(
        Stream({**project, "service": service, "level": level_of(text)}, [(end_ns - n, text, {})])
        for service, texts in OWN_LINES.items()
        for n, text in enumerate(texts)
    )
    return setting


@pytest.fixture(scope="module")
def boards(filled) -> dict[str, Any]:
    """Return the dashboards that Grafana has, by uid."""
    uids = [item["uid"] for item in filled.grafana.get("/api/search?tag=loglane").json()]
    answers = [filled.grafana.get(f"/api/dashboards/uid/{uid}").json() for uid in uids]
    return {uid: answer["dashboard"] for uid, answer in zip(uids, answers, strict=True)}


def _readable(folder: Path) -> None:
    # Grafana runs as a user of its own.
    for item in (folder, *folder.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)


def _resource(setting: Setting, path: str, **params: Any) -> Any:
    """Ask what Explore asks through the datasource's backend."""
    end_ns = time.time_ns()
    answer = setting.grafana.get(
        f"/api/datasources/uid/{DATASOURCE}/resources/{path}",
        params={"start": end_ns - 3600 * 10**9, "end": end_ns, **params},
    )
    assert 200 == answer.status_code, answer.text
    return answer.json()["data"]


def test_datasource_is_healthy(setting):
    """Grafana's own check of the datasource succeeds."""
    answer = setting.grafana.get(f"/api/datasources/uid/{DATASOURCE}/health").json()
    assert "OK" == answer["status"]


def test_every_dashboard_of_the_spec_is_there(boards):
    """What is rendered for a real Loki is provisioned unchanged."""
    assert {f"loglane-{name}" for name in SPEC.dashboards} == set(boards)


def test_every_panel_answers_and_none_is_empty(filled, boards):
    """Each query of each panel and annotation is answered through Grafana with something."""
    found = filled.loki.query_range(
        '{service="payments", level="error"}', time.time_ns() - 3600 * 10**9, time.time_ns()
    )
    refused, empty = [], []
    for uid, board in boards.items():
        marks = [
            {**mark, "title": mark["name"], "targets": [mark["target"]]}
            for mark in board.get("annotations", {}).get("list", [])
            if "target" in mark and mark["datasource"].get("type") == "loki"
        ]
        for panel in [*board["panels"], *marks]:
            for target in panel.get("targets", []):
                place = (uid, panel["title"], target["refId"])
                try:
                    rows = ask(filled, uid, panel, target, id=found[0].metadata["trace_id"])
                except pytest.fail.Exception as failure:
                    refused.append((*place, str(failure)))
                    continue
                if not rows:
                    empty.append(place)
    assert ([], []) == (refused, empty)


def test_explore_lists_labels_values_and_series(filled):
    """The query builder finds names, values, and the streams of a selector."""
    assert {"env", "service", "level"} <= set(_resource(filled, "labels"))
    assert {"shop", "payments"} <= set(_resource(filled, "label/service/values"))
    series = _resource(filled, "series", **{"match[]": '{service="shop", level="error"}'})
    assert {("shop", "error")} == {(one["service"], one["level"]) for one in series}


def test_explore_shows_lines_with_their_volume(filled):
    """A query of Explore and the histogram above it answer together, newest line first."""
    selector = '{service="shop"}'
    now_ms = time.time_ns() // 10**6
    volume = f"sum by (level) (count_over_time({selector} | drop __error__ [1m]))"
    queries = [
        {"refId": "A", "expr": selector, "queryType": "range", "maxLines": 50},
        {"refId": "V", "expr": volume, "queryType": "range", "intervalMs": 60_000},
    ]
    source = {"type": "loki", "uid": DATASOURCE}
    answer = filled.grafana.post(
        "/api/ds/query",
        json={
            "from": str(now_ms - 3_600_000),
            "to": str(now_ms),
            "queries": [{"datasource": source, "maxDataPoints": 100, **one} for one in queries],
        },
    )
    results = answer.json()["results"]
    (frame,) = results["A"]["frames"]
    names = [field["name"] for field in frame["schema"]["fields"]]
    columns = dict(zip(names, frame["data"]["values"], strict=True))
    assert 50 == len(columns["Line"])
    newest = filled.loki.query_range(
        selector, (now_ms - 3_600_000) * 10**6, now_ms * 10**6, limit=50
    )
    assert sorted(str(entry.timestamp_ns) for entry in newest) == sorted(columns["tsNs"])
    levels = [one["schema"]["fields"][1]["labels"]["level"] for one in results["V"]["frames"]]
    assert {"info", "error"} <= set(levels)


def test_explore_follows_lines_through_grafana(filled):
    """The live view's websocket, proxied by Grafana, gets what is pushed while it is open."""
    login = base64.b64encode(":".join(LOGIN).encode()).decode()
    query = urlencode({"query": '{service="live-test"}', "limit": 10})
    sources = filled.grafana.get("/api/frontend/settings").json()["datasources"]
    (proxy,) = [one["url"] for one in sources.values() if one.get("uid") == DATASOURCE]
    address = f"ws{filled.base[4:]}{proxy}/loki/api/v1/tail?{query}"
    headers = {"Authorization": f"Basic {login}"}
    with connect(address, additional_headers=headers) as session:
        entry = (time.time_ns(), "as it happens", {})
        filled.loki.push([Stream({"service": "live-test"}, [entry])])
        message = json.loads(session.recv(timeout=30))
    assert [["as it happens"]] == [
        [line for _, line, *_ in stream["values"]] for stream in message["streams"]
    ]
