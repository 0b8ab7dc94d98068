"""A Loki on its own, as rendered, that compacts every few seconds: what retention leaves of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from loglane.stack import probe
from loglane.stack.project import open_project
from tests.integration.conftest import ROOT, free_ports

START_TIMEOUT_S = 120.0
# Everything that is waited for in hours otherwise; the config itself stays as rendered.
FAST = (
    "-compactor.compaction-interval=5s",
    "-compactor.apply-retention-interval=6s",
    "-compactor.retention-delete-delay=5s",
    # What is flushed leaves the memory; a restart would bring it back from the log for a while.
    "-ingester.wal-enabled=false",
    # What was read of the index is not used for long.
    "-tsdb.shipper.resync-interval=2s",
    "-store.index-cache-validity=1s",
)
HOUR_NS = 3600 * 10**9


@dataclass(frozen=True)
class Loki:
    """A running Loki of a compose project of its own."""

    folder: Path
    name: str
    url: str

    def compose(self, *arguments: str) -> None:
        """Run compose on this project."""
        files = ["--file", "docker-compose.yml", "--file", "fast.yaml"]
        command = ["docker", "compose", "--project-name", self.name, *files, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr

    def wait(self) -> None:
        """Wait until it is ready."""
        probe.wait_until(lambda: probe.answers(f"{self.url}/ready"), START_TIMEOUT_S, "Loki")

    def restart(self) -> None:
        """Restart it: at a stop Loki flushes chunks, at the start it ships their index."""
        self.compose("restart", "loki")
        self.wait()

    def push(self, tenant: str, labels: Mapping[str, str], age_h: float) -> int:
        """Push two lines of an age and return the status."""
        newest = time.time_ns() - int(age_h * HOUR_NS)
        values = [[str(newest - 10**9), "the older line"], [str(newest), "the newer line"]]
        body = {"streams": [{"stream": dict(labels), "values": values}]}
        headers = {"X-Scope-OrgID": tenant}
        url = f"{self.url}/loki/api/v1/push"
        return httpx2.post(url, json=body, headers=headers, timeout=30).status_code

    def services(self, tenant: str) -> set[str]:
        """Return the services whose lines are still found."""
        params: dict[str, Any] = {
            "query": '{service=~".+"}',
            "start": time.time_ns() - 24 * 9 * HOUR_NS,
            "end": time.time_ns(),
            "limit": 1000,
        }
        answer = httpx2.get(
            f"{self.url}/loki/api/v1/query_range",
            params=params,
            headers={"X-Scope-OrgID": tenant},
            timeout=30,
        )
        streams = answer.json()["data"]["result"]
        return {item["stream"]["service"] for item in streams}


@contextmanager
def running_loki(
    folder: Path, name: str, keys: Mapping[str, Any], override: Mapping[str, Any]
) -> Iterator[Loki]:
    """Render a spec with some keys and start its Loki; remove it afterwards."""
    loki_port, grafana_port, promtail_port = free_ports(3)
    ports = {"loki": loki_port, "grafana": grafana_port, "promtail": promtail_port}
    spec = yaml.safe_load((ROOT / "stack" / "stack.yaml").read_text())
    stack = folder / "stack"
    (stack / "environments").mkdir(parents=True)
    (stack / "stack.yaml").write_text(yaml.safe_dump(spec))
    overlay = {"env": "dev", "project": name, "ports": ports, **keys}
    (stack / "environments" / "dev.yaml").write_text(yaml.safe_dump(overlay))
    (folder / "templates").symlink_to(ROOT / "templates")
    project = open_project("dev", stack / "stack.yaml")
    project.write()
    rendered = yaml.safe_load((folder / "docker-compose.yml").read_text())
    command = [*rendered["services"]["loki"]["command"], *FAST]
    fast = {"services": {"loki": {"command": command, **override}}}
    (folder / "fast.yaml").write_text(yaml.safe_dump(fast))
    loki = Loki(folder, name, f"http://127.0.0.1:{loki_port}")
    try:
        loki.compose("up", "--detach", "loki")
        loki.wait()
        yield loki
    finally:
        loki.compose("down", "--volumes", "--timeout", "5")
