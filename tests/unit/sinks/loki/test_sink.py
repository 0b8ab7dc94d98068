"""The sink end to end: a queue, a thread, and a Loki that says what the test wants."""

from __future__ import annotations

import http.client
import random
import threading
import time
import tracemalloc

import pytest

from loglane.sinks.loki import courier as courier_module
from loglane.sinks.loki import sink as sink_module
from tests.unit.sinks.loki.fake_loki import FakeLoki, Reply, free_port, wait_for
from tests.unit.sinks.loki.sinks import make_sink, threads, write


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let every pause be short."""
    monkeypatch.setattr(random, "uniform", lambda _, longest: min(longest, 0.01))


@pytest.fixture
def loki():
    with FakeLoki() as loki:
        yield loki


@pytest.fixture
def sink(loki):
    sink = make_sink(loki.url)
    yield sink
    end(sink)
    assert [] == threads()


@pytest.fixture
def make(loki):
    """Return a function that makes a sink for `loki`, closed at the end."""
    made = []

    def make(url=None, on_losses=lambda: None, **keys):
        made.append(make_sink(url or loki.url, on_losses, **keys))
        return made[-1]

    yield make
    for one in made:
        end(one)


def end(sink):
    """End a sink's threads, also when its Loki is gone and they would go on."""
    thread, sender, spool = sink._thread, sink._sender, sink._spool
    sink._is_over = True
    if sender is not None:
        sender.stop()
    if thread is not None:
        thread.join(15)
    if spool is not None:
        spool.close()


def said(capfd):
    return capfd.readouterr().err.splitlines()


# Deliveries


def test_lines_arrive_in_order_without_anybodys_doing(loki, sink):
    """A thread sends what was written, soon."""
    write(sink, *range(100))
    assert list(range(100)) == loki.wait_for(lambda loki: len(loki.stored) == 100 and loki.messages)
    wait_for(lambda: sink.stats()["sent"] == 100)
    assert (0, 0, {}, False) == tuple(
        sink.stats()[name] for name in ("queued", "queued_bytes", "dropped", "is_away")
    )


def test_no_thread_runs_before_the_first_line(loki, sink):
    """An app that writes nothing pays nothing."""
    assert [] == threads()
    write(sink, "a")
    assert ["loglane-loki"] == threads()


def test_flush_does_not_wait_for_the_batch(loki, make):
    """Nor for anything else when there is nothing to send."""
    sink = make(batch={"max_wait_s": 3600})
    assert sink.flush()
    assert [] == loki.pushes
    write(sink, "a", "b")
    assert sink.flush()
    assert ["a", "b"] == loki.messages
    assert sink.flush()


def test_a_full_batch_does_not_wait(loki, make):
    """Size or time, whichever comes first; batches are of about the size."""
    sink = make(batch={"max_wait_s": 3600, "max_bytes": 10_000})
    write(sink, *range(400), text="x" * 100)
    loki.wait_for(lambda loki: len(loki.messages) > 300)
    assert 11_000 > max(sum(len(str(r)) for r in push.records[1:]) for push in loki.pushes)


@pytest.mark.parametrize(
    "queue", [{"max_items": 1000}, {"max_bytes": 300_000}], ids=["items", "bytes"]
)
def test_a_queue_smaller_than_a_batch_loses_nothing(loki, make, queue):
    """It is sent before it is full, while Loki is there."""
    sink = make(batch={"max_wait_s": 3600}, queue=queue)
    for part in range(10):
        write(sink, *range(600), text="x" * 100)
        loki.wait_for(lambda loki, part=part: len(loki.messages) > 600 * part)
    assert sink.flush()
    assert {} == sink.stats()["dropped"]
    assert 6000 == len(loki.messages)


def test_flush_waits_for_what_is_on_its_way(loki, sink):
    """Also for what the thread has in its hand."""
    hold = threading.Event()
    loki.replies.append(Reply(hold=hold))
    write(sink, "a")
    loki.wait_for(lambda loki: loki.pushes)
    assert not sink.flush(timeout_s=0.05)
    hold.set()
    assert sink.flush()


def test_two_flushes_at_once_both_end(loki, make):
    """The first that ends does not slow down the other."""
    sink = make(batch={"max_wait_s": 3600})
    results = []
    write(sink, *range(50))
    flushes = [threading.Thread(target=lambda: results.append(sink.flush())) for _ in range(4)]
    for one in flushes:
        one.start()
    for one in flushes:
        one.join()
    assert [True] * 4 == results


def test_threads_lose_and_double_nothing(loki, make):
    """Eight threads, 20,000 lines each, with a 500 now and then: all are there exactly once."""
    sink = make(queue={"max_items": 200_000, "max_bytes": 200_000_000})
    loki.replies.extend([204, 500] * 5)
    line = b'{"level":"info","message":"%d %d"}'

    def log(name):
        for number in range(20_000):
            sink.write(line % (name, number), 1)

    writers = [threading.Thread(target=log, args=(name,)) for name in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sink.flush(60)
    found = loki.messages
    assert [f"{name} {number}" for name in range(8) for number in range(20_000)] == sorted(
        found, key=lambda text: tuple(map(int, text.split()))
    )
    times = [
        at for push in loki.pushes if push.status == 204 for _, v in push.streams for at, *_ in v
    ]
    assert times == sorted(set(times))
    assert 160_000 == sink.stats()["sent"]


# Answers


@pytest.mark.parametrize(
    "bad",
    [500, 503, Reply(429, headers={"Retry-After": "0"}), 401, 404, Reply(drop=True)],
    ids=["500", "503", "429", "401", "404", "dropped"],
)
def test_lines_wait_while_loki_is_away(loki, sink, bad, capfd):
    """They are tried again until it takes them, exactly once; stderr tells it once."""
    loki.replies.extend([bad] * 3)
    write(sink, *range(10))
    assert sink.flush()
    assert list(range(10)) == loki.messages
    assert (10, {}) == (sink.stats()["sent"], sink.stats()["dropped"])
    assert 1 == len([line for line in said(capfd) if "lines wait until it takes them" in line])


def test_retry_after_is_kept_to(loki, sink, monkeypatch):
    """The pause is as long as Loki asks, when that is longer than ours."""
    pauses = []
    monkeypatch.setattr(courier_module.Courier, "rest", lambda _, pause_s: pauses.append(pause_s))
    loki.replies.append(Reply(429, headers={"Retry-After": "77"}))
    write(sink, "a")
    loki.wait_for(lambda loki: loki.messages == ["a"])
    assert [77.0] == pauses


def test_an_outage_is_told_again_when_it_is_another_one(loki, sink, capfd, monkeypatch):
    """Once each: not each try, and not only the first outage."""
    monkeypatch.setattr("loglane.sinks.loki.tally._AGAIN_S", 0.0)
    for _ in range(2):
        loki.replies.extend([500] * 3)
        write(sink, "a")
        assert sink.flush()
    assert 2 == len([line for line in said(capfd) if "lines wait" in line])


def test_outages_that_come_and_go_do_not_flood_stderr(loki, sink, capfd):
    """A Loki at its limit refuses every second push for hours."""
    for _ in range(5):
        loki.replies.append(429)
        write(sink, "a")
        assert sink.flush()
    assert 1 == len([line for line in said(capfd) if "lines wait" in line])


@pytest.mark.parametrize("wal", [False, True], ids=["memory", "folder"])
def test_a_clock_that_was_ahead_costs_nothing_once_it_is_right(loki, make, tmp_path, wal):
    """Stamps never go back, so Loki would refuse every line until the clock has caught up."""

    def as_loki(push):
        latest = time.time_ns() + 600 * 10**9
        new = [at for _, values in push.streams for at, _, _ in values if at > latest]
        accepted.extend(one for one in push.messages if not new)
        return Reply(400, b"%d errors like: x has timestamp too new: y" % len(new)) if new else 204

    accepted = []
    loki.replies.extend([as_loki] * 100)
    sink = make(wal={"dir": str(tmp_path / "wal")} if wal else {})
    write(sink, "right")
    assert sink.flush()
    sink._queue._last_ns += 7200 * 10**9
    for number in range(5):
        write(sink, number)
        assert sink.flush()
    assert ["right", *range(5)] == accepted
    assert {} == sink.stats()["dropped"]
    assert 6 == sink.stats()["sent"]
    assert sink._queue._last_ns <= time.time_ns()


def test_a_clock_that_is_ahead_is_told_with_lokis_words(loki, sink, capfd):
    """Nobody knows here which of the two clocks is wrong: the lines are refused."""
    text = b"entry for stream 'x' has timestamp too new: y"
    loki.replies.append(Reply(400, text))
    write(sink, "a")
    assert sink.flush()
    assert {"refused": 1} == sink.stats()["dropped"]
    assert any("it refused 1 of 1: entry" in line for line in said(capfd))


def test_refused_lines_are_counted_and_not_sent_again(loki, sink, capfd):
    """Loki has stored the others; its reason is told once."""
    text = b"2 errors like: entry for stream '{}' has timestamp too old: x"
    loki.replies.extend([Reply(400, text), Reply(400, text)])
    write(sink, *range(5))
    assert sink.flush()
    write(sink, *range(5))
    assert sink.flush()
    assert 2 == len(loki.pushes)
    assert (6, {"refused": 4}) == (sink.stats()["sent"], sink.stats()["dropped"])
    (line,) = [line for line in said(capfd) if "refused" in line]
    assert "it refused 2 of 5: 2 errors like: entry for stream '{}' has timestamp too old" in line


def test_a_push_that_is_too_large_is_split_down_to_a_line(loki, make, capfd):
    """Everything but the line that is too large alone arrives, once and in order."""
    sink = make(batch={"max_wait_s": 3600})
    loki.always = lambda push: 413 if len(push.data) > 700 else 204
    write(sink, *range(20))
    write(sink, "big", text="".join(random.choices("abcdefghijklmnop", k=3000)))  # noqa: S311
    write(sink, *range(20, 40))
    assert sink.flush()
    assert list(range(40)) == loki.messages
    assert (40, {"too_large": 1}) == (sink.stats()["sent"], sink.stats()["dropped"])


def test_a_split_push_whose_second_half_fails_sends_only_that_again(loki, make):
    """What was stored is neither sent nor counted twice."""
    sink = make(batch={"max_wait_s": 3600})
    loki.replies.extend([413, 204, 500, 500])
    write(sink, *range(10))
    assert sink.flush()
    assert list(range(10)) == loki.messages
    assert (10, 0) == (sink.stats()["sent"], sink._sender.in_hand)


def test_a_split_push_from_the_folder_is_counted_once(loki, make, tmp_path):
    """Though its first half is pushed twice when the second one fails."""
    loki.replies.extend([413, 204, 500])
    sink = make(wal={"dir": str(tmp_path / "wal")})
    write(sink, *range(10))
    assert sink.flush()
    assert 10 == sink.stats()["sent"]
    assert {*range(10)} == {*loki.messages}


def test_a_reason_without_end_does_not_flood_stderr(loki, sink, capfd):
    """Loki quotes the line in some of its texts."""
    loki.replies.append(Reply(400, b"x" * 100_000))
    write(sink, "a")
    assert sink.flush()
    assert 1000 > sum(map(len, said(capfd)))


def test_lines_that_are_too_old_are_given_up(loki, make):
    """Loki takes none of over a week, and a batch with some is not lost with them."""
    sink = make(max_age_s=1.0, batch={"max_wait_s": 3600})
    write(sink, "old")
    old = sink._queue.take(100)
    sink._queue.put_back([(at - 2 * 10**9, rank, line) for at, rank, line in old])
    write(sink, "new")
    assert sink.flush()
    assert (["new"], {"too_old": 1}) == (loki.messages, sink.stats()["dropped"])


def test_lines_that_cannot_be_encoded_hold_up_no_others(loki, sink, monkeypatch):
    """A fault of ours is counted; the thread lives on."""
    body = sink._encoder.body

    def fail(records):
        monkeypatch.setattr(sink._encoder, "body", body)
        raise RuntimeError("bug")

    monkeypatch.setattr(sink._encoder, "body", fail)
    write(sink, "a")
    wait_for(lambda: sink.stats()["dropped"] == {"failed": 1})
    write(sink, "b")
    assert sink.flush()
    assert (["b"], 0) == (loki.messages, sink._sender.in_hand)


@pytest.mark.parametrize("name", ["take", "put_back", "acknowledge", "wait", "has_batch"])
def test_a_fault_of_the_source_does_not_end_the_thread(loki, sink, monkeypatch, name):
    """It goes on a moment later."""
    monkeypatch.setattr(sink_module.LokiSink, "_delivered", lambda _: None)
    monkeypatch.setattr("loglane.sinks.loki.sender._AFTER_A_FAULT_S", 0.01)
    right = getattr(sink._source, name)
    failed = threading.Event()

    def fail(*arguments):
        if not failed.is_set():
            failed.set()
            raise RuntimeError("bug")
        return right(*arguments)

    monkeypatch.setattr(sink._source, name, fail)
    loki.replies.append(500)
    write(sink, "a")
    assert failed.wait(30)
    write(sink, "b")
    loki.wait_for(lambda loki: "b" in loki.messages)
    wait_for(lambda: sink.flush(0.1))
    assert 0 == sink._sender.in_hand
    assert 0 not in sink.stats()["dropped"].values()


def test_a_stderr_that_fails_does_not_end_the_thread(loki, sink, monkeypatch):
    """An app may have put anything there."""
    import sys

    class Stderr:
        def write(self, _):
            raise KeyError("no")

    monkeypatch.setattr(sys, "stderr", Stderr())
    loki.replies.append(500)
    write(sink, "a")
    loki.wait_for(lambda loki: loki.messages == ["a"])
    assert ["loglane-loki"] == threads()


def test_a_thread_that_cannot_be_started_is_tried_again(loki, sink, monkeypatch):
    """A process at the limit of its threads sends later."""
    monkeypatch.setattr(sink_module, "_START_AGAIN_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _no_thread)
        write(sink, "a")
        assert [] == threads()
    write(sink, "b")
    loki.wait_for(lambda loki: loki.messages == ["a", "b"])


def test_flush_sends_when_no_thread_can_be_had(loki, sink, monkeypatch):
    """As at the end of the interpreter."""
    monkeypatch.setattr(threading.Thread, "start", _no_thread)
    write(sink, "a", "b")
    assert sink.flush()
    assert ["a", "b"] == loki.messages


_start = threading.Thread.start


def _no_thread(thread):
    if thread.name.startswith("loglane"):
        raise RuntimeError("can't start new thread")
    _start(thread)


# A dead Loki


def test_a_dead_loki_costs_small_tries_and_then_all_arrives(make):
    """After five failures a probe of 16 KiB is tried, until one arrives."""
    with FakeLoki() as loki:
        loki.always = Reply(500)
        sink = make(loki.url, batch={"max_wait_s": 3600, "max_bytes": 200_000})
        write(sink, *range(1000), text="x" * 100)
        loki.wait_for(lambda loki: len(loki.pushes) > 8)
        sizes = [
            sum(len(line) for _, v in push.streams for _, line, _ in v) for push in loki.pushes
        ]
        assert min(sizes[:2]) > 150_000
        assert max(sizes[6:]) < 20_000
        loki.always = Reply()
        # A push that is being answered now may still fail, and a flush would take that for the end.
        wait_for(lambda: not sink.is_away)
        assert sink.flush()
        assert list(range(1000)) == sorted(set(loki.messages))
        assert 1000 == len(loki.messages)


def test_batches_become_as_small_as_loki_takes_them(loki, make):
    """One over the burst of a tenant is refused with 429 for ever; smaller ones go on at once."""

    def limit(push):
        size = sum(len(line) for _, values in push.streams for _, line, _ in values)
        return 429 if size > 60_000 else 204

    sink = make(batch={"max_wait_s": 3600, "max_bytes": 400_000})
    loki.replies.extend([limit] * 200)
    write(sink, *range(3000), text="x" * 100)
    loki.wait_for(lambda loki: len(loki.messages) == 3000, timeout_s=30)
    assert list(range(3000)) == loki.messages
    assert len(loki.pushes) < 60


def test_batches_become_large_again(loki, make):
    """When what made them small is over."""
    loki.replies.extend([500] * 4)
    sink = make(batch={"max_wait_s": 3600, "max_bytes": 100_000})
    write(sink, *range(10_000), text="x" * 100)
    loki.wait_for(lambda loki: len(loki.messages) > 9_000)
    assert 90_000 < max(
        sum(len(line) for _, v in p.streams for _, line, _ in v) for p in loki.pushes[9:]
    )


def test_memory_is_bounded_while_loki_is_dead(make):
    """What the queue may hold, and two batches in the hand of the thread."""
    tracemalloc.start()
    try:
        sink = make(
            f"http://127.0.0.1:{free_port()}",
            queue={"max_bytes": 2_000_000},
            batch={"max_bytes": 100_000, "max_wait_s": 0.01},
        )
        before = tracemalloc.get_traced_memory()[0]
        for number in range(40_000):
            sink.write(b'{"level":"info","message":"%0200d"}' % number, 1)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 2_000_000 >= sink.stats()["queued_bytes"] > 1_500_000
    assert 3_500_000 > grown
    dropped = sink.stats()["dropped"]["queue_full.info"]
    assert 40_000 == dropped + sink.stats()["queued"] + (
        sink._sender.in_hand if sink._sender else 0
    )


def test_a_dead_loki_ends_a_flush_before_its_deadline(make, capfd):
    """After a handful of tries it is known; what is lost is told with the reason."""
    sink = make(f"http://127.0.0.1:{free_port()}", timeouts={"drain_s": 600})
    write(sink, *range(7))
    before = time.monotonic()
    assert not sink.flush()
    assert 60 > time.monotonic() - before
    (line,) = [line for line in said(capfd) if "lost" in line]
    assert line.endswith("7 lines are lost if the process ends now: Connection refused")


def test_a_dead_loki_ends_a_flush_without_a_thread_too(make, monkeypatch):
    """As a signal's handler or the end of the interpreter has it."""
    sink = make(f"http://127.0.0.1:{free_port()}", timeouts={"drain_s": 600})
    write(sink, "a")
    sink.hurry()
    before = time.monotonic()
    assert not sink.flush()
    assert 60 > time.monotonic() - before


def test_a_flush_with_a_time_of_its_own_waits_for_a_dead_loki(loki, make):
    """A job that gives it a minute outlives a restart of Loki."""
    loki.replies.extend([503] * 30)
    sink = make()
    write(sink, *range(7))
    assert sink.flush(timeout_s=60)
    assert list(range(7)) == loki.messages


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_the_end_waits_for_a_loki_that_may_take_lines_in_a_moment(loki, make, status):
    """Its proxy answers, or it has too much to do: all of `drain_s` is theirs."""
    loki.replies.extend([status] * 30)
    sink = make(timeouts={"drain_s": 60})
    write(sink, *range(7))
    assert sink.flush()
    assert list(range(7)) == loki.messages


def test_the_end_waits_for_lines_that_another_thread_sends(loki, make, capfd):
    """Whose flush sends for itself because a signal ends the process, as its handler does."""
    hold = threading.Event()
    loki.replies.append(Reply(hold=hold))
    sink = make()
    sink.hurry()
    sink._queue.put(b'{"message": "held"}', 1)
    other = threading.Thread(target=sink.flush)
    other.start()
    loki.wait_for(lambda loki: loki.pushes)
    assert not sink.flush(timeout_s=0.05)
    assert "1 lines are lost if the process ends now" in capfd.readouterr().err
    assert 1 == sink.stats()["in_hand"]
    hold.set()
    assert sink.flush(timeout_s=60)
    assert ["held"] == loki.messages
    other.join()


def test_the_end_does_not_wait_for_a_password_to_become_right(loki, make):
    """After a handful of tries it is known."""
    loki.always = Reply(401)
    sink = make(timeouts={"drain_s": 600})
    write(sink, *range(7))
    before = time.monotonic()
    assert not sink.flush()
    assert 60 > time.monotonic() - before


def test_what_the_thread_has_in_hand_arrives_without_the_lock_of_the_queue(loki, make):
    """A signal may have interrupted a log call that holds it, and its handler waits for the end."""
    hold = threading.Event()
    loki.replies.extend([Reply(500, hold=hold), 500])
    sink = make(timeouts={"drain_s": 60})
    write(sink, *range(5))
    loki.wait_for(lambda loki: loki.pushes)
    before = time.monotonic()
    with sink._queue._lock:
        write(sink, 5)
        sink.hurry()
        # Also before the handler has come to wait.
        hold.set()
        loki.wait_for(lambda loki: len(loki.messages) == 5)
        assert sink.flush()
    assert 30 > time.monotonic() - before
    assert list(range(6)) == sorted(loki.messages)
    write(sink, 6)
    loki.wait_for(lambda loki: 6 in loki.messages)


def test_a_loki_that_has_too_much_to_do_is_not_gone(loki, sink):
    """The end of a process takes its whole time for it, and not five tries."""
    loki.replies.extend([429] * 8)
    write(sink, "a")
    assert sink.flush()
    assert ["a"] == loki.messages


def test_a_silent_loki_ends_a_flush_at_its_deadline(loki, make, capfd):
    """One deadline for all that waits."""
    hold = threading.Event()
    loki.always = Reply(hold=hold)
    sink = make(timeouts={"drain_s": 0.2, "read_s": 60})
    write(sink, *range(5))
    assert not sink.flush()
    hold.set()
    assert any("5 lines are lost" in line for line in said(capfd))


# Losses


def test_a_report_that_is_refused_is_not_reported(loki, make):
    """Each would make the next one, without an end; it is told with a line that Loki takes."""
    told = []

    def tell():
        told.append(dict(sink.losses()))
        write(sink, "lost", level="warning")

    sink = make(on_losses=tell)
    loki.always = Reply(400, b"no")
    write(sink, "a")
    assert sink.flush()
    write(sink, "b")
    assert sink.flush()
    assert [] == told
    loki.always = Reply()
    write(sink, "c")
    loki.wait_for(lambda loki: "lost" in loki.messages)
    assert sink.flush()
    assert [{"refused": 2}] == told
    assert ["c", "lost"] == loki.messages


def test_losses_are_told_as_soon_as_loki_is_back(loki, make):
    """In the thread, so that an app that is idle meanwhile tells them too."""
    told = []

    def tell():
        told.append((threading.current_thread().name, dict(sink.losses())))
        write(sink, "lost", level="warning")

    sink = make(on_losses=tell, queue={"max_items": 10})
    loki.always = Reply(500)
    write(sink, *range(50))
    wait_for(lambda: sink.stats()["retries"] > 2)
    assert [] == told
    loki.always = Reply()
    loki.wait_for(lambda loki: "lost" in loki.messages)
    name, counts = told[0]
    assert "loglane-loki" == name
    assert 50 == counts["queue_full.info"] + len(loki.messages) - 1
    assert 1 == len(told)


def test_what_the_threads_log_is_not_sent(loki, make, monkeypatch, tmp_path):
    """Else each push would make lines for the next one, without an end."""
    connect = http.client.HTTPConnection.connect

    def noisy(connection):
        noise.append(1)
        write(sink, "noise")
        connect(connection)

    noise = []
    monkeypatch.setattr(http.client.HTTPConnection, "connect", noisy)
    sink = make(wal={"dir": str(tmp_path)})
    loki.always = Reply(leave=True)
    for number in range(3):
        write(sink, number)
        assert sink.flush()
    sink.hurry()
    assert sink.flush()
    assert ([0, 1, 2], True) == (loki.messages, len(noise) > 0)


def test_what_a_flush_without_a_thread_logs_is_not_sent(loki, sink, monkeypatch):
    """The caller's thread is one of the sink's for that time, and an app's again after it."""
    send = http.client.HTTPConnection.request

    def noisy(*arguments):
        write(sink, "noise")
        send(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _no_thread)
        patch.setattr(http.client.HTTPConnection, "request", noisy)
        write(sink, "a")
        assert sink.flush()
    write(sink, "b")
    assert sink.flush()
    assert ["a", "b"] == loki.messages


# The end


def test_close_delivers_and_ends_the_threads(loki, make, tmp_path):
    """With a folder and without."""
    for keys in ({}, {"wal": {"dir": str(tmp_path)}}):
        sink = make(**keys)
        write(sink, *range(10))
        sink.close()
        wait_for(lambda: threads() == [])
    assert [*range(10), *range(10)] == loki.messages
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_line_after_close_is_delivered_and_its_thread_ends(loki, make):
    """A thread may have been in the middle of a log call when the app configured anew."""
    sink = make()
    write(sink, "a")
    sink.close()
    write(sink, "b", "c")
    loki.wait_for(lambda loki: loki.messages == ["a", "b", "c"])
    wait_for(lambda: threads() == [])


def test_close_without_loki_goes_on_until_it_is_back(loki, make):
    """The process lives on, so nothing is lost; the thread ends when all is delivered."""
    loki.always = Reply(500)
    sink = make(timeouts={"drain_s": 0.1})
    write(sink, *range(5))
    sink.close()
    assert ["loglane-loki"] == threads()
    loki.always = Reply()
    wait_for(lambda: threads() == [])
    assert list(range(5)) == loki.messages


def test_close_without_loki_leaves_the_lines_in_the_folder(loki, make, tmp_path, capfd):
    """The next sink on that folder sends them, each once."""
    folder = {"dir": str(tmp_path / "wal")}
    loki.always = Reply(500)
    sink = make(wal=folder, timeouts={"drain_s": 0.1})
    write(sink, *range(5))
    wait_for(lambda: sink.stats()["wal_lines"] == 5)
    sink.close()
    wait_for(lambda: threads() == [])
    assert any(f"5 lines wait in {tmp_path / 'wal'}" in line for line in said(capfd))
    loki.always = Reply()
    following = make(wal=folder)
    write(following, 5)
    loki.wait_for(lambda loki: sorted(loki.messages) == list(range(6)))


def test_lines_after_the_end_are_sent_one_by_one(loki, make):
    """Other threads will soon stand still; whoever logs sends."""
    sink = make(batch={"max_wait_s": 3600})
    write(sink, "a")
    sink.end()
    write(sink, "b")
    write(sink, "c")
    assert ["a", "b", "c"] == loki.messages


def test_lines_after_the_end_cost_nothing_without_loki(make, monkeypatch):
    """One try in vain is enough."""
    sink = make(f"http://127.0.0.1:{free_port()}")
    write(sink, "a")
    sink.end()
    monkeypatch.setattr(sink, "_send_here", lambda _: pytest.fail("it tries again"))
    write(sink, "b")


@pytest.mark.parametrize("wal", [False, True], ids=["memory", "folder"])
def test_a_failure_with_the_next_batch_in_hand_loses_nothing(loki, make, tmp_path, wal):
    """The next one is made ready while Loki is at work, and goes back with the one that failed."""
    folder = {"wal": {"dir": str(tmp_path)}} if wal else {}
    sink = make(batch={"max_bytes": 2000, "max_wait_s": 3600}, **folder)
    hold = threading.Event()
    loki.replies.extend([Reply(hold=hold), 500, 500])
    write(sink, *range(5), text="x" * 500)
    loki.wait_for(lambda loki: loki.pushes)
    write(sink, *range(5, 60), text="x" * 500)
    wait_for(lambda: not sink._queue.items or not wal)
    hold.set()
    assert sink.flush()
    assert (list(range(60)), 0) == (loki.messages, sink._sender.in_hand)


def test_a_line_that_comes_as_the_thread_ends_is_sent(loki, make, monkeypatch):
    """Whoever writes it sees a thread that is there, and does not start one."""
    sink = make()
    write(sink, "a")
    assert sink.flush()
    forget = sink._forget_thread

    def write_first():
        monkeypatch.undo()
        with sink_module.heard(sink._muted):
            write(sink, "b")
        forget()

    monkeypatch.setattr(sink, "_forget_thread", write_first)
    sink.close()
    loki.wait_for(lambda loki: loki.messages == ["a", "b"])


def test_a_flush_that_gives_up_leaves_another_its_haste(loki, make):
    """Pauses stay short as long as somebody waits."""
    hold = threading.Event()
    loki.always = Reply(hold=hold)
    sink = make()
    write(sink, "a")
    loki.wait_for(lambda loki: loki.pushes)
    other = threading.Thread(target=sink.flush)
    other.start()
    wait_for(lambda: sink._courier.is_hurried)
    assert not sink.flush(0.02)
    assert sink._courier.is_hurried
    hold.set()
    other.join()
    assert not sink._courier.is_hurried


# The folder


def test_lines_go_through_the_folder(loki, make, tmp_path):
    """In order, each once, and nothing is left in it."""
    sink = make(wal={"dir": str(tmp_path)})
    write(sink, *range(500))
    assert sink.flush()
    assert list(range(500)) == loki.messages
    assert (0, 0) == (sink.stats()["wal_lines"], sink._sender.in_hand)


def test_failures_give_the_folders_lines_once_each(loki, make, tmp_path):
    """A 500 with the next batch already in hand, and a 413 whose second half fails."""
    sink = make(wal={"dir": str(tmp_path)}, batch={"max_bytes": 2000, "max_wait_s": 0.01})
    loki.replies.extend([204, 500, 204, 413, 204, 500, 204, 500, 500])
    write(sink, *range(300))
    assert sink.flush()
    # The half that was stored may be sent once more, with its times: Loki keeps each once.
    stored = [v for push in loki.pushes if push.status == 204 for _, v in push.streams]
    lines = {(at, line) for values in stored for at, line, _ in values}
    assert (300, 0) == (len(lines), sink._sender.in_hand)


@pytest.mark.parametrize("what", ["file", "closed"])
def test_a_folder_that_cannot_be_used_is_told_and_lines_go_from_memory(
    loki, make, tmp_path, what, capfd
):
    """Neither the app nor the way to Loki depends on the disk."""
    place = tmp_path / "x"
    place.write_text("") if what == "file" else place.mkdir()
    folder = place / "wal"
    if what == "closed":
        folder.write_text("not a folder")
    sink = make(wal={"dir": str(folder)})
    write(sink, *range(20))
    loki.wait_for(lambda loki: len(loki.messages) == 20)
    assert 1 == len([line for line in said(capfd) if "lines wait in memory" in line])


def test_a_folder_whose_room_is_used_up_is_no_end(loki, make, tmp_path):
    """The rest waits in memory, and is sent from there."""
    loki.always = Reply(500)
    sink = make(wal={"dir": str(tmp_path), "max_bytes": 4096})
    write(sink, *range(200))
    wait_for(lambda: sink.stats()["wal_lines"] > 0 and sink.stats()["queued"] > 0)
    loki.always = Reply()
    assert sink.flush(30)
    assert set(range(200)) == set(loki.messages)


# Rest


@pytest.mark.parametrize("wal", [False, True], ids=["memory", "folder"])
@pytest.mark.parametrize("dead", [False, True], ids=["idle", "dead"])
def test_nothing_turns_in_circles(loki, make, tmp_path, monkeypatch, wal, dead):
    """An idle process, and one without Loki, sleep: their loops make a few turns a second."""
    monkeypatch.setattr(random, "uniform", lambda _, longest: max(longest, 1.0))
    sink = make(wal={"dir": str(tmp_path)} if wal else {})
    loki.always = Reply(500) if dead else Reply()
    turns = [0]
    source = sink._source
    take = source.take

    def counted(max_bytes):
        turns[0] += 1
        return take(max_bytes)

    monkeypatch.setattr(source, "take", counted)
    if not wal:
        # The thread makes its source with its first line, and one in memory is as good as another.
        monkeypatch.setattr(sink_module, "MemorySource", lambda _: source)
    write(sink, *range(3))
    loki.wait_for(lambda loki: loki.pushes)
    turns[0] = 0
    used = time.process_time()
    waiting = threading.Event()
    waiting.wait(0.5)
    assert 8 > turns[0]
    assert 0.25 > time.process_time() - used
