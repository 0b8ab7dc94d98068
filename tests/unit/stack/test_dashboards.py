"""Every dashboard has one look, explains itself, and leads to the others."""

from __future__ import annotations

import json
import re

import pytest

from loglane.fields import FIELDS, LABELS
from loglane.stack.dashboards import dashboard_context
from loglane.stack.render import render
from loglane.stack.spec import DASHBOARDS, StackSpec

AUDIT = {"database": {"type": "mysql", "address": "db:3306"}}
SPECS = {
    "plain": {},
    "metrics": {"metrics": True},
    "metrics, alloy": {"metrics": True, "collector": "alloy"},
    "tenants": {"tenants": {"team-a": {"services": ("shop",)}}},
    "audit": {"audit": AUDIT},
    "bundled": {"audit": {"database": {"bundled": True}}},
    "postgresql": {"audit": {"database": {"type": "postgresql", "address": "db:5432"}}},
    "few labels": {
        "labels": ("service", "env", "level"),
        "structured_metadata": ("request_id",),
        "audit": AUDIT,
    },
    "no budget": {"disk_budget": None},
}


def dashboards(root, **keys):
    """Render a spec's dashboards, by name."""
    tree = render(StackSpec.model_validate({"env": "dev", **keys}), root / "templates")
    return {
        path.rsplit("/", 1)[-1].removesuffix(".json"): json.loads(text)
        for path, text in tree.items()
        if path.endswith(".json") and "/grafana/dashboards/" in path
    }


@pytest.fixture(params=SPECS.values(), ids=SPECS)
def boards(request, root):
    return dashboards(root, **request.param)


@pytest.fixture
def panels(boards):
    return [(name, panel) for name, board in boards.items() for panel in board["panels"]]


def walk(value, key):
    """Find the values of `key` at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from walk(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, key)


def test_dashboards_of_the_spec_are_all_rendered(root):
    """Each name of the spec is a template, and its uid is made of it."""
    found = dashboards(root, audit=AUDIT)
    assert {name: f"loglane-{name}" for name in DASHBOARDS} == {
        name: board["uid"] for name, board in found.items()
    }


def test_audit_dashboard_needs_a_database(root):
    """Without a database there is nothing to show beside the lines."""
    assert "audit" not in dashboards(root)


@pytest.mark.parametrize(
    ("metrics", "expected"), [(False, {"loki"}), (True, {"prometheus"})], ids=["lines", "metrics"]
)
def test_stack_health_reads_what_there_is(root, metrics, expected):
    """With metrics the dashboard asks Prometheus alone, else the components' own lines."""
    board = dashboards(root, metrics=metrics)["stack-health"]
    assert expected == {panel["datasource"]["type"] for panel in board["panels"]}


def test_templates_stay_short(root):
    """A template of a dashboard is read in one sitting."""
    files = list((root / "templates/grafana/dashboards").glob("*.j2"))
    assert len(DASHBOARDS) <= len(files)
    assert [] == [file.name for file in files if len(file.read_text().splitlines()) >= 250]


def test_panels_explain_themselves(panels):
    """Each panel has a title and a description that is a sentence."""
    assert [] == [
        (name, panel["title"])
        for name, panel in panels
        if not panel["title"] or not panel["description"].endswith(".")
    ]


def test_panels_have_a_unit_and_a_datasource(panels):
    """Numbers say what they count; lines of log, text and rows of a foreign table have no unit."""
    bare = ("logs", "text")
    assert [] == [
        (name, panel["title"])
        for name, panel in panels
        if panel["type"] not in bare
        and panel["title"] != "Newest records"
        and "unit" not in panel["fieldConfig"]["defaults"]
    ]
    assert [] == [
        (name, panel["title"])
        for name, panel in panels
        if panel["type"] != "text" and not panel["datasource"]["uid"]
    ]


def test_panels_say_something_when_there_is_nothing(panels):
    """A number, table or chart of what may be absent has a text for that, or is never empty."""
    assert [] == [
        (name, panel["title"])
        for name, panel in panels
        if panel["type"] in ("stat", "table", "bargauge")
        and "noValue" not in panel["fieldConfig"]["defaults"]
        and not any("or vector(0)" in expr for expr in walk(panel["targets"], "expr"))
        # A NULL of a foreign table stays empty.
        and panel["title"] not in ("Parts of the stack", "Received per day", "Newest records")
    ]


def test_panels_ask_something(panels):
    """No target's query was left empty by the spec."""
    for name, panel in panels:
        if panel["type"] != "text":
            asked = [*walk(panel["targets"], "expr"), *walk(panel["targets"], "rawSql")]
            assert len(panel["targets"]) == len(asked), (name, panel["title"])
            assert all(asked), (name, panel["title"])


def test_panels_fill_their_rows(boards):
    """No panel covers another or goes beyond the 24 columns."""
    for name, board in boards.items():
        cells = [
            (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells)), name
        assert {x for x, _ in cells} <= set(range(24)), name


def test_links_lead_to_dashboards_that_are_there(boards):
    """Data links name a uid of ours and hand over the time and what was chosen."""
    uids = {board["uid"] for board in boards.values()}
    links = [
        link["url"]
        for properties in walk(list(boards.values()), "properties")
        for item in properties
        if item["id"] == "links"
        for link in item["value"]
    ]
    assert links
    assert uids >= {re.match(r"/d/([\w-]+)\?", url)[1] for url in links}
    assert [] == [url for url in links if "${__url_time_range}" not in url]


def test_dashboards_lead_to_each_other(boards):
    """The buttons at the top show all of ours, with the time and what was chosen."""
    for board in boards.values():
        (link,) = board["links"]
        assert ("dashboards", True, True) == (link["type"], link["keepTime"], link["includeVars"])
        assert set(link["tags"]) <= set(board["tags"])


def test_links_hand_the_tenant_over(root):
    """With tenants, a link stays within the one that was chosen."""
    boards = dashboards(root, **SPECS["tenants"], audit=AUDIT)
    urls = [url for url in walk(boards, "url") if url.startswith("/d/")]
    assert urls
    assert [] == [url for url in urls if "${datasource:queryparam}" not in url]


def test_tenants_choose_a_datasource(root):
    """With tenants every panel of Loki follows the variable, whose default is all of them."""
    boards = dashboards(root, **SPECS["tenants"])
    used = {item["uid"] for item in walk(boards, "datasource") if isinstance(item, dict)}
    assert {"${datasource}"} == used
    for board in boards.values():
        first = board["templating"]["list"][0]
        assert ("datasource", "loki", "loglane-loki") == (
            first["type"],
            first["query"],
            first["current"]["value"],
        )


def test_tenants_choose_among_our_datasources_only(root):
    """The variable lists the datasource of all tenants and those named after it."""
    pattern = dashboards(root, **SPECS["tenants"])["trace"]["templating"]["list"][0]["regex"]
    names = ("Loki", "Loki team-a", "Lokix", "Other Loki")
    assert ["Loki", "Loki team-a"] == [n for n in names if re.search(pattern.strip("/"), n)]


def test_without_tenants_the_datasource_is_fixed(root):
    """There is nothing to choose, so nothing is asked."""
    used = {item["uid"] for item in walk(dashboards(root), "datasource") if isinstance(item, dict)}
    assert {"loglane-loki"} == used


def test_variables_are_used_where_they_are_defined(boards):
    """A query names only variables that its dashboard has, or Grafana itself."""
    built_in = ("range", "interval", "rate_interval", "timeFilter", "timeGroupAlias")
    for name, board in boards.items():
        known = {f"__{item}" for item in built_in}
        known |= {variable["name"] for variable in board["templating"]["list"]}
        texts = [*walk(board["panels"], "expr"), *walk(board["panels"], "rawSql")]
        used = {found for text in texts for found in re.findall(r"\$\{?(\w+)", text)}
        assert used <= known, name


def test_queries_select_by_labels_of_the_spec_only(root):
    """An id or another field is never in a selector, and a label left out of the spec neither."""
    for keys in SPECS.values():
        labels = StackSpec.model_validate({"env": "dev", **keys}).labels
        for board in dashboards(root, **keys).values():
            for expr in walk(board, "expr"):
                for selector in re.findall(r"\{([^{}|]*=[^{}]*)\}", expr):
                    names = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*[\"`]", selector))
                    metric = (
                        expr[: expr.index(selector)].rstrip("{").endswith(("_seconds", "_ms_total"))
                    )
                    assert metric or names <= set(labels), expr


def test_queries_read_fields_that_the_package_writes(root):
    """What `| json` takes from a line is a field of the contract, or of a line of the package."""
    contract = {field.name for field in FIELDS}
    access = {"method", "path", "route", "status", "duration_ms"}
    reports = {"suppressed", "pattern", "error", "where", "version"}
    lost = {f"lost.{name}" for name in ("stdout", "console", "file", "loki", "failed")}
    read = {
        field
        for keys in SPECS.values()
        for expr in walk(dashboards(root, **keys), "expr")
        for stage in re.findall(r"\| json ((?:\w+=\"[\w.]+\"(?:, )?)+)", expr)
        for field in re.findall(r'="([\w.]+)"', stage)
    }
    assert access | reports | lost <= read
    assert read <= contract | access | reports | lost


def test_streams_are_counted_by_every_label(root):
    """A stream is a set of all labels, also of a service's own ones."""
    spec = StackSpec.model_validate(
        {"env": "dev", "services": {"shop": {"labels": {"team": "web"}}}}
    )
    streams = dashboard_context(spec)["queries"]["volume"]["streams"]
    assert f"sum by ({', '.join((*LABELS, 'team'))})" in streams


def test_retention_panel_shows_every_rule(root):
    """The text names each rule of the spec and of its tenants with its period."""
    rule = {"selector": '{level=~"debug|info"}', "period": "7d"}
    keys = {
        "retention": {"default": "40d", "streams": (rule,)},
        "tenants": {"team-a": {"retention": {"default": "90d"}}},
    }
    (panel,) = [
        panel for panel in dashboards(root, **keys)["volume"]["panels"] if panel["type"] == "text"
    ]
    text = panel["options"]["content"]
    rows = ['| `{level=~"debug&#124;info"}` | 7d |', "| everything else | 40d |"]
    rows.append("| team-a: everything else | 90d |")
    assert rows == [row for row in text.splitlines() if row in rows]


def test_room_panel_is_left_out_without_a_budget(root):
    """Where the spec sets no budget, nothing is measured against it."""

    def titles(**keys):
        return {panel["title"] for panel in dashboards(root, **keys)["volume"]["panels"]}

    assert {"Days of room"} == titles() - titles(disk_budget=None)
