"""One case's database, its app processes, and what became of their records."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.audit_faults.plan import Plan
from benchmarks.databases import Database, Kind, open_database, open_redis
from benchmarks.faults.bench import AppProcess, environment, poll
from loglane.sinks.audit import Outbox
from tests.servers.process import Server
from tests.servers.redis import Redis

APP = "benchmarks.audit_faults.app"
SETTLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a case is.

    Attributes:
        events: Marked lines in all.
        rate: Marked lines a second.
        away_s: How long a stopped server is away.
        kills: How often an app is killed.
        requests: How many requests come at once.
    """

    events: int = 10_000
    rate: int = 1_000
    away_s: float = 5.0
    kills: int = 20
    requests: int = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the records of one case.

    Attributes:
        acknowledged: Records whose call returned.
        rows: Records in the database.
        lost: Acknowledged ones that are not there.
        twice: Rows beyond the first one of a record.
        note: What else was seen.
        problems: What is not as it has to be; empty when all is well.
    """

    acknowledged: int
    rows: int
    lost: int
    twice: int
    note: str = ""
    problems: tuple[str, ...] = ()


Run = Callable[["Bench"], Outcome]
"""A case: does what it does to a bench, and tells what became of the records."""


@dataclass
class Bench:
    """What a case works with."""

    folder: Path
    database: Database
    scale: Scale
    _apps: list[AppProcess] = field(default_factory=list)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def server(self) -> Server:
        """The database's server."""
        assert self.database.server is not None, "SQLite has no server"
        return self.database.server

    @property
    def outbox(self) -> Path:
        """The file in which the apps' records wait."""
        return self.folder / "outbox.db"

    @property
    def audit(self) -> dict[str, Any]:
        """Settings of an app that writes into the database itself."""
        return {"url": self.database.url, "outbox": {"path": str(self.outbox)}}

    def start(
        self,
        name: str = "app",
        audit: Mapping[str, Any] | None = None,
        module: str = APP,
        **changes: Any,
    ) -> AppProcess:
        """Start an app.

        Args:
            name: Its records have the resource `NAME:NUMBER`.
            audit: Settings besides `audit`.
            module: What it runs.
            **changes: Of its plan.
        """
        plan = {"lines": self.scale.events, "rate": self.scale.rate, "settle_s": SETTLE_S}
        settings = {**self.audit, **(audit or {})}
        app = AppProcess(Plan(name, str(self.folder), audit=settings, **(plan | changes)), module)
        self._apps.append(app)
        return app

    def open_redis(self) -> Redis:
        """Start a Redis of this case's own."""
        return self._open.enter_context(open_redis())

    def start_worker(
        self, redis: Redis, name: str = "worker", *arguments: str
    ) -> subprocess.Popen[bytes]:
        """Start `loglane audit worker` from a Redis into the database."""
        command = [
            sys.executable, "-m", "loglane", "audit", "worker", "--redis", redis.url,
            "--db", self.database.url, "--name", name, *arguments,
        ]  # fmt: skip
        with self._log_of(name).open("ab") as log:
            worker = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=environment()
            )
        self._open.callback(_end, worker)
        return worker

    def worker_lines(self, name: str, message: str) -> list[dict[str, Any]]:
        """Return what a worker has logged under a message."""
        texts = self._log_of(name).read_text().splitlines()
        lines = [json.loads(text) for text in texts if text.startswith("{")]
        return [line for line in lines if str(line.get("message", "")).startswith(message)]

    def _log_of(self, worker: str) -> Path:
        return self.folder / f"{worker}.log"

    def waiting_in_outbox(self) -> int:
        """Return how many records wait in the outbox."""
        outbox = Outbox(self.outbox, 2**40)
        try:
            return outbox.counts()[0]
        finally:
            outbox.close()

    def report(self, name: str = "app") -> dict[str, Any]:
        """Return what an app reported at its end."""
        report: dict[str, Any] = json.loads(Plan(name, str(self.folder)).report_file.read_bytes())
        return report

    def wait_for_rows(self, count: int) -> None:
        """Wait until the database has so many records."""
        poll(lambda: self.database.count() >= count, f"{count} rows", SETTLE_S)

    def outcome(
        self, acknowledged: Mapping[str, int], note: str = "", problems: Sequence[str] = ()
    ) -> Outcome:
        """Compare the rows with what was acknowledged, writer by writer."""
        wanted = {f"{name}:{i}" for name, count in acknowledged.items() for i in range(count)}
        return judge(wanted, self.database.resources(), note, problems)

    def finished(self, app: AppProcess, note: str = "", problems: Sequence[str] = ()) -> Outcome:
        """Wait for an app's end, and compare; nothing may be left in its outbox or be dead."""
        app.wait()
        stats = self.report(app.plan.name)["stats"]
        found = list(problems)
        if stats["outbox"] or stats["dead"] or stats["lost"]:
            found.append(f"left in the outbox {stats['outbox']}, dead {stats['dead']}")
        parts = [note] if note else []
        if stats["spilled"]:
            parts.append(f"{stats['spilled']:,} went through the outbox")
        return self.outcome({app.plan.name: app.returned}, "; ".join(parts), found)

    def close(self) -> None:
        """End every process that is left."""
        for app in self._apps:
            app.end()
        self._open.close()


def judge(
    acknowledged: set[str], rows: Sequence[str], note: str = "", problems: Sequence[str] = ()
) -> Outcome:
    """Count: an acknowledged record must be one row, and none may be two.

    A row that nobody acknowledged is right: the call was about to return when the app was killed.
    """
    copies = Counter(rows)
    lost = len(acknowledged - copies.keys())
    twice = len(rows) - len(copies)
    found = list(problems)
    if lost:
        found.append(f"{lost} acknowledged records are missing")
    if twice:
        found.append(f"{twice} rows are doubled")
    return Outcome(len(acknowledged), len(rows), lost, twice, note, tuple(found))


@contextlib.contextmanager
def open_bench(folder: Path, kind: Kind, scale: Scale) -> Iterator[Bench]:
    """Start a database of one case's own; everything is ended afterwards."""
    with open_database(kind, folder) as database:
        bench = Bench(folder, database, scale)
        try:
            yield bench
        finally:
            bench.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
