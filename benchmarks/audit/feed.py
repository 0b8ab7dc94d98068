"""An app with many marked lines: `python -m benchmarks.audit.feed URL FOLDER COUNT`.

First a few records are stored, so that what is imported at the first batch is not counted. Then the
queue is filled, and a worker with default settings is started and empties it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson

import loglane
from loglane.audit import AuditWorker, audit_stats

REPORT = "feed.json"
WARM_UP = 500
# Each look asks the outbox, too, which takes time from the worker.
_POLL_S = 0.02
_TIMEOUT_S = 120.0


def _log(count: int) -> None:
    log = loglane.get_logger("feed")
    for number in range(count):
        log.info("role_changed", user_id=number, resource=f"user:{number}", role="admin",
                 persist_db=True)  # fmt: skip


def _store(count: int) -> float:
    """Run a worker until so many records are stored in all; return how many seconds it took."""
    began = time.perf_counter()
    deadline = time.monotonic() + _TIMEOUT_S
    with AuditWorker():
        while audit_stats()["written"] < count and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return time.perf_counter() - began


def main() -> None:
    """Measure; the seconds are in the file it names."""
    url, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    loglane.configure(
        mode="container", service="audit-rates", env="dev", flow_control={"enabled": False},
        audit={"enabled": True, "url": url, "outbox": {"path": str(folder / "outbox.db")}},
    )  # fmt: skip
    _log(WARM_UP)
    _store(WARM_UP)
    _log(count)
    seconds = _store(WARM_UP + count)
    (folder / REPORT).write_bytes(orjson.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
