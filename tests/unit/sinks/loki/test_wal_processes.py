"""Several processes on one folder, killed at any moment."""

from __future__ import annotations

import itertools
import os
import random
import signal
import struct
import threading
import time
from collections import Counter

import pytest

from loglane.sinks.loki import wal_directories
from tests.unit.sinks.loki.wal_cases import batch, in_child, read_all, take_all, wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")

NUMBER = struct.Struct("<cq")


class Notes:
    """What children say, in order, also when they are killed."""

    def __init__(self):
        self.source, self._sink = os.pipe()

    def write(self, kind, number):
        """Note a number; a pipe takes these few bytes whole."""
        os.write(self._sink, NUMBER.pack(kind, number))

    def next(self):
        """Return the next note; wait for it."""
        return NUMBER.unpack(os.read(self.source, NUMBER.size))

    def rest(self):
        """Return all notes that are left."""
        os.write(self._sink, NUMBER.pack(b".", 0))
        return [*itertools.takewhile(lambda note: note[0] != b".", iter(self.next, None))]

    def close(self):
        """Close both ends."""
        os.close(self.source)
        os.close(self._sink)


@pytest.fixture
def notes():
    notes = Notes()
    yield notes
    notes.close()


def kill_after(pid, notes, count, pause_s):
    """Kill a child some time after its so-and-so-many-th note; return all its notes."""
    found = [notes.next() for _ in range(count)]
    deadline = time.perf_counter() + pause_s
    while time.perf_counter() < deadline:
        pass
    os.kill(pid, signal.SIGKILL)
    assert [-signal.SIGKILL] == wait_for(pid)
    return found + notes.rest()


@pytest.mark.parametrize("size", [1, 7, 3000], ids=lambda size: f"{size} records a block")
def test_kill_9_loses_no_line_that_was_taken(folder, notes, size):
    """What append has returned is there, in order and once; at most one block more."""
    chance = random.Random(size)  # noqa: S311 - the same each time

    def work():
        wal = folder.open(segment_bytes=20_000)
        for first in itertools.count(0, size):
            wal.append(batch(first, size))
            notes.write(b"a", first + size)

    for _ in range(15):
        found = kill_after(in_child(work), notes, chance.randrange(1, 6), chance.random() / 500)
        appended = found[-1][1]
        wal = folder.open()
        count = wal.adopt()
        assert count in (appended, appended + size)
        assert batch(0, count) == take_all(wal)
        wal.close()
        assert [] == folder.names()


def test_kill_9_in_delivery_repeats_only_what_was_not_acknowledged(folder, notes):
    """Each process goes on where the killed one was; none is left out."""
    chance = random.Random(9)  # noqa: S311 - the same each time
    folder.leave(*(batch(first) for first in range(0, 30_000, 10)), segment_bytes=20_000)

    def work():
        wal = folder.open()
        wal.adopt()
        for _ in range(25):  # not all, however long the parent takes
            portion = wal.read(3000)
            notes.write(b"s", portion.records[0][0])
            notes.write(b"e", portion.records[-1][0])
            wal.acknowledge(portion)
            notes.write(b"a", portion.records[-1][0])
        signal.pause()

    acknowledged = sent = -1
    for _ in range(25):
        for kind, number in kill_after(in_child(work), notes, 4, chance.random() / 500):
            if kind == b"s":
                assert acknowledged < number <= sent + 1
            elif kind == b"e":
                sent = max(sent, number)
            elif kind == b"a":
                acknowledged = number
    wal = folder.open()
    wal.adopt()
    rest = take_all(wal)
    assert rest[-1][0] == 29_999
    assert acknowledged < rest[0][0] <= sent + 1
    assert len(rest) == 30_000 - rest[0][0]
    assert 0 < acknowledged < 29_999


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_a_folder(folder, notes, count):
    """Each delivers its own while the others live."""

    def work(tag):
        wal = folder.open(segment_bytes=2000)
        for first in range(0, 500, 10):
            wal.append([(at, tag, line) for at, _, line in batch(first)])
            assert 0 == wal.adopt()
            portion = wal.read(2000) if first % 30 == 0 else None
            if portion:
                for at, rank, _ in portion.records:
                    assert tag == rank
                    notes.write(b"%d" % tag, at)
                wal.acknowledge(portion)
        notes.write(b"r", tag)
        signal.pause()

    pids = [in_child(lambda tag=tag: work(tag)) for tag in range(count)]
    delivered = []
    while sum(kind == b"r" for kind, _ in delivered) < count:
        delivered.append(notes.next())
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(*pids)
    wal = folder.open()
    wal.adopt()
    found = [(rank, at) for at, rank, _ in take_all(wal)]
    for tag in range(count):
        own = [at for kind, at in delivered if kind == b"%d" % tag]
        assert [*range(500)] == own + [at for rank, at in found if rank == tag]
    wal.close()
    assert ([], []) == (folder.reports, folder.names())


@pytest.mark.parametrize("count", [2, 4])
def test_each_left_directory_is_taken_by_one(folder, notes, count):
    """Processes that start at once deliver each line once."""
    for number in range(40):
        folder.leave(batch(number * 10))
    start, go = os.pipe()

    def work():
        os.close(go)
        wal = folder.open()
        os.read(start, 1)
        while wal.adopt():
            for at, _, _ in take_all(wal):
                notes.write(b"d", at)
        wal.close()
        assert [] == folder.reports

    pids = [in_child(work) for _ in range(count)]
    os.close(go)
    delivered = []
    while len(delivered) < 400:
        delivered.append(notes.next()[1])
    assert [0] * count == wait_for(*pids)
    os.close(start)
    assert Counter(range(400)) == Counter(delivered + [at for _, at in notes.rest()])
    assert [] == folder.names()


def test_processes_that_come_and_go_lose_and_repeat_nothing(folder, notes):
    """Directories are made, left, taken and removed all at the same time."""

    def life(first, chance):
        wal = folder.open(segment_bytes=500)
        if chance.random() < 0.3:
            wal.adopt()
        assert 10 == wal.append(batch(first))
        if chance.random() < 0.7:
            wal.adopt()
            for at, _, _ in take_all(wal):
                notes.write(b"d", at)
        if chance.random() < 0.5:
            wal.close()
        else:
            wal.abandon()

    def work(worker):
        chance = random.Random(worker)  # noqa: S311 - the same each time
        for number in range(60):
            life((worker * 60 + number) * 10, chance)
        notes.write(b"r", worker)
        assert [] == folder.reports

    pids = [in_child(lambda worker=worker: work(worker)) for worker in range(4)]
    delivered = []
    while sum(kind == b"r" for kind, _ in delivered) < 4:
        delivered.append(notes.next())
    assert [0] * 4 == wait_for(*pids)
    wal = folder.open()
    while wal.adopt():
        delivered += [(b"d", at) for at, _, _ in take_all(wal)]
    assert Counter(range(2400)) == Counter(at for kind, at in delivered if kind == b"d")
    wal.close()
    assert [] == folder.names()


def test_a_forked_child_leaves_its_parents_lines_alone(folder):
    """It begins a directory of its own; the parent goes on appending and delivering."""
    wal = folder.open()
    wal.append(batch(0))
    portion = wal.read(1)

    def work():
        wal.abandon()
        wal.acknowledge(portion)
        assert (0, 0, None) == (wal.append(batch(50)), wal.pending_records, wal.read(1000))
        wal.close()
        own = folder.open()
        assert 0 == own.adopt()
        own.append(batch(90))
        own.close()

    assert [0] == wait_for(in_child(work))
    other = folder.open()
    assert (10, batch(90)) == (other.adopt(), take_all(other))
    wal.append(batch(10))
    wal.rewind()
    assert batch(0, 20) == take_all(wal)
    assert [] == folder.reports


def test_a_fork_while_another_thread_appends_does_not_hang(folder):
    """The lock of a thread that is not in the child is not waited for."""
    wal = folder.open()
    wal.append(batch(0))
    with wal._lock:
        pid = in_child(lambda: _abandon_in_thread(wal))
    assert [0] == wait_for(pid)
    assert batch(0) == take_all(wal)


def _abandon_in_thread(wal):
    thread = threading.Thread(target=wal.abandon, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_child_that_outlives_its_parent_keeps_no_lock(folder, notes):
    """The parent's lines are taken though its child still runs."""

    def parent():
        wal = folder.open()
        wal.append(batch(0))

        def child():
            wal.abandon()
            notes.write(b"r", os.getpid())
            signal.pause()

        in_child(child)

    pid = in_child(parent)
    child = notes.next()[1]
    assert [0] == wait_for(pid)
    wal = folder.open()
    try:
        assert 10 == wal.adopt()
    finally:
        os.kill(child, signal.SIGKILL)


def test_what_a_process_killed_at_its_start_left_is_removed_later(folder):
    """A directory without a name yet may be in the making: only an old one is removed."""
    folder.leave(batch(0))
    (made,) = folder.path.iterdir()
    unfinished = made.with_name(f"new-{made.name}")
    made.rename(unfinished)
    (unfinished / "0000000001.segment").unlink()
    wal = folder.open()
    wal.adopt()
    assert unfinished.exists()
    os.utime(unfinished, (time.time() - 2 * wal_directories._UNFINISHED_S,) * 2)
    wal.adopt()
    assert [] == folder.names()


@pytest.mark.parametrize("left", ["lock and position", "lock", "nothing"])
def test_a_removal_that_was_cut_off_is_finished(folder, left):
    """Whatever the killed process had not removed yet."""
    folder.leave(batch(0))
    for file in folder.files("*"):
        if file.name not in {"lock": ["lock"], "nothing": []}.get(left, ["lock", "delivered"]):
            file.unlink()
    wal = folder.open()
    assert (0, []) == (wal.adopt(), folder.names())
    assert [] == folder.reports


def test_reading_goes_on_beside_appends(folder):
    """One thread appends while another delivers: all, once and in order."""
    wal = folder.open(segment_bytes=5000)
    found = []

    def append():
        for first in range(0, 20_000, 10):
            wal.append(batch(first, 10, size=8))

    thread = threading.Thread(target=append)
    thread.start()
    for turn in itertools.count():
        portion = wal.read(3000)
        if portion is None:
            if not thread.is_alive() and wal.pending_records == 0:
                break
        elif turn % 5 == 0:
            wal.rewind()
        else:
            found += portion.records
            wal.acknowledge(portion)
    thread.join()
    assert batch(0, 20_000, size=8) == found
    assert [] == read_all(wal)
