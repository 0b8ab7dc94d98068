"""What a process keeps in memory when the database is away for many records."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audit_faults.bench import SETTLE_S, Scale, open_bench
from benchmarks.faults.bench import poll

_WARM_UP = 500


@dataclass(frozen=True, slots=True)
class Memory:
    """What became of the records, and what they cost.

    Attributes:
        events: Marked lines whose call returned.
        rows: Records in the database at the end.
        waited: Records in the outbox when the database came back.
        grown_bytes: By how much the process's largest size grew from before the first line.
        seconds: How long the app was writing.
    """

    events: int
    rows: int
    waited: int
    grown_bytes: int
    seconds: float


def measure(events: int) -> Memory:
    """Have an app with default settings write as fast as it can while MariaDB is away."""
    with (
        tempfile.TemporaryDirectory(prefix="loglane-audit-memory-") as name,
        open_bench(Path(name), "mariadb", Scale(events=events, rate=0)) as bench,
    ):
        # What the driver and the first batches take belongs to every app.
        app = bench.start(warm_up=_WARM_UP)
        bench.wait_for_rows(_WARM_UP)
        bench.server.stop()
        poll(lambda: app.returned >= events, "the app's lines", SETTLE_S)
        waited = bench.waiting_in_outbox()
        bench.server.start()
        app.wait()
        report = bench.report()
        return Memory(
            events, bench.database.count(), waited, report["grown_bytes"], report["seconds"]
        )
