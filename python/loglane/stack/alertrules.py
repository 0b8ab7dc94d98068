"""The alert rules of a stack, and those about the services that write to it."""

from __future__ import annotations

from collections.abc import Iterator

from loglane.fields import ERROR_LEVELS
from loglane.stack.alertrule import AlertRule, common, dashboard, measured
from loglane.stack.chainrules import chain_rules
from loglane.stack.spec import StackSpec

# Where alerts arrive as log lines. A rule that looked at them could set itself off.
ALERT_SERVICE = "alerts"

# Every uid that any spec renders: one that this spec does not render is deleted by name.
UIDS = tuple(
    f"loglane-{name}"
    for name in (
        "error-ratio",
        "no-logs",
        "rejected-lines",
        "disk-budget",
        "collector-down",
        "collector-stuck",
        "collector-lag",
    )
)


def alert_rules(spec: StackSpec) -> tuple[AlertRule, ...]:
    """Derive the rules that a spec asks for, in the order of `UIDS`."""
    if not spec.alerts.enabled:
        return ()
    found = (*_error_ratio(spec), *_no_logs(spec), *chain_rules(spec))
    return tuple(rule for rule in found if getattr(spec.alerts.rules, rule.key).enabled)


def _error_ratio(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.error_ratio
    by = ", ".join((*(("__tenant_id__",) if spec.tenants else ()), "env", "service"))
    lines = f'service=~".+", service!="{ALERT_SERVICE}"'
    errors = f'{lines}, level=~"{"|".join(ERROR_LEVELS)}"'
    counted, of = (
        f"sum by ({by}) (count_over_time({{{matchers}}}[{asked.window}]))"
        for matchers in (errors, lines)
    )
    yield AlertRule(
        **common("error-ratio", "error_ratio", asked),
        title="Errors of a service",
        source="loki",
        expr=f"{counted} / ({of} >= {asked.min_lines})",
        window=asked.window,
        fires="gt",
        than=asked.above,
        # No service has an error, or none has enough lines.
        no_data="OK",
        summary="{{ .Labels.service }} ({{ .Labels.env }}"
        + (", tenant {{ .Labels.__tenant_id__ }}" if spec.tenants else "")
        + f"): {measured('humanizePercentage')} of its lines are errors",
        description=f"In the last {asked.window}, more than {asked.above:.3g} of its lines have "
        f"the level {' or '.join(ERROR_LEVELS)}. Open its newest errors and see what they share.",
        link=_service_dashboard(spec, "&var-env={{ .Labels.env }}"),
    )


def _no_logs(spec: StackSpec) -> Iterator[AlertRule]:
    asked = spec.alerts.rules.no_logs
    if not asked.services:
        return
    names = "|".join(name.replace(".", "[.]") for name in asked.services)
    # A service without a line is in no answer of Loki's, so each is put in with 0.
    silent = "".join(
        f' or label_replace(vector(0), "service", "{name}", "", "")' for name in asked.services
    )
    yield AlertRule(
        **common("no-logs", "no_logs", asked),
        title="No logs from a service",
        source="loki",
        expr=f'sum by (service) (count_over_time({{service=~"{names}"}}[{asked.window}])){silent}',
        window=asked.window,
        fires="lt",
        than=1,
        # Loki answers for every service, so no answer is no good sign.
        no_data="Alerting",
        summary="{{ if .Labels.service }}{{ .Labels.service }}{{ else }}Every watched service"
        "{{ end }}: no line for " + asked.window,
        description="It is down, or its lines do not arrive. See whether its container runs and "
        "whether `docker logs` has lines; if it has, look at the collector.",
        link=_service_dashboard(spec, ""),
    )


def _service_dashboard(spec: StackSpec, more: str) -> str | None:
    path = dashboard(spec, "service")
    return path and f"{path}?var-service={{{{ .Labels.service }}}}{more}"
