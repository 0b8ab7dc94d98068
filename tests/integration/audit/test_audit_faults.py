"""The audit trail loses nothing that it acknowledged, and doubles nothing, on real databases.

The cases are those of `make audit-faults`, with fewer records.
"""

from __future__ import annotations

import pytest

from benchmarks.audit_faults import run_case
from benchmarks.audit_faults.bench import Scale, judge
from benchmarks.audit_faults.cases import CASES

SCALE = Scale(events=1000, rate=1000, away_s=1.0, kills=3, requests=100)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(case, kind, id=f"{case.name}-{kind}")
        for case in CASES
        for kind in case.kinds
    ],
)  # fmt: skip
def test_every_acknowledged_record_is_one_row(case, kind):
    """What a call acknowledged is there once; only what a killed app had in memory may be lost."""
    outcome = run_case(case, kind, SCALE)
    assert () == outcome.problems
    assert 0 == outcome.twice
    assert case.may_lose or outcome.lost == 0
    assert outcome.acknowledged > 0


def test_counting_finds_what_is_missing_and_what_is_doubled():
    """An acknowledged record without a row is lost; a second row of one is one too many."""
    outcome = judge({"a:0", "a:1", "a:2"}, ["a:0", "a:2", "a:2", "a:2"])
    assert (3, 4, 1, 2) == (
        outcome.acknowledged, outcome.rows, outcome.lost, outcome.twice,
    )  # fmt: skip
    assert ("1 acknowledged records are missing", "2 rows are doubled") == outcome.problems


def test_a_row_that_nobody_acknowledged_is_right():
    """An app may be killed when its record is kept and its call has not returned."""
    assert () == judge({"a:0"}, ["a:0", "a:1"]).problems
