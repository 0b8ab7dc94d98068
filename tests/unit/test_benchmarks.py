"""The benchmark of the log call compares peers that say the same, and judges them rightly."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from benchmarks.log_call import cases, peers
from benchmarks.log_call.cases import CASES
from benchmarks.log_call.check import problems
from benchmarks.log_call.goals import judge, ratio
from benchmarks.log_call.rounds import PeerError, check
from benchmarks.render import big_spec
from loglane.stack.spec import StackSpec

FIVE = next(case for case in CASES if case.name == "five")
EXCEPTION = next(case for case in CASES if case.name == "exception")


@pytest.mark.parametrize("peer", peers.NAMES)
def test_peer_says_what_every_peer_says(peer):
    """A peer's lines have every field and value of each case, and no secret."""
    check([peer])


def test_peer_that_fails_is_named_with_its_reason():
    """A peer that cannot run gives an error that says which one and why."""
    with pytest.raises(
        PeerError, match=r"(?s)^no_such_peer, disabled level: .*ModuleNotFoundError"
    ):
        check(["no_such_peer"])


def line(**changed):
    """Return a line that says what the five-field case asks for, with some fields changed."""
    own = {"timestamp": datetime.now(timezone.utc).isoformat(), "level": "info"}
    own |= {"message": cases.MESSAGE, "logger": cases.LOGGER, "service": cases.SERVICE}
    record = own | {"env": cases.ENV, "trace_id": cases.TRACE_ID} | cases.FIVE | changed
    return json.dumps({name: value for name, value in record.items() if value is not None}).encode()


def test_complete_line_is_accepted():
    """A line with every field is right, whatever the case of its level."""
    assert [] == problems(FIVE, [line(level="INFO")])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"trace_id": None}, [f"trace_id is None instead of {cases.TRACE_ID!r}"]),
        ({"total": 100}, ["total is 100 instead of 99.5"]),
        ({"more": 1}, ["more is 1 instead of None"]),
        ({"timestamp": "12:00"}, ["timestamp is '12:00', not the time with its zone"]),
        ({"paid": cases.SECRETS[0]}, ["shows hunter2", "paid is 'hunter2' instead of True"]),
    ],
    ids=["field missing", "other value", "field more", "no date", "secret"],
)
def test_line_that_says_something_else_is_refused(changed, expected):
    """Each difference is named."""
    assert expected == problems(FIVE, [line(**changed)])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ["0 lines instead of 1"]),
        ([b"order_created"], ["not one JSON object: b'order_created'"]),
    ],
    ids=["none", "text"],
)
def test_what_is_no_line_is_refused(lines, expected):
    """Nothing, and what is no JSON."""
    assert expected == problems(FIVE, lines)


def test_exception_without_its_traceback_is_refused():
    """A peer may not leave the frames out."""
    short = line(
        level="error", message=cases.FAILURE, exception=cases.LAST_LINE, **dict.fromkeys(cases.FIVE)
    )
    assert ["the traceback's frames are []"] == problems(EXCEPTION, [short])


def test_nested_case_has_fifty_keys_of_which_two_are_secret():
    """The case is what its title says."""

    def keys(value):
        if isinstance(value, dict):
            return [*value, *(key for item in value.values() for key in keys(item))]
        return [key for item in value for key in keys(item)] if isinstance(value, list) else []

    found = keys(cases.NESTED)
    assert (50, 2) == (len(found), sum(key in cases.SECRET_KEYS for key in found))


# Times of one round: what the goals are about, each at what is just allowed.
AT_THE_LIMITS = {
    "disabled": {"loglane_defaults": [1.05], "structlog_fast": [1.0]},
    "five": {"loglane_defaults": [2.2], "structlog_fast": [4.4], "floor": [1.0]},
    "foreign": {"loglane_defaults": [2.31]},
    "exception": {"loglane_defaults": [105.0], "structlog_stdlib": [100.0]},
}


def test_every_goal_is_met_at_its_limit():
    """What is exactly at its limit counts."""
    assert [] == [goal for goal in judge(AT_THE_LIMITS, 15.0, 10.0) if not goal.met]


@pytest.mark.parametrize(
    ("case", "missed"),
    [("disabled", [2]), ("five", [0, 1]), ("foreign", [3]), ("exception", [4])],
)
def test_goal_is_missed_above_its_limit(case, missed):
    """A case that takes a hundredth longer misses its goals and no other."""
    row = AT_THE_LIMITS[case]
    slower = {case: row | {"loglane_defaults": [row["loglane_defaults"][0] * 1.01]}}
    verdicts = judge(AT_THE_LIMITS | slower, 15.0, 10.0)
    assert missed == [place for place, goal in enumerate(verdicts) if not goal.met]


def test_ratio_is_that_of_most_rounds():
    """A round in which the machine was slow for one peer only does not count."""
    assert 0.5 == ratio([1.0, 2.0, 9.0], [2.0, 4.0, 2.0])


def test_import_goals_are_missed_above_their_limits():
    """Milliseconds and megabytes are judged each."""
    verdicts = judge(AT_THE_LIMITS, 15.1, 10.1)
    assert [5, 6] == [place for place, goal in enumerate(verdicts) if not goal.met]


def test_goal_that_was_not_measured_is_missed():
    """No number is not a pass."""
    assert [False] * 7 == [goal.met for goal in judge({}, None, None)]


def test_growing_spec_is_a_right_one_with_its_apps_and_tenants():
    """What the benchmark renders uses every service, in a tenant for every four."""
    spec = StackSpec.model_validate({"env": "dev", **frozen(big_spec(200))})
    owned = [name for tenant in spec.tenants.values() for name in tenant.services]
    assert (200, 50, 200) == (len(spec.services), len(spec.tenants), len(set(owned)))


def frozen(value):
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value
