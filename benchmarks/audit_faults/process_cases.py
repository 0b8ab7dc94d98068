"""The app is killed; Redis goes away; workers are killed, or share the load."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace
from typing import Any

from redis import Redis as Client

from benchmarks.audit_faults.bench import Bench, Outcome
from benchmarks.audit_faults.database_cases import held_table, waiting_inserts
from benchmarks.faults.bench import poll
from loglane.settings.audit import Audit
from tests.servers.redis import Redis

# A killed app had up to so many records acknowledged.
_UP_TO = 600
_CLAIM_AFTER_S = 3
_FIRST = 0.2


def app_killed(bench: Bench) -> Outcome:
    """Kill the app at random moments, again and again; each has the outbox of those before it."""
    acknowledged = _kill_apps(bench, {"durability": "outbox"}, rate=0)
    left = bench.waiting_in_outbox()
    acknowledged |= _run_last(bench)
    note = f"{bench.scale.kills} kills; {left} records waited in the outbox after the last one"
    return bench.outcome(acknowledged, note)


def app_killed_with_memory(bench: Bench) -> Outcome:
    """Do the same with records that are acknowledged in memory: some are lost, but not many."""
    acknowledged = _kill_apps(bench, {"durability": "memory"}, bench.scale.rate)
    acknowledged |= _run_last(bench)
    outcome = bench.outcome(acknowledged)
    # What the table of docs/audit-worker.md says of a database that keeps up.
    audit = Audit()
    in_hand = audit.writers * audit.batch.max_items
    bound = int(bench.scale.rate * audit.batch.max_wait_s) + in_hand
    stored = set(bench.database.resources())
    worst = max(
        sum(f"{name}:{number}" not in stored for number in range(count))
        for name, count in acknowledged.items()
    )
    problems = [] if worst <= bound else [f"{worst} records of one app are lost, not {bound}"]
    note = f"{bench.scale.kills} kills; at most {worst} of one app's records were in its memory"
    return replace(outcome, note=note, problems=tuple(problems))


def _kill_apps(bench: Bench, audit: dict[str, Any], rate: int) -> dict[str, int]:
    """Start and kill apps, one after the other; return what was acknowledged of each."""
    acknowledged = {}
    for number in range(bench.scale.kills):
        app = bench.start(f"app{number}", audit, rate=rate)
        wanted = random.randrange(_UP_TO)  # noqa: S311 - no secret
        poll(lambda app=app, wanted=wanted: app.returned >= wanted, "acknowledged records")
        app.signal(signal.SIGKILL)
        app.wait(-signal.SIGKILL)
        acknowledged[app.plan.name] = app.returned
    return acknowledged


def _run_last(bench: Bench) -> dict[str, int]:
    """Let one more app end by itself: it stores what the others left in the outbox."""
    last = bench.start("last", lines=1)
    last.wait()
    return {last.plan.name: last.returned}


def redis_stopped(bench: Bench) -> Outcome:
    """Stop the Redis between the app and the database for a while."""
    redis = bench.open_redis()
    bench.start_worker(redis)
    app = bench.start(audit=_over(redis))
    app.wait_for(_FIRST)
    redis.stop()
    time.sleep(bench.scale.away_s)
    redis.start()
    app.wait()
    bench.wait_for_rows(app.returned)
    return bench.finished(app)


def worker_killed(bench: Bench) -> Outcome:
    """Kill a worker while its insert is at work; another one takes over."""
    redis = bench.open_redis()
    config = bench.folder / "loglane.yaml"
    config.write_text(f"logging: {{audit: {{redis: {{claim_after_s: {_CLAIM_AFTER_S}}}}}}}\n")
    first = bench.start_worker(redis, "first", "--config", str(config))
    app = bench.start(audit=_over(redis))
    app.wait_for(_FIRST)
    with held_table(bench.database):
        waiting_inserts(bench.database)
        first.kill()
        first.wait()
    bench.start_worker(redis, "second", "--config", str(config))
    app.wait()
    bench.wait_for_rows(app.returned)
    claimed = sum(line["batches"] for line in bench.worker_lines("second", "claimed"))
    problems = [] if claimed else ["nothing of the killed worker was claimed"]
    return bench.outcome({"app": app.returned}, f"batches claimed: {claimed}", problems)


def two_workers(bench: Bench) -> Outcome:
    """Let two workers share the load."""
    redis = bench.open_redis()
    workers = {name: bench.start_worker(redis, name) for name in ("first", "second")}
    poll(lambda: _waiting_readers(redis) > Audit().writers, "two workers that read")
    app = bench.start(audit=_over(redis))
    app.wait()
    bench.wait_for_rows(app.returned)
    shares = []
    for name, worker in workers.items():
        worker.terminate()
        worker.wait()
        shares += [line["written"] for line in bench.worker_lines(name, "audit worker stopped")]
    problems = [] if len(shares) == len(workers) and all(shares) else ["one worker had all"]
    note = "they wrote " + " and ".join(f"{share:,}" for share in shares)
    return bench.outcome({"app": app.returned}, note, problems)


def _waiting_readers(server: Redis) -> int:
    """Return how many connections wait for records; a worker has as many as it has writers."""
    with Client.from_url(server.url) as client:
        return int(client.info("clients")["blocked_clients"])


def _over(redis: Redis) -> dict[str, Any]:
    return {"redis": {"url": redis.url}}
