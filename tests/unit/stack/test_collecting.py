"""The collector's jobs: one list of stages, printed by both templates."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from loglane.fields import LEVELS
from loglane.stack.collecting import alert_log_url, collector_context, source_folder
from loglane.stack.formats import format_stages
from loglane.stack.levels import level_names, level_template
from loglane.stack.pipelines import READER, TENANT, readers
from loglane.stack.render import render
from loglane.stack.spec import StackSpec
from loglane.stack.spec.collecting import FORMATS

EVERYTHING: dict[str, Any] = {
    "services": {
        **{name: {"format": name} for name in FORMATS},
        "noisy": {"drop": ("noise", r"a\"b"), "rate_limit": {"lines_per_second": 1, "burst": 2}},
        "pino": {"format": "json", "level_numbers": "pino"},
        "team": {"labels": {"team": "a$1"}},
    },
    "sources": {
        "files": ({"path": "/var/log/nginx/*.log", "service": "nginx"},),
        "journal": {"units": ("ssh.service",)},
    },
    "tenants": {"team-a": {"services": ("nginx",)}, "team-b": {}},
    "docker": {"proxy": True},
}


def spec(**keys: Any) -> StackSpec:
    return StackSpec.model_validate({"env": "dev", **keys})


def jobs(**keys: Any) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in collector_context(spec(**keys))["jobs"]}


def promtail_stages(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read Promtail's YAML back into plain stages."""
    found = []
    for item in stages:
        ((kind, body),) = item.items()
        if kind == "labeldrop":
            found.append(plain("label_drop", {"names": body}))
        elif kind in ("labels", "structured_metadata"):
            found.append(plain(kind, {}, body))
        else:
            inner = promtail_stages(body.pop("stages", []))
            values = body.pop("expressions", body.pop("mapping", {}))
            found.append(plain(kind, body, values, inner))
    return found


def alloy_stages(text: str) -> dict[str, list[dict[str, Any]]]:
    """Read the stages of every `loki.process` of Alloy's config back into plain stages."""
    found: dict[str, list[dict[str, Any]]] = {}
    for block in re.findall(r'(?ms)^loki\.process "([a-z]+)" \{\n(.*?)^\}', text):
        lines = iter([line.strip() for line in block[1].splitlines() if line.strip()])
        found[block[0]] = list(_alloy_block(lines)["stages"])
    return found


def _alloy_block(lines: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    values: dict[str, str] = {}
    stages = []
    for line in lines:
        if line == "}":
            break
        if line.startswith("stage."):
            inner = _alloy_block(lines)
            kind = line.removeprefix("stage.").removesuffix(" {")
            if kind == "label_drop":
                inner["settings"] = {"names": inner["settings"].pop("values")}
            stages.append(plain(kind, inner["settings"], inner["values"], inner["stages"]))
        elif line.endswith("= {"):
            for pair in lines:
                if pair == "}":
                    break
                name, _, value = pair.rstrip(",").partition(" = ")
                values[json.loads(name)] = json.loads(value)
        else:
            name, _, value = line.partition(" = ")
            if name != "forward_to":
                settings[name] = json.loads(value)
    return {"settings": settings, "values": values, "stages": stages}


def plain(kind: str, settings: Any, values: Any = None, stages: Any = ()) -> dict[str, Any]:
    return {"kind": kind, "settings": settings, "values": values or {}, "stages": list(stages)}


def without_map(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        plain(item["kind"], item["settings"], item["values"], without_map(item["stages"]))
        for item in stages
    ]


@pytest.mark.parametrize("keys", [{}, EVERYTHING], ids=["default", "everything"])
def test_stages_are_the_same_in_both_templates(root, keys):
    """What Promtail's and Alloy's configs say, read back, is the one list."""
    expected = {name: without_map(job["stages"]) for name, job in jobs(**keys).items()}
    expected = {name: stages for name, stages in expected.items() if stages}
    promtail = yaml.safe_load(
        render(spec(**keys), root / "templates")["stack/rendered/promtail/promtail.yaml"]
    )
    alloy = render(spec(collector="alloy", **keys), root / "templates")
    printed = {
        job["job_name"]: promtail_stages(job["pipeline_stages"])
        for job in promtail["scrape_configs"]
        if "pipeline_stages" in job
    }
    assert expected == printed
    assert expected == alloy_stages(alloy["stack/rendered/alloy/config.alloy"])


@pytest.mark.parametrize("collector", ["promtail", "alloy"])
def test_render_leaves_out_what_does_not_run(root, collector):
    """The other collector and an unused proxy have no files."""
    tree = render(spec(collector=collector), root / "templates")
    folders = {path.split("/")[2] for path in tree if path.startswith("stack/rendered/")}
    assert {collector} == folders & {"promtail", "alloy", "docker-proxy"}


def test_levels_are_those_of_the_contract():
    """Each word and number means one level of LEVELS, and each level means itself."""
    for numbers in ("python", "pino"):
        names = level_names(numbers)
        every = [name for found in names.values() for name in found]
        assert list(LEVELS) == list(names)
        assert sorted(set(every)) == sorted(every)
        assert {level: level for level in LEVELS} == {level: names[level][0] for level in LEVELS}


def test_level_template_names_every_source():
    """The first of several keys that has a value gives the level."""
    assert level_template(("level", "lvl")).startswith('{{ $l := or .level .lvl "" |')


def test_default_lines_meet_no_reader():
    """Without foreign formats the pipeline is the contract's own and no helper label is set."""
    kinds = [stage["kind"] for stage in jobs()["containers"]["stages"]]
    assert ["drop", "json", "labels", "structured_metadata", "match"] == kinds


def test_readers_group_services_that_are_read_alike():
    """Services with the same settings share stages, whatever labels they add."""
    keys = {"a": {"format": "nginx", "labels": {"team": "x"}}, "b": {"format": "nginx"}, "c": {}}
    found = {name: names for name, (_, names) in readers(spec(services=keys)).items()}
    assert {"a": ["a", "b"]} == found


def test_reader_is_chosen_before_the_line_is_read():
    """The reader's label is set by discovery's rules, and its stages stand before the default."""
    job = jobs(services={"web": {"format": "nginx"}})["containers"]
    rule = next(rule for rule in job["rules"] if rule.get("target_label") == READER)
    assert (["service"], "web", "web") == (
        rule["source_labels"],
        rule["regex"],
        rule["replacement"],
    )
    selectors = [s["settings"].get("selector") for s in job["stages"] if s["kind"] == "match"]
    assert [f'{{{READER}!=""}}', f'{{service!="",{READER}=""}}'] == selectors
    assert ["label_drop"] == [s["kind"] for s in job["stages"] if READER in str(s["settings"])][-1:]


def test_plain_services_get_no_empty_match():
    """A match without stages would stop both collectors at start."""
    stages = jobs(services={"raw": {"format": "plain"}})["containers"]["stages"]
    selectors = [s["settings"]["selector"] for s in stages if s["kind"] == "match"]
    assert [f'{{service!="",{READER}=""}}'] == selectors


def test_extra_labels_keep_their_dollars():
    """A dollar in a label's value is no group of the rule's regular expression."""
    rules = jobs(services={"a": {"labels": {"team": "x$1"}}})["containers"]["rules"]
    assert "x$$1" in [rule.get("replacement") for rule in rules]


def test_tenants_are_known_names_only():
    """A container's label counts for a tenant of the spec, and the spec's services come after."""
    rules = [
        rule
        for rule in jobs(**EVERYTHING)["containers"]["rules"]
        if rule.get("target_label") == TENANT
    ]
    assert ["(main|team-a|team-b)", "nginx"] == [rule["regex"] for rule in rules]
    stages = jobs(**EVERYTHING)["containers"]["stages"]
    assert ["tenant", "label_drop"] == [stage["kind"] for stage in stages[-1]["stages"]]


def test_stacks_own_containers_are_a_job_of_their_own():
    """They are found by the stack's label and kept out of the apps' job."""
    found = jobs(project="logs", apps={"services": ("loki",)})
    assert ["loglane.stack=logs"] == found["stack"]["labels"]
    assert [("drop", "logs")] == [
        (rule["action"], rule["regex"]) for rule in found["containers"]["choosing"]
    ]


@pytest.mark.parametrize(
    ("compose_service", "name", "service"),
    [("orders", "/shop-orders-1", "orders"), ("", "/alone", "alone")],
    ids=["of compose", "by itself"],
)
def test_service_is_composes_or_the_containers_name(compose_service, name, service):
    """One rule takes the service of compose, and the container's name where there is none."""
    rules = jobs()["containers"]["rules"]
    (rule,) = [rule for rule in rules if rule["target_label"] == "service"]
    # Prometheus joins the sources with a semicolon and anchors the expression.
    found = re.fullmatch(rule["regex"], f"{compose_service};{name}")
    assert found is not None
    assert "$1$2" == rule["replacement"]
    assert service == "".join(group or "" for group in found.groups())


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        ('caller=metrics.go:1 component=x latency=fast query="a"', True),
        ('caller=metrics.go:1 component=x latency=slow query="latency=fast"', False),
        ('caller=engine.go:1 org_id=fake msg="executing query" type=range', True),
        ('caller=table_manager.go:1 msg="get or create table" found=true', True),
        ('caller=table_manager.go:1 msg="uploading tables"', False),
        ('caller=compactor.go:1 msg="applying retention"', False),
    ],
)
def test_lines_of_single_queries_are_dropped_unless_slow(line, dropped):
    """What Loki writes for each query is dropped; a slow one's figures and the rest stay."""
    text = jobs()["stack"]["stages"][1]["settings"]["expression"]
    assert dropped is bool(re.search(text, f"level=info ts=2026-11-22T00:00:00Z {line}"))


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/var/log/nginx/access.log", "/var/log/nginx"),
        ("/var/log/*/access.log", "/var/log"),
        ("/srv/**/x/*.log", "/srv"),
    ],
)
def test_source_folder_is_the_narrowest(path, folder):
    """The folder before the first pattern is mounted, never a file, and nothing above it."""
    assert folder == str(source_folder(path))


@pytest.mark.parametrize("collector", ["promtail", "alloy"])
def test_collector_runs_go_within_its_limits(root, collector):
    """It has a thread a CPU that it may use, and collects garbage before the memory is full."""
    resources = {collector: {"cpus": 1.5, "memory": "400m"}}
    tree = render(spec(collector=collector, resources=resources), root / "templates")
    service = yaml.safe_load(tree["docker-compose.yml"])["services"][collector]
    environment = service["environment"]
    assert ("2", f"{300 * 1024**2}B") == (environment["GOMAXPROCS"], environment["GOMEMLIMIT"])


def test_labels_of_a_line_hold_nothing_that_loki_cannot_read():
    """A byte that is not UTF-8 would cost the other lines of its batch; it becomes a `?`."""
    stages = format_stages(spec(labels=("service", "env", "level", "log_category", "zone")), "json")
    place = {item["kind"]: place for place, item in enumerate(stages)}
    (given,) = [
        item["values"] for item in stages if item["kind"] == "labels" and "zone" in item["values"]
    ]
    cleaned = {
        item["settings"]["source"]: item["settings"]
        for item in stages[: place["labels"]]
        if item["kind"] == "replace"
    }
    # A level that is none of ours is replaced as a whole.
    assert set(given) - {"level"} == set(cleaned)
    assert {(r"(\x{FFFD})", "?")} == {
        (item["expression"], item["replace"]) for item in cleaned.values()
    }


def test_broken_labels_of_our_own_lines_are_left_out_as_the_json_is_read():
    """They have no stage of their own, which every line would pay for."""
    labels = ("service", "env", "level", "log_category", "zone")
    stages = format_stages(spec(labels=labels), "loglane")
    assert ["json", "labels", "structured_metadata", "match"] == [item["kind"] for item in stages]
    read = stages[0]["values"]
    assert "level" == read["level"]
    for name in ("service", "env", "log_category", "zone"):
        assert f"!contains(to_string({name}), '\ufffd') && {name} || `null`" == read[name]


def test_host_sources_are_mounted_once_and_read_only():
    """A folder inside another mounted one is not mounted again."""
    paths = ("/var/log/a/x.log", "/var/log/*.log", "/srv/x.log")
    files = tuple({"path": path, "service": "web"} for path in paths)
    found = collector_context(spec(sources={"files": files}, docker={"proxy": True}))["collecting"]
    assert ["/srv:/host/srv:ro", "/var/log:/host/var/log:ro"] == found["mounts"][1:]


@pytest.mark.parametrize(
    ("keys", "user", "capabilities"),
    [
        ({}, "0:0", []),
        ({"docker": {"proxy": True}}, "10001:10001", []),
        (EVERYTHING, "0:0", ["DAC_READ_SEARCH"]),
    ],
    ids=["socket", "proxy", "host files"],
)
def test_collector_has_the_rights_that_its_sources_need(keys, user, capabilities):
    """Root for the socket or the host's files, and a capability for files of others."""
    found = collector_context(spec(**keys))["collecting"]
    assert (user, capabilities) == (found["user"], found["capabilities"])


def test_socket_is_mounted_for_the_proxy_alone(root):
    """With the proxy, it alone sees the socket, in a network without a way out."""
    keys = {"docker": {"proxy": True, "socket": "/run/user/1000/docker.sock"}}
    compose = yaml.safe_load(render(spec(**keys), root / "templates")["docker-compose.yml"])
    owners = [
        name
        for name, service in compose["services"].items()
        for volume in service["volumes"]
        if "docker.sock" in volume
    ]
    assert ["docker-proxy"] == owners
    proxy = compose["services"]["docker-proxy"]
    assert "/run/user/1000/docker.sock:/var/run/docker.sock:ro" in proxy["volumes"]
    assert ["docker-proxy"] == proxy["networks"]
    assert "ports" not in proxy
    assert {"internal": True} == compose["networks"]["docker-proxy"]


@pytest.mark.parametrize("collector", ["promtail", "alloy"])
def test_alert_log_url_is_where_the_collector_listens(root, collector):
    """The address names the collector and the port of its listener, which is not published."""
    chosen = spec(collector=collector)
    job = next(j for j in collector_context(chosen)["jobs"] if j["kind"] == "listener")
    assert alert_log_url(chosen).startswith(f"http://{collector}:{job['port']}/")
    compose = yaml.safe_load(render(chosen, root / "templates")["docker-compose.yml"])
    assert not [port for port in compose["services"][collector]["ports"] if "3500" in port]


def test_alerts_are_off_when_the_spec_says_so():
    """Without alerts nothing listens."""
    assert "alerts" not in jobs(alerts={"enabled": False})


@pytest.mark.parametrize("path", ["/app.log", "/*/app.log", "/*.log"])
def test_host_files_may_not_need_all_of_the_host(path):
    """A pattern whose folder is the root would show the collector everything."""
    with pytest.raises(ValueError, match="the whole host would be mounted"):
        spec(sources={"files": ({"path": path, "service": "web"},)})


@pytest.mark.parametrize("path", ["/", "/*"])
def test_journal_may_not_need_all_of_the_host(path):
    """A journal in the root would show the collector everything."""
    with pytest.raises(ValueError, match="the whole host would be mounted"):
        spec(sources={"journal": {"path": path}})


@pytest.mark.parametrize(
    "sources",
    [
        {"files": ({"path": "/var/run/*", "service": "web"},)},
        {"files": ({"path": "/run/web.log", "service": "web"},)},
        {"journal": {"path": "/run"}},
    ],
    ids=["var-run", "run", "journal"],
)
def test_sources_may_not_bring_dockers_socket_along(sources):
    """With a proxy before it, no mounted folder may be a way around."""
    with pytest.raises(ValueError, match="Docker's socket lies there too"):
        spec(sources=sources, docker={"proxy": True})


@pytest.mark.parametrize("path", ["/run/log/journal", "/var/log/journal"])
def test_journal_may_be_where_systemd_keeps_it(path):
    """Both places of the journal are taken."""
    assert path == spec(sources={"journal": {"path": path}}).sources.journal.path
