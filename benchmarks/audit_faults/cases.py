"""Everything that goes wrong, by name."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.audit_faults import database_cases, process_cases, request_cases
from benchmarks.audit_faults.bench import Run
from benchmarks.databases import KINDS, Kind

_SERVERS: tuple[Kind, ...] = ("mariadb", "postgresql")
_ONE: tuple[Kind, ...] = ("postgresql",)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that goes wrong, on some kinds of databases; `may_lose` says that it may."""

    name: str
    title: str
    run: Run
    kinds: tuple[Kind, ...] = KINDS
    may_lose: bool = False


CASES: tuple[Case, ...] = (
    Case("calm", "nothing happens", database_cases.calm),
    Case("stopped", "the database is stopped for a while", database_cases.stopped, _SERVERS),
    Case("killed", "the database is killed (-9), and back after a while",
         database_cases.killed, _SERVERS),
    Case("hung", "the database hangs for a while", database_cases.hung, _SERVERS),
    Case("locked", "another process locks the file", database_cases.locked, ("sqlite",)),
    Case("disconnected", "the connection is lost in the middle of an insert",
         database_cases.disconnected, _SERVERS),
    Case("deadlocked", "deadlocks with another transaction",
         database_cases.deadlocked, _SERVERS),
    Case("app-killed", "the app is killed (-9) at random moments, durability outbox",
         process_cases.app_killed),
    Case("app-killed-memory", "the same with durability memory",
         process_cases.app_killed_with_memory, _ONE, may_lose=True),
    Case("redis-stopped", "Redis is stopped for a while", process_cases.redis_stopped, _ONE),
    Case("worker-killed", "a worker behind Redis is killed (-9) in the middle of an insert",
         process_cases.worker_killed, _SERVERS),
    Case("two-workers", "two workers behind Redis share the load",
         process_cases.two_workers, _ONE),
    Case("rolled-back", "transactions are rolled back", request_cases.rolled_back),
    Case("requests", "many requests at once over a small pool",
         request_cases.many_requests, _SERVERS),
)  # fmt: skip
