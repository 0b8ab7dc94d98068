"""Loki's limits for everybody, and what is different for single tenants.

Loki starts a tenant from the global limits and lays its overrides on them; a list replaces the
global list as a whole. Here a tenant's stream rules come before the global ones, which still hold
for it: a tenant that wants debug lines for a day must not lose the year that audit lines have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loglane.stack.spec import StackSpec
from loglane.stack.spec.lifecycle import Limits, RetentionStream, TenantRetention
from loglane.stack.spec.tenants import Tenant
from loglane.stack.values import hours, matchers_of

# Larger wins; both lists together hold 200 rules at most.
_TOP_PRIORITY = 1000
Item = dict[str, Any]


def retention_items(retention: TenantRetention, inherited: Sequence[RetentionStream]) -> list[Item]:
    """Return Loki's keys for a retention, its own rules first, then those that it inherits."""
    items = [_item("retention_period", retention.default)]
    rules = [
        {"selector": rule.selector, "priority": _TOP_PRIORITY - index, "period": rule.period}
        for index, rule in enumerate(stream_rules(retention, inherited))
    ]
    return [*items, _item("retention_stream", rules)] if rules else items


def stream_rules(
    retention: TenantRetention, inherited: Sequence[RetentionStream]
) -> list[RetentionStream]:
    """List stream rules, the first wins; one inherited for a selector of its own is left out."""
    own = {matchers_of(rule.selector) for rule in retention.streams}
    others = [rule for rule in inherited if matchers_of(rule.selector) not in own]
    return [*retention.streams, *others]


def limit_items(limits: Limits) -> list[Item]:
    """Return Loki's keys for the limits that hold for everybody."""
    found = []
    for name, value in limits:
        if name != "discover_service_name":
            found.append(_item(name, value))
        elif not value:
            # An empty list turns it off; left out, Loki looks at its own list of labels.
            found.append(_item(name, []))
    return found


def tenant_overrides(spec: StackSpec) -> list[Item]:
    """Return each tenant's name and Loki's keys for it; a tenant without any is left out."""
    found = []
    for name in spec.tenant_names:
        tenant = spec.tenants.get(name)
        if tenant is not None:
            own = [_item(key, value) for key, value in _own(spec, name).items()]
            keys = [*_retention_keys(spec, tenant), *own]
            found.append({"name": name, "keys": keys})
    return [item for item in found if item["keys"]]


def longest_period(spec: StackSpec, name: str) -> str:
    """Return how long a tenant's longest-lived lines are kept."""
    tenant = spec.tenants.get(name)
    own = spec.retention if tenant is None or tenant.retention is None else tenant.retention
    rules = stream_rules(own, spec.retention.streams)
    return max((own.default, *(rule.period for rule in rules)), key=hours)


def limits_of(spec: StackSpec, name: str) -> Limits:
    """Return the limits in force for a tenant, as Loki puts them together."""
    tenant = spec.tenants.get(name)
    return spec.limits if tenant is None else spec.limits.model_copy(update=_own(spec, name))


def _retention_keys(spec: StackSpec, tenant: Tenant) -> list[Item]:
    if tenant.retention is None:
        return []
    # Without a list of its own a tenant has the global one already.
    inherited = spec.retention.streams if tenant.retention.streams else ()
    return retention_items(tenant.retention, inherited)


def _own(spec: StackSpec, name: str) -> dict[str, Any]:
    """Return the limits of a tenant that are not everybody's."""
    given = {key: value for key, value in spec.tenants[name].limits if value is not None}
    longest = longest_period(spec, name)
    if hours(spec.limits.reject_old_samples_max_age) > hours(longest):
        # Lines older than any that the tenant keeps would be stored to be deleted at once.
        return {"reject_old_samples_max_age": longest, **given}
    return given


def _item(name: str, value: Any) -> Item:
    return {"name": name, "value": value}
