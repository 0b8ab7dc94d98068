"""What Grafana's alerting files insert: rules, contact points, the policy, mute times.

Grafana keeps what it was once given: leaving a thing out of a file does not take it away, naming it
in a delete list does, and naming there what was never there does no harm
(grafana: pkg/services/provisioning/alerting). Rules have fixed uids, so those that a spec does not
render are always named. Contact points and mute times have names of the operator's choice, so the
spec itself has to remember the removed ones: `alerts.removed`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from loglane.stack.alertrule import AlertRule
from loglane.stack.alertrules import UIDS, alert_rules
from loglane.stack.collecting import alert_log_url
from loglane.stack.spec import StackSpec
from loglane.stack.spec.alerts import LOG_CONTACT_POINT, ContactPoint, MuteTime
from loglane.stack.values import hours

# A day of lines is read for it, and days of room change by the hour.
_BUDGET_INTERVAL = "10m"
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def alerting_context(spec: StackSpec) -> dict[str, Any]:
    """Return what Grafana's alerting files and its mail keys insert."""
    rules = alert_rules(spec)
    rendered = {rule.uid for rule in rules}
    gone_points, gone_times = _gone(spec)
    return {
        "rule_groups": _groups(spec, rules),
        "gone_rules": [uid for uid in UIDS if uid not in rendered],
        "contact_points": _contact_points(spec) if spec.alerts.enabled else [],
        "gone_contact_points": [point_uid(name) for name in gone_points],
        "policy": _policy(spec) if spec.alerts.enabled else None,
        "reset_policy": spec.alerts.removed.policy,
        "mute_times": _mute_times(spec) if spec.alerts.enabled else [],
        "gone_mute_times": gone_times,
        "smtp": spec.grafana.smtp and spec.grafana.smtp.model_dump(),
    }


def point_uid(name: str) -> str:
    """Return the uid of a contact point: its name where Grafana takes it, else a digest of it."""
    uid = f"loglane-{name}"
    if _UID.fullmatch(uid):
        return uid
    return f"loglane-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _gone(spec: StackSpec) -> tuple[list[str], list[str]]:
    removed = spec.alerts.removed
    points, times = list(removed.contact_points), list(removed.mute_times)
    if removed.policy:
        points = [LOG_CONTACT_POINT, *sorted(spec.alerts.contact_points), *points]
        times = [*sorted(spec.alerts.mute_times), *times]
    return points, times


def _groups(spec: StackSpec, rules: tuple[AlertRule, ...]) -> list[dict[str, Any]]:
    often = spec.alerts.evaluation_interval
    seldom = max(often, _BUDGET_INTERVAL, key=hours)
    groups = [
        ("loglane", often, [rule for rule in rules if rule.key != "disk_budget"]),
        ("loglane-budget", seldom, [rule for rule in rules if rule.key == "disk_budget"]),
    ]
    return [
        {"name": name, "interval": interval, "rules": [_rule(spec, rule) for rule in found]}
        for name, interval, found in groups
        if found
    ]


def _rule(spec: StackSpec, rule: AlertRule) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "pending": rule.pending,
        "no_data": rule.no_data,
        "labels": {"severity": rule.severity, "rule": rule.key},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            **({"dashboard": rule.link} if rule.link else {}),
        },
        "datasource": getattr(spec.grafana.datasources, rule.source).uid,
        "type": rule.source,
        "expr": rule.expr,
        "seconds": round(hours(rule.window) * 3600),
        "fires": rule.fires,
        "than": rule.than,
    }


def _contact_points(spec: StackSpec) -> list[dict[str, Any]]:
    log = {
        "name": LOG_CONTACT_POINT,
        "uid": point_uid(LOG_CONTACT_POINT),
        "type": "webhook",
        "secret": None,
        "url": alert_log_url(spec),
    }
    given = sorted(spec.alerts.contact_points.items())
    return [log, *(_point(name, point) for name, point in given)]


def _point(name: str, point: ContactPoint) -> dict[str, Any]:
    return {
        "name": name,
        "uid": point_uid(name),
        "type": point.type,
        "secret": point.url_secret,
        "addresses": ";".join(point.addresses),
    }


def _policy(spec: StackSpec) -> dict[str, Any]:
    policy = spec.alerts.policy
    return {
        "contact_point": policy.contact_point or LOG_CONTACT_POINT,
        "group_wait": policy.group_wait,
        "group_interval": policy.group_interval,
        "repeat_interval": policy.repeat_interval,
        "routes": [
            {
                "contact_point": route.contact_point,
                "matchers": [
                    [label, "=", value]
                    for label, value in (("service", route.service), ("severity", route.severity))
                    if value is not None
                ],
                "mute_times": list(route.mute_times),
            }
            for route in policy.routes
        ],
    }


def _mute_times(spec: StackSpec) -> list[dict[str, Any]]:
    return [_mute_time(name, time) for name, time in sorted(spec.alerts.mute_times.items())]


def _mute_time(name: str, time: MuteTime) -> dict[str, Any]:
    return {
        "name": name,
        "weekdays": list(time.weekdays),
        "start": time.start,
        "end": time.end,
        "time_zone": time.time_zone,
    }
