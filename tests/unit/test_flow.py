"""Repeated errors are held back and counted."""

from __future__ import annotations

import threading

import pytest

from loglane.flow import OTHER_PATTERNS, FlowControl


class _Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def flow(clock):
    """Pass 2 errors of a pattern in 60 s, then every third; remember 3 patterns."""
    return FlowControl(first=2, every=3, window_s=60, max_patterns=3, clock=clock, wall=clock)


def _raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def _admitted(flow, times, message="m"):
    return [flow.admit("shop", "error", message, None) for _ in range(times)]


def test_errors_pass_first_and_then_every_mth(flow):
    """With N=2 and M=3 the 1st, 2nd, 5th and 8th of a window pass."""
    expected = [True, True, False, False, True, False, False, True]
    assert expected == _admitted(flow, 8)


def test_every_zero_lets_none_pass_after_the_first(clock):
    """M=0 holds everything back after the first N."""
    flow = FlowControl(first=1, every=0, clock=clock, wall=clock)
    assert [True, False, False] == _admitted(flow, 3)


def test_a_new_window_begins_from_the_start(flow, clock):
    """After the window has ended the first N pass again."""
    _admitted(flow, 4)
    clock.now += 60
    assert [True, True, False] == _admitted(flow, 3)


def test_window_begins_at_the_patterns_first_error(flow, clock):
    """A window that has not ended goes on, however late its errors come."""
    _admitted(flow, 2)
    clock.now += 59.9
    assert [False] == _admitted(flow, 1)


def test_counting_goes_on_without_suppression(clock):
    """suppress=False counts and passes everything, and leaves nothing to sum up."""
    flow = FlowControl(first=1, every=0, suppress=False, clock=clock, wall=clock)
    assert [True] * 5 == _admitted(flow, 5)
    assert (5, False, []) == (
        flow.stats()["total_error_count"], flow.has_pending, flow.due(everything=True),
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [("billing", "error", "m", None), ("shop", "critical", "m", None), ("shop", "error", "n", None),
     ("shop", "error", "m", ValueError("x")), ("shop", "error", "m", KeyError("x"))],
    ids=["logger", "level", "message", "exception", "exception-type"],
)  # fmt: skip
def test_pattern_is_more_than_the_message(clock, other):
    """Logger, level, template and exception type each make a pattern of their own."""
    flow = FlowControl(first=1, every=0, clock=clock, wall=clock)
    flow.admit("shop", "error", "m", None)
    assert [True, False] == [flow.admit(*other), flow.admit(*other)]


def test_raising_line_makes_a_pattern_of_its_own(clock):
    """The same exception raised at another line is another pattern; its text does not count."""
    flow = FlowControl(first=1, every=0, clock=clock, wall=clock)
    errors = [_raised(ValueError(text)) for text in "ab"]
    try:
        raise ValueError("a")
    except ValueError as caught:
        errors.append(caught)
    assert [True, False, True] == [flow.admit("shop", "error", "m", error) for error in errors]
    named = {pattern["exception"] for pattern in flow.stats()["patterns"]}
    assert {"ValueError"} == named


def test_raising_line_is_the_innermost_one(flow):
    """`where` names the file and the line that raised, not the line that caught."""
    error = _raised(ValueError("x"))
    flow.admit("shop", "error", "m", error)
    line = _raised.__code__.co_firstlineno + 2
    assert f"{__file__}:{line}" == flow.stats()["patterns"][0]["where"]


def test_due_returns_ended_windows_once(flow, clock):
    """A window that ended with errors held back gives one summary of that window."""
    _admitted(flow, 2)
    clock.now += 10
    _admitted(flow, 3)
    assert [] == flow.due()
    clock.now += 50
    (summary,) = flow.due()
    found = (summary.logger, summary.level, summary.message, summary.suppressed, summary.count,
             summary.first_seen, summary.last_seen)  # fmt: skip
    assert ("shop", "error", "m", 2, 5, 1000.0, 1010.0) == found
    assert ([], False) == (flow.due(), flow.has_pending)


def test_due_resets_the_window(flow, clock):
    """After its summary a pattern begins anew."""
    _admitted(flow, 4)
    clock.now += 60
    flow.due()
    assert [True, True, False] == _admitted(flow, 3)


def test_due_everything_closes_open_windows(flow):
    """At exit the windows that are still open are summed up too."""
    _admitted(flow, 4)
    assert [2] == [summary.suppressed for summary in flow.due(everything=True)]


def test_windows_without_suppression_give_no_summary(flow, clock):
    """Errors that all passed need no summary."""
    _admitted(flow, 2)
    clock.now += 60
    assert [] == flow.due(everything=True)


def test_a_window_that_ends_unseen_keeps_its_count(flow, clock):
    """When the next error comes before anyone asked, the ended window is still summed up."""
    _admitted(flow, 4)
    clock.now += 60
    _admitted(flow, 4)
    assert [2] == [summary.suppressed for summary in flow.due()]
    assert [2] == [summary.suppressed for summary in flow.due(everything=True)]


def test_has_pending_tells_of_errors_held_back(flow):
    """It is false until an error is held back."""
    _admitted(flow, 2)
    before = flow.has_pending
    _admitted(flow, 1)
    assert (False, True) == (before, flow.has_pending)


def test_an_evicted_pattern_keeps_its_count(flow):
    """The pattern not seen for longest is forgotten; what was held back of it is summed up."""
    _admitted(flow, 4, "old")
    for message in ("a", "b", "c"):
        _admitted(flow, 1, message)
    stats = flow.stats()
    assert ["a", "b", "c"] == sorted(pattern["message"] for pattern in stats["patterns"])
    assert (3, 7, 2) == (
        stats["total_error_patterns"], stats["total_error_count"], stats["total_suppressed"],
    )  # fmt: skip
    assert [("old", 2)] == [(one.message, one.suppressed) for one in flow.due()]


def test_patterns_seen_lately_are_kept(flow):
    """A pattern that is seen again is not the next to go."""
    for message in ("a", "b", "c", "a", "d"):
        _admitted(flow, 1, message)
    found = sorted(pattern["message"] for pattern in flow.stats()["patterns"])
    assert ["a", "c", "d"] == found


def test_summaries_are_bounded_and_lose_no_count(clock):
    """When nobody asks for them, later summaries are counted together."""
    flow = FlowControl(first=0, every=0, max_patterns=1, clock=clock, wall=clock)
    for number in range(500):
        _admitted(flow, 2, f"m{number}")
    summaries = flow.due(everything=True)
    assert (101, OTHER_PATTERNS) == (len(summaries), summaries[-1].message)
    assert (1000, 1000) == (
        sum(one.suppressed for one in summaries), sum(one.count for one in summaries),
    )  # fmt: skip
    assert not flow.has_pending


def test_stats_are_ordered_and_dated(flow, clock):
    """The most frequent pattern is first, with UTC times."""
    _admitted(flow, 1, "rare")
    _admitted(flow, 2, "often")
    clock.now += 1.5
    _admitted(flow, 2, "often")
    often, rare = flow.stats()["patterns"]
    expected = {
        "logger": "shop",
        "level": "error",
        "message": "often",
        "exception": "",
        "where": "",
        "count": 4,
        "suppressed": 2,
        "first_seen": "1970-01-01T00:16:40.000000Z",
        "last_seen": "1970-01-01T00:16:41.500000Z",
    }
    assert (expected, "rare") == (often, rare["message"])


def test_texts_of_a_pattern_are_bounded(flow):
    """A long message is one pattern by its first 200 characters."""
    flow.admit("l" * 5000, "error", "m" * 5000, type("E" * 5000, (Exception,), {})())
    (pattern,) = flow.stats()["patterns"]
    assert [200, 200, 200] == [len(pattern[name]) for name in ("logger", "message", "exception")]


def test_counts_of_threads_add_up(clock):
    """Four threads lose no count."""
    flow = FlowControl(first=10, every=7, clock=clock, wall=clock)
    passed = []

    def work():
        passed.append(sum(_admitted(flow, 2000)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (summary,) = flow.due(everything=True)
    assert (10 + 7990 // 7, 8000) == (sum(passed), summary.count)
    assert 8000 == sum(passed) + summary.suppressed


def test_an_error_logged_while_one_is_counted_is_counted_too(flow, monkeypatch):
    """The lock is re-entrant, as for a signal handler that logs while an error is counted."""
    find, inner = flow._find, ["inner"]

    def interrupted(*given):
        if inner:
            flow.admit("shop", "error", inner.pop(), None)
        return find(*given)

    monkeypatch.setattr(flow, "_find", interrupted)
    flow.admit("shop", "error", "outer", None)
    found = sorted(pattern["message"] for pattern in flow.stats()["patterns"])
    assert ["inner", "outer"] == found


def test_a_forked_child_starts_clean(flow):
    """The lock is new, also when it was held, and the parent's counts are the parent's."""
    _admitted(flow, 4)
    held = threading.Thread(target=flow._lock.acquire)
    held.start()
    held.join()
    flow.reset_lock()
    assert ([True, True, False], 3) == (_admitted(flow, 3), flow.stats()["total_error_count"])
