"""Rendered files agree with each other and with the contract of fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from loglane import fields
from loglane.stack.loading import load_spec
from loglane.stack.project import open_project
from loglane.stack.spec import StackSpec
from loglane.stack.values import parse_selector

ENVIRONMENTS = ("dev", "staging", "prod")
RENDERED = "stack/rendered/"


class Stack:
    """One environment's rendered files, parsed, each read from its text."""

    def __init__(self, root, env: str) -> None:
        project = open_project(env, root / "stack" / "stack.yaml")
        self.spec: StackSpec = project.spec
        self.tree = project.render()
        self.compose = self._yaml("docker-compose.yml")
        self.services: dict[str, Any] = self.compose["services"]
        self.loki = self._yaml(RENDERED + "loki/loki.yaml")
        self.promtail = self._yaml(RENDERED + "promtail/promtail.yaml")
        provisioning = RENDERED + "grafana/provisioning/"
        self.datasources = self._yaml(provisioning + "datasources/datasources.yaml")["datasources"]
        self.providers = self._yaml(provisioning + "dashboards/dashboards.yaml")["providers"]
        self.dashboards = [json.loads(t) for p, t in self.tree.items() if p.endswith(".json")]

    def _yaml(self, path: str) -> Any:
        return yaml.safe_load(self.tree[path])

    def stage(self, name: str) -> Any:
        stages = self.promtail["scrape_configs"][0]["pipeline_stages"]
        return next(stage[name] for stage in stages if name in stage)


@pytest.fixture(params=ENVIRONMENTS)
def stack(request, root) -> Stack:
    return Stack(root, request.param)


def walk(value: Any, key: str) -> Iterator[Any]:
    """Find the values of `key` at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from walk(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, key)


def test_datasource_uids_of_dashboards_are_provisioned(stack):
    """Every panel, variable and link refers to a datasource that is there."""
    known = {source["uid"] for source in stack.datasources}
    used = {item["uid"] for item in walk(stack.dashboards, "datasource")}
    linked = set(walk(stack.datasources, "datasourceUid"))
    assert used
    assert known >= used | linked


def test_dashboard_expressions_use_known_labels_only(stack):
    """Selectors name labels; groupings also ids, and what the query itself makes."""
    labels = {*stack.spec.labels, "service_name"}
    ids = set(stack.spec.structured_metadata)
    expressions = [*walk(stack.dashboards, "expr"), *walk(stack.datasources, "url")]
    used: set[str] = set()
    for text in expressions:
        for selector in re.findall(r"\{[^{}]*=[^{}]*\}", text):
            used |= set(parse_selector(selector))
        # Labels that `| json`, `| label_format` and `| regexp` make, and the one that is chosen.
        made = {*re.findall(r'(\w+)=["`]', text), *re.findall(r"\?P<(\w+)>", text), "$label"}
        for names in re.findall(r"\| logfmt ([\w, ]+)", text):
            made |= {name.strip() for name in names.split(",")}
        for grouping in re.findall(r"(?:by|without) \(([^)]+)\)", text):
            used |= {name.strip() for name in grouping.split(",")} - made - ids
    assert {"service", "level", "env"} <= used
    # An id may group, though it never selects.
    assert used <= labels | set(stack.spec.structured_metadata)


def test_dashboard_variables_are_labels(stack):
    """Each variable lists the values of a label of its own name."""
    variables = [v for board in stack.dashboards for v in board["templating"]["list"]]
    asked = {v["name"]: v["query"] for v in variables if v["type"] == "query"}
    assert {"env", "service", "level"} == set(asked)
    assert {name: f"label_values({name})" for name in asked} == asked


def test_dashboard_panels_say_what_they_show(stack):
    """Each panel has a title, a description and an id of its own, and no panel covers another."""
    cells: set[tuple[str, int, int]] = set()
    for board in stack.dashboards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        for panel in board["panels"]:
            assert panel["title"]
            assert panel["description"].endswith(".")
            at = panel["gridPos"]
            own = {
                (board["uid"], at["x"] + x, at["y"] + y)
                for x in range(at["w"])
                for y in range(at["h"])
            }
            assert not own & cells
            cells |= own


def test_dashboard_templates_stay_short(root):
    """A dashboard template is read in one sitting."""
    for file in (root / "templates/grafana/dashboards").glob("*.j2"):
        assert len(file.read_text().splitlines()) <= 250, file.name


def test_collector_sends_the_contract(stack):
    """The collector sets exactly the spec's labels and structured metadata."""
    rules = stack.promtail["scrape_configs"][0]["relabel_configs"]
    relabelled = {r["target_label"] for r in rules if "target_label" in r}
    assert set(stack.spec.labels) == {*relabelled, *stack.stage("labels")}
    assert list(stack.spec.structured_metadata) == list(stack.stage("structured_metadata"))
    extracted = set(stack.stage("json")["expressions"])
    assert extracted == {*stack.stage("labels"), *stack.stage("structured_metadata")}


def test_default_spec_is_the_contract_of_fields(root):
    """The lists in the spec are those of fields.py."""
    spec = load_spec(root / "stack" / "stack.yaml", "prod")
    assert (fields.LABELS, fields.STRUCTURED_METADATA) == (spec.labels, spec.structured_metadata)


def test_default_spec_shows_every_key_with_its_default(root):
    """`stack.yaml` names every key of the model, and says the model's defaults."""
    data = yaml.safe_load((root / "stack" / "stack.yaml").read_text())
    default = json.loads(StackSpec(env="dev").model_dump_json())
    # The rule for debug lines is an example in the file, not a default of the model.
    default["retention"]["streams"] = [{"selector": '{level="debug"}', "period": "7d"}]
    assert default == data


def test_ports_lead_to_what_listens(stack):
    """Each published port ends at the port that the service's own config opens."""
    inside = {
        "loki": stack.loki["server"]["http_listen_port"],
        "promtail": stack.promtail["server"]["http_listen_port"],
        "grafana": 3000,
    }
    published = {
        name: service["ports"] for name, service in stack.services.items() if "ports" in service
    }
    assert {
        name: [f"127.0.0.1:{getattr(stack.spec.ports, name)}:{port}"]
        for name, port in inside.items()
    } == published


def test_everybody_finds_loki_under_its_service_name(stack):
    """Collector and datasource use the compose service and Loki's own port."""
    base = f"http://loki:{stack.loki['server']['http_listen_port']}"
    pushed = [client["url"] for client in stack.promtail["clients"]]
    assert ([f"{base}/loki/api/v1/push"], base) == (pushed, stack.datasources[0]["url"])


def test_images_are_those_of_the_spec(stack):
    """Every image that the spec pins for this stack is used, and nothing else runs."""
    used = {service["image"] for service in stack.services.values()}
    assert set(stack.spec.pinned_images) == used


def test_mounted_files_are_rendered(stack):
    """A file or folder that compose mounts from the tree is in the tree."""
    for service in stack.services.values():
        for volume in service["volumes"]:
            source = PurePosixPath(volume.split(":")[0])
            if str(source).startswith("stack/rendered"):
                inside = [p for p in stack.tree if PurePosixPath(p).is_relative_to(source)]
                assert inside, volume


def test_dashboards_are_where_grafana_looks(stack):
    """The provider's path and the home dashboard lie in the mounted folder."""
    mounts = dict(v.split(":")[:2] for v in stack.services["grafana"]["volumes"])
    folder = mounts[f"./{RENDERED}grafana/dashboards"]
    assert [folder] == [provider["options"]["path"] for provider in stack.providers]
    home = PurePosixPath(
        stack.services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    )
    assert f"{RENDERED}grafana/dashboards/{home.name}" in stack.tree
    assert PurePosixPath(folder) == home.parent


def test_named_volumes_are_declared_and_used(stack):
    """Each named volume is declared once and belongs to a service."""
    used = {
        volume.split(":")[0]
        for service in stack.services.values()
        for volume in service["volumes"]
        if volume[0] not in "./"
    }
    assert set(stack.compose["volumes"]) == used


def test_every_service_is_closed_down(stack):
    """The list of what holds everywhere, on every service."""
    for name, service in stack.services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert "privileged" not in service, name
        assert "latest" not in service["image"], name
        assert {"cpus", "mem_limit"} <= set(service), name
        # The one that writes the password needs two capabilities, for the second that it lives.
        if name != "secrets":
            assert "healthcheck" in service, name
            assert "cap_add" not in service, name


def test_docker_socket_is_the_collectors_alone(stack):
    """Only the collector sees Docker's socket, read-only."""
    owners = {
        name: volume
        for name, service in stack.services.items()
        for volume in service["volumes"]
        if "docker.sock" in volume
    }
    assert {"promtail": "/var/run/docker.sock:/var/run/docker.sock:ro"} == owners


def test_start_is_ordered_by_health(stack):
    """What needs Loki waits until Loki is healthy; Grafana waits for its password too."""
    healthy = {"loki": {"condition": "service_healthy"}}
    done = {"secrets": {"condition": "service_completed_successfully"}}
    assert healthy == stack.services["promtail"]["depends_on"]
    assert {**done, **healthy} == stack.services["grafana"]["depends_on"]


def test_retention_can_delete(stack):
    """Loki deletes only with all of: retention on, a delete store, a period, daily tables."""
    compactor, limits = stack.loki["compactor"], stack.loki["limits_config"]
    assert compactor["retention_enabled"] is True
    assert compactor["delete_request_store"] == "filesystem"
    assert limits["retention_period"] == stack.spec.retention.default
    assert {"24h"} == {c["index"]["period"] for c in stack.loki["schema_config"]["configs"]}


def test_grafana_is_closed_by_default(stack):
    """No default password, no anonymous access, no sign-up, nothing sent home."""
    settings = stack.services["grafana"]["environment"]
    assert "GF_SECURITY_ADMIN_PASSWORD" not in settings
    assert settings["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/secrets/")
    # Without it a read-only Grafana 13 unloads its own Loki plugin and cannot put it back.
    assert settings["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert settings["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"
    off = ("GF_USERS_ALLOW_SIGN_UP", "GF_AUTH_ANONYMOUS_ENABLED", "GF_ANALYTICS_REPORTING_ENABLED")
    assert ["false"] * 3 == [settings[name] for name in off]
    assert stack.loki["analytics"]["reporting_enabled"] is False
