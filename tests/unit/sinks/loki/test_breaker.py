"""Pauses between tries."""

from __future__ import annotations

import random

import pytest

from loglane.sinks.loki.breaker import Breaker


@pytest.fixture
def longest(monkeypatch):
    """Let every jitter be the longest."""
    monkeypatch.setattr(random, "uniform", lambda _shortest, longest: longest)


def test_pauses_double_up_to_a_bound(longest):
    """Half a second at first, a quarter of a minute at most, however long it goes on."""
    breaker = Breaker()
    assert [0.5, 1, 2, 4, 8, 15, 15] == [breaker.fail() for _ in range(7)]
    assert {15} == {breaker.fail() for _ in range(5000)}


def test_pauses_are_drawn_from_nothing_on(monkeypatch):
    """Full jitter: many processes do not come back at one moment."""
    monkeypatch.setattr(random, "uniform", lambda shortest, longest: (shortest + longest) / 4)
    assert 0.125 == Breaker().fail()


@pytest.mark.parametrize(
    ("asked_s", "pause_s"),
    [(None, 0.5), (0.0, 0.5), (7.0, 7.0), (1e9, 300.0), (float("inf"), 300.0)],
    ids=["nothing", "zero", "seven", "years", "ever"],
)
def test_what_loki_asks_for_is_kept_to(longest, asked_s, pause_s):
    """Unless it asks for days."""
    assert pause_s == Breaker().fail(asked_s)


def test_it_opens_after_five_and_closes_with_one():
    """Five failures in a row, and one success."""
    breaker = Breaker()
    states = []
    for _ in range(5):
        breaker.fail()
        states.append(breaker.is_open)
    assert [False] * 4 + [True] == states
    assert (True, False, False) == (breaker.succeed(), breaker.is_open, breaker.succeed())
