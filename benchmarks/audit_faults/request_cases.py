"""Transactions that are rolled back, and many requests at once over a small pool."""

from __future__ import annotations

import statistics

from benchmarks.audit_faults.bench import Bench, Outcome, judge
from benchmarks.audit_faults.requests import POOL

_REQUESTS = "benchmarks.audit_faults.requests"
_TRANSACTIONS = "benchmarks.audit_faults.transactions"


def rolled_back(bench: Bench) -> Outcome:
    """Roll business transactions back that have an explicit and an independent record each."""
    app = bench.start(lines=bench.scale.events // 100, module=_TRANSACTIONS)
    app.wait()
    count = bench.report()["rolled_back"]
    rows = bench.database.resources()
    gone = [row for row in rows if row.startswith("explicit:")]
    problems = [f"{len(gone)} records of transactions that were rolled back"] if gone else []
    note = "" if gone else f"{count} explicit records are gone with their transactions"
    return judge({f"independent:{number}" for number in range(count)}, rows, note, problems)


def many_requests(bench: Bench) -> Outcome:
    """Have many requests at once over a pool of few connections, with and without a record."""
    app = bench.start(lines=bench.scale.requests, module=_REQUESTS)
    app.wait()
    found = bench.report()
    bench.wait_for_rows(found["marked"])
    ratios = {
        name: statistics.median(
            _quantile(marked, share) / _quantile(plain, share)
            for marked, plain in zip(found["marked_s"], found["plain_s"], strict=True)
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    timeouts = found["timeouts"]
    note = (
        f"{timeouts} pool time-outs with {POOL} connections; latency with a record, of that "
        f"without: {ratios['p50']:.2f}x (p50), {ratios['p99']:.2f}x (p99)"
    )
    problems = [f"{timeouts} requests got no connection"] if timeouts else []
    return bench.outcome({"app": found["marked"]}, note, problems)


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
