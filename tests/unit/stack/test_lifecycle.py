"""How long lines live: what the spec says, what Loki is told, and what the bucket's policy does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loglane.stack.render import render
from loglane.stack.spec import StackSpec
from loglane.stack.values import go_duration, hours, matchers_of

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "templates"
S3 = {"type": "s3", "bucket": "example-logs", "region": "eu-central-1"}
LOKI, OVERRIDES, POLICY = (
    f"stack/rendered/loki/{name}"
    for name in ("loki.yaml", "overrides.yaml", "bucket-lifecycle.json")
)


def tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def spec(**keys) -> StackSpec:
    return StackSpec.model_validate(tuples({"env": "dev", **keys}))


def rendered(**keys) -> dict[str, Any]:
    """Return Loki's rendered files by path, parsed."""
    tree = render(spec(**keys), TEMPLATES)
    return {path: yaml.safe_load(text) for path, text in tree.items() if "/loki/" in path}


def problems(**keys) -> list[str]:
    """Return `path: message` of what is wrong with a spec."""
    with pytest.raises(ValidationError) as caught:
        spec(**keys)
    return [
        f"{'.'.join(map(str, (*item['loc'], *place)))}: {message}"
        for item in caught.value.errors()
        for place, message in item["ctx"]["error"].found
    ]


def rule(selector: str, period: str) -> dict[str, str]:
    return {"selector": selector, "period": period}


def test_loki_is_told_the_phases():
    """Hot is the chunk's age, delete the compactor's delay, both in Go's units."""
    found = rendered(retention={"phases": {"hot": "90m", "delete": "0d3h"}})[LOKI]
    assert ("1h30m", "30m", "3h") == (
        found["ingester"]["max_chunk_age"],
        found["ingester"]["chunk_idle_period"],
        found["compactor"]["retention_delete_delay"],
    )


def test_a_chunk_is_never_idle_for_longer_than_it_may_be_hot():
    """A short hot phase also shortens the wait for a stream that has fallen silent."""
    ingester = rendered(retention={"phases": {"hot": "10m"}})[LOKI]["ingester"]
    assert ("10m", "10m") == (ingester["max_chunk_age"], ingester["chunk_idle_period"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h", "2h"), ("90m", "1h30m"), ("1d1s", "24h1s"), ("30s", "30s"), ("1w", "168h")],
)
def test_go_duration_has_no_days(text, expected):
    """Go reads hours, minutes and seconds only."""
    assert expected == go_duration(hours(text))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{a="1",b="2"}', '{ b = "2" , a="1", }', True),
        ('{a="1 2"}', '{a="12"}', False),
        ('{a="1"}', '{a=~"1"}', False),
        ('{a="1"}', '{a="1",b="2"}', False),
        ('{a="1"}', '{a="1",a="1"}', True),
    ],
    ids=["order and spaces", "space in a value", "operator", "more", "repeated"],
)
def test_selectors_are_compared_by_their_matchers(one, other, same):
    """Order, spaces and repetition make no other streams."""
    assert same == (matchers_of(one) == matchers_of(other))


def test_the_same_streams_named_twice_are_refused():
    """Two rules for the same streams would have different priorities for no reason."""
    rules = [rule('{level="debug",env="dev"}', "7d"), rule('{env="dev", level="debug"}', "9d")]
    expected = "retention.streams.1.selector: the same selector as streams[0], which wins always"
    assert [expected] == problems(retention={"streams": rules})


def test_tenants_rules_come_before_those_for_everybody():
    """Loki replaces the list as a whole, so the rules for everybody stand in the tenant's too."""
    both = rendered(
        retention={"streams": [rule('{level="debug"}', "7d"), rule('{log_category="a"}', "366d")]},
        tenants={
            "team-a": {"retention": {"streams": [rule('{ level = "debug" }', "2d")]}},
            "team-b": {"retention": {"default": "14d"}},
            "team-c": {"services": ["x"]},
        },
    )
    tenants = both[OVERRIDES]["overrides"]
    assert [('{ level = "debug" }', "2d"), ('{log_category="a"}', "366d")] == [
        (item["selector"], item["period"])
        for item in sorted(tenants["team-a"]["retention_stream"], key=lambda i: -i["priority"])
    ]
    assert {"retention_period": "14d"} == tenants["team-b"]
    assert "team-c" not in tenants


def test_rules_have_priorities_of_their_own():
    """Loki takes the shorter period of two rules of one priority, so no two are equal."""
    rules = [rule(f'{{service="s{number}"}}', "2d") for number in range(100)]
    own = [rule(f'{{service="t{number}"}}', "3d") for number in range(100)]
    files = rendered(retention={"streams": rules}, tenants={"a": {"retention": {"streams": own}}})
    for stored in (
        files[LOKI]["limits_config"]["retention_stream"],
        files[OVERRIDES]["overrides"]["a"]["retention_stream"],
    ):
        priorities = [item["priority"] for item in stored]
        assert sorted(set(priorities), reverse=True) == priorities
        assert priorities[-1] > 0


def test_tenants_make_loki_ask_for_one():
    """With tenants every request names one; several can be read in one query."""
    several = rendered(tenants={"team-a": {}})[LOKI]
    assert (True, True, "/etc/loki/overrides.yaml") == (
        several["auth_enabled"],
        several["querier"]["multi_tenant_queries_enabled"],
        several["runtime_config"]["file"],
    )
    assert False is rendered()[LOKI]["auth_enabled"]


def test_a_stack_without_tenants_or_s3_has_neither_file():
    """There is no overrides file and no policy where nothing reads them."""
    assert {LOKI} == rendered().keys()


def test_overrides_of_nobody_are_an_empty_map():
    """Tenants that differ in nothing leave a file that Loki takes."""
    assert {"overrides": {}} == rendered(tenants={"team-a": {"services": ["x"]}})[OVERRIDES]


def test_changed_overrides_leave_the_container_alone():
    """Loki reads its overrides again by itself, so its container keeps its digest."""
    trees = [
        yaml.safe_load(
            render(spec(tenants={"a": {"limits": {"ingestion_rate_mb": rate}}}), TEMPLATES)[
                "docker-compose.yml"
            ]
        )["services"]["loki"]
        for rate in (1, 2)
    ]
    assert trees[0] == trees[1]


def test_a_tenant_takes_no_lines_older_than_it_keeps():
    """What a tenant deletes after two days is refused when it is older than that on arrival."""
    tenants = {"a": {"retention": {"default": "2d"}}, "b": {"retention": {"default": "9d"}}}
    found = rendered(tenants=tenants)[OVERRIDES]["overrides"]
    ages = {name: keys.get("reject_old_samples_max_age") for name, keys in found.items()}
    assert {"a": "2d", "b": None} == ages


def test_lines_older_than_any_that_is_kept_are_refused_in_the_spec():
    """They would be stored and deleted by the next run of the compactor."""
    message = (
        "'7d': no line is kept longer than 2d, so older ones would be stored and deleted at once; "
        "write 2d or less"
    )
    assert [f"limits.reject_old_samples_max_age: {message}"] == problems(
        retention={"default": "2d"}
    )
    assert [f"tenants.a.limits.reject_old_samples_max_age: {message.replace('7d', '3d')}"] == (
        problems(
            tenants={
                "a": {
                    "retention": {"default": "2d"},
                    "limits": {"reject_old_samples_max_age": "3d"},
                }
            }
        )
    )


@pytest.mark.parametrize(
    ("phases", "place"),
    [
        ({"hot": "9m"}, "hot: '9m': choose 10m to 12h"),
        ({"hot": "13h"}, "hot: '13h': choose 10m to 12h"),
        ({"delete": "19m"}, "delete: '19m': choose 20m to 7d"),
        ({"delete": "8d"}, "delete: '8d': choose 20m to 7d"),
        ({"warm": "30d"}, "cold: is missing"),
        ({"warm": "36h", "cold": "GLACIER_IR"}, "warm: '36h': S3 counts whole days"),
        ({"warm": "7d", "cold": "STANDARD_IA"}, "warm: '7d': S3 moves nothing to STANDARD_IA"),
    ],
)
def test_phases_that_cannot_be_are_refused(phases, place):
    """Each phase is bounded by what Loki or S3 can do."""
    found = problems(storage=S3, retention={"phases": phases})
    assert [f"retention.phases.{place}"] == [said[: len(place) + 17] for said in found]


def test_s3_is_told_where_the_bucket_is_and_no_keys():
    """An endpoint by http is insecure; the keys to the bucket are in no rendered file."""
    storage = {**S3, "endpoint": "http://store:9000", "path_style": True}
    tree = render(spec(storage=storage), TEMPLATES)
    loki = yaml.safe_load(tree[LOKI])
    assert {
        "bucketnames": "example-logs",
        "region": "eu-central-1",
        "endpoint": "http://store:9000",
        "s3forcepathstyle": True,
        "insecure": True,
    } == loki["common"]["storage"]["s3"]
    assert ("s3", "s3", "query_store_max_look_back_period" in loki["ingester"]) == (
        loki["schema_config"]["configs"][0]["object_store"],
        loki["compactor"]["delete_request_store"],
        False,
    )
    service = yaml.safe_load(tree["docker-compose.yml"])["services"]["loki"]
    assert "/run/secrets/s3_credentials" == service["environment"]["AWS_SHARED_CREDENTIALS_FILE"]
    assert not re.search(r"access_key|secret_access", "".join(tree.values()))


def policy(**keys) -> dict[str, dict[str, Any]]:
    """Return the policy's rules by prefix."""
    tree = render(spec(storage=S3, **keys), TEMPLATES)
    return {item["Filter"]["Prefix"]: item for item in json.loads(tree[POLICY])["Rules"]}


def test_policy_has_a_rule_for_each_tenant_and_none_for_the_index():
    """Only chunks expire; the index and the delete requests below index/ are Loki's alone."""
    found = policy(tenants={"team-a": {}})
    assert {"", "main/", "team-a/"} == found.keys()
    assert "Expiration" not in found[""]
    assert {"", "fake/"} == policy().keys()


def test_policy_moves_and_expires_in_whole_days():
    """A worked example: 90d, 1h, 7d and 4h are 98 days, and the margin is a week."""
    retention = {
        "default": "90d",
        "phases": {"hot": "1h", "warm": "30d", "cold": "STANDARD_IA", "delete": "4h"},
    }
    found = policy(retention=retention)["fake/"]
    assert ([{"Days": 30, "StorageClass": "STANDARD_IA"}], {"Days": 105}) == (
        found["Transitions"],
        found["Expiration"],
    )


def test_policy_moves_nothing_of_a_tenant_that_deletes_before():
    """What lives for two weeks never gets to the class of after a month."""
    phases = {"warm": "30d", "cold": "STANDARD_IA"}
    tenants = {"short": {"retention": {"default": "14d", "streams": [rule('{level="a"}', "7d")]}}}
    found = policy(retention={"default": "90d", "streams": [], "phases": phases}, tenants=tenants)
    assert (False, True) == ("Transitions" in found["short/"], "Transitions" in found["main/"])


# Durations of all kinds, also odd ones.
PERIODS = st.integers(24, 24 * 800).map(lambda count: f"{count}h") | st.integers(1, 900).map(
    lambda count: f"{count}d"
)
SELECTORS = ['{level="debug"}', '{level=~"info|warn"}', '{service="x", env="dev"}']
STREAMS = st.lists(
    st.tuples(st.sampled_from(SELECTORS), PERIODS), max_size=3, unique_by=lambda item: item[0]
).map(lambda rules: [rule(*item) for item in rules])
RETENTION = st.fixed_dictionaries({"default": PERIODS, "streams": STREAMS})
TENANT = st.fixed_dictionaries(
    {},
    optional={
        "retention": RETENTION,
        "limits": st.fixed_dictionaries({"reject_old_samples_max_age": PERIODS}),
    },
)
# A line may lie so far in the future when it arrives (Loki's creation_grace_period).
AHEAD_H = 10 / 60
# Compaction every 10 minutes, retention up to 15 minutes later.
RUN_H = 1.0
# A compactor that has stood still for so long has lost nothing.
OUTAGE_H = 5 * 24


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    retention=RETENTION,
    phases=st.fixed_dictionaries(
        {},
        optional={
            "hot": st.integers(10, 720).map(lambda count: f"{count}m"),
            "delete": st.integers(20, 10_000).map(lambda count: f"{count}m"),
            "warm": st.integers(30, 700).map(lambda count: f"{count}d"),
        },
    ),
    age=PERIODS,
    tenants=st.dictionaries(st.sampled_from(["team-a", "team-b", "main"]), TENANT),
)
def test_policy_never_expires_what_loki_may_still_need(retention, phases, age, tenants):
    """For any valid spec every chunk is Loki's until Loki itself has deleted its file.

    Periods are read from Loki's rendered files as Loki puts them together, not from the spec.
    """
    if "warm" in phases:
        phases = {**phases, "cold": "GLACIER_IR"}
    keys = {
        "storage": S3,
        "retention": {**retention, "phases": phases},
        "limits": {"reject_old_samples_max_age": age},
        "tenants": tenants,
    }
    try:
        tree = render(spec(**keys), TEMPLATES)
    except ValidationError:
        assume(False)
    loki = yaml.safe_load(tree[LOKI])
    overrides = yaml.safe_load(tree[OVERRIDES])["overrides"] if OVERRIDES in tree else {}
    rules = {item["Filter"]["Prefix"]: item for item in json.loads(tree[POLICY])["Rules"]}
    for name in (*({*tenants, "main"} if tenants else ("fake",)),):
        # Loki starts from the limits for everybody; a list replaces theirs as a whole.
        limits = {**loki["limits_config"], **overrides.get(name, {})}
        periods = [limits["retention_period"]]
        periods += [item["period"] for item in limits.get("retention_stream", ())]
        kept_h = max(map(hours, periods))
        # The object is made at 0, at the earliest when its newest line arrives: that line is at
        # most AHEAD_H in the future. It is marked when that line is too old, then deleted.
        delay_h = hours(loki["compactor"]["retention_delete_delay"])
        needed_until_h = AHEAD_H + kept_h + RUN_H + OUTAGE_H + delay_h
        mine = rules[f"{name}/"]
        assert needed_until_h < mine["Expiration"]["Days"] * 24
        assert all(
            move["Days"] < mine["Expiration"]["Days"] for move in mine.get("Transitions", ())
        )
    # No rule reaches anything but a tenant's chunks.
    assert {""} == {prefix for prefix, item in rules.items() if "Expiration" not in item}
    assert not [prefix for prefix in rules if prefix.startswith("index")]
