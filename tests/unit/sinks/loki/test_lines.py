"""The queue in memory: order, bounds, and what it does when they are reached."""

from __future__ import annotations

import gc
import signal
import threading
import time
import tracemalloc

import pytest

from loglane.fields import LEVELS
from loglane.sinks.loki import lines as lines_module
from loglane.sinks.loki.lines import OVERHEAD, LineQueue

DEBUG, INFO, WARNING, ERROR, CRITICAL = range(5)


def make_queue(max_items=1000, max_bytes=10_000_000, batch_bytes=1_000_000):
    return LineQueue(max_items, max_bytes, batch_bytes)


def texts(records):
    return [line for _, _, line in records]


def filled(queue, *pairs):
    for text, rank in pairs:
        queue.put(text, rank)
    return queue


def test_lines_of_all_levels_come_in_the_order_they_were_put():
    """Levels wait apart, and are merged by time."""
    queue = make_queue()
    expected = [b"%d" % number for number in range(50)]
    for number, line in enumerate(expected):
        queue.put(line, number * 7 % 5)
    assert expected == texts(queue.take(1000))


def test_stamps_rise_also_when_the_clock_goes_back(monkeypatch):
    """A line is never stamped with the time of another, or an earlier one."""
    clock = iter([100, 100, 40, 41, 200, 199])
    monkeypatch.setattr(lines_module.time, "time_ns", lambda: next(clock))
    queue = filled(make_queue(), *[(b"x", INFO)] * 6)
    assert [100, 101, 102, 103, 200, 201] == [at for at, _, _ in queue.take(1000)]


def test_a_forked_child_goes_on_with_the_stamps_and_nothing_else(monkeypatch):
    """Its queue is empty, its events are cleared, and its clock does not go back."""
    monkeypatch.setattr(lines_module.time, "time_ns", lambda: 7)
    queue = filled(make_queue(1, batch_bytes=1), (b"a", INFO), (b"b", INFO))
    queue.start_child()
    assert (0, 0, {}, False, False) == (
        queue.items,
        queue.bytes,
        queue.dropped,
        queue.some.rings,
        queue.enough.rings,
    )
    queue.put(b"c", INFO)
    assert [(9, INFO, b"c")] == queue.take(10)


def test_too_many_lines_push_out_the_lowest_level_and_of_it_the_oldest():
    """By number: an older line of a higher level stays."""
    queue = filled(make_queue(4), (b"e1", ERROR), (b"d1", DEBUG), (b"i1", INFO), (b"d2", DEBUG))
    filled(queue, (b"w1", WARNING), (b"c1", CRITICAL), (b"i2", INFO))
    assert {"debug": 2, "info": 1} == queue.dropped
    assert [b"e1", b"w1", b"c1", b"i2"] == texts(queue.take(1000))


def test_a_line_that_is_the_lowest_itself_goes_at_once():
    """A debug line does not push out an error."""
    queue = filled(make_queue(2), (b"e1", ERROR), (b"e2", ERROR), (b"d", DEBUG))
    assert ({"debug": 1}, [b"e1", b"e2"]) == (queue.dropped, texts(queue.take(100)))


def test_too_many_bytes_push_out_as_many_lines_as_they_need():
    """By size: what Python keeps for each line counts."""
    queue = make_queue(max_bytes=5 * (100 + OVERHEAD))
    filled(queue, *[(b"%d" % number * 100, DEBUG) for number in range(5)])
    assert {} == queue.dropped
    queue.put(b"x" * (200 + OVERHEAD), INFO)
    assert {"debug": 2} == queue.dropped
    assert (4, 5 * (100 + OVERHEAD)) == (queue.items, queue.bytes)


def test_a_line_larger_than_the_queue_pushes_out_nothing():
    """It alone is dropped, whatever its level."""
    queue = filled(make_queue(max_bytes=1000), (b"d", DEBUG))
    queue.put(b"x" * 1000, CRITICAL)
    assert ({"critical": 1}, [b"d"]) == (queue.dropped, texts(queue.take(1000)))


def test_take_stops_at_the_size_and_gives_one_line_at_least():
    """The size is that of the text; a line larger than it still goes."""
    queue = filled(make_queue(), *[(b"x" * 100, INFO)] * 5)
    assert [2, 1, 2] == [len(queue.take(150)), len(queue.take(1)), len(queue.take(9999))]
    assert [] == queue.take(100)


def test_take_gives_more_than_it_moves_at_once():
    """The lock is let go meanwhile; the order stays."""
    queue = make_queue()
    for number in range(1000):
        queue.put(b"%d" % number, number % 5)
    assert [b"%d" % number for number in range(1000)] == texts(queue.take(1_000_000))


def test_take_keeps_its_size_when_one_level_reaches_further_back():
    """Where the newest lines of a level are all that is left, the others are much older."""
    queue = LineQueue(20_000, 10**9, 10**9)
    for number in range(5000):
        queue.put(b"%05d" % number, 2)
    for number in range(5000, 11_000):
        queue.put(b"%05d" % number, 1)
    taken = queue.take(5 * 100)
    assert [b"%05d" % number for number in range(len(taken))] == [line for _, _, line in taken]
    assert 100 <= len(taken) <= 200


def test_put_back_gives_the_same_again():
    """Before what came later, each level in order, also when there is a lot."""
    queue = make_queue(2000)
    for number in range(600):
        queue.put(b"%d" % number, number % 5)
    taken = queue.take(10_000)
    queue.put(b"later", DEBUG)
    queue.put_back(taken)
    again = queue.take(1_000_000)
    assert [*texts(taken), b"later"] == texts(again)
    assert taken == again[:600]


@pytest.mark.parametrize("count", [4, 1200], ids=["few", "many"])
def test_what_two_have_taken_comes_back_in_any_order(count):
    """As the sink's thread and a signal's handler take it: nothing gets stuck."""
    queue = make_queue(10_000)
    for number in range(2 * count):
        queue.put(b"%d" % number, number % 2)
    earlier = queue.take(queue.bytes // 2 - OVERHEAD * count)
    later = queue.take(1_000_000)
    queue.put(b"last", DEBUG)
    assert earlier
    assert later
    queue.put_back(earlier)
    queue.put_back(later)
    assert [*texts(earlier), *texts(later), b"last"] == texts(queue.take(1_000_000))
    assert 0 == queue.items


def test_put_back_keeps_to_the_bounds():
    """What came meanwhile may have taken the room: the same rule says what goes."""
    queue = filled(make_queue(3), (b"i1", INFO), (b"e1", ERROR))
    taken = queue.take(1000)
    filled(queue, (b"d", DEBUG), (b"i2", INFO), (b"w", WARNING))
    queue.put_back(taken)
    assert {"debug": 1, "info": 1} == queue.dropped
    assert [b"e1", b"i2", b"w"] == texts(queue.take(1000))


def test_numbers_are_zero_when_all_is_taken():
    """Nothing is counted twice on any way through."""
    queue = filled(make_queue(5, 3000), *[(b"x" * number, number % 5) for number in range(40)])
    queue.put_back(queue.take(50))
    queue.put(b"x" * 5000, INFO)
    queue.take(100_000)
    assert (0, 0) == (queue.items, queue.bytes)


def test_events_follow_what_is_in_the_queue():
    """`some` with the first line, `enough` with a batch; taking and putting back set them."""

    def state():
        return queue.some.rings, queue.enough.rings

    queue = make_queue(batch_bytes=2 * (100 + OVERHEAD))
    states = [state()]
    queue.put(b"x" * 100, INFO)
    states.append(state())
    queue.put(b"x" * 100, INFO)
    states.append(state())
    first = queue.take(1)
    states.append(state())
    second = queue.take(1)
    states.append(state())
    queue.put_back(second)
    queue.put_back(first)
    states.append(state())
    nothing, some, enough = (False, False), (True, False), (True, True)
    assert [nothing, some, enough, some, nothing, enough] == states


def test_wake_lasts_until_the_next_take():
    """Whoever is woken takes; after that it waits again instead of turning in circles."""
    queue = make_queue()
    queue.wake()
    assert (True, True) == (queue.some.rings, queue.enough.rings)
    queue.take(100)
    assert (False, False) == (queue.some.rings, queue.enough.rings)


def test_the_overhead_is_what_python_needs():
    """So that `max_bytes` is what the process really takes, and not far less."""
    count, size = 20_000, 200
    queue = make_queue(count, 10**9, 10**9)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            queue.put(b"x" * size, number % 5)
        each = (tracemalloc.get_traced_memory()[0] - before) / count - size
    finally:
        tracemalloc.stop()
    assert each <= OVERHEAD <= 1.5 * each


def test_threads_lose_and_double_nothing():
    """Eight put, one takes and puts back: all is there once, and each thread's lines in order."""
    threads, count = 8, 5000
    queue = make_queue(threads * count)
    found: list[bytes] = []

    def put(name):
        for number in range(count):
            queue.put(b"%d %d" % (name, number), number % 5)

    writers = [threading.Thread(target=put, args=(name,)) for name in range(threads)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers) or queue.items:
        taken = queue.take(2000)
        middle = len(taken) // 2
        found += texts(taken[:middle])
        queue.put_back(taken[middle:])
        if len(taken) == 1:
            found += texts(queue.take(1))
    assert (0, 0, {}) == (queue.items, queue.bytes, queue.dropped)
    expected = [[b"%d %d" % (name, number) for number in range(count)] for name in range(threads)]
    assert expected == [[x for x in found if x.startswith(b"%d " % n)] for n in range(threads)]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_a_signal_handler_may_log_within_any_of_it():
    """The numbers stay right when a handler puts a line in the middle of a put or a take."""
    queue = make_queue(20, batch_bytes=500)
    put = [0]
    taken: list[object] = []

    def handle(*_):
        put[0] += 1
        queue.put(b"handler", put[0] % 5)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            for number in range(25):
                put[0] += 1
                queue.put(b"x" * number, number % 5)
            queue.put_back(queue.take(50))
            taken += queue.take(200)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    taken += queue.take(1_000_000)
    assert (0, 0) == (queue.items, queue.bytes)
    assert put[0] == len(taken) + sum(queue.dropped.values())


def test_dropped_names_levels_of_the_contract():
    """Only those of which something went."""
    queue = filled(make_queue(1), *[(b"x", rank) for rank in range(5)])
    assert {level: 1 for level in LEVELS[:4]} == queue.dropped  # noqa: C420


class Interrupt(BaseException):
    """What a signal handler raises, as Ctrl-C does."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_an_exception_from_a_signal_handler_leaves_the_numbers_right():
    """Else the queue would never be empty, and the end of the process wait for it in vain."""
    queue = make_queue(20, batch_bytes=500)

    def handle(*_):
        raise Interrupt

    def work():
        while True:
            for number in range(25):
                queue.put(b"x" * number, number % 5)
            queue.put_back(queue.take(50))

    interrupted = 0
    before = signal.signal(signal.SIGALRM, handle)
    try:
        while interrupted < 1000:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003)
                work()
            except Interrupt:
                interrupted += 1
            assert queue.items == sum(len(level) for level in queue._levels)
            assert queue.some.rings or not queue.items
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    queue.take(1_000_000)
    assert (0, 0) == (queue.items, queue.bytes)
