"""A share of the lines is kept, whole traces at a time, and every error."""

from __future__ import annotations

import threading

import pytest

from loglane.sampling import Sampler


@pytest.mark.parametrize("level", ["error", "critical"])
def test_errors_are_always_kept(level):
    """No rule drops an error."""
    sampler = Sampler(0.0, {"error": 0.0, "critical": 0.0}, {"shop": 0.0})
    assert [True, True] == [sampler.keep(level, "shop", trace) for trace in (None, "t")]
    assert {} == sampler.dropped


@pytest.mark.parametrize(
    ("level", "logger", "expected"),
    [("info", "x", True), ("debug", "x", False), ("debug", "shop.orders", True),
     ("info", "shop.noisy", False), ("info", "shop.noisy.deep", False), ("info", "shopping", True),
     ("debug", "shopping", False), ("info", "", True)],
)  # fmt: skip
def test_the_most_specific_rule_counts(level, logger, expected):
    """The longest logger prefix wins over the level, and the level over the rate for all."""
    sampler = Sampler(1.0, {"debug": 0.0}, {"shop": 1.0, "shop.noisy": 0.0})
    assert expected == sampler.keep(level, logger, None)


def test_the_rate_for_all_counts_without_another_rule():
    """A level without a rule has the overall rate."""
    sampler = Sampler(0.0, {"warning": 1.0})
    assert [False, True] == [sampler.keep(level, "x", None) for level in ("info", "warning")]


def test_a_trace_is_kept_or_dropped_by_its_id():
    """The positions are those of SHA-256, the same in every process and language."""
    # sha256("a")[:8] is ca978112ca1bbdca: 0.791; of "b" 3e23e8160039594a: 0.243.
    assert [False, True, False, True] == [
        Sampler(rate).keep("info", "x", trace)
        for trace, rate in (("a", 0.79), ("a", 0.80), ("b", 0.24), ("b", 0.25))
    ]


def test_a_trace_is_whole_whatever_the_logger():
    """Lines of one trace at one rate share their fate, from every logger and at every level."""
    sampler = Sampler(0.5)
    for number in range(50):
        kept = {
            sampler.keep(level, logger, f"trace-{number}")
            for level in ("debug", "info", "warning")
            for logger in ("a", "b.c")
        }
        assert 1 == len(kept)


def test_a_trace_kept_at_a_low_rate_is_kept_at_a_higher_one():
    """A service that keeps more keeps every trace of one that keeps less."""
    low, high = Sampler(0.1), Sampler(0.4)
    kept = [f"{number}" for number in range(2000) if low.keep("info", "x", f"{number}")]
    assert kept
    assert all(high.keep("info", "x", trace) for trace in kept)


@pytest.mark.parametrize(
    "form", ["{:032x}", "{}", "0af7651916cd43dd8448eb211c{:06x}", "Request-{}"],
    ids=["hex", "number", "w3c-shared-prefix", "text"],
)  # fmt: skip
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_ids_of_any_form_are_spread_evenly(form, rate):
    """Of 10,000 ids that only count up, the rate's share is kept, within five deviations."""
    sampler = Sampler(rate)
    kept = sum(sampler.keep("info", "x", form.format(number)) for number in range(10_000))
    assert abs(kept - 10_000 * rate) <= 5 * (10_000 * rate * (1 - rate)) ** 0.5


def test_without_a_trace_chance_decides(monkeypatch):
    """A random number below the rate keeps the line."""
    drawn = iter([0.29, 0.31])
    monkeypatch.setattr("random.random", lambda: next(drawn))
    sampler = Sampler(0.3)
    assert [True, False] == [sampler.keep("info", "x", trace) for trace in (None, "")]


def test_an_id_of_any_text_has_an_answer():
    """Half of a surrogate pair is an id too."""
    sampler = Sampler(0.5)
    assert sampler.keep("info", "x", "\ud800é") == sampler.keep("info", "x", "\ud800é")


def test_dropped_lines_are_counted_by_level():
    """Counts are kept, and what is handed out is a copy."""
    sampler = Sampler(0.0)
    for level in ("info", "info", "debug"):
        sampler.keep(level, "x", "t")
    sampler.dropped["info"] = 99
    assert {"info": 2, "debug": 1} == sampler.dropped


def test_counts_of_threads_add_up():
    """Four threads lose no count."""
    sampler = Sampler(0.0)

    def work():
        for _ in range(2000):
            sampler.keep("info", "x", None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"info": 8000} == sampler.dropped


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [(Sampler(), False), (Sampler(1.0, {"debug": 1.0}, {"x": 1.0}), False),
     (Sampler(1.0, {"error": 0.5}), False), (Sampler(0.5), True),
     (Sampler(1.0, {"debug": 0.5}), True), (Sampler(1.0, {}, {"x": 0.5}), True)],
    ids=["default", "all-one", "errors-only", "rate", "level", "logger"],
)  # fmt: skip
def test_active_tells_whether_anything_is_dropped(sampler, expected):
    """Rules that drop nothing need not be asked."""
    assert expected == sampler.active


def test_a_forked_child_starts_clean():
    """The lock is new, also when it was held, and the parent's counts are the parent's."""
    sampler = Sampler(0.0)
    sampler.keep("info", "x", None)
    held = threading.Thread(target=sampler._lock.acquire)
    held.start()
    held.join()
    sampler.reset_lock()
    sampler.keep("debug", "x", None)
    assert {"debug": 1} == sampler.dropped
