"""A disk that is full, read-only or not there: an error to the caller, nothing half-written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from loglane.sinks.loki import wal_segments
from tests.unit.sinks.loki.wal_cases import batch, in_child, read_all, take_all, wait_for

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits, modes and fork")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_disk(monkeypatch):
    """Return a function that lets the disk take only so many bytes more, None for all."""
    write, room = os.write, [None]

    def limited(fd, data):
        if room[0] is None:
            return write(fd, data)
        taken = bytes(data)[: room[0]]
        room[0] -= len(taken)
        if not taken:
            raise FULL
        return write(fd, taken)

    monkeypatch.setattr(os, "write", limited)
    return lambda size: room.__setitem__(0, size)


@pytest.mark.parametrize("room", [0, 5, 16, 300], ids=lambda room: f"{room} bytes")
def test_a_full_disk_raises_and_leaves_whole_blocks(folder, full_disk, room):
    """What was written of the block is cut off, and a later append is readable."""
    wal = folder.open()
    wal.append(batch(0))
    full_disk(room)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            wal.append(batch(10))
        full_disk(room)
    full_disk(None)
    wal.append(batch(20))
    expected = [*batch(0), *batch(20)]
    assert (20, expected) == (wal.pending_records, read_all(wal))
    wal.abandon()
    other = folder.open()
    assert (20, expected) == (other.adopt(), take_all(other))
    assert [] == folder.reports


@pytest.mark.parametrize("room", [0, 7, 16, 60], ids=lambda room: f"{room} bytes")
def test_a_disk_full_at_a_new_segment_loses_nothing_else(folder, full_disk, room):
    """No broken file stays, and the next append begins one."""
    wal = folder.open(segment_bytes=100)
    wal.append(batch(0))
    full_disk(room)
    with pytest.raises(OSError, match="No space left"):
        wal.append(batch(10))
    full_disk(None)
    wal.append(batch(20))
    assert [*batch(0), *batch(20)] == take_all(wal)
    wal.close()
    assert ([], []) == (folder.reports, folder.names())


@pytest.mark.parametrize("room", [0, 40, 64], ids=lambda room: f"{room} bytes")
def test_a_disk_full_at_the_first_line_works_later(folder, full_disk, room):
    """The directory is made when there is room; nothing stays of the attempt."""
    wal = folder.open()
    full_disk(room)
    with pytest.raises(OSError, match="No space left"):
        wal.append(batch(0))
    full_disk(None)
    assert 10 == wal.append(batch(10))
    assert batch(10) == take_all(wal)
    wal.close()
    assert [] == folder.names()


def test_what_cannot_be_cut_off_is_passed_over(folder, full_disk, monkeypatch):
    """The half block is the last thing in its segment."""
    wal = folder.open()
    wal.append(batch(0))

    def fail(*_):
        raise FULL

    monkeypatch.setattr(wal_segments.os, "ftruncate", fail)
    full_disk(200)
    with pytest.raises(OSError, match="No space left"):
        wal.append(batch(10))
    full_disk(None)
    wal.append(batch(20))
    expected = [*batch(0), *batch(20)]
    assert expected == read_all(wal)
    wal.abandon()
    other = folder.open()
    assert (20, expected) == (other.adopt(), take_all(other))
    assert ["200 damaged bytes" in report for report in folder.reports] == [True]


def test_a_note_that_cannot_be_written_is_reported_once(folder, full_disk):
    """Delivery goes on; the segments that are done are deleted all the same."""
    wal = folder.open(segment_bytes=100)
    for first in range(0, 30, 10):
        wal.append(batch(first))
    full_disk(0)
    assert batch(0, 30) == take_all(wal)
    assert ([], 1) == (folder.files("*.segment"), len(folder.reports))
    assert "delivered lines may be sent again after a restart" in folder.reports[0]


@posix
def test_a_limit_on_file_size_is_a_full_disk(folder):
    """With the real system call: it writes a part, and then fails."""
    import resource

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        wal = folder.open()
        for first in range(0, 30, 10):
            wal.append(batch(first))
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            wal.append(batch(30))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        wal.append(batch(90))

    assert [0] == wait_for(in_child(work))
    wal = folder.open()
    assert (40, [*batch(0, 30), *batch(90)]) == (wal.adopt(), take_all(wal))
    assert [] == folder.reports


@pytest.fixture
def small_disk(folder):
    """Put the folder on a file system of 256 KiB."""
    folder.path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder.path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs `mount`, as on Linux")
    if done.returncode:
        pytest.skip(f"needs root to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    folder.close()
    subprocess.run(["umount", str(folder.path)], check=True)


def test_a_disk_that_is_really_full_gets_room_by_delivery(small_disk):
    """All that was taken is delivered, and then there is room again."""
    wal = small_disk.open(segment_bytes=20_000)
    taken, refused = 0, 0
    while refused < 2:
        try:
            taken += wal.append(batch(taken, 100))
        except OSError:
            refused += 1
    assert taken == wal.pending_records > 0
    assert batch(0, taken) == take_all(wal)
    assert 100 == wal.append(batch(0, 100))
    assert [] == small_disk.reports


def test_a_file_in_the_place_of_the_folder_raises(folder):
    """The caller falls back to memory and says why."""
    folder.path.write_text("not a folder")
    wal = folder.open()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        wal.append(batch(0))
    assert (0, None) == (wal.adopt(), wal.read(1000))
    assert [f"{folder.path}: Not a directory; lines that other processes left are not sent"] == (
        folder.reports
    )


@posix
def test_a_folder_that_cannot_be_written_raises(folder):
    """Lines in it that cannot be locked are reported, once, and stay."""
    folder.leave(batch(0))
    before = folder.names()
    paths = [folder.path, *folder.path.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.path.parent.chmod(0o755)

    def work():
        if os.getuid() == 0:
            os.chdir(folder.path)  # the folders above are root's
            folder.path = Path()
            os.setuid(65534)
        wal = folder.open()
        for _ in range(2):
            assert 0 == wal.adopt()
            with pytest.raises(PermissionError):
                wal.append(batch(10))
        assert ["Permission denied; the lines in it are not sent" in one for one in folder.reports]
        assert 1 == len(folder.reports)

    try:
        assert [0] == wait_for(in_child(work))
    finally:
        for path in paths:
            path.chmod(0o755)
    assert before == folder.names()


@posix
def test_too_many_open_files_only_delay_the_reading(folder, monkeypatch):
    """It is reported, and works again when descriptors are free."""
    wal = folder.open()
    wal.append(batch(0))
    real = wal_segments.Path.open

    def fail(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(wal_segments.Path, "open", fail)
    found = [wal.read(1000), wal.read(1000)]
    monkeypatch.setattr(wal_segments.Path, "open", real)
    assert ([None, None], 1, 10) == (found, len(folder.reports), wal.pending_records)
    assert batch(0) == take_all(wal)
