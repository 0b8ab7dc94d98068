"""The direct push loses nothing that it does not name, and doubles nothing, against a real Loki.

The cases are those of `make faults`, with fewer lines.
"""

from __future__ import annotations

import shutil

import pytest

from benchmarks.faults import run_case
from benchmarks.faults.bench import Scale
from benchmarks.faults.cases import CASES
from benchmarks.loki_process import PROGRAM

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which(PROGRAM) is None,
        reason=f"needs the program `{PROGRAM}` 3.7 on the PATH: "
        "https://github.com/grafana/loki/releases",
    ),
]

SCALE = Scale(lines=4000, rate=2000, away_s=3.0, delay_s=1.0, settle_s=120.0)
BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_line_is_stored_once_or_named(case):
    """What Loki has not is what the sink says it dropped, and no line is there twice."""
    outcome = run_case(case, SCALE)
    assert () == outcome.problems
    assert 0 == outcome.doubled
    assert case.may_lose or outcome.lost == 0


@pytest.mark.parametrize("name", ["429", "loki-killed"])
def test_counting_finds_what_a_naive_sink_loses(name):
    """A sink that drops what Loki did not take fails the case."""
    outcome = run_case(BY_NAME[name], SCALE, "dropping")
    assert outcome.lost > 0
    assert (f"{outcome.lost} lines are missing, 0 were said to be dropped",) == outcome.problems


def test_counting_finds_what_a_naive_sink_doubles():
    """A sink that sends again with a new time fails where answers were lost."""
    outcome = run_case(BY_NAME["500"], SCALE, "resending")
    assert outcome.doubled > 0
    assert f"{outcome.doubled} entries are doubled" in outcome.problems
