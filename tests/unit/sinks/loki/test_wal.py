"""Lines on the disk: none that was taken is lost, none that was delivered comes back."""

from __future__ import annotations

import errno
import os
import shutil
import stat

import pytest

from loglane.sinks.loki import wal as wal_module
from loglane.sinks.loki import wal_claims, wal_journals
from tests.unit.sinks.loki.wal_cases import batch, read_all, take_all

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes")


def test_what_is_appended_is_read_in_order(folder):
    """Timestamp, level and line come back as they were."""
    wal = folder.open()
    assert [10, 10] == [wal.append(batch(0)), wal.append(batch(10))]
    assert batch(0, 20) == take_all(wal)
    assert wal.read(1000) is None


def test_an_empty_batch_makes_nothing(folder):
    """The directory is made by the first line."""
    assert 0 == folder.open().append([])
    assert not folder.path.exists()


def test_the_next_process_finds_what_is_not_acknowledged(folder):
    """An acknowledged portion does not come back, the others do."""
    wal = folder.open()
    wal.append(batch(0))
    wal.append(batch(10))
    wal.acknowledge(wal.read(1))
    wal.close()
    other = folder.open()
    assert 10 == other.adopt()
    assert batch(10) == take_all(other)


def test_all_delivered_leaves_nothing(folder):
    """Directories without lines are removed, those that were taken over too."""
    folder.leave(batch(0), batch(10), segment_bytes=100)
    wal = folder.open()
    wal.append(batch(20))
    wal.adopt()
    assert batch(0, 30) == take_all(wal)
    wal.close()
    assert [] == folder.names()


def test_lines_left_behind_come_first(folder):
    """They are older, and the oldest directory is the first."""
    folder.leave(batch(0))
    folder.leave(batch(10))
    wal = folder.open()
    wal.append(batch(20))
    wal.adopt()
    assert batch(0, 30) == read_all(wal)


def test_a_portion_has_about_the_bytes_asked_for(folder):
    """Whole blocks up to the limit, and one block at least."""
    wal = folder.open()
    for first in range(0, 100, 10):
        wal.append(batch(first))
    block = wal.pending_bytes // 10
    sizes = [len(wal.read(limit).records) for limit in (1, block, 3 * block, 4 * block - 1)]
    assert [10, 10, 30, 30] == sizes


def test_rewind_reads_again_what_is_not_acknowledged(folder):
    """Also across segments and processes."""
    folder.leave(batch(0), batch(10), segment_bytes=100)
    wal = folder.open(segment_bytes=100)
    wal.adopt()
    wal.append(batch(20))
    wal.append(batch(30))
    wal.acknowledge(wal.read(1))
    assert batch(10, 30) == read_all(wal)
    assert batch(10, 30) == read_all(wal)


def test_the_last_portion_acknowledges_all_before_it(folder):
    """A batch that was made of several portions needs one call."""
    folder.leave(batch(0), batch(10), segment_bytes=100)
    wal = folder.open()
    wal.adopt()
    wal.append(batch(20))
    portions = [wal.read(1) for _ in range(3)]
    wal.acknowledge(portions[-1])
    assert 0 == wal.pending_records
    wal.close()
    assert [] == folder.names()


def test_a_portion_read_before_a_rewind_can_be_acknowledged(folder):
    """It is not read again, what followed it is."""
    wal = folder.open()
    wal.append(batch(0))
    wal.append(batch(10))
    portion = wal.read(1)
    wal.rewind()
    wal.acknowledge(portion)
    assert batch(10) == read_all(wal)


def test_an_acknowledgement_never_moves_back(folder):
    """One that comes late changes nothing, also for the next process."""
    wal = folder.open()
    for first in (0, 10, 20):
        wal.append(batch(first))
    one, two = wal.read(1), wal.read(1)
    wal.acknowledge(two)
    wal.acknowledge(one)
    assert (10, batch(20)) == (wal.pending_records, read_all(wal))
    wal.abandon()
    assert 10 == folder.open().adopt()


def test_what_waits_is_counted(folder):
    """Records and bytes that are not acknowledged, of this process and of others."""
    folder.leave(batch(0))
    wal = folder.open()
    wal.adopt()
    wal.append(batch(10))
    one = wal.pending_bytes // 2
    before = wal.pending_records
    first = wal.read(1)
    wal.read(1)
    assert (20, 20) == (before, wal.pending_records)
    wal.acknowledge(first)
    assert (10, one) == (wal.pending_records, wal.pending_bytes)


def test_a_full_folder_takes_the_records_that_fit(folder):
    """The files are never longer than `max_bytes`; room is made by what is acknowledged."""
    wal = folder.open(max_bytes=3000)
    taken = [wal.append(batch(0, 30)), wal.append(batch(30, 30)), wal.append(batch(60))]
    assert (30, 0) == (taken[0], taken[2])
    assert 0 < taken[1] < 30
    assert sum(file.stat().st_size for file in folder.files("*.segment")) <= 3000
    assert batch(0, 30 + taken[1]) == take_all(wal)
    assert 10 == wal.append(batch(60))


def test_the_limit_is_never_passed(folder):
    """Headers count too."""
    for max_bytes in range(900, 1000, 7):
        wal = folder.open(max_bytes)
        while wal.append(batch(0, 1)):
            pass
        size = sum(file.stat().st_size for file in folder.files("*.segment"))
        assert (size, True) == (wal.disk_bytes, max_bytes - 100 <= size <= max_bytes)
        take_all(wal)
        wal.close()


def test_lines_left_behind_count_against_the_limit(folder):
    """A process that takes over takes less of its own meanwhile."""
    folder.leave(batch(0, 20), max_bytes=2000)
    wal = folder.open(max_bytes=2000)
    wal.adopt()
    assert wal.append(batch(20, 20)) < 20
    take_all(wal)
    assert 20 == wal.append(batch(40, 20))


def test_room_is_freed_by_whole_segments(folder):
    """A segment is deleted when its last block is acknowledged, the one being written too."""
    wal = folder.open(segment_bytes=1500)
    for first in range(0, 50, 10):
        wal.append(batch(first))
    left = []
    while (portion := wal.read(1)) is not None:
        wal.acknowledge(portion)
        left.append(len(folder.files("*.segment")))
    assert [3, 2, 2, 1, 0] == left
    assert 0 == wal.disk_bytes


@posix
def test_files_are_for_their_owner_only(folder):
    """Lines may hold personal data."""
    folder.open().append(batch(0))
    paths = [folder.path, *folder.path.rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}
    assert {0o600} == modes
    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()}


def test_foreign_files_are_left_alone(folder):
    """Whatever else is in the folder stays, beside lines that are delivered."""
    folder.leave(batch(0))
    (folder.path / "notes.txt").write_text("mine")
    (folder.path / "process-1").mkdir()
    foreign = next(folder.path.glob("process-0*")) / "notes.txt"
    foreign.write_text("mine too")
    wal = folder.open()
    wal.adopt()
    assert batch(0) == take_all(wal)
    wal.close()
    assert {"notes.txt", "process-1", str(foreign.relative_to(folder.path))} <= {*folder.names()}
    assert [] == folder.files("*.segment")


def test_a_living_process_keeps_its_directory(folder):
    """Also one that has delivered all it had."""
    wal = folder.open()
    wal.append(batch(0))
    other = folder.open()
    assert 0 == other.adopt()
    take_all(wal)
    other.adopt()
    wal.append(batch(10))
    assert batch(10) == take_all(wal)


def test_a_closed_log_takes_nothing(folder):
    """A directory that was left may have another owner already."""
    wal = folder.open()
    wal.append(batch(0))
    wal.append(batch(10))
    portion = wal.read(1)
    wal.close()
    wal.acknowledge(portion)
    assert (0, None) == (wal.append(batch(20)), wal.read(1))
    other = folder.open()
    assert 20 == other.adopt()


def test_an_append_from_a_signal_handler_is_refused(folder, monkeypatch):
    """It may have interrupted an append, which cannot go on before the handler ends."""
    wal = folder.open()
    wal.append(batch(0))
    write, nested = os.write, []

    def interrupted(fd, data):
        nested.append(wal.append(batch(90)))
        return write(fd, data)

    monkeypatch.setattr(os, "write", interrupted)
    taken = wal.append(batch(10))
    monkeypatch.undo()
    assert (10, [0]) == (taken, nested)
    assert batch(0, 20) == take_all(wal)


def test_more_directories_than_descriptors_are_taken_in_parts(folder, monkeypatch):
    """A process that crashed again and again left many; all are delivered in the end."""
    monkeypatch.setattr(wal_module, "_MAX_ADOPTED", 3)
    expected = [record for at in range(10) for record in folder.leave(batch(at * 10))]
    wal = folder.open()
    assert 30 == wal.adopt()
    assert expected == take_all(wal)
    wal.close()
    assert [] == folder.names()


def test_a_folder_that_was_removed_is_made_again(folder):
    """What was in it is gone and reported, what comes then is not."""
    wal = folder.open(segment_bytes=100)
    wal.append(batch(0))
    (file,) = folder.files("*.segment")
    shutil.rmtree(folder.path)
    assert 10 == wal.append(batch(10))
    assert batch(10) == take_all(wal)
    assert 0 == wal.pending_records
    assert [f"{file}: No such file or directory; its lines cannot be read"] == folder.reports


def test_a_directory_in_the_making_is_not_touched(folder, monkeypatch):
    """Another process looks at the folder just before it is locked."""
    make = wal_claims.make_claim

    def slow(path):
        assert 0 == folder.open().adopt()
        return make(path)

    monkeypatch.setattr(wal_claims, "make_claim", slow)
    wal = folder.open()
    assert 10 == wal.append(batch(0))
    assert batch(0) == take_all(wal)


def test_a_directory_that_cannot_be_read_now_is_taken_later(folder, monkeypatch):
    """Its lock is given back."""
    folder.leave(batch(0))
    wal = folder.open()

    def fail(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(wal_journals.Path, "iterdir", fail)
        assert 0 == wal.adopt()
    (directory,) = folder.path.iterdir()
    assert [f"{directory}: Too many open files; the lines in it are not sent"] == folder.reports
    assert (10, batch(0)) == (wal.adopt(), take_all(wal))


def test_a_relative_folder_survives_a_change_of_directory(folder, tmp_path, monkeypatch):
    """It is meant from where the program began."""
    monkeypatch.chdir(tmp_path)
    wal = wal_module.Wal(folder.path.relative_to(tmp_path), 1_000_000, report=folder.reports.append)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    wal.append(batch(0))
    wal.close()
    assert 1 == len(folder.files("*.segment"))


def test_a_system_that_cannot_move_open_files_works_the_same(folder, monkeypatch):
    """As Windows: the directory has its name from the start and is unlocked before removal."""
    monkeypatch.setattr(wal_claims, "MOVES_OPEN_FILES", False)
    folder.leave(batch(0))
    wal = folder.open()
    wal.append(batch(10))
    wal.adopt()
    assert batch(0, 20) == take_all(wal)
    wal.close()
    assert [] == folder.names()
