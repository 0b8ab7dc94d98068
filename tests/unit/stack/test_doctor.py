"""The doctor's findings: what is well, what is not, and what mends it."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from loglane.errors import EnvironmentMissing, ServiceUnavailable
from loglane.stack import doctor, engine, sandbox
from loglane.stack.doctor import chain, collector, containers, files, labels, loki, machine
from loglane.stack.doctor.metrics import parse_metrics
from loglane.stack.doctor.subject import Subject
from loglane.stack.engine import Container
from loglane.stack.layout import ADMIN_PASSWORD_FILE
from loglane.stack.loadprobe import Latency, Outcome
from loglane.stack.project import open_project
from loglane.stack.reporting import Reporter
from loglane.stack.scaffold import start_project
from loglane.stack.secretfolder import SecretFolder
from loglane.stack.spec import StackSpec


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a fresh project, its files rendered, seen from its own folder."""
    start_project(tmp_path, "shop")
    monkeypatch.chdir(tmp_path)
    return open_project("dev")


def subject_of(project, *found: Container, **metrics: str) -> Subject:
    subject = Subject(project, SimpleNamespace(), found)  # type: ignore[arg-type]
    subject._metrics.update({name: parse_metrics(text) for name, text in metrics.items()})
    return subject


def container(service: str = "loki", **changes) -> Container:
    known = {
        "service": service, "name": f"shop-{service}-1", "state": "running", "health": "healthy",
        "image": "grafana/loki:3.7.6", "restarts": 0,
    }  # fmt: skip
    return Container(**{**known, **changes})


def levels(findings) -> list[str]:
    return [finding.level for finding in findings]


def test_fresh_project_has_files_and_no_secrets_yet(project):
    """What was just rendered is what the spec says; secrets are made at the first start."""
    assert ["ok"] == levels(files.rendered_findings(project))
    (found,) = files.secret_findings(project)
    assert ("warning", "loglane secrets init --env dev") == (found.level, found.mend)
    SecretFolder(project.spec, project.secrets).init()
    assert ["ok"] == levels(files.secret_findings(project))


def test_changed_file_is_named_with_the_command_that_renders(project):
    """Drift is a problem, and the file that drifted is said."""
    project.compose_file.write_text(project.compose_file.read_text() + "# mine\n")
    (found,) = files.rendered_findings(project)
    assert ("problem", "loglane render --env dev") == (found.level, found.mend)
    assert found.what.endswith(": docker-compose.yml")


@pytest.mark.parametrize(
    ("secret", "mode", "expected"),
    [("kq7Zp-R3vX9_mW2sLd8hTb", 0o644, "chmod 600"), ("short", 0o600, "loglane secrets rotate")],
    ids=["open to others", "short"],
)  # fmt: skip
def test_secret_that_is_none_is_a_problem(project, secret, mode, expected):
    """A secret that others can read or guess is named with what mends it, never shown."""
    file = project.out / "stack/secrets/grafana_admin_password"
    file.write_text(secret)
    file.chmod(mode)
    (found,) = files.secret_findings(project)
    assert "problem" == found.level
    assert found.mend.startswith(expected)
    assert secret not in found.what


def test_container_of_a_check_is_removed_when_it_is_interrupted():
    """Ctrl-C while it looks into the volumes leaves nothing behind."""
    calls = []

    def interrupted():
        raise KeyboardInterrupt

    made = SimpleNamespace(
        start=lambda: calls.append("start"),
        wait=interrupted,
        remove=lambda force: calls.append(f"remove {force}"),
    )
    client = SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: made))
    with pytest.raises(KeyboardInterrupt):
        sandbox.run_script(client, "image", "true")
    assert ["start", "remove True"] == calls


def test_metrics_are_added_up_by_label():
    """Counters of the text format are read with their labels; comments are passed over."""
    samples = parse_metrics(
        '# HELP lines x\nlines{reason="a b",tenant="t\\"1"} 2\nlines{reason="c"} 3e1\nlines 0.5\nno'
    )
    assert 32.5 == samples.total("lines")
    assert {"c": 30, "a b": 2, "": 0.5} == samples.by("lines", "reason")
    assert 0 == samples.total("others")


def test_label_with_many_values_is_named_with_its_service():
    """An id among the labels is found before the limit of streams is."""
    series = [{"service": "api", "user": str(n)} for n in range(201)] + [{"service": "web"}]
    (found,) = labels.cardinality_findings("fake", series)
    assert ("warning", "user had 201 values within a day, most by api (201)") == (
        found.level,
        found.what,
    )
    assert ["ok"] == levels(labels.cardinality_findings("fake", series[1:]))
    assert [] == list(labels.cardinality_findings("fake", []))


@pytest.mark.parametrize(
    ("count", "level"), [(3999, "ok"), (4000, "warning"), (5000, "problem")], ids=str
)
def test_open_streams_are_measured_by_the_limit(project, count, level):
    """Four fifths of the limit is near; at the limit lines are refused."""
    assert level == labels.stream_finding(subject_of(project), "fake", count).level


@pytest.mark.parametrize(
    ("last_ago_s", "up_s", "level"),
    [(100, 9000, "ok"), (3000, 9000, "problem"), (None, 300, "ok"), (None, 9000, "problem")],
    ids=["ran", "long ago", "just started", "never"],
)
def test_compaction_is_a_problem_after_three_missed_runs(project, last_ago_s, up_s, level):
    """One late run is none; three are, and so is none at all since long."""
    last = 0 if last_ago_s is None else time.time() - last_ago_s
    found = loki._run_finding(subject_of(project), "compaction", last, up_s, 600)
    assert level == found.level


def test_compactor_settings_are_read_from_what_loki_runs_with():
    """Only the compactor's part of the long answer is read; durations are Go's."""
    text = (
        "server:\n  a: 1\ncompactor:\n  compaction_interval: 1h10m0s\n  retention_enabled: true\n"
    )
    found = loki.compactor_config(text + "limits_config:\n  b: 2\n")
    assert {"compaction_interval": "1h10m0s", "retention_enabled": True} == found
    assert 4200 == loki._seconds(found["compaction_interval"], 0)
    assert {} == loki.compactor_config("server:\n  a: 1\n")


def test_retention_that_is_off_is_a_problem(project, monkeypatch):
    """A Loki that runs without retention is said, whatever the spec has."""
    text = "compactor:\n  compaction_interval: 10m0s\n  retention_enabled: false\n"
    monkeypatch.setattr(loki, "ask", lambda *_: SimpleNamespace(text=text))
    began = f"process_start_time_seconds {time.time()}\n"
    found = list(loki.compaction_findings(subject_of(project, loki=began)))
    assert [("compaction", "ok"), ("retention", "problem")] == [(f.topic, f.level) for f in found]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("promtail", 'promtail_dropped_entries_total{reason="ingester_error"} 3\n'),
        ("alloy", 'loki_write_dropped_entries_total{reason="ingester_error"} 3\n'),
    ],
    ids=["promtail", "alloy"],
)
def test_lines_that_a_collector_gave_up_are_a_problem(project, name, text):
    """Both collectors count what they drop, under names of their own."""
    spec = project.spec.model_copy(update={"collector": name})
    subject = SimpleNamespace(spec=spec, compose="loglane compose --env dev")
    found = list(collector.drop_findings(subject, parse_metrics(text)))
    assert ["ok", "problem"] == levels(found)
    assert "3 lines were given up since its start: ingester_error" == found[1].what


def test_containers_that_do_not_run_are_named(project):
    """A stack that was not started is one problem with the command that starts it."""
    (found,) = containers.container_findings(subject_of(project))
    assert ("problem", "not running: loki, promtail, grafana", "loglane up --env dev") == (
        found.level,
        found.what,
        found.mend,
    )


def test_container_that_ended_is_named_by_its_state(project):
    """What ended is not called unhealthy, though Docker keeps the last health."""
    there = [container(name) for name in ("loki", "grafana")]
    ended = container("promtail", state="exited (137)", health="unhealthy")
    found = list(containers.container_findings(subject_of(project, *there, ended)))
    assert ["promtail is exited (137)", "running and healthy: loki, grafana"] == [
        item.what for item in found
    ]


def test_container_of_another_image_is_a_problem(project, monkeypatch):
    """What runs and is not what the spec pins is said with both names."""
    monkeypatch.setattr(engine, "has_image", lambda *_: True)
    found = list(
        containers.image_findings(subject_of(project, container(image="grafana/loki:3.5.0")))
    )
    assert ["loki runs grafana/loki:3.5.0, pinned is grafana/loki:3.7.6"] == [
        item.what for item in found
    ]


def test_container_with_an_earlier_config_is_a_problem(project):
    """A config that was rendered after the container started is not what runs."""
    services = yaml.safe_load(project.compose_file.read_text())["services"]
    now = container(config_digest=services["loki"]["labels"]["loglane.config"])
    assert ["ok"] == levels(containers.applied_findings(subject_of(project, now)))
    earlier = container(config_digest="0")
    assert ["problem"] == levels(containers.applied_findings(subject_of(project, earlier)))


@pytest.mark.parametrize(
    ("seconds", "level"), [(0.4, "ok"), (-2.9, "ok"), (5, "warning"), (-700, "problem")], ids=str
)
def test_clock_that_is_off_is_measured(seconds, level):
    """A few seconds are rounding; minutes are lines that Loki refuses."""
    assert level == machine._skew("Docker", seconds, 0.0).level


def test_engine_time_with_nanoseconds_is_read():
    """Docker writes more digits than Python 3.10 reads."""
    assert "2026-11-21T10:00:00.123456+00:00" == machine._microseconds(
        "2026-11-21T10:00:00.123456789Z"
    )
    assert "2026-11-21T10:00:00.100000+01:00" == machine._microseconds(
        "2026-11-21T10:00:00.1+01:00"
    )
    assert "2026-11-21T10:00:00+00:00" == machine._microseconds("2026-11-21T10:00:00Z")


@pytest.mark.parametrize(
    ("lost", "slowest_s", "level"), [(0, 0.5, "ok"), (0, 11.0, "warning"), (1, 0.5, "problem")],
    ids=["well", "slow", "lost"],
)  # fmt: skip
def test_chain_is_judged_by_loss_and_latency(project, lost, slowest_s, level):
    """A lost line is a problem; a slow one is worth a look."""
    latency = Latency(0.1, 0.2, 0.3, slowest_s, 0.2)
    outcome = Outcome("r", 20, 20 - lost, lost, 0, 20.0, 1.0, latency)
    assert level == chain.chain_finding(subject_of(project), outcome).level


def test_without_docker_there_are_findings_and_no_error(project, monkeypatch):
    """What needs no engine is looked at; that there is none is a problem."""

    def refuse():
        raise EnvironmentMissing("Docker does not answer (gone).\nStart it")

    monkeypatch.setattr(engine, "connect", refuse)
    found = list(doctor.examine(project, Reporter(quiet=True)))
    assert [("files", "ok"), ("secrets", "warning"), ("docker", "problem")] == [
        (item.topic, item.level) for item in found
    ]


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("Loki is away"), KeyError("data"), OSError(5, "I/O")], ids=repr
)
def test_check_that_cannot_look_is_a_finding(error):
    """Whatever stops one check is a problem of its topic, and the others run."""

    def look(_subject):
        yield doctor.Finding("loki", "ok", "ready")
        raise error

    found = doctor._looked(look, None, "loki")
    assert ["ok", "problem"] == levels(found)
    assert found[1].what.startswith("cannot be looked at: ")


def with_audit(project) -> Subject:
    """Return a subject whose spec names a database, with Grafana's password in its file."""
    audit = {"database": {"address": "db:3306"}}
    spec = StackSpec.model_validate({"env": "dev", "audit": audit})
    (project.out / ADMIN_PASSWORD_FILE).write_text("not looked at\n")
    return subject_of(replace(project, spec=spec), container("grafana"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((True, "Database Connection OK"), ("ok", "Grafana reaches")),
        ((False, "lookup db: no such host"), ("problem", "Grafana does not reach")),
    ],
    ids=["reached", "not reached"],
)
def test_audit_database_is_asked_for_through_grafana(project, monkeypatch, answer, expected):
    """What counts is whether Grafana reaches it; what it says about it is repeated."""
    monkeypatch.setattr(chain.probe, "datasource_health", lambda *_: answer)
    (found,) = chain.audit_findings(with_audit(project))
    level, begin = expected
    assert (level, True) == (found.level, found.what.startswith(begin))
    assert (level == "ok") == (answer[1] not in found.what)


def test_stack_without_an_audit_database_is_not_asked_for_one(project):
    """Nothing is said of what the spec does not name."""
    assert [] == list(chain.audit_findings(subject_of(project)))
