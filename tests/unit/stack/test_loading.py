"""From two files to a validated spec, or to every problem in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loglane.errors import SpecError
from loglane.fields import LABELS
from loglane.stack.loading import load_spec


@pytest.fixture
def files(tmp_path):
    """Return a function that writes base and overlay and loads them."""

    def load(base: str, overlay: str = "env: dev\n", env: str = "dev"):
        folder = tmp_path / "environments"
        folder.mkdir(exist_ok=True)
        (folder / "dev.yaml").write_text(overlay)
        (tmp_path / "stack.yaml").write_text(base)
        return load_spec(tmp_path / "stack.yaml", env)

    return load


def problems(files, base: str, overlay: str = "env: dev\n", env: str = "dev") -> list[str]:
    """Return the problems as `file:line: path: message`, without the folder."""
    with pytest.raises(SpecError) as caught:
        files(base, overlay, env)
    return [
        f"{Path(p.file or '').name}:{p.line}: {p.path}: {p.message}" for p in caught.value.problems
    ]


def test_spec_of_an_empty_map_is_the_defaults(files):
    """Every key has a default, so a project name is enough."""
    spec = files("project: mine\n")
    assert ("mine", "dev", LABELS, "31d") == (
        spec.project,
        spec.env,
        spec.labels,
        spec.retention.default,
    )


def test_overlay_merges_maps_and_replaces_lists(files):
    """A map keeps the keys that the overlay leaves out; a list is taken whole."""
    spec = files(
        "ports: {loki: 1100, grafana: 1000}\napps: {services: [a, b]}\n",
        "env: dev\nports: {grafana: 2000}\napps: {services: [c]}\n",
    )
    assert (1100, 2000, ("c",)) == (spec.ports.loki, spec.ports.grafana, spec.apps.services)


def test_overlay_null_takes_a_key_back_to_its_default(files):
    """Null deletes what the base says."""
    spec = files("retention: {default: 90d}\n", "env: dev\nretention: null\n")
    assert "31d" == spec.retention.default


def test_overlay_null_deletes_also_where_the_base_has_no_such_map(files):
    """A null is no value, wherever it stands."""
    assert 3100 == files("project: x\n", "env: dev\nports: {loki: null}\n").ports.loki


@pytest.mark.parametrize(
    "selector",
    [
        '{level!=""}',
        '{level="a", service=~".*"}',
        '{level=~"a\\\\.b|c"}',
        '{level=~"\\\\pL+"}',
        '{level=~"a\\\\\\\\1"}',
        '{level=~"debug\\\\z"}',
        '{level=~"(?U)a+"}',
        '{level=~"[[:alpha:](]+"}',
        '{level=~"\\\\Q(\\\\E"}',
        '{level=~"(?<a>x)"}',
    ],
)
def test_selectors_that_loki_takes_are_taken(files, selector):
    """One matcher that cannot match an empty value is enough, in any of its forms."""
    spec = files(f"retention: {{streams: [{{selector: '{selector}', period: 7d}}]}}\n")
    assert selector == spec.retention.streams[0].selector


def test_a_duplicate_key_hides_no_other_problem(files):
    """Duplicate keys of both files and wrong values come in one report."""
    found = problems(files, "ports: {loki: 1, loki: 2}\nxx: 1\n", "env: dev\nyy: 1\nyy: 2\n")
    assert ["dev.yaml:3: yy", "dev.yaml:3: yy", "stack.yaml:1: ports.loki", "stack.yaml:2: xx"] == [
        ": ".join(text.split(": ")[:2]) for text in found
    ]


def test_problems_of_both_files_come_together_with_their_lines(files):
    """One run names every mistake, at the file and line where it was written."""
    found = problems(
        files,
        "project: Log Lane\nimages:\n  loki: grafana/loki:latest\ncolector: promtail\n",
        "env: dev\nports:\n  grafana: '3000'\n  lokki: 1\n",
    )
    assert [
        "dev.yaml:3: ports.grafana: '3000' should be a whole number, without quotes",
        "dev.yaml:4: ports.lokki: unknown key; did you mean 'loki'?",
        "stack.yaml:1: project: 'Log Lane': not a compose project name; use lower-case letters, "
        "digits, - and _, 63 at most",
        "stack.yaml:3: images.loki: 'grafana/loki:latest': the tag 'latest' changes under you; "
        "name a version",
        "stack.yaml:4: colector: unknown key; did you mean 'collector'?",
    ] == found


BAD = {
    "no-tag": ("images: {loki: grafana/loki}", "images.loki", "has no tag"),
    "bad-image": ("images: {loki: 'Grafana Loki:1'}", "images.loki", "not an image reference"),
    "image-newline": ('images: {loki: "a:1\\nb: 2"}', "images.loki", "not an image reference"),
    "port-zero": ("ports: {loki: 0}", "ports.loki", "greater than or equal to 1"),
    "port-taken": ("ports: {loki: 3000}", "ports.grafana", "3000 is taken by ports.loki"),
    "port-bool": ("ports: {loki: yes}", "ports.loki", "whole number"),
    "address": ("bind_address: localhost", "bind_address", "not an IP address"),
    "address-zone": ("bind_address: fe80::1%eth0", "bind_address", "not an IP address"),
    "address-breakout": ('bind_address: "::1%x]:1:1"', "bind_address", "not an IP address"),
    "label-camel": ("labels: [service, env, level, orderId]", "labels[3]", "too many values"),
    "label-id": ("labels: [service, env, level, user_id]", "labels[3]", "too many values"),
    "label-uuid": ("labels: [service, env, level, cartuuid]", "labels[3]", "too many values"),
    "label-message": ("labels: [service, env, level, message]", "labels[3]", "too many values"),
    "label-id-place": ("labels: [service, env, level, order_id]", "labels[3]", 'order_id="..."'),
    "label-name": ("labels: [service, env, level, 'a-b']", "labels[3]", "not a name"),
    "label-reserved": ("labels: [service, env, level, __x]", "labels[3]", "reserved"),
    "label-twice": ("labels: [service, env, level, env]", "labels[3]", "listed twice"),
    "label-missing": ("labels: [service, env]", "labels", "'level' is missing"),
    "label-16": (
        f"labels: [service, env, level, {', '.join(f'x{n}' for n in range(13))}]",
        "labels",
        "16 labels; Loki takes 15",
    ),
    "metadata-label": (
        "structured_metadata: [service]",
        "structured_metadata[0]",
        "is a label already",
    ),
    "metadata-body": ("structured_metadata: [message]", "structured_metadata[0]", "in the line"),
    "metadata-collector": (
        "labels: [service, env, level]\nstructured_metadata: [container_name]",
        "structured_metadata[0]",
        "can only be a label",
    ),
    "burst": (
        "limits: {ingestion_rate_mb: 50, ingestion_burst_size_mb: 10}",
        "limits.ingestion_burst_size_mb",
        "less than ingestion_rate_mb, 50",
    ),
    "line-size": ("limits: {max_line_size: 9999999GB}", "limits.max_line_size", "KB or MB"),
    "retention-long": ("retention: {default: 300y}", "retention.default", "100 years"),
    "retention-short": ("retention: {default: 23h}", "retention.default", "shorter than 24h"),
    "retention-text": ("retention: {default: long}", "retention.default", "not a duration"),
    "retention-number": ("retention: {default: 31}", "retention.default", "should be a string"),
    "selector-filter": (
        'retention: {streams: [{selector: \'{level="debug"} |= "x"\', period: 7d}]}',
        "retention.streams[0].selector",
        "label matchers only",
    ),
    "selector-empty": (
        "retention: {streams: [{selector: '{level=~\".*\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "cannot match an empty value",
    ),
    "selector-matches-empty": (
        "retention: {streams: [{selector: '{level=~\"a*\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "cannot match an empty value",
    ),
    "selector-lookahead": (
        "retention: {streams: [{selector: '{level=~\"(?=x)y\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "no regular expression of Loki's",
    ),
    "selector-huge-repeat": (
        "retention: {streams: [{selector: '{level=~\"a{99999999999999}\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "repeats more than 1000 times",
    ),
    "selector-back-reference": (
        "retention: {streams: [{selector: '{level=~\"(a)\\\\1\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "no regular expression of Loki's",
    ),
    "selector-python-only": (
        "retention: {streams: [{selector: '{level=~\"debug\\\\Z\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "no regular expression of Loki's",
    ),
    "selector-bracket": (
        "retention: {streams: [{selector: '{level=~\"(debug\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "'(' is not closed",
    ),
    "may-nothing": (
        "gateway: {users: [{name: shop, may: []}]}",
        "gateway.users[0].may",
        "a list should be at least 1 long",
    ),
    "may-unknown": (
        "gateway: {users: [{name: shop, may: [delete]}]}",
        "gateway.users[0].may[0]",
        "'delete' is not one of: 'push' or 'query'",
    ),
    "tls-true": ("gateway: {tls: {mode: on}}", "gateway.tls.mode", "true is not one of"),
    "selector-control": (
        'retention: {streams: [{selector: "{level=\\"\\x7f\\"}", period: 7d}]}',
        "retention.streams[0].selector",
        "not a stream selector",
    ),
    "drop-bracket": (
        "services: {a: {drop: ['(']}}",
        "services.a.drop[0]",
        "is not closed",
    ),
    "drop-set": (
        "services: {a: {drop: ['[a']}}",
        "services.a.drop[0]",
        "is not closed",
    ),
    "drop-star": (
        "services: {a: {drop: ['*']}}",
        "services.a.drop[0]",
        "nothing to repeat",
    ),
    "drop-twice": (
        "services: {a: {drop: ['a**']}}",
        "services.a.drop[0]",
        "nothing to repeat",
    ),
    "drop-close": (
        "services: {a: {drop: ['a)']}}",
        "services.a.drop[0]",
        "closes nothing",
    ),
    "drop-backslash": (
        "services: {a: {drop: ['a\\']}}",
        "services.a.drop[0]",
        "is not closed",
    ),
    "drop-order": (
        "services: {a: {drop: ['a{3,2}']}}",
        "services.a.drop[0]",
        "more often than its limit",
    ),
    "label-own": ("labels: [service, env, level, loglane_tenant]", "labels[3]", "collector's own"),
    "service-label-own": (
        "services: {a: {labels: {loglane_tenant: b}}}",
        "services.a.labels.loglane_tenant",
        "collector's own",
    ),
    "service-label-broken": (
        "services: {a: {labels: {team: 'x\ufffd'}}}",
        "services.a.labels.team",
        "printable",
    ),
    "selector-label": (
        "retention: {streams: [{selector: '{nope=\"x\"}', period: 7d}]}",
        "retention.streams[0].selector",
        "'nope' is no label of this stack",
    ),
    "collector": ("collector: alloyy", "collector", "not one of: 'promtail'"),
    "dashboard": (
        "grafana: {dashboards: [logs-overvew]}",
        "grafana.dashboards[0]",
        "did you mean 'logs-overview'?",
    ),
    "folder-newline": ('grafana: {folder: "a\\nb"}', "grafana.folder", "printable"),
    "folder-line-separator": ('grafana: {folder: "a\\u2028b"}', "grafana.folder", "printable"),
    "apps-both": ("apps: {label: a=b, services: [c]}", "apps", "either label or services"),
    "apps-none": ("apps: {label: null}", "apps", "either label or services"),
    "apps-name": ("apps: {services: ['a b']}", "apps.services[0]", "use letters"),
    "memory": ("resources: {loki: {cpus: 1, memory: 1GB}}", "resources.loki.memory", "k, m or g"),
    "memory-least": ("resources: {loki: {cpus: 1, memory: 1k}}", "resources.loki.memory", "6m"),
    "cpus-bool": ("resources: {loki: {cpus: yes, memory: 1g}}", "resources.loki.cpus", "a number"),
    "cpus-text": ("resources: {loki: {cpus: '2', memory: 1g}}", "resources.loki.cpus", "a number"),
    "cpus-nan": ("resources: {loki: {cpus: .nan, memory: 1g}}", "resources.loki.cpus", ""),
    "resource-missing": ("resources: {loki: {cpus: 1}}", "resources.loki.memory", "is missing"),
    "map-for-value": ("project: {a: 1}", "project", "should be a string"),
    "value-for-map": ("ports: 3", "ports", "should be a map"),
    "value-for-list": ("labels: service", "labels", "should be a list"),
}


@pytest.mark.parametrize(("base", "path", "part"), BAD.values(), ids=BAD)
def test_spec_refuses_a_wrong_value_at_its_path(files, base, path, part):
    """One wrong value is one problem that names its path and what would be right."""
    with pytest.raises(SpecError) as caught:
        files(base + "\n")
    found = caught.value.problems
    line = base.count("\n") + 1
    assert [(path, line)] == [(problem.path, problem.line) for problem in found]
    assert part in found[0].message


def test_overlay_for_another_environment_is_noticed(files):
    """An overlay that says another environment's name is refused at that line."""
    found = problems(files, "project: x\n", "env: prod\n")
    assert [
        "dev.yaml:1: env: is 'prod', but the environment 'dev' was asked for; write env: dev in"
    ] == [text.rpartition(" in ")[0] + " in" for text in found]


def test_outside_of_a_project_it_says_where_to_run(tmp_path):
    """A spec that is not there is said before anything about environments."""
    with pytest.raises(SpecError, match="no such spec; run this at the top of a project"):
        load_spec(tmp_path / "stack" / "stack.yaml", "dev")


def test_unknown_environment_lists_the_known_ones(files):
    """Asking for an environment without an overlay names those that there are."""
    with pytest.raises(SpecError, match=r"no environment 'deev'; there are: dev.*mean 'dev'"):
        files("project: x\n", env="deev")


@pytest.mark.parametrize("env", ["../dev", "", "dev\0", "a/b"])
def test_environment_name_cannot_leave_its_folder(files, env):
    """Only names of overlays beside the spec are environments."""
    with pytest.raises(SpecError, match="no environment"):
        files("project: x\n", env=env)
