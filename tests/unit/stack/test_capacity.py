"""The days of room are asked for with the spec's budget, and only where there is one."""

from __future__ import annotations

import pytest

from loglane.stack import capacity
from loglane.stack.spec import StackSpec


def spec(**keys):
    return StackSpec.model_validate({"env": "dev", **keys})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"retention": {"default": "10d"}}, 10),
        ({"retention": {"default": "36h"}, "limits": {"reject_old_samples_max_age": "1d"}}, 1.5),
        (
            {
                "retention": {
                    "default": "10d",
                    "streams": ({"selector": '{level="error"}', "period": "20d"},),
                }
            },
            20,
        ),
        (
            {
                "retention": {"default": "10d"},
                "tenants": {"a": {"retention": {"default": "60d"}}, "b": {}},
            },
            60,
        ),
    ],
    ids=["default", "hours", "a stream's rule", "a tenant's"],
)
def test_longest_retention_is_the_longest_of_all_rules(keys, expected):
    """Whatever keeps a line longest counts, in days."""
    assert expected == capacity.longest_retention_days(spec(**keys))


@pytest.mark.parametrize(
    "query", [capacity.days_of_room_logql, capacity.days_of_room_promql], ids=["logql", "promql"]
)
def test_days_of_room_divide_the_budget(query):
    """The budget stands in the query in bytes, of Loki's units."""
    assert query(spec(disk_budget="2GB")).startswith(f"{2 * 1024**3} / (")


@pytest.mark.parametrize(
    "query", [capacity.days_of_room_logql, capacity.days_of_room_promql], ids=["logql", "promql"]
)
def test_days_of_room_are_not_asked_without_a_budget(query):
    """There is nothing to divide."""
    assert query(spec(disk_budget=None)) is None


def test_bytes_per_day_follow_a_selector():
    """The rate of one service can be asked for as that of all."""
    asked = capacity.bytes_per_day_logql('{service="shop"}')
    assert 3 == asked.count('{service="shop"}')
    assert capacity.EVERYTHING not in asked
