"""A record is acknowledged in memory or on the disk, or the call fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import deque
from contextlib import closing

import pytest

from loglane.errors import AuditError, AuditOverflow
from loglane.sinks.audit import Neglect, process
from loglane.sinks.audit.outbox import Outbox
from loglane.sinks.audit.waiting import OVERHEAD


class Consumer:
    """Notes what it is told."""

    def __init__(self):
        self.heard = []
        self.runs = True

    def ring(self):
        self.heard.append("ring")

    def look(self):
        self.heard.append("look")

    def is_running(self):
        return self.runs

    def finish(self):
        self.heard.append("finish")


def taken(intake, limit=1000):
    return [body for body, _, _ in intake.take(limit)]


def in_outbox(intake):
    with closing(Outbox(intake.outbox.path, 1 << 30)) as outbox:
        return [body for _, body in outbox.take(10**6)]


def test_intake_gives_records_in_their_order(intake):
    """The oldest first, as many as are wanted."""
    one = intake()
    for body in (b"1", b"2", b"3"):
        one.record(body)
    assert [[b"1", b"2"], [b"3"], []] == [taken(one, 2) for _ in range(3)]


def test_intake_with_memory_touches_no_disk(intake, tmp_path):
    """Nor does it need a thread."""
    one = intake()
    threads = threading.active_count()
    one.record(b"1")
    assert (None, [], threads) == (
        one.record_later(b"2"),
        list(tmp_path.iterdir()),
        threading.active_count(),
    )


def test_intake_knows_what_waits_and_what_is_in_hand(intake):
    """Records, their bytes and the age of the oldest."""
    one = intake()
    for _ in range(3):
        one.record(b"x" * 100)
    hand = one.take(2)
    waiting = one.waiting
    assert (1, 100 + OVERHEAD, 2) == (len(waiting), waiting.size, waiting.in_hand)
    assert 0 < waiting.age_s() < waiting.lag_s() < 60
    waiting.put_back(hand)
    assert (3, 3 * (100 + OVERHEAD), 0) == (len(waiting), waiting.size, waiting.in_hand)
    waiting.settle(one.take(3))
    assert (0, 0, 0, 0.0) == (len(waiting), waiting.size, waiting.in_hand, waiting.age_s())
    assert 0.0 == waiting.lag_s()


def test_intake_counts_its_bytes_though_a_signal_handler_records_something(intake):
    """The handler of a signal that comes in the middle of another record."""
    one = intake()

    class Interrupted(deque):
        def append(self, record):
            super().append(record)
            if len(self) == 1:
                one.record(b"handler")

    one.waiting._records = Interrupted()
    one.record(b"call")
    assert [b"call", b"handler"] == taken(one)
    assert 0 == one.waiting.size


@pytest.mark.parametrize(
    ("waits_s", "runs", "said"),
    [(31, None, True), (31, False, True), (31, True, False), (29, None, False)],
    ids=["no worker", "one that is gone", "a worker", "not for long"],
)
def test_records_that_nobody_takes_are_said_once(intake, monkeypatch, waits_s, runs, said):
    """An app whose worker was never started, or not after the fork."""
    one = intake()
    if runs is not None:
        consumer = Consumer()
        one.attach(consumer)
        consumer.runs = runs
    one.record(b"{}")
    monkeypatch.setattr(one.waiting, "age_s", lambda: waits_s)
    neglect = Neglect(one)
    assert [said, False] == [bool(neglect.complaint()), bool(neglect.complaint())]


def test_intake_puts_back_before_all_others(intake):
    """The order stays what it was."""
    one = intake()
    for body in (b"1", b"2", b"3"):
        one.record(body)
    one.waiting.put_back(one.take(2))
    assert [b"1", b"2", b"3"] == taken(one)


def test_intake_rings_when_as_many_wait_as_were_asked_for(intake):
    """Once, and not at all when nobody waits: a call must stay cheap."""
    one, consumer = intake(), Consumer()
    one.attach(consumer)
    one.record(b"1")
    assert [] == consumer.heard
    assert one.waiting.arm(3)
    for _ in range(5):
        one.record(b"2")
    assert ["ring"] == consumer.heard
    assert not one.waiting.arm(6)


def test_intake_has_one_worker(intake):
    """Two would have two databases."""
    one, first = intake(), Consumer()
    one.attach(first)
    with pytest.raises(AuditError, match="runs in this process already"):
        one.attach(Consumer())
    one.detach(first)
    second = Consumer()
    one.attach(second)
    # Its event loop was closed under it.
    second.runs = False
    one.attach(Consumer())


@pytest.mark.parametrize(
    ("queue", "room"),
    [({"max_items": 3}, 3), ({"max_bytes": 1100}, 4)],
    ids=["items", "bytes"],
)
def test_intake_that_is_full_raises(intake, queue, room):
    """The call knows that its record is not kept, and it is counted."""
    one = intake(queue={**queue, "overflow": ["raise"]})
    for _ in range(room):
        one.record(b"x" * 100)
    for call in (one.record, one.record_later):
        with pytest.raises(AuditOverflow, match="is full"):
            call(b"x" * 100)
    assert (room, {"overflow": 2}) == (len(one.waiting), one.losses())


def test_intake_that_is_full_writes_into_the_outbox(intake):
    """The worker is told to look there."""
    one, consumer = intake(queue={"max_items": 1, "overflow": ["outbox"]}), Consumer()
    one.attach(consumer)
    one.record(b"1")
    one.record(b"2")
    one.record_later(b"3").result(10)
    assert ([b"2", b"3"], 2, {}) == (in_outbox(one), one.tally["spilled"], one.losses())
    assert {"ring", "look"} == set(consumer.heard)


def test_intake_blocks_until_there_is_room(intake):
    """The call goes on as soon as something was taken."""
    one = intake(queue={"max_items": 1, "overflow": ["block"], "block_s": 30})
    one.record(b"1")
    thread = threading.Thread(target=one.record, args=[b"2"])
    thread.start()
    while not one.waiting._waiters:
        time.sleep(0.001)
    assert [b"1"] == taken(one)
    thread.join(10)
    assert [b"2"] == taken(one)


def test_intake_blocks_until_the_deadline(intake):
    """Then it does the next step, and at last the call fails, whatever the setting says."""
    one = intake(queue={"max_items": 1, "overflow": ["block"], "block_s": 0.01})
    one.record(b"1")
    with pytest.raises(AuditOverflow):
        one.record(b"2")
    one.take_over(
        one.settings.model_copy(
            update={
                "queue": intake(
                    queue={"max_items": 1, "overflow": ["block", "outbox"], "block_s": 0.01}
                ).settings.queue
            }
        )
    )
    one.record(b"3")
    assert [b"3"] == in_outbox(one)


def test_intake_does_not_wait_on_an_event_loop(intake):
    """What would make room may run on that loop."""
    one = intake(queue={"max_items": 1, "overflow": ["block", "raise"], "block_s": 3600})
    one.record(b"1")

    async def record():
        one.record(b"2")

    with pytest.raises(AuditOverflow):
        asyncio.run(record())


def test_intake_does_not_wait_for_a_record_that_never_fits(intake):
    """One larger than the queue goes to the outbox at once."""
    one = intake(queue={"max_bytes": 1024, "block_s": 3600})
    one.record(b"x" * 2000)
    assert ([b"x" * 2000], 0) == (in_outbox(one), len(one.waiting))


@pytest.mark.parametrize("overflow", [["outbox"], ["outbox", "raise"]], ids=["-", "raise"])
def test_intake_says_why_the_outbox_did_not_help(intake, tmp_path, overflow):
    """Its file cannot be made."""
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "outbox.db")
    one = intake(queue={"max_items": 1, "overflow": overflow}, outbox={"path": path})
    one.record(b"1")
    with pytest.raises(AuditOverflow, match=r"file/outbox\.db"):
        one.record(b"2")
    assert {"overflow": 1} == one.losses()


def test_intake_with_durability_outbox_writes_first(intake):
    """When the call returns the record is on the disk, and waits in memory, too."""
    one = intake(durability="outbox")
    one.record(b"1")
    one.record_later(b"2").result(10)
    assert [b"1", b"2"] == in_outbox(one)
    records = one.take(9)
    one.outbox.remove([row.id for _, _, row in records])
    assert ([b"1", b"2"], []) == ([body for body, _, _ in records], in_outbox(one))


def test_intake_with_durability_outbox_leaves_there_what_has_no_room(intake):
    """It is nobody's, so that the worker takes it from there."""
    one, consumer = intake(durability="outbox", queue={"max_items": 2}), Consumer()
    one.attach(consumer)
    for body in (b"1", b"2", b"3"):
        one.record(body)
    assert ([b"3"], [b"1", b"2"]) == ([body for _, body in one.outbox.take(9)], taken(one))
    assert "look" in consumer.heard


def test_intake_with_durability_outbox_fails_with_it(intake, tmp_path):
    """A record that is not on the disk is not acknowledged."""
    (tmp_path / "file").write_text("")
    one = intake(durability="outbox", outbox={"path": str(tmp_path / "file" / "o.db")})
    with pytest.raises(AuditOverflow):
        one.record(b"1")
    with pytest.raises(AuditOverflow):
        one.record_later(b"1").result(10)
    assert (0, {"overflow": 2}) == (len(one.waiting), one.losses())


@pytest.mark.parametrize("durability", ["memory", "outbox"])
def test_intake_takes_records_of_many_threads(intake, durability):
    """None is lost or doubled, and the counts are right."""
    one = intake(durability=durability)

    def record(number):
        for i in range(200):
            one.record(b"%d-%d" % (number, i))

    threads = [threading.Thread(target=record, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(b"%d-%d" % (n, i) for n in range(8) for i in range(200))
    assert (expected, 0) == (sorted(taken(one, 10_000)), one.waiting.size)


def test_intake_that_hurries_writes_what_is_in_memory(intake):
    """What waits, and what somebody has in hand, who may not come to an end with it."""
    one = intake()
    for body in (b"1", b"2", b"3"):
        one.record(body)
    hand = one.take(1)
    one.hurry()
    assert ([b"1", b"2", b"3"], []) == (in_outbox(one), taken(one))
    one.waiting.settle(hand)
    one.hurry()
    assert (0, 3) == (one.waiting.in_hand, len(in_outbox(one)))


def test_intake_that_hurries_leaves_what_is_on_the_disk(intake):
    """It is there once, and the worker goes on with it if the process lives on."""
    one = intake(durability="outbox")
    one.record(b"1")
    one.hurry()
    assert ([b"1"], [b"1"]) == (in_outbox(one), taken(one))


@pytest.mark.parametrize("call", ["hurry", "end"])
def test_intake_without_an_outbox_says_what_is_lost(intake, capfd, line, call):
    """With the ids, on stderr."""
    one = intake(outbox={"path": None})
    body = line()
    one.record(body)
    getattr(one, call)()
    said = capfd.readouterr().err
    assert "1 audit records" in said
    assert body[body.index(b"event_id") + 11 :][:36].decode() in said
    assert ({"ended": 1} if call == "end" else {}) == one.losses()


def test_intake_that_has_ended_writes_at_once(intake):
    """Exit hooks of the app may log, too."""
    one, consumer = intake(), Consumer()
    one.attach(consumer)
    one.record(b"1")
    one.end()
    one.record(b"2")
    assert ["finish", "look"] == consumer.heard
    assert ([b"1", b"2"], 0) == (in_outbox(one), len(one.waiting))


def test_intake_keeps_its_memory(intake):
    """What the queue says of its bytes is what Python takes, about."""
    one = intake(queue={"max_items": 100_000})
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(20_000):
        one.record(b"%d" % n + b"x" * 300)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.8 < grown / one.waiting.size < 1.05


def test_intake_of_the_process_survives_new_settings(settings, monkeypatch):
    """What waits goes on waiting, within the new limits."""
    monkeypatch.setattr(process, "_intake", None)
    one = process.intake_of(settings())
    one.record(b"1")
    again = process.intake_of(settings(queue={"max_items": 1, "overflow": ["raise"]}))
    assert again is one
    assert one is process.present_intake()
    with pytest.raises(AuditOverflow):
        again.record(b"2")
    assert [b"1"] == taken(again)


def test_intake_removes_a_record_from_the_outbox_that_it_came_from(intake, tmp_path):
    """Another file may be named meanwhile."""
    one = intake(durability="outbox")
    one.record(b"1")
    before = one.settings.outbox
    other = before.model_copy(update={"path": str(tmp_path / "other.db")})
    one.take_over(one.settings.model_copy(update={"outbox": other}))
    one.record(b"2")
    counts = []
    for _, _, row in one.take(9):
        one.work(lambda outbox, row=row: outbox.remove([row.id]), row.outbox).result(10)
        counts.append(one.work(lambda outbox: outbox.counts(), row.outbox).result(10))
    assert [(0, 0), (0, 0)] == counts


_FORKING = """
import os, sys, threading
from loglane.settings.audit import Audit
from loglane.sinks.audit import intake_of
intake = intake_of(Audit(durability=sys.argv[1], outbox={"path": sys.argv[2]}))
intake.record(b"parent")
intake._lock.acquire(); intake.waiting._lock.acquire()
child = os.fork()
if child == 0:
    # As if another thread had held them.
    ok = len(intake.waiting) == 0
    threading.Thread(target=intake.record, args=[b"child"]).start()
    intake.record(b"child")
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    ok = ok and [body for body, _, _ in intake.take(9)] == [b"child"] * 2
    os._exit(0 if ok else 1)
status = os.waitpid(child, 0)[1]
intake._lock.release(); intake.waiting._lock.release()
assert [body for body, _, _ in intake.take(9)] == [b"parent"]
sys.exit(status >> 8)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("durability", ["memory", "outbox"])
def test_intake_begins_anew_in_a_child(tmp_path, durability):
    """Empty and with free locks; what the parent has taken is stored by the parent."""
    path = tmp_path / "outbox.db"
    done = subprocess.run(
        [sys.executable, "-c", _FORKING, durability, path], check=False, timeout=60
    )
    assert 0 == done.returncode
