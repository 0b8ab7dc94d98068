"""Every record that was acknowledged is stored, on the disk, dead, or still waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import closing

import orjson
import pytest

import loglane
from loglane.audit import crew, delivery
from loglane.audit import lines as audit_lines
from loglane.audit.event import AuditEvent
from loglane.audit.stats import audit_stats
from loglane.audit.worker import AuditWorker
from loglane.context import bound
from loglane.errors import AuditError
from loglane.sinks.audit import Outbox, intake_of, process
from tests.unit.audit.fake_sink import FakeSink, away, on_loop
from tests.unit.audit.marked_lines import make_line
from tests.unit.audit.polling import until

QUICK = {"attempts": 2, "first_s": 0.001, "max_s": 0.01}


@pytest.fixture(autouse=True)
def _no_intake(monkeypatch):
    """Have an intake of its own for each test."""
    monkeypatch.setattr(process, "_intake", None)
    yield
    intake = process.present_intake()
    if intake is not None:
        intake.close()


@pytest.fixture
def sink():
    return FakeSink()


@pytest.fixture
def make(settings, sink):
    """Return a function that makes a worker over the fake sink."""

    def make_worker(model=AuditEvent, **keys):
        keys = {"batch": {"max_wait_s": 0.01}, "retry": QUICK, "drain_s": 5, **keys}
        return AuditWorker(settings(**keys), sink=sink, model=model)

    return make_worker


def record(worker, count, **fields):
    intake = intake_of(worker.settings)
    bodies = [make_line(**fields) for _ in range(count)]
    for body in bodies:
        intake.record(body)
    return [orjson.loads(body)["event_id"] for body in bodies]


def in_outbox(worker):
    outbox = Outbox(worker.settings.outbox.path, 1 << 30)
    try:
        return [orjson.loads(body)["event_id"] for _, body in outbox.take(10**6)]
    finally:
        outbox.close()


def dead_of(worker):
    outbox = Outbox(worker.settings.outbox.path, 1 << 30)
    try:
        return outbox.dead()
    finally:
        outbox.close()


@on_loop
async def test_worker_writes_full_batches(make, sink):
    """As many records at once as belong into a batch."""
    worker = make(batch={"max_items": 50, "max_wait_s": 30}, workers=1)
    async with worker:
        ids = record(worker, 500)
        await until(lambda: len(sink.rows) == 500)
    assert (ids, [50] * 10) == (list(sink.rows), sink.batches)
    assert {"written": 500, "queued": 0, "in_hand": 0}.items() <= audit_stats().items()


@on_loop
async def test_worker_writes_what_there_is_after_a_while(make, sink):
    """A single record does not wait for others."""
    worker = make(batch={"max_items": 50, "max_wait_s": 0.01})
    async with worker:
        ids = record(worker, 3)
        await until(lambda: sink.rows)
        assert ids == list(sink.rows)


@on_loop
async def test_worker_wakes_for_a_queue_smaller_than_a_batch(make, sink):
    """It would wait for ever for what cannot come."""
    keys = {"queue": {"max_items": 5, "block_s": 30}, "batch": {"max_wait_s": 30}}
    worker = make(**keys)
    async with worker:
        await asyncio.to_thread(record, worker, 20)
        await until(lambda: len(sink.rows) >= 15)
    assert 20 == len(sink.rows)


@on_loop
async def test_worker_uses_so_many_connections_at_most(make, sink):
    """Fresh batches and those of the outbox together."""
    worker = make(workers=3, batch={"max_items": 1, "max_wait_s": 0.001})
    with closing(Outbox(worker.settings.outbox.path, 1 << 30)) as outbox:
        outbox.add([make_line() for _ in range(50)])
    async with worker:
        record(worker, 50)
        await until(lambda: len(sink.rows) == 100)
    assert 3 == sink.most_at_once


@on_loop
async def test_worker_has_a_context_of_its_own(make, sink):
    """What is bound where it is started is not on what it does."""
    seen = []
    sink.fault = lambda _: seen.append(loglane.get_context())
    worker = make()
    with bound(request_id="r"):
        async with worker:
            record(worker, 1)
            await until(lambda: seen)
    assert [{}] == seen


@on_loop
async def test_worker_tries_again(make, sink):
    """A database that stumbles once is not away."""
    failures = iter([away])

    def stumble(batch):
        for fail in failures:
            fail(batch)

    sink.fault = stumble
    worker = make()
    async with worker:
        ids = record(worker, 10)
        await until(lambda: len(sink.rows) == 10)
        assert not worker.is_away
    stats = audit_stats()
    assert (ids, 1, 0) == (list(sink.rows), stats["retried"], stats["spilled"])


@on_loop
async def test_worker_spills_while_the_database_is_away(make, sink, lines):
    """The queue goes on being emptied, and all is written when the database is back."""
    loglane.configure()
    sink.fault = away
    worker = make(queue={"max_items": 50, "overflow": ["block", "raise"], "block_s": 20})
    async with worker:
        ids = await asyncio.to_thread(record, worker, 500)
        await until(lambda: audit_stats()["outbox"] == 500)
        assert (True, "connection refused") == (worker.is_away, audit_stats()["last_error"])
        assert (True, 0 < audit_stats()["lag_s"] < 60) == (audit_stats()["is_running"], True)
        sink.fault = None
        await until(lambda: len(sink.rows) == 500)
        await until(lambda: audit_stats()["outbox"] == 0)
        assert not worker.is_away
    said = [line["message"] for line in lines() if line["logger"] == "loglane.audit"]
    assert [1, 1] == [sum(part in one for one in said) for part in ("is away", "is back")]
    assert (sorted(ids), {}) == (sorted(sink.rows), audit_stats()["lost"])


@on_loop
async def test_worker_says_once_that_the_database_is_away(make, sink, lines):
    """Also when other processes have what waits in the outbox, so that it seems to be empty."""
    loglane.configure()
    sink.fault = away
    worker = make()
    async with worker:
        for _ in range(3):
            other = Outbox(worker.settings.outbox.path, 1 << 30)
            record(worker, 1)
            await until(lambda: worker.is_away)
            await until(lambda other=other: other.take(9))
            other.close()
            # It finds an empty outbox, and hopes for the best.
            worker._crew.look()
            await until(lambda: not worker.is_away)
        sink.fault = None
        record(worker, 1)
        await until(lambda: sink.rows)
    said = [line["message"] for line in lines() if "the audit database" in line["message"]]
    assert ["away", "back"] == [text.split()[4].strip(";") for text in said]


@on_loop
async def test_worker_writes_what_an_earlier_process_left(make, sink):
    """Free records, and those that it had in its hands."""
    worker = make()
    bodies = [make_line() for _ in range(120)]
    left = Outbox(worker.settings.outbox.path, 1 << 30)
    left.add(bodies, held=60)
    left.close()
    async with worker:
        await until(lambda: len(sink.rows) == 120)
        await until(lambda: audit_stats()["outbox"] == 0)


@on_loop
async def test_worker_removes_from_the_outbox_what_is_stored(make, sink):
    """With durability outbox each record is there first."""
    worker = make(durability="outbox")
    async with worker:
        ids = await asyncio.to_thread(record, worker, 120)
        await until(lambda: len(sink.rows) == 120)
    assert (ids, 0, 120, 0) == (
        list(sink.rows), audit_stats()["outbox"], audit_stats()["written"], audit_stats()["known"],
    )  # fmt: skip


@on_loop
async def test_worker_buries_what_is_no_record(make, sink, lines):
    """The others of its batch are written, and the app is not disturbed."""
    loglane.configure()
    worker = make(batch={"max_items": 3, "max_wait_s": 5})
    async with worker:
        good = record(worker, 2)
        (bad,) = record(worker, 1, status="hunter2")
        await until(lambda: audit_stats()["dead"] == 1)
    (letter,) = dead_of(worker)
    assert (bad, "status: Input should be 'success' or 'failure'") == (
        letter.event_id, letter.reason,
    )  # fmt: skip
    (said,) = [line for line in lines() if line["level"] == "error"]
    assert (1, [letter.reason], [bad]) == (said["count"], said["reasons"], said["ids"])
    assert good == list(sink.rows)


@pytest.mark.parametrize("durability", ["memory", "outbox"])
@on_loop
async def test_worker_buries_what_the_sink_refuses(make, sink, durability):
    """With its reason; it is in the outbox no more."""
    sink.refused = {"bad"}
    worker = make(durability=durability)
    async with worker:
        bad = await asyncio.to_thread(record, worker, 2, message="bad")
        good = await asyncio.to_thread(record, worker, 2)
        await until(lambda: len(sink.rows) == 2 and audit_stats()["dead"] == 2)
    assert [(i, "not in this house") for i in bad] == [
        (letter.event_id, letter.reason) for letter in dead_of(worker)
    ]
    assert (good, 0) == (list(sink.rows), audit_stats()["outbox"])


@on_loop
async def test_worker_without_an_outbox_says_what_was_refused(make, sink, lines):
    """It is lost, counted, and named."""
    loglane.configure()
    sink.refused = {"bad"}
    worker = make(outbox={"path": None})
    async with worker:
        (bad,) = record(worker, 1, message="bad")
        await until(lambda: audit_stats()["lost"])
    assert {"refused": 1} == audit_stats()["lost"]
    assert [[bad]] == [line["ids"] for line in lines() if line["level"] == "error"]


@on_loop
async def test_worker_without_an_outbox_keeps_trying(make, sink):
    """What cannot be written stays in memory; nothing is given up."""
    sink.fault = away
    worker = make(outbox={"path": None})
    async with worker:
        ids = record(worker, 200)
        await until(lambda: audit_stats()["retried"] > 20)
        sink.fault = None
        await until(lambda: len(sink.rows) == 200)
    assert (sorted(ids), {}) == (sorted(sink.rows), audit_stats()["lost"])


@on_loop
async def test_worker_survives_a_bug_of_the_sink(make, sink, lines):
    """It is told with its traceback; the batch is in the outbox, and written later."""
    loglane.configure()
    failures = iter([KeyError("x")])

    def fail(_):
        for error in failures:
            raise error

    sink.fault = fail
    worker = make()
    async with worker:
        ids = record(worker, 10)
        await until(lambda: len(sink.rows) == 10)
    (said,) = [line for line in lines() if line["level"] == "error"]
    assert "KeyError: 'x'" in said["exception"]
    assert (sorted(ids), 10) == (sorted(sink.rows), audit_stats()["spilled"])


@on_loop
async def test_worker_finds_the_record_of_which_the_sink_fails(make, sink):
    """It becomes a dead letter and does not stop the others."""

    def fail(batch):
        if any(event.action == "poison" for event in batch):
            raise KeyError("x")

    sink.fault = fail
    worker = make(batch={"max_items": 10, "max_wait_s": 0.05})
    async with worker:
        good = record(worker, 9)
        (poison,) = record(worker, 1, message="poison")
        await until(lambda: audit_stats()["dead"] == 1)
        await until(lambda: len(sink.rows) == 9)
    assert [(poison, "the sink failed: KeyError")] == [
        (letter.event_id, letter.reason) for letter in dead_of(worker)
    ]
    assert sorted(good) == sorted(sink.rows)


@on_loop
async def test_worker_buries_nothing_when_the_sink_fails_of_all(make, sink):
    """It is not the records then."""

    def fail(_):
        raise KeyError("x")

    sink.fault = fail
    worker = make()
    async with worker:
        ids = record(worker, 5)
        await until(lambda: audit_stats()["outbox"] == 5)
        await asyncio.sleep(0.1)
        assert 0 == audit_stats()["dead"]
        sink.fault = None
        await until(lambda: len(sink.rows) == 5)
    assert sorted(ids) == sorted(sink.rows)


@on_loop
async def test_worker_does_not_believe_a_sink_that_forgets_records(make, sink):
    """Each has an outcome, or the batch is written again."""
    write, answers = sink.write, iter([[]])

    async def forget(batch):
        outcomes = await write(batch)
        return next(answers, outcomes)

    sink.write = forget
    worker = make()
    async with worker:
        record(worker, 3)
        await until(lambda: audit_stats()["known"] == 3)


@on_loop
async def test_worker_gives_up_a_sink_that_hangs(make, sink, monkeypatch):
    """It is taken for one that is away."""
    monkeypatch.setattr(delivery, "WRITE_S", 0.01)
    sink.gate = asyncio.Event()
    worker = make()
    async with worker:
        record(worker, 5)
        await until(lambda: audit_stats()["outbox"] == 5)
        assert "no answer within" in audit_stats()["last_error"]
        sink.gate.set()
        await until(lambda: len(sink.rows) == 5)


@on_loop
async def test_worker_writes_an_id_once(make, sink):
    """A batch that has a record twice is still one that a database takes."""
    worker = make()
    body = make_line()
    async with worker:
        for _ in range(3):
            intake_of(worker.settings).record(body)
        await until(lambda: audit_stats()["known"] == 2)
    assert (1, [1]) == (len(sink.rows), sink.batches)


@on_loop
async def test_worker_that_stops_writes_all(make, sink, lines):
    """Of the queue and of the outbox, and says what went where."""
    loglane.configure()
    worker = make(batch={"max_items": 10, "max_wait_s": 30})
    async with worker:
        ids = record(worker, 105)
    (said,) = [line for line in lines() if line["message"].startswith("audit worker stopped")]
    assert (105, 0, 0, 0) == tuple(said[name] for name in ("written", "known", "spilled", "dead"))
    assert sorted(ids) == sorted(sink.rows)


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "away"])
@on_loop
async def test_worker_that_stops_spills_what_it_cannot_write(make, sink, hangs):
    """Within its time; what is in hand, too."""
    if hangs:
        sink.gate = asyncio.Event()
    else:
        sink.fault = away
    worker = make(drain_s=0.05, batch={"max_items": 10, "max_wait_s": 30})
    async with worker:
        ids = record(worker, 105)
    assert sorted(ids) == sorted(set(in_outbox(worker)))
    assert {"queued": 0, "in_hand": 0, "lost": {}}.items() <= audit_stats().items()


@on_loop
async def test_worker_that_stops_without_an_outbox_leaves_records_in_memory(make, sink, lines):
    """The next one writes them; without one, the end of the process says that they are lost."""
    loglane.configure()
    sink.fault = away
    worker = make(drain_s=0.05, outbox={"path": None})
    async with worker:
        ids = record(worker, 30)
    (said,) = [line for line in lines() if line["message"].startswith("audit worker stopped")]
    assert ("error", 30, 20) == (said["level"], said["waiting"], len(said["ids"]))
    sink.fault = None
    async with worker:
        await until(lambda: len(sink.rows) == 30)
    assert sorted(ids) == sorted(sink.rows)


@on_loop
async def test_worker_waits_with_what_the_outbox_does_not_take(make, sink, settings, lines):
    """A disk that is full stops nothing: the queue bounds what waits, and the call says so."""
    loglane.configure()
    sink.fault = away
    queue = {"max_items": 100, "overflow": ["outbox", "raise"]}
    worker = make(outbox={"max_bytes": 64 * 1024}, queue=queue)
    acknowledged, refused = [], 0
    async with worker:
        for _ in range(500):
            try:
                acknowledged += record(worker, 1, text="x" * 1000)
            except AuditError:
                refused += 1
            await asyncio.sleep(0)
        assert refused > 100
        assert {"overflow": refused} == audit_stats()["lost"]
        sink.fault = None
        await until(lambda: len(sink.rows) == len(acknowledged))
    assert sorted(acknowledged) == sorted(sink.rows)
    assert any("outbox" in line["message"] and line["level"] == "error" for line in lines())


@on_loop
async def test_worker_pauses_when_neither_database_nor_outbox_take_a_batch(make, sink, lines):
    """A database that is away and an outbox that is full cost no processor, and few lines."""
    loglane.configure()
    tries = []

    def gone(batch):
        tries.append(len(batch))
        away(batch)

    sink.fault = gone
    retry = {"attempts": 1, "first_s": 0.01, "max_s": 30}
    worker = make(outbox={"max_bytes": 64 * 1024}, retry=retry, drain_s=0.01)
    async with worker:
        record(worker, 1, text="x" * 60_000)
        record(worker, 50, text="x" * 10_000)
        await until(lambda: audit_stats()["retried"] > 5)
        # Each of them is followed by a pause, and by one attempt: none is made in between.
        assert len(tries) < 20
    said = [line for line in lines() if "cannot be used" in line["message"]]
    assert 1 == len(said)


def test_worker_runs_in_a_thread(make, sink):
    """For apps without an event loop; it can be started again."""
    worker = make()
    for _ in range(2):
        with worker:
            record(worker, 100)
    assert 200 == len(sink.rows)
    assert [] == [one for one in threading.enumerate() if one.name == "loglane-audit"]


def test_worker_runs_on_one_loop_after_the_other(make, sink):
    """As tests and scripts have them; what comes in between waits."""
    worker = make()

    async def run():
        async with worker:
            record(worker, 10)

    asyncio.run(run())
    record(worker, 10)
    asyncio.run(run())
    assert 30 == len(sink.rows)


def test_worker_follows_one_whose_loop_was_closed(make, sink):
    """It could not say that it ends; its records are not lost."""
    worker, loop = make(batch={"max_wait_s": 30}), asyncio.new_event_loop()
    loop.run_until_complete(worker.__aenter__())
    record(worker, 10)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with make():
        pass
    assert 10 == len(sink.rows)


@on_loop
async def test_worker_is_one_in_a_process(make):
    """Another one would write elsewhere."""
    async with make() as worker:
        with pytest.raises(AuditError, match="runs"):
            await make().__aenter__()
        with pytest.raises(AuditError, match="runs"):
            await worker.__aenter__()
        with pytest.raises(AuditError, match="runs"):
            make().start()


@pytest.mark.parametrize("in_thread", [True, False], ids=["thread", "task"])
@on_loop
async def test_worker_does_not_start_with_a_damaged_outbox(make, tmp_path, in_thread):
    """Somebody has to look at it; nothing is thrown away."""
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    worker = make()
    with pytest.raises(AuditError, match=r"outbox\.db: is damaged"):
        worker.start() if in_thread else await worker.__aenter__()
    (tmp_path / "outbox.db").unlink()
    async with worker:
        pass


@on_loop
async def test_worker_takes_events_made_by_hand(make, sink, lines):
    """They are written, and are lines of the log with the same ids, masked both."""
    loglane.configure(service="shop")
    worker = make()
    async with worker:
        trace_id = "a" * 32
        with bound(trace_id=trace_id):
            await worker.submit(AuditEvent(action="a", user_id=1, extra={"password": "hunter2"}))
            await asyncio.to_thread(worker.put, AuditEvent(action="b", status="failure", error="e"))
        await until(lambda: len(sink.rows) == 2)
    said = {line["event_id"]: line for line in lines() if line.get("log_category") == "audit"}
    assert set(sink.rows) == set(said)
    first, second = sink.rows.values()
    assert (trace_id, "1", "shop") == (first.trace_id, first.actor, first.service)
    assert "hunter2" not in str(first.extra)
    assert (trace_id, "a", "info", first.extra["password"]) == tuple(
        said[first.event_id][name] for name in ("trace_id", "message", "level", "password")
    )
    assert ("error", "e") == tuple(said[second.event_id][name] for name in ("level", "error"))


@on_loop
async def test_worker_bounds_its_memory(make, sink):
    """However fast records come; those that find no room are in the file."""
    worker = make(queue={"max_items": 1000, "overflow": ["outbox", "raise"]}, workers=2)
    most = 0
    async with worker:
        for _ in range(50):
            await asyncio.to_thread(record, worker, 100)
            stats = audit_stats()
            most = max(most, stats["queued"] + stats["in_hand"])
        await until(lambda: len(sink.rows) == 5000)
    assert most <= 1000 + 3 * 50


@on_loop
async def test_worker_is_stopped_while_it_waits_for_the_database(make, sink):
    """A pause between two attempts does not hold the end up."""
    sink.fault = away
    worker = make(retry={"attempts": 1, "first_s": 3600, "max_s": 3600}, drain_s=30)
    async with worker:
        ids = record(worker, 5)
        await until(lambda: audit_stats()["outbox"] == 5)
        began = time.monotonic()
    assert time.monotonic() - began < 20
    assert sorted(ids) == sorted(in_outbox(worker))


@pytest.mark.parametrize("in_thread", [True, False], ids=["thread", "task"])
@pytest.mark.parametrize("durability", ["memory", "outbox"])
@on_loop
async def test_worker_serves_many_threads(make, sink, durability, in_thread):
    """Each of their records is one row."""
    worker = make(durability=durability, queue={"max_items": 200, "block_s": 30})
    if in_thread:
        worker.start()
    else:
        await worker.__aenter__()
    done = await asyncio.gather(*(asyncio.to_thread(record, worker, 100) for _ in range(20)))
    await until(lambda: len(sink.rows) == 2000)
    await asyncio.to_thread(worker.stop) if in_thread else await worker.__aexit__(None, None, None)
    assert sorted(i for ids in done for i in ids) == sorted(sink.rows)
    assert Counter() == Counter(audit_stats()["lost"])


def test_audit_stats_are_empty_where_there_is_no_audit_trail(monkeypatch):
    """As for lines that are pushed, and nothing is opened by asking."""
    monkeypatch.setattr(audit_lines, "_counts", {"committed": 0})
    assert {} == audit_stats()


def test_crew_looks_at_the_outbox_of_other_processes():
    """Often enough for what is old by a minute."""
    assert crew._LOOK_EVERY_S <= 60
