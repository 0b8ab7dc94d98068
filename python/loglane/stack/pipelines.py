"""The pipelines of the collector: from discovery's labels to what Loki stores, as plain data.

Each job is a source of lines with rules for its labels and a list of stages. Both collectors'
templates print the same jobs, so that a line is stored alike whichever of them runs.
"""

from __future__ import annotations

from typing import Any

from loglane.fields import COLLECTOR_LABELS
from loglane.stack.formats import (
    Stage,
    format_stages,
    logfmt_level,
    match,
    multiline_stages,
    stage,
)
from loglane.stack.spec import StackSpec
from loglane.stack.spec.collecting import Journal, Service

# Helper labels: set by discovery, dropped before a line is sent.
READER = "loglane_reader"
TENANT = "loglane_tenant"
SOURCE = "loglane_source"

Rule = dict[str, Any]

# Loki writes several lines for each query; only the figures of slow ones are worth keeping.
_QUERY_FIGURES = (
    r'caller=(metrics\.go:\d+ [^"]*latency=fast|(engine|roundtrip)\.go:\d+ .*"executing query"'
    r'|table_manager\.go:\d+ .*"get or create table")'
)
# The collector's own errors are collected too: however fast it fails, it adds no more than this.
_OWN_LINES_A_SECOND = 100
_LOGFMT_PARTS = ("loki", "promtail", "alloy", "grafana", "prometheus")
_NGINX_PARTS = ("docker-proxy",)
# nginx too, told to write as our services do.
_LOGLANE_PARTS = ("gateway",)
_LEVEL_OF_PRIORITY = {
    "[0-2]": "critical", "3": "error", "4": "warning", "[56]": "info", "7": "debug",
}  # fmt: skip
_DOCKER = "__meta_docker_container_"


def readers(spec: StackSpec) -> dict[str, tuple[Service, list[str]]]:
    """Group the services that are read alike, by the name of the first of them.

    Extra labels do not part a group: discovery sets them, before any line is read.
    """
    groups: dict[str, tuple[Service, list[str]]] = {}
    for name, service in spec.services.items():
        reading = service.model_copy(update={"labels": {}})
        if reading == Service():
            continue
        owner = next((key for key, (known, _) in groups.items() if known == reading), name)
        groups.setdefault(owner, (reading, []))[1].append(name)
    return groups


def container_stages(spec: StackSpec) -> list[Stage]:
    """List the stages of the apps' containers."""
    return [_not_older_than_a_day(), *line_stages(spec)]


def line_stages(spec: StackSpec, helpers: tuple[str, ...] = ()) -> list[Stage]:
    """List the stages of a source of any services' lines, and drop more labels at the end."""
    tenant = [match(f'{{{TENANT}!=""}}', _tenant())] if spec.tenants else []
    dropped = [stage("label_drop", names=list(helpers))] if helpers else []
    return [*_reading(spec), *tenant, *dropped]


def own_stages(spec: StackSpec) -> list[Stage]:
    """List the stages of the stack's own containers."""
    logfmt, nginx, loglane = (
        f'{{service=~"{"|".join(parts)}"}}'
        for parts in (_LOGFMT_PARTS, _NGINX_PARTS, _LOGLANE_PARTS)
    )
    return [
        _not_older_than_a_day(),
        stage("drop", expression=_QUERY_FIGURES, drop_counter_reason="query_figures"),
        _limit(_OWN_LINES_A_SECOND, 10 * _OWN_LINES_A_SECOND),
        match(logfmt, logfmt_level()),
        match(nginx, format_stages(spec, "nginx")),
        match(loglane, format_stages(spec, "loglane")),
    ]


def container_rules(spec: StackSpec) -> list[Rule]:
    """List the rules for the labels of the apps' containers."""
    return [
        # The stack's own containers have a job of their own.
        _choice("drop", f"{_DOCKER}label_loglane_stack", spec.project),
        *_container_labels(spec),
        *_service_rules(spec),
        *_line_source(spec),
        *_tenant_rules(spec, f"{_DOCKER}label_loglane_tenant"),
    ]


def own_rules(spec: StackSpec) -> list[Rule]:
    """List the rules for the labels of the stack's own containers."""
    system = [_fixed("log_category", "system")] if "log_category" in spec.labels else []
    return [*_container_labels(spec), *system]


def journal_rules(spec: StackSpec, journal: Journal) -> list[Rule]:
    """List the rules for the labels of the host's journal."""
    unit = "__journal__systemd_unit"
    return [
        *([_choice("keep", unit, _any_of(journal.units))] if journal.units else []),
        _fixed("service", "journal"),
        # What has no unit, such as the kernel, says its name.
        _rule("__journal_syslog_identifier", "(.+)", "service"),
        _rule(unit, r"(.+?)(?:\.service)?", "service"),
        _fixed("env", spec.env),
        *(
            _rule("__journal_priority", digits, "level", level)
            for digits, level in _LEVEL_OF_PRIORITY.items()
        ),
        *_service_rules(spec),
        *_tenant_rules(spec, None),
    ]


def file_labels(spec: StackSpec, service: str) -> dict[str, str]:
    """Give the labels of a host file, as the rules would give them to a container."""
    labels = {"service": service, "env": spec.env}
    if service in spec.services:
        labels |= spec.services[service].labels
    for name, (_, names) in readers(spec).items():
        if service in names:
            labels[READER] = name
    for name, tenant in spec.tenants.items():
        if service in tenant.services:
            labels[TENANT] = name
    return labels


def _reading(spec: StackSpec) -> list[Stage]:
    default = format_stages(spec, "loglane")
    groups = readers(spec)
    if not groups:
        return default
    helpers = [READER, SOURCE] if _line_source(spec) else [READER]
    stages = {name: _service_stages(spec, reading) for name, (reading, _) in groups.items()}
    # A collector takes no match without stages, and plain lines need none.
    named = [match(f'{{{READER}="{name}"}}', found) for name, found in stages.items() if found]
    return [
        *([match(f'{{{READER}!=""}}', named)] if named else []),
        # The default comes last: it may take another service from the line, which must not bring
        # the line to a reader that discovery did not name.
        match(f'{{service!="",{READER}=""}}', default),
        stage("label_drop", names=helpers),
    ]


def _service_stages(spec: StackSpec, service: Service) -> list[Stage]:
    rate = service.rate_limit
    return [
        *multiline_stages(service.format),
        *(stage("drop", expression=text, drop_counter_reason="rule") for text in service.drop),
        *([_limit(rate.lines_per_second, rate.burst)] if rate else []),
        *format_stages(spec, service.format, service.level_numbers),
    ]


def _not_older_than_a_day() -> Stage:
    # The first run meets the whole history of every container.
    return stage("drop", older_than="24h", drop_counter_reason="older_than_a_day")


def _limit(rate: int, burst: int) -> Stage:
    # Both collectors raise a smaller number of distinct values to this one, with a warning.
    return stage(
        "limit", rate=rate, burst=burst, drop=True, by_label_name="service",
        max_distinct_labels=10_000,
    )  # fmt: skip


def _tenant() -> list[Stage]:
    return [stage("tenant", label=TENANT), stage("label_drop", names=[TENANT])]


def _container_labels(spec: StackSpec) -> list[Rule]:
    service, name = f"{_DOCKER}label_com_docker_compose_service", f"{_DOCKER}name"
    sources = {
        "container_name": (name, "/(.*)"),
        "compose_project": (f"{_DOCKER}label_com_docker_compose_project", "(.+)"),
        "stream": (f"{_DOCKER}log_stream", "(.+)"),
    }
    return [
        # A container outside compose has no service label: its name stands in. One rule, because
        # Promtail runs each of them for every line.
        {**_rule(service, "(.+);.*|;/(.*)", "service", "$1$2"), "source_labels": [service, name]},
        *(_rule(*sources[label], label) for label in spec.labels if label in COLLECTOR_LABELS),
        _fixed("env", spec.env),
    ]


def _service_rules(spec: StackSpec) -> list[Rule]:
    by_label: dict[tuple[str, str], list[str]] = {}
    for service, item in spec.services.items():
        for label in item.labels.items():
            by_label.setdefault(label, []).append(service)
    groups = readers(spec).items()
    return [
        *(_rule("service", _any_of(names), READER, key) for key, (_, names) in groups),
        *(
            # A dollar would name a group of the regular expression.
            _rule("service", _any_of(names), label, value.replace("$", "$$"))
            for (label, value), names in by_label.items()
        ),
    ]


def _line_source(spec: StackSpec) -> list[Rule]:
    """Keep the lines of two containers apart where several lines become one."""
    joined = any(multiline_stages(reading.format) for reading, _ in readers(spec).values())
    if not joined or {"container_name", "stream"} <= set(spec.labels):
        return []
    rule = _rule(READER, ".+;(.+;.+)", SOURCE)
    return [{**rule, "source_labels": [READER, f"{_DOCKER}id", f"{_DOCKER}log_stream"]}]


def _tenant_rules(spec: StackSpec, label: str | None) -> list[Rule]:
    if not spec.tenants:
        return []
    claimed = [_rule(label, f"({_any_of(spec.tenant_names)})", TENANT)] if label else []
    # What the spec says of a service counts more than what its container says of itself.
    return claimed + [
        _rule("service", _any_of(tenant.services), TENANT, name)
        for name, tenant in spec.tenants.items()
        if tenant.services
    ]


def _rule(source: str, regex: str, target: str, replacement: str = "$1") -> Rule:
    return {
        "source_labels": [source], "regex": regex, "action": "replace",
        "target_label": target, "replacement": replacement,
    }  # fmt: skip


def _choice(action: str, source: str, regex: str) -> Rule:
    return {"source_labels": [source], "regex": regex, "action": action}


def _fixed(target: str, value: str) -> Rule:
    # Without a regular expression of its own it is set directly, which costs a line less.
    return {"source_labels": [], "action": "replace", "target_label": target, "replacement": value}


def _any_of(names: tuple[str, ...] | list[str]) -> str:
    return "|".join(name.replace(".", r"\.") for name in names)
