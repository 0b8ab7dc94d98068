"""Where a collector's benchmark has its lines from, and the configurations that read them."""

from __future__ import annotations

import json
import re
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loglane.errors import EnvironmentMissing
from loglane.stack import engine
from loglane.stack.render import render
from loglane.stack.spec import StackSpec

ROOT = Path(__file__).resolve().parent.parent
_WRITE_TIMEOUT_S = 60.0
_LABELS = [{"static_labels": {"env": "dev"}}]
_STAGES: dict[str, list[dict[str, Any]]] = {
    "labels": _LABELS,
    "bare": _LABELS,
    "level": [{"json": {"expressions": {"level": "level"}}}, {"labels": {"level": "level"}}],
}
_CONTRACT = StackSpec(env="dev")
_ALL = {name: name for name in (*_CONTRACT.app_labels, *_CONTRACT.structured_metadata)}
_STAGES["contract"] = [
    {"json": {"expressions": _ALL}},
    {"labels": {name: name for name in _CONTRACT.app_labels}},
    {"structured_metadata": {name: name for name in _CONTRACT.structured_metadata}},
]


def _alloy_map(names: Iterable[str]) -> str:
    return "{" + ", ".join(f'"{name}" = "{name}"' for name in names) + "}"


_ALLOY_LABELS = 'stage.static_labels {\n values = {"env" = "dev"}\n }'
_ALLOY_STAGES = {
    "labels": _ALLOY_LABELS,
    "bare": _ALLOY_LABELS,
    "level": 'stage.json {\n expressions = {"level" = "level"}\n }\n'
    'stage.labels {\n values = {"level" = "level"}\n }',
    "contract": f"stage.json {{\n expressions = {_alloy_map(_ALL)}\n }}\n"
    f"stage.labels {{\n values = {_alloy_map(_CONTRACT.app_labels)}\n }}\n"
    "stage.structured_metadata {\n"
    f" values = {_alloy_map(_CONTRACT.structured_metadata)}\n }}",
}


@dataclass(frozen=True)
class Config:
    """A rendered configuration, of which one job is run with a peer's pipeline."""

    collector: str
    text: str
    job: str
    environment: dict[str, str]

    def arguments(self, peer: str, state: Path, sink: int, port: int) -> list[str]:
        """Write the peer's configuration; return the arguments that start the collector.

        Args:
            peer: Whose pipeline it has.
            state: Folder for the configuration and what the collector remembers.
            sink: Port of the server that takes the lines.
            port: Port for the collector's own metrics.
        """
        make = self._promtail if self.collector == "promtail" else self._alloy
        return make(peer, state, sink, port)

    def _promtail(self, peer: str, state: Path, sink: int, port: int) -> list[str]:
        config = yaml.safe_load(self.text)
        config["server"] |= {"http_listen_port": port, "http_listen_address": "127.0.0.1"}
        config["positions"]["filename"] = str(state / "positions.yaml")
        config["clients"][0]["url"] = f"http://127.0.0.1:{sink}/loki/api/v1/push"
        (job,) = [job for job in config["scrape_configs"] if job["job_name"] == self.job]
        if peer in _STAGES:
            job["pipeline_stages"] = _STAGES[peer]
        if peer == "bare":
            job["relabel_configs"] = []
        config["scrape_configs"] = [job]
        file = state / "promtail.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        return [f"-config.file={file}"]

    def _alloy(self, peer: str, state: Path, sink: int, port: int) -> list[str]:
        blocks = re.findall(r"(?ms)^[a-z][^\n]*\{\n.*?^\}\n", self.text)
        names = ("logging", "loki.write")
        wanted = [
            block
            for block in blocks
            if block.startswith(names) or f'"{self.job}' in block.partition("\n")[0]
        ]
        text = "\n".join(self._alloy_block(block, peer) for block in wanted)
        text = re.sub(r"(?m)^  legacy_positions_file.*$", "", text)
        file = state / "config.alloy"
        file.write_text(text.replace("http://loki:3100", f"http://127.0.0.1:{sink}"))
        return [
            "run", f"--server.http.listen-addr=127.0.0.1:{port}", f"--storage.path={state}/data",
            "--disable-reporting", str(file),
        ]  # fmt: skip

    def _alloy_block(self, block: str, peer: str) -> str:
        if block.startswith("loki.process") and peer in _ALLOY_STAGES:
            receiver = "forward_to = [loki.write.loki.receiver]"
            return f'loki.process "{self.job}" {{\n{receiver}\n{_ALLOY_STAGES[peer]}\n}}\n'
        if block.startswith("loki.relabel") and peer == "bare":
            return f'loki.relabel "{self.job}" {{\nforward_to = []\n}}\n'
        return block


@dataclass(frozen=True)
class Source:
    """Lines that wait to be read: the spec that finds them, and what the text calls them."""

    job: str
    peers: tuple[str, ...]
    spec: dict[str, Any]
    replaced: tuple[str, str] = ("", "")

    def config(self, collector: str) -> Config:
        """Render the configuration of a collector that reads this source."""
        spec = StackSpec.model_validate({"env": "dev", "collector": collector, **self.spec})
        name = "promtail.yaml" if collector == "promtail" else "config.alloy"
        tree = render(spec, ROOT / "templates")
        text = tree[f"stack/rendered/{collector}/{name}"].replace(*self.replaced)
        service = yaml.safe_load(tree["docker-compose.yml"])["services"][collector]
        return Config(collector, text, self.job, service.get("environment", {}))


@contextmanager
def file_source(lines: int) -> Iterator[Source]:
    """Write lines to a file of the host; the rendered job of host files reads it."""
    with tempfile.TemporaryDirectory(prefix="loglane-bench-") as folder:
        _write_lines(Path(folder) / "lines.log", lines)
        files = ({"path": "/logs/lines.log", "service": "shop"},)
        peers = ("rendered", "contract", "labels", "level")
        yield Source("files", peers, {"sources": {"files": files}}, ("/host/logs", folder))


@contextmanager
def docker_source(lines: int) -> Iterator[Source]:
    """Have a container write lines; the rendered job of containers reads them from Docker.

    Raises:
        EnvironmentMissing: Docker does not answer, or the image is missing.
    """
    client = engine.connect()
    # The collector's own image has a shell, and whoever measures has it.
    image = StackSpec.model_validate({"env": "dev"}).images.promtail
    if not engine.has_image(client, image):
        raise EnvironmentMissing(f"Needs an image: docker pull {image}")
    name = f"loglane-bench-{uuid.uuid4().hex[:8]}"
    labels = {"loglane.bench": name, "com.docker.compose.service": "shop"}
    with tempfile.TemporaryDirectory(prefix="loglane-bench-") as folder:
        _write_lines(Path(folder) / "lines.log", lines)
        container = client.containers.run(
            image,
            entrypoint=["bash", "-c", "cat /lines/lines.log; exec sleep 7200"],
            user="0",
            labels=labels | {"com.docker.compose.project": name},
            volumes={folder: {"bind": "/lines", "mode": "ro"}},
            log_config={"Type": "json-file"},
            network_mode="none",
            name=name,
            detach=True,
        )
        try:
            _wait_until_written(container, lines)
            peers = ("rendered", "contract", "labels", "bare", "level")
            yield Source("containers", peers, {"apps": {"label": f"loglane.bench={name}"}})
        finally:
            container.remove(force=True)
            client.close()


def _wait_until_written(container: Any, lines: int) -> None:
    deadline = time.monotonic() + _WRITE_TIMEOUT_S
    last = f"order {lines - 1} was placed".encode()
    while last not in container.logs(tail=1):
        if time.monotonic() > deadline:
            raise SystemExit(f"the container did not write {lines} lines")
        time.sleep(0.5)


def _write_lines(path: Path, count: int) -> None:
    levels = ("info", "warning", "error")
    with path.open("w") as file:
        for number in range(count):
            line = {
                "timestamp": f"2026-11-22T00:00:00.{number:06d}Z", "level": levels[number % 3],
                "message": f"order {number} was placed", "logger": "shop.orders",
                "service": "shop", "env": "dev", "trace_id": f"{number:032x}",
                "span_id": f"{number:016x}", "request_id": f"req-{number}",
                "log_category": "orders", "amount": number / 100, "items": 3, "currency": "EUR",
            }  # fmt: skip
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
