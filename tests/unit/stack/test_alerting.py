"""Rules, contact points, the policy and mute times, as Grafana's files say them."""

from __future__ import annotations

import re

import pytest
import yaml

from loglane.stack.alerting import point_uid
from loglane.stack.alertrules import UIDS, alert_rules
from loglane.stack.metrics import COUNTERS
from loglane.stack.render import render
from loglane.stack.spec import StackSpec

FOLDER = "stack/rendered/grafana/provisioning/alerting"
SMTP = {"smtp": {"address": "mail:25", "sender": "logs@example.org"}}


@pytest.fixture
def rendered(root):
    """Return a function that renders a spec of some keys and parses one alerting file."""

    def parse(name: str, **keys):
        tree = render(StackSpec.model_validate({"env": "dev", **keys}), root / "templates")
        return yaml.safe_load(tree[f"{FOLDER}/{name}.yaml"])

    return parse


def rules_of(**keys):
    spec = StackSpec.model_validate({"env": "dev", **keys})
    return {rule.uid: rule for rule in alert_rules(spec)}


def problem(**alerts) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        StackSpec.model_validate({"env": "dev", "alerts": alerts})
    return str(caught.value)


WATCHED = {"rules": {"no_logs": {"services": ("api", "shop.web")}}}
EVERY_STACK = [
    {},
    {"metrics": True},
    {"collector": "alloy"},
    {"collector": "alloy", "metrics": True},
    {"tenants": {"team-a": {"services": ("orders",)}}},
    {"alerts": WATCHED},
    {"alerts": WATCHED, "metrics": True},
]
IDS = ["plain", "metrics", "alloy", "alloy-metrics", "tenants", "no-logs", "no-logs-metrics"]


@pytest.mark.parametrize("keys", EVERY_STACK, ids=IDS)
def test_rules_name_every_uid_either_to_keep_or_to_delete(rendered, keys):
    """A rule of an earlier spec is never forgotten in Grafana."""
    file = rendered("rules", **keys)
    kept = [rule["uid"] for group in file["groups"] for rule in group["rules"]]
    gone = [rule["uid"] for rule in file.get("deleteRules", [])]
    assert sorted(UIDS) == sorted(kept + gone)
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in UIDS)


@pytest.mark.parametrize("keys", EVERY_STACK, ids=IDS)
def test_rules_hold_no_dollar(rendered, keys):
    """Grafana's versions differ in which dollars of a rule they expand, so there is none."""
    file = rendered("rules", **keys)
    assert "$" not in yaml.safe_dump(file)


@pytest.mark.parametrize("keys", EVERY_STACK, ids=IDS)
def test_rules_ask_one_query_then_reduce_and_compare(rendered, keys):
    """A is an instant query, B its last value, C the comparison that decides."""
    for group in rendered("rules", **keys)["groups"]:
        for rule in group["rules"]:
            query, reduced, compared = (part["model"] for part in rule["data"])
            assert query.get("queryType", query.get("instant")) in ("instant", True)
            assert ("A", "B", "C") == (
                reduced["expression"],
                compared["expression"],
                rule["condition"],
            )
            assert {"severity", "rule"} == set(rule["labels"])
            assert {"summary", "description"} <= set(rule["annotations"])
            assert "Error" == rule["execErrState"]


@pytest.mark.parametrize("keys", EVERY_STACK, ids=IDS)
def test_texts_ask_whether_there_is_a_value(keys):
    """Grafana expands them without an answer too: a missing value would be an error each minute."""
    for rule in rules_of(**keys).values():
        text = re.sub(r"{{ with \.Values\.B }}.*?{{ end }}", "", rule.summary + rule.description)
        assert ".Value" not in text


def test_rules_ask_prometheus_only_where_it_runs():
    """Without metrics every rule asks Loki."""
    assert {"loki"} == {rule.source for rule in rules_of(alerts=WATCHED).values()}
    sources = {uid: rule.source for uid, rule in rules_of(metrics=True).items()}
    assert {"loglane-error-ratio"} == {uid for uid, source in sources.items() if source == "loki"}


def test_error_ratio_leaves_quiet_services_and_alerts_alone():
    """Few lines say nothing about a ratio, and an alert's own line sets off none."""
    rule = rules_of()["loglane-error-ratio"]
    assert rule.expr.endswith(">= 20)")
    assert 2 == rule.expr.count('service!="alerts"')
    assert ("gt", 0.05, "OK") == (rule.fires, rule.than, rule.no_data)


def test_error_ratio_tells_tenants_apart():
    """Two tenants may have a service of the same name."""
    rule = rules_of(tenants={"team-a": {"services": ("orders",)}})["loglane-error-ratio"]
    assert 2 == rule.expr.count("by (__tenant_id__, env, service)")
    assert "__tenant_id__" not in rules_of()["loglane-error-ratio"].expr


def test_no_logs_puts_each_named_service_in_with_zero():
    """A service that never wrote is in no answer of Loki's, so the query adds it."""
    rule = rules_of(alerts=WATCHED)["loglane-no-logs"]
    assert 'service=~"api|shop[.]web"' in rule.expr
    for name in ("api", "shop.web"):
        assert f'label_replace(vector(0), "service", "{name}", "", "")' in rule.expr
    assert ("lt", 1, "Alerting") == (rule.fires, rule.than, rule.no_data)


def test_no_logs_watches_nobody_by_default():
    """Without named services there is no such rule."""
    assert "loglane-no-logs" not in rules_of()


def test_disk_budget_needs_a_budget():
    """`disk_budget: null` leaves the rule out; else it fires below the longest retention."""
    assert "loglane-disk-budget" not in rules_of(disk_budget=None)
    keys = {"retention": {"default": "9d", "streams": ()}}
    rule = rules_of(**keys)["loglane-disk-budget"]
    assert ("lt", 9.0) == (rule.fires, rule.than)


def test_disk_budget_is_asked_less_often(rendered):
    """Its query reads a whole day of lines, so it has a group of its own."""
    alerts = {"evaluation_interval": "20s"}
    groups = rendered("rules", alerts=alerts)["groups"]
    assert [("loglane", "20s"), ("loglane-budget", "10m")] == [
        (group["name"], group["interval"]) for group in groups
    ]


@pytest.mark.parametrize("collector", ["promtail", "alloy"])
def test_collector_rules_use_the_collector_s_own_counters(collector):
    """Promtail and Alloy count the same under different names."""
    rules = rules_of(collector=collector, metrics=True)
    counters = COUNTERS[collector]
    assert counters.retries in rules["loglane-collector-stuck"].expr
    assert counters.dropped in rules["loglane-rejected-lines"].expr
    lag = rules["loglane-collector-lag"].expr
    assert all(name in lag for name in (*counters.read, counters.sent, counters.stage_dropped))


def test_collector_lag_is_not_counted_where_lines_are_joined():
    """Lines of a traceback become one, so lines read and sent differ without any lag."""
    assert "loglane-collector-lag" in rules_of(metrics=True)
    services = {"jobs": {"format": "python"}}
    assert "loglane-collector-lag" not in rules_of(metrics=True, services=services)


def test_rules_look_at_the_stack_s_own_containers_only():
    """Another stack's Loki on the same machine is not this one's."""
    own = 'compose_project="mine"'
    rules = rules_of(project="mine")
    assert own in rules["loglane-collector-lag"].expr
    assert own in rules["loglane-rejected-lines"].expr


def test_rules_link_to_dashboards_that_are_there():
    """A link is left out with its dashboard."""
    with_link = rules_of()["loglane-error-ratio"].link
    assert with_link is not None
    assert with_link.startswith("/d/loglane-service?")
    assert {None} == {rule.link for rule in rules_of(grafana={"dashboards": ()}).values()}


def test_contact_points_read_addresses_from_secrets(rendered):
    """A web address is a file's content, which Grafana reads; mail addresses are no secret."""
    points = {
        "team": {"type": "webhook", "url_secret": "alert_webhook_url"},
        "ops": {"type": "email", "addresses": ("a@example.org", "b@example.org")},
    }
    file = rendered("contact-points", alerts={"contact_points": points}, grafana=SMTP)
    settings = {p["name"]: p["receivers"][0]["settings"] for p in file["contactPoints"]}
    assert {
        "log": {"url": "http://promtail:3500/promtail/api/v1/raw"},
        "ops": {"addresses": "a@example.org;b@example.org"},
        "team": {"url": "$__file{/run/secrets/alert_webhook_url}"},
    } == settings


@pytest.mark.parametrize("name", ["team", "a" * 64, "night.shift"], ids=["short", "long", "dot"])
def test_contact_point_uid_is_one_that_grafana_takes(name):
    """At most 40 letters, digits, - and _, and a different one for each name."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", point_uid(name))
    assert point_uid(name) != point_uid(
        name + "x"[: 64 - len(name)] if len(name) < 64 else "b" * 64
    )


def test_policy_goes_to_the_log_unless_a_contact_point_is_named(rendered):
    """By default an alert becomes a log line."""
    assert "log" == rendered("policies")["policies"][0]["receiver"]


def test_policy_routes_in_the_spec_s_order(rendered):
    """Each route carries its matchers and mute times."""
    alerts = {
        "contact_points": {"team": {"type": "slack", "url_secret": "chat"}},
        "mute_times": {"nights": {"start": "00:00", "end": "08:00"}},
        "policy": {
            "contact_point": "team",
            "routes": (
                {"contact_point": "log", "severity": "info"},
                {
                    "contact_point": "team",
                    "service": "api",
                    "severity": "critical",
                    "mute_times": ("nights",),
                },
            ),
        },
    }
    policy = rendered("policies", alerts=alerts)["policies"][0]
    assert "team" == policy["receiver"]
    assert [
        {"receiver": "log", "object_matchers": [["severity", "=", "info"]]},
        {
            "receiver": "team",
            "object_matchers": [["service", "=", "api"], ["severity", "=", "critical"]],
            "mute_time_intervals": ["nights"],
        },
    ] == policy["routes"]


def test_mute_times_say_hours_weekdays_and_zone(rendered):
    """Without weekdays a mute time is every day's."""
    times = {
        "nights": {"start": "00:00", "end": "08:00", "time_zone": "Europe/Berlin"},
        "weekends": {"weekdays": ("saturday", "sunday")},
    }
    file = rendered("mute-times", alerts={"mute_times": times})
    nights, weekends = (item["time_intervals"][0] for item in file["muteTimes"])
    assert {
        "times": [{"start_time": "00:00", "end_time": "08:00"}],
        "location": "Europe/Berlin",
    } == nights
    assert (["saturday", "sunday"], "24:00") == (
        weekends["weekdays"],
        weekends["times"][0]["end_time"],
    )


def test_removed_names_are_deleted(rendered):
    """Grafana keeps contact points and mute times until a file says that they go."""
    alerts = {"removed": {"contact_points": ("old",), "mute_times": ("lunch",)}}
    points = rendered("contact-points", alerts=alerts)["deleteContactPoints"]
    times = rendered("mute-times", alerts=alerts)["deleteMuteTimes"]
    assert [{"orgId": 1, "uid": "loglane-old"}] == points
    assert [{"orgId": 1, "name": "lunch"}] == times


def test_disabled_alerts_delete_the_rules_and_leave_the_policy_alone(rendered):
    """A policy made in the browser survives a stack whose alerts are off."""
    off = {"enabled": False}
    assert UIDS == tuple(rule["uid"] for rule in rendered("rules", alerts=off)["deleteRules"])
    assert "groups" not in rendered("rules", alerts=off)
    empty = [rendered(name, alerts=off) for name in ("contact-points", "policies", "mute-times")]
    assert [{"apiVersion": 1}] * 3 == empty


def test_disabled_alerts_take_the_policy_away_when_told_to(rendered):
    """`removed.policy` resets it, and deletes every contact point and mute time of the spec."""
    off = {
        "enabled": False,
        "contact_points": {"team": {"type": "webhook", "url_secret": "hook"}},
        "mute_times": {"nights": {"end": "08:00"}},
        "removed": {"policy": True, "contact_points": ("old",)},
    }
    points = rendered("contact-points", alerts=off)
    assert ["loglane-log", "loglane-team", "loglane-old"] == [
        point["uid"] for point in points["deleteContactPoints"]
    ]
    assert "contactPoints" not in points
    assert [1] == rendered("policies", alerts=off)["resetPolicies"]
    assert ["nights"] == [
        time["name"] for time in rendered("mute-times", alerts=off)["deleteMuteTimes"]
    ]


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ({"evaluation_interval": "15s"}, "'15s': Grafana counts in steps of 10s"),
        (
            {"contact_points": {"log": {"type": "webhook", "url_secret": "x"}}},
            "choose another name",
        ),
        (
            {
                "mute_times": {"lunch": {}},
                "removed": {"mute_times": ("lunch",)},
            },
            "'lunch' is still under alerts.mute_times",
        ),
        (
            {"enabled": False, "removed": {"contact_points": ("old",)}},
            "Grafana's policy may still use them; add `policy: true`",
        ),
        ({"removed": {"policy": True}}, "set `enabled: false`"),
        ({"removed": {"contact_points": ("log",)}}, "'log' is always there"),
    ],
    ids=["interval", "log", "still-there", "used", "policy", "log"],
)
def test_spec_refuses_what_grafana_could_not_do(alerts, said):
    """Each would stop Grafana, or quietly do something else."""
    assert said in problem(**alerts)


def test_prometheus_keeps_days_and_size_and_asks_four_jobs(root):
    """Both bounds are set, and the jobs have the names that dashboards know."""
    spec = StackSpec.model_validate({"env": "dev", "metrics": True, "collector": "alloy"})
    tree = render(spec, root / "templates")
    service = yaml.safe_load(tree["docker-compose.yml"])["services"]["prometheus"]
    assert "--storage.tsdb.retention.time=15d" in service["command"]
    assert "--storage.tsdb.retention.size=2GB" in service["command"]
    assert ("65534:65534", True, ["ALL"]) == (
        service["user"],
        service["read_only"],
        service["cap_drop"],
    )
    config = yaml.safe_load(tree["stack/rendered/prometheus/prometheus.yml"])
    assert {
        "loki": ["loki:3100"],
        "collector": ["alloy:12345"],
        "grafana": ["grafana:3000"],
        "prometheus": ["localhost:9090"],
    } == {j["job_name"]: j["static_configs"][0]["targets"] for j in config["scrape_configs"]}


def test_prometheus_is_left_out_without_metrics(root):
    """No service, no volume, no config, no datasource."""
    tree = render(StackSpec.model_validate({"env": "dev"}), root / "templates")
    compose = yaml.safe_load(tree["docker-compose.yml"])
    assert "prometheus" not in compose["services"]
    assert "prometheus-data" not in compose["volumes"]
    assert not [path for path in tree if "prometheus" in path]


def test_smtp_password_comes_from_a_file(root):
    """Grafana's mail keys are there with `grafana.smtp`; the password only with a user."""

    def mail_keys(**smtp):
        spec = {"env": "dev", "grafana": {"smtp": SMTP["smtp"] | smtp}}
        tree = render(StackSpec.model_validate(spec), root / "templates")
        environment = yaml.safe_load(tree["docker-compose.yml"])["services"]["grafana"]
        return {k: v for k, v in environment["environment"].items() if k.startswith("GF_SMTP")}

    plain = {
        "GF_SMTP_ENABLED": "true",
        "GF_SMTP_HOST": "mail:25",
        "GF_SMTP_FROM_ADDRESS": "logs@example.org",
    }
    assert plain == mail_keys()
    with_user = {
        "GF_SMTP_USER": "logs",
        "GF_SMTP_PASSWORD__FILE": "/run/secrets/grafana_smtp_password",
    }
    assert plain | with_user == mail_keys(user="logs")
