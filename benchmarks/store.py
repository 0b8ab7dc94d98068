"""How much of the disk a byte of log lines takes once Loki has stored it.

Pushes hours of the demo's lines into a real Loki of its own, stops it, so that it writes all it
holds, and adds up what lies in its folder. `STORED_RATIO` of `loglane.stack.capacity` is this
figure, rounded up.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2

from loglane.demo.history import history, streams
from loglane.query import LokiClient
from loglane.stack.capacity import STORED_RATIO
from loglane.stack.loading import load_spec
from loglane.stack.render import render

ROOT = Path(__file__).resolve().parent.parent
HOURS = 5
_REQUESTS_PER_SECOND = 4.0
_START_TIMEOUT_S = 60.0
_AT_ONCE = 2000


def run() -> dict[str, Any]:
    """Print the ratio; it is as it should be when `STORED_RATIO` is no less and not far off."""
    spec = load_spec(ROOT / "stack" / "stack.yaml", "dev")
    config = render(spec, ROOT / "templates")["stack/rendered/loki/loki.yaml"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "loki.yaml").write_text(config)
        (folder / "data").mkdir()
        lines, sent = _fill(spec.images.loki, folder)
        files = [file for file in (folder / "data" / "chunks").rglob("*") if file.is_file()]
        stored = sum(file.stat().st_size for file in files)
    ratio = stored / sent
    ok = ratio <= STORED_RATIO <= 2 * ratio
    print(
        f"{spec.images.loki}: {lines:,} lines, {sent / 1e6:.1f} MB of {HOURS} hours, take "
        f"{stored / 1e6:.1f} MB with their index: {ratio:.3f} of their size; "
        f"STORED_RATIO is {STORED_RATIO}: {'fits' if ok else 'DOES NOT FIT'}"
    )
    return {"ok": ok, "lines": lines, "sent_bytes": sent, "stored_bytes": stored, "ratio": ratio}


def _fill(image: str, folder: Path) -> tuple[int, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Whoever runs this can then read and delete what Loki wrote.
    arguments = ["--user", f"{os.getuid()}:{os.getgid()}"]
    arguments += ["--publish", f"127.0.0.1:{port}:3100", "--volume", f"{folder}/data:/loki"]
    arguments += ["--volume", f"{folder}/loki.yaml:/etc/loki/loki.yaml:ro"]
    container = _docker("run", "--detach", *arguments, image, "-config.file=/etc/loki/loki.yaml")
    try:
        with LokiClient(f"http://127.0.0.1:{port}", timeout_s=60) as client:
            _wait(f"http://127.0.0.1:{port}/ready")
            return _push(client)
    finally:
        # Loki writes all it holds before it ends: flush_on_shutdown.
        _docker("stop", "--time", "120", container)
        _docker("rm", "--volumes", container)


def _push(client: LokiClient) -> tuple[int, int]:
    made = history(time.time_ns(), HOURS * 3600, _REQUESTS_PER_SECOND)
    lines = sent = 0
    while batch := list(islice(made, _AT_ONCE)):
        found = streams(batch)
        client.push(found)
        lines += len(batch)
        sent += sum(len(line.encode()) for stream in found for _, line, _ in stream.entries)
    return lines, sent


def _wait(url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{url} did not answer within {_START_TIMEOUT_S:g} s")


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()
