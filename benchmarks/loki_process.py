"""A real Loki in a process of its own: started, stopped, killed and started again."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import yaml

from loglane.errors import EnvironmentMissing
from loglane.stack.layout import RENDERED
from loglane.stack.project import open_project

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "loki"
_START_S = 90.0
_STOP_S = 60.0
# What a run pushes in a second would be refused by the limits of a stack for every day.
_NO_LIMITS: dict[str, Any] = {
    "ingestion_rate_mb": 4096,
    "ingestion_burst_size_mb": 4096,
    "per_stream_rate_limit": "4GB",
    "per_stream_rate_limit_burst": "4GB",
}


class LokiProcess:
    """The program `loki` with the config of this project, on a free port of loopback.

    Args:
        folder: Holds its config, its data and what it says.
        limits: Keys of `limits_config` in place of what is rendered.
    """

    def __init__(self, folder: Path, limits: dict[str, Any] | None = None) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise EnvironmentMissing(
                "needs the program `loki` 3.7 on the PATH: https://github.com/grafana/loki/releases"
            )
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        http, grpc = free_ports(2)
        self.url = f"http://127.0.0.1:{http}"
        (folder / "loki.yaml").write_text(_config(folder / "data", http, grpc, limits or {}))

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes lines."""
        with (self._folder / "loki.log").open("ab") as log:
            command = [self._program, f"-config.file={self._folder / 'loki.yaml'}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + _START_S
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "loki.log").read_text(errors="replace")
                self.kill()
                raise SystemExit(f"error: loki did not start:\n{said[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end, and wait until it has written all it holds."""
        if self._process is not None:
            self._process.terminate()
            self._end()

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def is_ready(self) -> bool:
        """Tell whether it says that it is ready."""
        try:
            answer = httpx2.get(f"{self.url}/ready", trust_env=False, timeout=2.0)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200

    def _end(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def running_loki(folder: Path, limits: dict[str, Any] | None = None) -> Iterator[LokiProcess]:
    """Run a Loki whose data are in a folder; it is killed at the end."""
    loki = LokiProcess(folder, limits)
    try:
        loki.start()
        yield loki
    finally:
        loki.kill()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for item in held:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in held]
    finally:
        for item in held:
            item.close()


def _config(data: Path, http_port: int, grpc_port: int, limits: dict[str, Any]) -> str:
    """Return what the project renders for dev, with its own folder, ports and limits."""
    tree = open_project("dev", ROOT / "stack" / "stack.yaml").render()
    text = tree[str(RENDERED / "loki" / "loki.yaml")].replace("/loki/", f"{data}/")
    config = yaml.safe_load(text)
    config["common"]["path_prefix"] = str(data)
    config["server"] |= {
        "http_listen_address": "127.0.0.1",
        "http_listen_port": http_port,
        "grpc_listen_address": "127.0.0.1",
        "grpc_listen_port": grpc_port,
    }
    config["limits_config"] |= _NO_LIMITS | limits
    # Its parts look for each other every ten seconds, so it would take that long to be ready.
    config["frontend"] = {"address": "127.0.0.1", "scheduler_dns_lookup_period": "200ms"}
    config["frontend_worker"] = {"dns_lookup_duration": "200ms"}
    return yaml.safe_dump(config)
