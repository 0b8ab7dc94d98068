"""The benchmark of the audit trail judges rightly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.audit.call import Call
from benchmarks.audit.goals import judge
from benchmarks.audit.memory import Memory
from benchmarks.audit.rates import Rates

# Each at what is just allowed.
RATES = Rates(batched=[20_000.0, 10_000.0, 40_000.0], one_by_one=[1_000.0, 500.0, 1_000.0])
CALL = Call(plain=15.0, marked=20.0, more=5.0, steady={})
MEMORY = Memory(events=100, rows=100, waited=90, grown_bytes=128 * 2**20, seconds=1.0)


def missed(rates=RATES, call=CALL, memory=MEMORY):
    verdicts = judge({"sqlite": rates}, call, memory)
    return [place for place, verdict in enumerate(verdicts) if not verdict.met]


def test_every_goal_is_met_at_its_limit():
    """What is exactly at its limit counts; of the rounds' ratios, the median."""
    assert [] == missed()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"rates": Rates(batched=[19_000.0], one_by_one=[1_000.0])}, [0]),
        ({"call": replace(CALL, marked=20.1)}, [1]),
        ({"call": replace(CALL, more=5.1)}, [2]),
        ({"memory": replace(MEMORY, grown_bytes=129 * 2**20)}, [3]),
        ({"memory": replace(MEMORY, rows=99)}, [4]),
    ],
    ids=["slow worker", "slow call", "much slower than a plain one", "memory", "a row is missing"],
)
def test_a_goal_is_missed_beyond_its_limit(changed, expected):
    """Each goal is judged by itself."""
    assert expected == missed(**changed)
