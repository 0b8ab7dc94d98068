"""Rendering is pure and stable, and no value leaves its place."""

from __future__ import annotations

import json

import pytest
import yaml

from loglane.stack.loading import load_spec
from loglane.stack.render import render
from loglane.stack.spec import StackSpec


@pytest.fixture
def templates(root):
    return root / "templates"


def parsed(tree: dict[str, str]) -> dict[str, object]:
    return {
        path: json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
        for path, text in tree.items()
    }


def spec(**keys) -> StackSpec:
    return StackSpec.model_validate({"env": "dev", **keys})


def test_render_gives_the_same_bytes_twice(root, templates):
    """Nothing in the output depends on time, order or chance."""
    first, second = (
        render(load_spec(root / "stack" / "stack.yaml", "prod"), templates) for _ in range(2)
    )
    assert list(first.items()) == list(second.items())


def test_render_names_source_and_command_in_every_file(templates):
    """Whoever opens a rendered file reads where to change it."""
    for path, text in render(spec(), templates).items():
        name = path.removeprefix("stack/rendered/")
        said = f"Rendered from templates/{name}.j2 by `loglane render --env dev`; do not edit."
        assert said in text[:500], path


@pytest.mark.parametrize(
    "text",
    [
        "a: b",
        "x # y",
        '"',
        "'",
        "{{ x }}",
        "[[ x ]]",
        "[% if %]",
        "$HOME ${X} $$",
        "é 漢 🦉",
        "- a",
        "\\n",
    ],
    ids=repr,
)
def test_render_keeps_free_text_in_its_place(templates, text):
    """Text with every kind of special character comes out of the parsed files as it went in."""
    grafana = {"folder": text, "datasources": {"loki": {"name": text, "uid": "u"}}}
    tree = parsed(render(spec(grafana=grafana), templates))
    provider = tree["stack/rendered/grafana/provisioning/dashboards/dashboards.yaml"]
    source = tree["stack/rendered/grafana/provisioning/datasources/datasources.yaml"]
    # Grafana expands dollars when it reads provisioning files; $$ is its plain dollar.
    expected = text.replace("$", "$$")
    assert [expected, expected] == [
        provider["providers"][0]["folder"],
        source["datasources"][0]["name"],
    ]


def test_render_changes_a_digest_with_its_config_only(templates):
    """A changed Loki config recreates Loki's container and leaves the others alone."""

    def digests(tree):
        services = yaml.safe_load(tree["docker-compose.yml"])["services"]
        return {n: s["labels"]["loglane.config"] for n, s in services.items() if "labels" in s}

    before = digests(render(spec(), templates))
    after = digests(render(spec(limits={"max_line_size": "9KB"}), templates))
    assert {"loki"} == {name for name in before if before[name] != after[name]}


def test_render_collects_named_services_by_a_discovery_each(templates):
    """Docker joins label filters with 'and', so each service has its own discovery."""
    tree = parsed(render(spec(apps={"services": ("api", "worker")}), templates))
    job = tree["stack/rendered/promtail/promtail.yaml"]["scrape_configs"][0]
    assert [
        ["com.docker.compose.service=api"],
        ["com.docker.compose.service=worker"],
    ] == [found["filters"][0]["values"] for found in job["docker_sd_configs"]]


def test_render_gives_earlier_retention_rules_the_higher_priority(templates):
    """The first rule that matches wins, as the spec promises."""
    streams = tuple(
        {"selector": f'{{level="{level}"}}', "period": "2d"} for level in ("debug", "info")
    )
    tree = parsed(render(spec(retention={"streams": streams}), templates))
    rules = tree["stack/rendered/loki/loki.yaml"]["limits_config"]["retention_stream"]
    assert [('{level="debug"}', 1000), ('{level="info"}', 999)] == [
        (rule["selector"], rule["priority"]) for rule in rules
    ]


def test_render_brackets_an_ipv6_address(templates):
    """An IPv6 address is published in brackets, as compose wants it."""
    tree = parsed(render(spec(bind_address="::1"), templates))
    assert ["[::1]:3100:3100"] == tree["docker-compose.yml"]["services"]["loki"]["ports"]


def test_render_leaves_unlisted_dashboards_out(templates):
    """A stack without dashboards renders none and names no home dashboard."""
    tree = render(spec(grafana={"dashboards": ()}), templates)
    assert not [path for path in tree if "/dashboards/" in path and path.endswith(".json")]
    assert "HOME_DASHBOARD" not in tree["docker-compose.yml"]


def test_render_turns_service_name_discovery_off_with_an_empty_list(templates):
    """Loki reads an empty list as off; its own list of labels is used when the key is absent."""
    limits = {
        on: parsed(render(spec(limits={"discover_service_name": on}), templates))[
            "stack/rendered/loki/loki.yaml"
        ]["limits_config"].get("discover_service_name", "absent")
        for on in (True, False)
    }
    assert {True: "absent", False: []} == limits
