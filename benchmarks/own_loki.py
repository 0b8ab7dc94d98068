"""A real Loki of this project's config, for the time of a benchmark, on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from loglane.errors import EnvironmentMissing
from loglane.stack.loading import load_spec
from loglane.stack.render import render

ROOT = Path(__file__).resolve().parent.parent
_START_TIMEOUT_S = 60.0


@contextmanager
def own_loki() -> Iterator[str]:
    """Start `loki` from the PATH in a folder of its own and yield its URL.

    Raises:
        EnvironmentMissing: There is no `loki` on the PATH.
    """
    binary = shutil.which("loki")
    if binary is None:
        raise EnvironmentMissing(
            "there is no `loki` on PATH; its releases are at "
            "https://github.com/grafana/loki/releases"
        )
    with tempfile.TemporaryDirectory(prefix="loglane-bench-") as name:
        folder = Path(name)
        port = _free_port()
        config = folder / "loki.yaml"
        config.write_text(yaml.safe_dump(_config(folder, port, _free_port())))
        with (folder / "log").open("w") as output:
            process = subprocess.Popen(
                [binary, f"-config.file={config}"], stdout=output, stderr=output
            )
        try:
            _wait(f"http://127.0.0.1:{port}/ready", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def version() -> str:
    """Return what `loki -version` says first."""
    said = subprocess.run(["loki", "-version"], capture_output=True, text=True, check=True).stdout
    return said.partition("(")[0].strip()


def _config(folder: Path, port: int, grpc_port: int) -> Any:
    """Return the rendered config with this folder and these ports."""
    spec = load_spec(ROOT / "stack" / "stack.yaml", "dev")
    text = render(spec, ROOT / "templates")["stack/rendered/loki/loki.yaml"]
    config = _moved(yaml.safe_load(text), folder)
    config["server"] |= {
        "http_listen_address": "127.0.0.1",
        "http_listen_port": port,
        "grpc_listen_address": "127.0.0.1",
        "grpc_listen_port": grpc_port,
        "log_level": "warn",
    }
    # Else its parts would look for each other at the address of the machine's network.
    config["frontend"] = {"address": "127.0.0.1"}
    return config


def _moved(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, folder) for item in value]
    if isinstance(value, str) and (value == "/loki" or value.startswith("/loki/")):
        return f"{folder}/data{value.removeprefix('/loki')}"
    return value


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"Loki did not start: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
