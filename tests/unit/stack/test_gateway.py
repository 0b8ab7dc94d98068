"""What the gateway's config and the tenants' datasources say, whatever the spec says."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from loglane.stack.loading import load_spec
from loglane.stack.probe import tenant_headers
from loglane.stack.render import render
from loglane.stack.spec import StackSpec
from loglane.stack.spec.tenants import tenant_uid

NGINX = "stack/rendered/gateway/nginx.conf"
DATASOURCES = "stack/rendered/grafana/provisioning/datasources/datasources.yaml"
USERS = [
    {"name": "shop", "tenant": "team-a", "may": ["push"]},
    {"name": "desk", "tenant": "main", "may": ["query"]},
]
TENANTS = {"team-a": {"services": ["orders"]}}


@pytest.fixture
def rendered(root):
    def run(**keys) -> dict[str, str]:
        spec = StackSpec.model_validate_json(json.dumps({"env": "dev", **keys}))
        return render(spec, root / "templates")

    return run


def gateway(users=USERS, **keys):
    return {"tls": {"mode": "generated"}, "users": users, **keys}


def blocks(text: str) -> dict[str, str]:
    """Return the locations of a config, by what follows `location`."""
    return {
        match[1]: match[2]
        for match in re.finditer(r"^    location (.+?) \{\n(.*?)^    \}", text, re.M | re.S)
    }


def test_gateway_is_rendered_only_when_the_spec_has_one(rendered):
    """Without it there is no config, no service, no volume and no published port."""
    tree = rendered()
    assert NGINX not in tree
    assert "gateway" not in tree["docker-compose.yml"]


def test_tenant_comes_from_the_user_alone(rendered):
    """The map knows each user's tenant, and everybody else has none."""
    text = rendered(tenants=TENANTS, gateway=gateway())[NGINX]
    (body,) = re.findall(r"map \$remote_user \$tenant \{(.*?)\}", text, re.S)
    assert ['default ""', '"\\\\shop" "team-a"', '"\\\\desk" "main"'] == [
        line.strip() for line in body.split(";") if line.strip()
    ]
    assert {"$tenant", '""'} == set(re.findall(r"proxy_set_header X-Scope-OrgID (\S+);", text))


@pytest.mark.parametrize("name", ["default", "include", "hostnames", "volatile"])
def test_user_may_have_a_name_that_nginx_knows(rendered, name):
    """A word of nginx's own is written so that nginx takes it for a name."""
    user = {"name": name, "tenant": "team-a", "may": ["push"]}
    text = rendered(tenants=TENANTS, gateway=gateway([user]))[NGINX]
    assert f'    "\\\\{name}" "team-a";\n' in text


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/api/x/../../config", True),
        ("/api/x/%2e%2E/config", True),
        ("/api/x/..%2f..%2Fflush?x", True),
        ("/api/x/..%252f..%252fmetrics", True),
        ("/api/x/%25252e%25252e/config", True),
        ("/api/x/./config", True),
        ("/api/x/..", True),
        ("/api/x/..?x", True),
        ("/api/x/..%3fx", True),
        ("/loki/api/v1/labels", False),
        ("/public/build/app.1a2b.js", False),
        ("/api/x/..a/.b/c../d.", False),
        ("/api/x?from=../y", False),
    ],
)
def test_path_with_dots_is_refused(rendered, path, refused):
    """Nobody makes one path for nginx and another one for Grafana or Loki."""
    text = rendered(gateway=gateway([]))[NGINX]
    (pattern,) = re.findall(r'map \$request_uri \$has_dots \{\n +default 0;\n +"~\*(.+)" 1;', text)
    found = re.search(pattern.replace(r"\z", r"\Z"), path, re.IGNORECASE)
    assert refused == (found is not None)
    assert "    if ($has_dots) {\n      return 400;\n    }\n" in text


def test_every_way_to_loki_checks_the_password_first(rendered):
    """What leads to Loki from outside needs a user and names its methods."""
    found = blocks(rendered(tenants=TENANTS, gateway=gateway())[NGINX])
    leading = {name: body for name, body in found.items() if "@loki" in body or "@tail" in body}
    assert 3 == len(leading)
    for body in leading.values():
        assert "auth_basic loglane;" in body
        assert "limit_except" in body
    assert "gateway_push_users" in found["= /loki/api/v1/push"]
    others = [body for name, body in leading.items() if "push" not in name]
    assert all("gateway_query_users" in body for body in others)


def test_every_way_to_loki_drops_the_clients_own_headers(rendered):
    """A location that sets one header inherits none, so each sets all of them."""
    found = blocks(rendered(tenants=TENANTS, gateway=gateway())[NGINX])
    for name in ("@loki", "@tail"):
        for header in ('Authorization ""', 'Cookie ""', "X-Scope-OrgID $tenant"):
            assert f"proxy_set_header {header};" in found[name]
        assert "limit_req zone=users" in found[name]


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([], set()),
        (USERS[:1], {"push"}),
        (USERS[1:], {"query"}),
        (USERS, {"push", "query"}),
    ],
    ids=["nobody", "push", "query", "both"],
)
def test_way_that_nobody_may_use_is_not_there(rendered, users, expected):
    """Without a user who may, the endpoint is among those that are closed."""
    tree = rendered(tenants=TENANTS, gateway=gateway(users))
    text = tree[NGINX]
    assert expected == set(re.findall(r"gateway_(push|query)_users", text))
    assert ("@loki" in text) == bool(users)


def test_tls_is_off_only_when_the_spec_says_so(rendered):
    """With TLS: 1.2 at least and HSTS; off: plain, and no secret is asked for."""
    on, off = rendered(gateway=gateway([])), rendered(gateway=gateway([], tls={"mode": "off"}))
    assert "listen 8443 ssl;" in on[NGINX]
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in on[NGINX]
    assert "Strict-Transport-Security" in on[NGINX]
    assert "listen 8443;" in off[NGINX]
    assert "ssl_" not in off[NGINX]
    assert "gateway-secrets" in on["docker-compose.yml"]
    assert "gateway-secrets" not in off["docker-compose.yml"]


def test_body_limit_fits_the_largest_push_that_loki_takes(rendered):
    """A tenant with a larger burst than the others' raises it."""
    tenants = {"team-a": {"limits": {"ingestion_rate_mb": 4, "ingestion_burst_size_mb": 200}}}
    text = rendered(tenants=tenants, gateway=gateway())[NGINX]
    assert 'client_max_body_size "400m";' in blocks(text)["= /loki/api/v1/push"]


def test_gateway_alone_is_on_the_bind_address(rendered):
    """What has no login of its own stays on this machine."""
    tree = rendered(bind_address="192.0.2.1", gateway=gateway([]))
    services = yaml.safe_load(tree["docker-compose.yml"])["services"]
    addresses = {
        name: port.rpartition(":")[0].rpartition(":")[0]
        for name, service in services.items()
        for port in service.get("ports", ())
    }
    assert "192.0.2.1" == addresses.pop("gateway")
    assert {"127.0.0.1"} == set(addresses.values())


def test_gateway_changes_when_its_config_does(rendered):
    """Compose recreates the container for another rate."""
    trees = [
        rendered(gateway=gateway([], rate_limit={"requests_per_second": rate, "burst": 5}))
        for rate in (1, 2)
    ]
    labels = [
        yaml.safe_load(tree["docker-compose.yml"])["services"]["gateway"]["labels"]
        for tree in trees
    ]
    assert labels[0]["loglane.config"] != labels[1]["loglane.config"]


def test_each_tenant_has_a_datasource(rendered):
    """The default one sees every tenant; each other one its own, with links to itself."""
    tree = rendered(tenants={**TENANTS, "team-b": {}})
    sources = yaml.safe_load(tree[DATASOURCES])["datasources"]
    assert [
        ("Loki", "loglane-loki", "main|team-a|team-b"),
        ("Loki main", "loglane-loki-main", "main"),
        ("Loki team-a", "loglane-loki-team-a", "team-a"),
        ("Loki team-b", "loglane-loki-team-b", "team-b"),
    ] == [
        (s["name"], s["uid"], s["secureJsonData"]["httpHeaderValue1"])
        for s in sources
        if s["type"] == "loki"
    ]
    for source in sources:
        if source["type"] == "loki":
            assert "X-Scope-OrgID" == source["jsonData"]["httpHeaderName1"]
            links = {field["datasourceUid"] for field in source["jsonData"]["derivedFields"]}
            assert {source["uid"]} == links


def test_stack_without_tenants_sends_no_tenant(rendered):
    """One datasource, and no header."""
    text = rendered()[DATASOURCES]
    assert "X-Scope-OrgID" not in text
    assert {} == tenant_headers(StackSpec(env="dev"))


def test_probe_goes_to_the_default_tenant(root):
    """Its line belongs to nobody's services."""
    spec = load_spec(root / "tests/golden/variants/stack.yaml", "tenants")
    assert {"X-Scope-OrgID": "main"} == tenant_headers(spec)


def test_uid_of_a_long_tenant_is_short_and_its_own():
    """Grafana takes 40 characters; two long names that begin alike stay two."""
    uids = {tenant_uid("loglane-loki", "a" * 62 + end) for end in "xy"}
    assert {40} == {len(uid) for uid in uids}
    assert 2 == len(uids)
    assert "loglane-loki-team-a" == tenant_uid("loglane-loki", "team-a")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"grafana": {"datasources": {"prometheus": {"name": "P", "uid": "loglane-loki"}}}},
            "'loglane-loki' is taken by grafana.datasources.loki",
        ),
        (
            {
                "tenants": TENANTS,
                "grafana": {"datasources": {"prometheus": {"name": "Loki team-a", "uid": "p"}}},
            },
            "'Loki team-a' is taken by the datasource of tenant 'team-a'",
        ),
        (
            {
                "alerts": {
                    "contact_points": {
                        "a": {"type": "webhook", "url_secret": "grafana_admin_password"}
                    }
                }
            },
            "'grafana_admin_password' is the name of another secret",
        ),
        (
            {"alerts": {"contact_points": {"a": {"type": "slack", "url_secret": "gateway_users"}}}},
            "'gateway_users' is the name of another secret",
        ),
        ({"gateway": {"tls": {"names": ["host:443"]}}}, "without a port"),
    ],
    ids=["uid", "name of a tenant's", "a password as address", "a gateway's file", "port"],
)
def test_names_that_collide_are_refused(keys, message):
    """Each would make one thing take another's place."""
    with pytest.raises(ValueError, match=re.escape(message)):
        StackSpec.model_validate_json(json.dumps({"env": "dev", **keys}))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"ports": {"grafana": 13000}}, "http://127.0.0.1:13000/"),
        ({"bind_address": "0.0.0.0"}, "http://localhost:3000/"),  # noqa: S104
        ({"bind_address": "::1"}, "http://[::1]:3000/"),
        ({"gateway": {"tls": {"names": ["logs.test"]}}}, "https://logs.test:8443/"),
    ],
    ids=["port", "everywhere", "v6", "gateway"],
)
def test_links_of_alerts_begin_with_the_address_that_is_published(rendered, keys, expected):
    """Grafana knows its port inside the container only."""
    compose = yaml.safe_load(rendered(**keys)["docker-compose.yml"])
    assert expected == compose["services"]["grafana"]["environment"]["GF_SERVER_ROOT_URL"]


def test_tls_takes_off_without_quotes():
    """YAML reads a bare `off`, as the documents write it, as false."""
    spec = StackSpec.model_validate({"env": "dev", "gateway": yaml.safe_load("tls: {mode: off}")})
    assert "off" == spec.gateway.tls.mode
