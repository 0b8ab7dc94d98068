"""The whole chain: lines through a container, the collector and Loki; what Grafana reaches."""

from __future__ import annotations

from collections.abc import Iterator

from loglane.errors import ServiceUnavailable
from loglane.stack import probe
from loglane.stack.doctor.finding import Finding
from loglane.stack.doctor.subject import Subject
from loglane.stack.layout import ADMIN_PASSWORD_FILE
from loglane.stack.loadprobe import Outcome, run_probe
from loglane.stack.probeapp import Load

_LINES = 20
# Far above what a healthy chain takes; below what anybody waits for.
_SLOW_S = 10.0


def chain_findings(subject: Subject) -> Iterator[Finding]:
    """Send lines through everything and say how long they took."""
    load = Load(lines=_LINES, rate=_LINES, timeout_s=subject.chain_timeout_s)
    try:
        outcome = run_probe(subject.client, subject.spec, load)
    except ServiceUnavailable as error:
        what = str(error).partition(";")[0]
        mend = f"{subject.compose} logs --tail 50 {subject.spec.collector}"
        yield Finding("chain", "problem", what, mend)
        return
    yield chain_finding(subject, outcome)


def chain_finding(subject: Subject, outcome: Outcome) -> Finding:
    """Judge the outcome of the doctor's probe."""
    if outcome.lost or outcome.latency is None:
        what = f"{outcome.lost} of {outcome.written} lines did not come through"
        mend = f"loglane probe --env {subject.spec.env}"
        return Finding("chain", "problem", what, mend)
    what = (
        f"{outcome.written} lines from a container to a query, the slowest in "
        f"{outcome.latency.max:.1f} s (container found in {outcome.found_after_s:.0f} s)"
    )
    if outcome.latency.max < _SLOW_S:
        return Finding("chain", "ok", what)
    return Finding("chain", "warning", what, f"loglane probe --env {subject.spec.env}")


def grafana_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether Grafana answers."""
    url = subject.url("grafana")
    if probe.answers(f"{url}/api/health"):
        yield Finding("grafana", "ok", f"answers at {url}")
    else:
        mend = f"{subject.compose} logs --tail 50 grafana"
        yield Finding("grafana", "problem", f"does not answer at {url}", mend)


def audit_findings(subject: Subject) -> Iterator[Finding]:
    """Say whether Grafana reaches the audit trail's database."""
    spec = subject.spec
    database = spec.audit.database
    if database is None:
        return
    what = f"the audit trail's database on {database.reached_at}"
    uid = spec.grafana.datasources.audit.uid
    reached, said = probe.datasource_health(spec, uid, subject.project.out / ADMIN_PASSWORD_FILE)
    if reached:
        yield Finding("audit", "ok", f"Grafana reaches {what}")
    else:
        mend = f"{subject.compose} logs --tail 50 grafana"
        yield Finding("audit", "problem", f"Grafana does not reach {what}: {said}", mend)
