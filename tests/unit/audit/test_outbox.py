"""What is in the outbox stays there until somebody says that it is stored."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading

import orjson
import pytest

from loglane.errors import AuditError
from loglane.sinks.audit import outbox as outbox_module
from loglane.sinks.audit.outbox import Outbox

MIB = 1024 * 1024


@pytest.fixture
def make(tmp_path):
    made = []

    def open_outbox(path=tmp_path / "deep" / "outbox.db", max_bytes=64 * MIB):
        made.append(Outbox(path, max_bytes))
        return made[-1]

    yield open_outbox
    for one in made:
        one.close()


def fill(outbox, body):
    ids = []
    try:
        while True:
            ids += outbox.add([body])
    except AuditError as error:
        assert "is full" in str(error)  # noqa: PT017 - the loop ends by it
        return ids


def bodies(taken):
    return [body for _, body in taken]


def test_outbox_gives_records_in_their_order(make):
    """The oldest come first, and each once."""
    outbox = make()
    outbox.add([b"1", b"2"])
    outbox.add([b"3"])
    assert [[b"1", b"2"], [b"3"], []] == [bodies(outbox.take(2)) for _ in range(3)]


def test_outbox_file_is_for_its_owner_alone(make):
    """Records hold personal data; the journal beside the file has the same mode."""
    outbox = make()
    outbox.add([b"1"])
    files = sorted(outbox.path.parent.iterdir())
    assert ["outbox.db", "outbox.db-shm", "outbox.db-wal"] == [file.name for file in files]
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}


def test_outbox_removes_what_is_stored(make):
    """What was removed is not given again, nor counted."""
    outbox = make()
    ids = outbox.add([b"1", b"2", b"3"])
    outbox.remove(ids[:2])
    assert ((1, 0), [b"3"]) == (outbox.counts(), bodies(outbox.take(9)))


def test_outbox_never_uses_an_id_again(make):
    """Whoever removes a record late must not remove another one."""
    outbox = make()
    first = outbox.add([b"1"])
    outbox.remove(first)
    second = outbox.add([b"2"])
    outbox.remove(first)
    assert (True, [b"2"]) == (second > first, bodies(outbox.take(9)))


def test_outbox_does_not_give_what_is_in_hand(make):
    """Neither what is held from the beginning nor what was taken is given again."""
    outbox = make()
    outbox.add([b"held", b"free"], held=1)
    assert [[b"free"], []] == [bodies(outbox.take(9)) for _ in range(2)]


def test_outbox_gives_what_was_released(make):
    """Another attempt may follow a failed one."""
    outbox = make()
    outbox.add([b"1", b"2"])
    taken = outbox.take(9)
    outbox.release([taken[0][0]])
    assert [b"1"] == bodies(outbox.take(9))


def test_outbox_takes_what_a_process_left(make):
    """What was in the hands of another when this one began was left behind."""
    make().add([b"1", b"2", b"3"], held=2)
    assert [b"3", b"1", b"2"] == bodies(make().take(9))


def test_outbox_leaves_to_others_what_they_have(make):
    """What another process has taken since is in good hands, until it has had it for too long."""
    late = make()
    late.take(1)
    make().add([b"1"], held=1)
    assert [] == late.take(9)
    # As if the other had taken it earlier.
    with sqlite3.connect(late.path) as connection:
        connection.execute("UPDATE pending SET at = at - ?", (outbox_module.ABANDONED_S + 1,))
    connection.close()
    assert [b"1"] == bodies(late.take(9))


def test_outbox_takes_what_was_left_before_the_clock_was_set_back(make):
    """Otherwise a killed process's records would wait until the clock is there again."""
    make().add([b"1"], held=1)
    late = make()
    with sqlite3.connect(late.path) as connection:
        connection.execute("UPDATE pending SET at = at + 3600")
    connection.close()
    assert [b"1"] == bodies(late.take(9))


def test_outbox_knows_since_when_a_record_waits(make):
    """Whoever has tried it meanwhile."""
    outbox = make()
    assert 0.0 == outbox.age_s()
    outbox.add([b"1", b"2"])
    with sqlite3.connect(outbox.path) as connection:
        connection.execute("UPDATE pending SET came = came - 3600 WHERE id = 1")
    connection.close()
    outbox.release([row for row, _ in outbox.take(2)])
    assert 3600 <= outbox.age_s() < 3700
    outbox.remove([1])
    assert 0 <= outbox.age_s() < 100


def test_outbox_keeps_dead_letters_with_their_reason(make, line):
    """Of a record in the file and of one that never was."""
    outbox = make()
    body = line()
    (row,) = outbox.add([body])
    outbox.bury([(row, body, "action: missing"), (None, b"no JSON", "it is no JSON")])
    found = [(one.event_id, one.body, one.reason) for one in outbox.dead()]
    assert [
        (orjson.loads(body)["event_id"], body, "action: missing"),
        (None, b"no JSON", "it is no JSON"),
    ] == found
    assert (0, 2) == outbox.counts()


def test_outbox_buries_a_record_once(make):
    """Two processes may have had the same record in hand."""
    outbox = make()
    (row,) = outbox.add([b"{}"])
    outbox.bury([(row, b"{}", "first")])
    outbox.bury([(row, b"{}", "second")])
    assert ["first"] == [one.reason for one in outbox.dead()]


def test_outbox_revives_dead_letters(make):
    """They wait again, and are no longer dead."""
    outbox = make()
    outbox.bury([(None, b"1", "x"), (None, b"2", "x"), (None, b"3", "x")])
    first, *_ = outbox.dead()
    assert (1, 2, (3, 0)) == (outbox.revive([first.id]), outbox.revive(), outbox.counts())
    assert [b"1", b"2", b"3"] == bodies(outbox.take(9))


def test_outbox_that_is_full_takes_no_more(make):
    """The file stays within its size, what is in it stays too, and there is room again later."""
    outbox = make(max_bytes=256 * 1024)
    kept = fill(outbox, b"x" * 4000)
    assert (len(kept), 0) == outbox.counts()
    assert outbox.path.stat().st_size <= 256 * 1024
    outbox.remove(kept[:10])
    outbox.add([b"x" * 4000])


def test_outbox_that_is_full_still_buries(make):
    """A dead letter takes the room of the record that it was."""
    outbox = make(max_bytes=256 * 1024)
    ids = fill(outbox, b"x" * 9000)
    outbox.bury([(ids[0], b"x" * 9000, "bad")])
    assert (len(ids) - 1, 1) == outbox.counts()


def test_outbox_gives_room_back(make):
    """After a long absence of the database the file becomes small again."""
    outbox = make()
    ids = outbox.add([b"x" * 4000] * 5000)
    size = outbox.path.stat().st_size
    for start in range(0, len(ids), 50):
        outbox.remove(ids[start : start + 50])
    outbox.close()
    assert outbox.path.stat().st_size < size * 0.6


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"this is no database, but long enough to be one" * 100, "is damaged")],
    ids=["no database"],
)
def test_outbox_that_is_damaged_is_said_and_kept(make, tmp_path, content, reason):
    """Nothing is dropped or written over: what is in it can be rescued."""
    path = tmp_path / "outbox.db"
    path.write_bytes(content)
    with pytest.raises(AuditError, match=reason):
        make(path).open()
    assert content == path.read_bytes()


def test_outbox_does_not_write_into_another_database(make, tmp_path):
    """As when the path is that of the app's own SQLite file."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    connection.close()
    with pytest.raises(AuditError, match="another program's database"):
        make(path).add([b"1"])


def test_outbox_of_a_newer_format_is_refused(make):
    """A downgrade must not lose what it cannot read."""
    outbox = make()
    outbox.open()
    outbox.close()
    with sqlite3.connect(outbox.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(AuditError, match="has format 2"):
        outbox.add([b"1"])


def test_outbox_says_why_it_cannot_be_made(make, tmp_path):
    """The message names the file and what the system says."""
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match=r"file/outbox.db: (Not a directory|File exists)"):
        make(tmp_path / "file" / "outbox.db").open()


def test_outbox_that_was_deleted_is_made_again(make):
    """Records in a file without a name would be found by nobody."""
    outbox = make()
    outbox.add([b"1"])
    for file in outbox.path.parent.iterdir():
        file.unlink()
    outbox.add([b"2"])
    assert [b"2"] == bodies(make().take(9))


def test_outbox_of_a_relative_path_stays_where_it_was(make, tmp_path, monkeypatch):
    """A later change of the working directory does not split the records."""
    monkeypatch.chdir(tmp_path)
    outbox = make("outbox.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outbox.add([b"1"])
    assert tmp_path / "outbox.db" == outbox.path
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_outbox_is_shared_by_threads(make):
    """Whatever they do at the same time, each record is given once."""
    outbox = make()
    taken = []

    def work(number):
        for i in range(20):
            outbox.add([b"%d-%d" % (number, i)])
            rows = outbox.take(3)
            taken.extend(bodies(rows))
            outbox.remove([row for row, _ in rows])

    threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(b"%d-%d" % (n, i) for n in range(8) for i in range(20)) == sorted(taken)


_WRITER = """
import sys
from loglane.sinks.audit.outbox import Outbox
outbox = Outbox(sys.argv[1], 64 << 20, busy_s=60)
for i in range(40):
    outbox.add([f"{sys.argv[2]}-{i}".encode()])
"""


def test_outbox_is_shared_by_processes(make):
    """Several make and write it at the same moment."""
    outbox = make()
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITER, outbox.path, str(n)]) for n in range(4)
    ]
    assert [0] * 4 == [process.wait() for process in running]
    assert sorted(b"%d-%d" % (n, i) for n in range(4) for i in range(40)) == sorted(
        bodies(outbox.take(999))
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_outbox_goes_on_in_parent_and_child(make):
    """Both may use it after a fork, while another thread of the parent does, too."""
    outbox = make()
    stop = threading.Event()
    written = []

    def write():
        while not stop.is_set():
            written.extend(outbox.add([b"thread"]))
            # A thread that takes the lock again at once leaves none of it to the others.
            stop.wait(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                outbox.add([b"child"])
                os._exit(0)
            finally:
                os._exit(1)
        assert 0 == os.waitpid(child, 0)[1]
        outbox.add([b"parent"])
    stop.set()
    thread.join()
    found = bodies(make().take(10**6))
    assert {b"child": 10, b"parent": 10, b"thread": len(written)} == {
        kind: found.count(kind) for kind in (b"child", b"parent", b"thread")
    }
    assert "ok" == sqlite3.connect(outbox.path).execute("PRAGMA integrity_check").fetchone()[0]
