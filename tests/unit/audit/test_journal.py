"""Many records, one write to the disk, and everybody who waits for it is told."""

from __future__ import annotations

import threading

import pytest

from loglane.errors import AuditError, AuditOverflow
from loglane.sinks.audit.journal import Journal, told
from loglane.sinks.audit.outbox import Outbox
from loglane.sinks.audit.tally import Tally


class Slow(Outbox):
    """Writes when it is let, and keeps what came in one go."""

    def __init__(self, path):
        super().__init__(path, 1 << 30)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.groups = []

    def add(self, bodies, held=0):
        self.entered.set()
        self.gate.wait(10)
        self.groups.append(list(bodies))
        return super().add(bodies, held)


@pytest.fixture
def slow(tmp_path):
    outbox = Slow(tmp_path / "outbox.db")
    yield outbox
    outbox.gate.set()
    outbox.close()


@pytest.fixture
def journal(slow):
    made = Journal(slow, lambda lines, outbox: outbox.add(lines, len(lines)))
    yield made
    slow.gate.set()
    made.stop()


def test_journal_writes_in_one_go_what_waits(journal, slow):
    """One write to the disk for all that came during the one before it."""
    first = journal.keep(b"0", hold=False)
    assert slow.entered.wait(10)
    others = [journal.keep(b"%d" % n, hold=False) for n in range(1, 100)]
    assert [False] * 100 == [one.done() for one in [first, *others]]
    slow.gate.set()
    assert [None] * 100 == [one.result(10) for one in [first, *others]]
    assert [1, 99] == [len(group) for group in slow.groups]


def test_journal_tells_all_when_it_fails(journal, slow, monkeypatch):
    """Nobody is left waiting, and the next record is tried again."""

    def fail(*_):
        raise AuditError("the disk is gone")

    slow.gate.set()
    with monkeypatch.context() as patch:
        patch.setattr(slow, "add", fail)
        failed = [journal.keep(b"1", hold=hold) for hold in (True, False)]
        assert ["the disk is gone"] * 2 == [str(one.exception(10)) for one in failed]
    assert journal.keep(b"2", hold=False).result(10) is None


def test_journal_survives_a_caller_who_gave_up(journal, slow):
    """What is cancelled may be written all the same; the others are not disturbed."""
    journal.keep(b"0", hold=False)
    slow.entered.wait(10)
    cancelled, other = (journal.keep(b"1", hold=False) for _ in range(2))
    assert cancelled.cancel()
    slow.gate.set()
    assert other.result(10) is None


def test_journal_runs_other_work(journal, slow):
    """In its thread, with what came of it."""
    slow.gate.set()
    journal.keep(b"1", hold=False)
    assert (1, 0) == journal.run(slow.counts).result(10)
    with pytest.raises(ZeroDivisionError):
        journal.run(lambda: 1 // 0).result(10)


def test_journal_works_off_all_before_it_stops(journal, slow):
    """And has another thread when something comes after that."""
    slow.gate.set()
    futures = [journal.keep(b"1", hold=False) for _ in range(50)]
    journal.stop()
    assert [True] * 50 == [one.done() for one in futures]
    assert journal.keep(b"2", hold=False).result(10) is None


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "no thread to be had"])
def test_journal_without_a_thread_writes_at_once(journal, slow, monkeypatch, is_stopped):
    """As when the interpreter is ending."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    slow.gate.set()
    if is_stopped:
        journal.stop(is_final=True)
    else:
        monkeypatch.setattr(threading.Thread, "start", refuse)
    assert journal.keep(b"1", hold=False).done()


def test_told_says_that_the_record_is_not_kept(journal, slow, monkeypatch):
    """As AuditOverflow, with the reason, and counted."""

    def fail(*_):
        raise AuditError("outbox o.db: is full")

    slow.gate.set()
    monkeypatch.setattr(slow, "add", fail)
    tally = Tally()
    with pytest.raises(AuditOverflow, match=r"could not be kept: outbox o\.db: is full"):
        told(journal.keep(b"1", hold=False), tally).result(10)
    assert ({"overflow": 1}, "outbox o.db: is full") == (tally.lost(), tally.last_error)
