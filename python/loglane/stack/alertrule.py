"""One alert rule: what it asks, when it fires and what it then says.

Texts are templates of Grafana's. They read `.Labels` and `.Values`, never `$labels` and `$values`:
which dollars of a provisioned annotation are expanded differs between Grafana's versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loglane.stack.spec import StackSpec
from loglane.stack.spec.alerts import Rule as RuleSpec


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule: an instant query, compared with a number.

    Attributes:
        uid: Fixed, so that a later rendering changes this rule and adds no second one.
        key: The key below `alerts.rules` that it comes from; also its label `rule`.
        source: Which datasource is asked.
        window: How far the query looks back, as a duration.
        fires: Whether it fires above or below `than`.
        no_data: Its state when the query has no answer.
        link: Path to the dashboard that shows more, or None.
    """

    uid: str
    title: str
    key: str
    severity: str
    pending: str
    source: Literal["loki", "prometheus"]
    expr: str
    window: str
    fires: Literal["gt", "lt"]
    than: float
    no_data: Literal["OK", "Alerting"]
    summary: str
    description: str
    link: str | None = None


def common(name: str, key: str, asked: RuleSpec) -> dict[str, str]:
    """Return the fields that follow from a rule's name, its key and the spec."""
    return {
        "uid": f"loglane-{name}",
        "key": key,
        "severity": asked.severity,
        "pending": asked.pending_period,
    }


def measured(function: str = "humanize") -> str:
    """Return the template of the value that a rule compares.

    A query without an answer has none. Its texts are expanded all the same, each minute, and a
    value that is missing is an error in Grafana's log (grafana: ngalert/state/template).
    """
    return f"{{{{ with .Values.B }}}}{{{{ {function} .Value }}}}{{{{ end }}}}"


def dashboard(spec: StackSpec, name: str) -> str | None:
    """Return the path of a dashboard, or None where the spec leaves it out."""
    return f"/d/loglane-{name}" if name in spec.dashboards else None
