"""Rules about the stack itself: refused lines, room on the disk, the collector."""

from __future__ import annotations

from collections.abc import Iterator

from loglane.stack.alertrule import AlertRule, common, dashboard, measured
from loglane.stack.capacity import (
    days_of_room_logql,
    days_of_room_promql,
    longest_retention_days,
)
from loglane.stack.metrics import COUNTERS, Counters
from loglane.stack.spec import StackSpec

_RETRY_WINDOW = "5m"
# Read by these, several lines become one, so that lines read and lines sent differ for good.
_JOINING_FORMATS = ("python", "postgresql")


def chain_rules(spec: StackSpec) -> Iterator[AlertRule]:
    """Derive the rules about the stack itself, also those that the spec turns off."""
    yield from _rejected_lines(spec)
    yield from _disk_budget(spec)
    yield from _collector_by_metrics(spec) if spec.metrics else _collector_by_silence(spec)


def _rejected_lines(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.rejected_lines
    base = common("rejected-lines", "rejected_lines", asked)
    if spec.metrics:
        counters = {"loki": "loki_discarded_samples_total", spec.collector: _counters(spec).dropped}
        expr = " or ".join(
            f'label_replace(sum by (reason) ({_grown(counter, asked.window)}), "component", '
            f'"{component}", "", "")'
            for component, counter in counters.items()
        )
        summary = (
            f"{{{{ .Labels.component }}}}: {measured()} lines refused, "
            "reason {{ .Labels.reason }}"
        )
    else:
        # What each writes when it refuses (Loki: pkg/distributor/writefailures) or gives up a
        # batch (Promtail: clients/pkg/promtail/client, Alloy: internal/component/common/loki).
        said = {"loki": "write operation failed", spec.collector: "final error sending batch"}
        expr = " or ".join(
            f"sum by (service) (count_over_time({_own(spec, component)} "
            f'|= "{text}" [{asked.window}]))'
            for component, text in said.items()
        )
        summary = f"{{{{ .Labels.service }}}} said {measured()} times: lines refused"
    yield AlertRule(
        **base,
        title="Rejected lines",
        source="prometheus" if spec.metrics else "loki",
        expr=expr,
        window=asked.window,
        fires="gt",
        than=0,
        # Nothing was refused.
        no_data="OK",
        summary=summary,
        description=f"In the last {asked.window}, Loki refused lines or the collector gave them "
        "up. Loki's own lines say why: a limit, a line too long, a line too old.",
        link=dashboard(spec, "stack-health"),
    )


def _disk_budget(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.disk_budget
    expr = days_of_room_promql(spec) if spec.metrics else days_of_room_logql(spec)
    if expr is None:
        return
    days = longest_retention_days(spec)
    yield AlertRule(
        **common("disk-budget", "disk_budget", asked),
        title="Disk budget",
        source="prometheus" if spec.metrics else "loki",
        expr=expr,
        window="1d",
        fires="lt",
        than=days,
        # No line arrives at all, so none fills the disk.
        no_data="OK",
        summary=f"{spec.disk_budget} hold {measured()} days of lines, {days:g} are kept",
        description="At today's rate the store outgrows disk_budget before the oldest lines are "
        "deleted. Keep less (retention, drop rules), or give it more room.",
        link=dashboard(spec, "volume"),
    )


def _collector_by_silence(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.collector_lag
    own = _own(spec, "loki", spec.collector, "grafana")
    yield AlertRule(
        **common("collector-lag", "collector_lag", asked),
        title="The collector is silent",
        source="loki",
        expr=f"sum(count_over_time({own}[{asked.silence}])) or vector(0)",
        window=asked.silence,
        fires="lt",
        than=1,
        no_data="Alerting",
        summary=f"No line of the stack's own containers for {asked.silence}",
        description=f"They always write some, so {spec.collector} reads or sends nothing. See "
        f"`loglane compose logs {spec.collector}`.",
        link=dashboard(spec, "stack-health"),
    )


def _collector_by_metrics(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.collector_lag
    counters = _counters(spec)
    link = dashboard(spec, "stack-health")
    yield AlertRule(
        **common("collector-down", "collector_lag", asked),
        title="The collector is down",
        source="prometheus",
        expr='up{job="collector"}',
        window="5m",
        fires="lt",
        than=1,
        no_data="Alerting",
        summary=f"{spec.collector} does not answer Prometheus",
        description="While it is down no container's lines are read. Docker keeps what its log "
        f"files hold. See `loglane compose ps` and `loglane compose logs {spec.collector}`.",
        link=link,
    )
    retries, sent = (
        f"sum(increase({c}[{_RETRY_WINDOW}]))" for c in (counters.retries, counters.sent)
    )
    yield AlertRule(
        **common("collector-stuck", "collector_lag", asked),
        title="The collector cannot send",
        source="prometheus",
        expr=f"{retries} unless {sent} > 0",
        window=_RETRY_WINDOW,
        fires="gt",
        than=0,
        # It has sent something, or had no need to try again.
        no_data="OK",
        summary=f"{spec.collector} tries again and again and sends nothing",
        description="Loki does not take its lines. They wait, up to the limit of its retries. See "
        "`loglane compose ps` and `loglane compose logs loki`.",
        link=link,
    )
    if any(item.format in _JOINING_FORMATS for item in spec.services.values()):
        return
    yield AlertRule(
        **common("collector-lag", "collector_lag", asked),
        title="The collector lags behind",
        source="prometheus",
        expr=_waiting(counters),
        window="5m",
        fires="gt",
        than=asked.lines_above,
        no_data="OK",
        summary=f"{spec.collector}: {measured()} lines read and not yet sent",
        description="It reads faster than Loki takes. See whether Loki answers with 429 (a limit) "
        "or is slow, and which service writes most.",
        link=link,
    )


def _counters(spec: StackSpec) -> Counters:
    return COUNTERS[spec.collector]


def _waiting(counters: Counters) -> str:
    read = " + ".join(f"(sum({name}) or vector(0))" for name in counters.read)
    gone = (counters.sent, counters.dropped, counters.stage_dropped)
    return f"{read} - " + " - ".join(f"(sum({name}) or vector(0))" for name in gone)


def _grown(counter: str, window: str) -> str:
    # A counter is born with its first value, which increase() does not see.
    return f"({counter} unless {counter} offset {window}) or increase({counter}[{window}])"


def _own(spec: StackSpec, *components: str) -> str:
    """Select the lines of the stack's own containers."""
    matchers = [f'service=~"{"|".join(components)}"']
    if "compose_project" in spec.labels:
        matchers.append(f'compose_project="{spec.project}"')
    return f"{{{', '.join(matchers)}}}"
