"""Lines to a rotating file: none lost, none torn, sizes bounded."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import loglane.sinks.file as file_module
from loglane.sinks.file import FileSink

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files and fork")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.log"


@pytest.fixture
def sink(path):
    """Return a sink that rotates at 100 bytes and keeps 2 old files."""
    sink = FileSink(path, max_bytes=100, backups=2)
    yield sink
    sink.close()


def _all(path):
    """Return the lines of the file and its backups, the oldest first."""
    backups = sorted(path.parent.glob(f"{path.name}.[0-9]*"), key=lambda one: -int(one.suffix[1:]))
    return [line for one in (*backups, path) for line in one.read_bytes().splitlines()]


def test_each_line_is_in_the_file_when_write_returns(sink, path):
    """Nothing is buffered."""
    sink.write(b"one")
    sink.write(b"two")
    assert (b"one\ntwo\n", 0, "") == (path.read_bytes(), sink.dropped, sink.problem)


def test_folders_are_made(tmp_path):
    """Missing parents are made."""
    path = tmp_path / "a" / "b" / "app.log"
    sink = FileSink(path)
    sink.write(b"x")
    sink.close()
    assert b"x\n" == path.read_bytes()


@posix
def test_a_new_file_is_for_its_owner_only(sink, path):
    """Lines may hold personal data."""
    sink.write(b"x")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@posix
def test_a_files_mode_outlives_its_rotation(sink, path):
    """A mode that somebody chose, for a collector to read, is kept."""
    path.touch()
    path.chmod(0o664)
    for _ in range(2):
        sink.write(b"x" * 60)
    found = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.with_name("app.log.1"))]
    assert [0o664, 0o664] == found


def test_rotation_keeps_the_newest_lines_in_order(sink, path):
    """The line that does not fit begins a new file; the oldest file goes."""
    for number in range(16):
        sink.write(b"%024d" % number)
    sizes = [one.stat().st_size for one in (path, *path.parent.glob("app.log.[0-9]*"))]
    assert [b"%024d" % number for number in range(4, 16)] == _all(path)
    assert [100, 100, 100] == sizes


def test_without_backups_only_the_file_is_kept(path):
    """backups=0 begins anew."""
    sink = FileSink(path, max_bytes=10, backups=0)
    for text in (b"12345", b"67890"):
        sink.write(text)
    sink.close()
    assert [b"67890"] == _all(path)


def test_max_bytes_zero_never_rotates(path):
    """The file grows."""
    sink = FileSink(path, max_bytes=0)
    for _ in range(50):
        sink.write(b"x" * 100)
    sink.close()
    assert 5050 == path.stat().st_size


def test_a_line_longer_than_the_limit_is_whole(sink, path):
    """A line is never split; it is alone in its file."""
    for line in (b"a", b"b" * 500, b"c"):
        sink.write(line)
    assert [b"a", b"b" * 500, b"c"] == _all(path)
    assert 501 == path.with_name("app.log.1").stat().st_size


@posix
@pytest.mark.parametrize("how", ["moved", "deleted", "folder-deleted"])
def test_a_file_that_is_taken_away_is_made_anew(tmp_path, how):
    """An external logrotate, or a tidy person, stops nothing."""
    path = tmp_path / "logs" / "app.log"
    sink = FileSink(path)
    sink.write(b"one")
    if how == "moved":
        path.rename(tmp_path / "old.log")
    else:
        path.unlink()
    if how == "folder-deleted":
        path.with_name("app.log.lock").unlink()
        path.parent.rmdir()
    sink.write(b"two")
    sink.close()
    assert (b"two\n", 0, "") == (path.read_bytes(), sink.dropped, sink.problem)


@posix
def test_a_truncated_file_is_written_from_its_start(sink, path):
    """A logrotate with copytruncate leaves no hole."""
    sink.write(b"one")
    os.truncate(path, 0)
    sink.write(b"two")
    assert b"two\n" == path.read_bytes()


def test_rotation_of_another_process_is_noticed(path):
    """A second sink on the same file goes on in the new one."""
    first, second = (FileSink(path, max_bytes=100, backups=5) for _ in range(2))
    for number in range(20):
        (first, second)[number % 2].write(b"%030d" % number)
    first.close()
    second.close()
    # Three lines a file, five old files, and the last two lines.
    assert [b"%030d" % number for number in range(3, 20)] == _all(path)


def test_a_half_line_is_closed_before_the_next(sink, path):
    """What a killed process left unfinished does not swallow the next line."""
    path.write_bytes(b"whole\nhal")
    sink.write(b"next")
    assert b"whole\nhal\nnext\n" == path.read_bytes()


def test_a_partial_write_is_completed(sink, path, monkeypatch):
    """A system that takes five bytes at a time gets the whole line."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    sink.write(b"0123456789abc")
    assert b"0123456789abc\n" == path.read_bytes()


def test_a_full_disk_drops_the_line_and_no_other(sink, path, monkeypatch):
    """The line is counted, the reason kept, and the next line is written whole."""
    write, calls = os.write, []

    def full(fd, data):
        calls.append(data)
        if len(calls) == 1:
            return write(fd, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        sink.write(b"0123456789abc")
    assert (1, f"{path}: No space left on device; the line is dropped") == (
        sink.dropped, sink.problem,
    )  # fmt: skip
    sink.write(b"next")
    assert (b"01234\nnext\n", 1, "") == (path.read_bytes(), sink.dropped, sink.problem)


def test_a_folder_in_the_files_place_is_a_problem(path):
    """The reason is kept, nothing is raised, and the file is used once it can be."""
    path.mkdir()
    sink = FileSink(path)
    sink.write(b"one")
    assert (1, True) == (sink.dropped, str(path) in sink.problem)
    path.rmdir()
    sink.write(b"two")
    sink.close()
    assert (b"two\n", 1, "") == (path.read_bytes(), sink.dropped, sink.problem)


@posix
def test_a_fifo_in_the_files_place_is_a_problem(path):
    """Opening does not wait for a reader, and what is no regular file is not written."""
    os.mkfifo(path)
    sink = FileSink(path)
    sink.write(b"one")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink.write(b"two")
    os.close(reader)
    sink.close()
    assert (2, f"{path}: not a regular file; the line is dropped") == (sink.dropped, sink.problem)


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path):
    """A line that has no place is dropped with the reason."""
    (tmp_path / "file").touch()
    sink = FileSink(tmp_path / "file" / "app.log")
    sink.write(b"x")
    assert (1, True) == (sink.dropped, sink.problem.startswith(str(tmp_path / "file")))


@posix
def test_a_lock_that_cannot_be_made_does_not_stop_the_lines(path):
    """In a folder that only takes the file that is there, lines go on without rotation."""
    path.with_name("app.log.lock").mkdir()
    sink = FileSink(path, max_bytes=10, backups=2)
    for line in (b"12345", b"67890"):
        sink.write(line)
    sink.close()
    assert (b"12345\n67890\n", 0, True) == (
        path.read_bytes(), sink.dropped, "not rotated" in sink.problem,
    )  # fmt: skip


def test_a_rotation_that_fails_loses_nothing(sink, path):
    """The file grows, and the problem is named."""
    for number in (1, 2):
        path.with_name(f"app.log.{number}").mkdir()
        (path.with_name(f"app.log.{number}") / "x").touch()
    for number in range(4):
        sink.write(b"%060d" % number)
    assert [b"%060d" % number for number in range(4)] == path.read_bytes().splitlines()
    assert (0, True) == (sink.dropped, "cannot be rotated" in sink.problem)


def test_a_relative_path_does_not_follow_a_change_of_directory(tmp_path, monkeypatch):
    """The place is fixed when the sink is made."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    sink = FileSink("app.log")
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.write(b"x")
    sink.close()
    assert b"x\n" == (tmp_path / "app.log").read_bytes()


def test_a_closed_sink_opens_again(sink, path):
    """A line that comes after close is not lost."""
    sink.write(b"one")
    sink.close()
    sink.close()
    sink.write(b"two")
    assert b"one\ntwo\n" == path.read_bytes()


@posix
def test_descriptors_closed_from_outside_are_not_used(sink, path, tmp_path):
    """After a daemon closed its descriptors, another file may have their numbers."""
    sink.write(b"one")
    fds = sink._fd, sink._lock_fd
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    for fd in fds:
        os.dup2(other, fd)
    os.close(other)
    sink.write(b"two")
    left = [os.fstat(fd).st_size for fd in fds]
    for fd in fds:
        os.close(fd)
    assert (b"one\ntwo\n", [0, 0]) == (path.read_bytes(), left)


@posix
def test_a_signal_handler_may_log_inside_a_write(sink, path, monkeypatch):
    """Its line comes after the one that it interrupted."""
    write = os.write

    def interrupted(fd, data):
        monkeypatch.setattr(os, "write", write)
        sink.write(b"inner")
        return write(fd, data)

    monkeypatch.setattr(os, "write", interrupted)
    sink.write(b"outer")
    assert b"outer\ninner\n" == path.read_bytes()


def test_without_locks_of_the_system_lines_are_written(path, monkeypatch):
    """As on Windows: rotation works, and there is no lock file."""
    monkeypatch.setattr(file_module, "_fcntl", None)
    sink = FileSink(path, max_bytes=100, backups=2)
    for number in range(8):
        sink.write(b"%030d" % number)
    sink.close()
    assert [b"%030d" % number for number in range(8)] == _all(path)
    assert not path.with_name("app.log.lock").exists()


@posix
def test_a_lock_that_is_never_given_back_does_not_stop_the_lines(path, monkeypatch):
    """A process stopped inside its write costs one wait; lines go on without rotation."""
    import fcntl

    monkeypatch.setattr(file_module, "_LOCK_WAIT_S", 0.01)
    with path.with_name("app.log.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sink = FileSink(path, max_bytes=10, backups=2)
        sink.write(b"12345")
        sink.write(b"67890")
        problem = sink.problem
    sink.write(b"last")
    sink.close()
    assert (True, "") == ("hangs" in problem, sink.problem)
    assert [b"12345", b"67890", b"last"] == _all(path)
    assert b"last\n" == path.read_bytes()


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_on_beside_its_parent(path):
    """With its locks made anew the child writes, though a thread held them at the fork."""
    sink = FileSink(path, max_bytes=2000, backups=50)
    sink.write(b"before")
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        with sink._lock:
            inside.set()
            go_on.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        sink.start_child()
        for number in range(300):
            sink.write(b"child %d" % number)
        os._exit(sink.dropped)
    go_on.set()
    thread.join()
    for number in range(300):
        sink.write(b"parent %d" % number)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sink.close()
    expected = [b"before", *(b"%s %d" % (who, number)
                for who in (b"child", b"parent") for number in range(300))]  # fmt: skip
    assert Counter(expected) == Counter(_all(path))


_WRITER = """
import sys, threading
from loglane.sinks.file import FileSink

sink = FileSink(sys.argv[1], max_bytes=4000, backups=1000)

def work(name):
    for number in range(400):
        sink.write(b"%s %d %s" % (name, number, name * (number % 40)))

threads = [threading.Thread(target=work, args=(b"%s-%d" % (sys.argv[2].encode(), n),))
           for n in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(1 if sink.dropped or sink.problem else 0)
"""


@posix
def test_processes_and_threads_share_the_file(path):
    """4 processes of 2 threads: every line is there once and whole, no file beyond its limit."""
    command = [sys.executable, "-W", "error", "-c", _WRITER, str(path)]
    writers = [subprocess.Popen([*command, name]) for name in "abcd"]
    codes = [writer.wait(timeout=120) for writer in writers]
    names = [b"%s-%d" % (name, n) for name in (b"a", b"b", b"c", b"d") for n in range(2)]
    lines = [b"%s %d %s" % (name, number, name * (number % 40)) for name in names
             for number in range(400)]  # fmt: skip
    files = [one for one in path.parent.iterdir() if one.suffix != ".lock"]
    assert [0, 0, 0, 0] == codes
    assert Counter(lines) == Counter(_all(path))
    assert max(one.stat().st_size for one in files) <= 4000
    for name in names:
        mine = [line for line in _all(path) if line.startswith(name)]
        assert [line for line in lines if line.startswith(name)] == mine


def test_path_objects_and_texts_name_the_same_file(tmp_path):
    """Both forms are taken."""
    for place in (tmp_path / "app.log", str(tmp_path / "app.log")):
        sink = FileSink(place)
        sink.write(b"x")
        sink.close()
    assert b"x\nx\n" == Path(tmp_path / "app.log").read_bytes()
