"""Every security check passes on what is rendered, and fails alone when its guard is taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from loglane.errors import CheckFailed
from loglane.stack.loading import environments
from loglane.stack.project import open_project
from loglane.stack.security import CHECKS, check_security

ROOT = Path(__file__).resolve().parents[3]
SPECS = (ROOT / "stack/stack.yaml", ROOT / "tests/golden/variants/stack.yaml")
TREES = [(spec, env) for spec in SPECS for env in environments(spec)]
COMPOSE, LOKI = "docker-compose.yml", "stack/rendered/loki/loki.yaml"
DATASOURCES = "stack/rendered/grafana/provisioning/datasources/datasources.yaml"


@pytest.fixture(scope="module")
def tenants():
    """Return the rendered tree of the variant with tenants."""
    return open_project("tenants", SPECS[1]).render()


@pytest.mark.parametrize(("spec", "env"), TREES, ids=[env for _, env in TREES])
def test_security_checks_pass_for_every_rendered_tree(spec, env):
    """What is rendered keeps every guard, in each environment and variant."""
    project = open_project(env, spec)
    verdicts = check_security(project.render(), project.spec.bind_address)
    assert [] == [(verdict.name, verdict.problems) for verdict in verdicts if not verdict.passed]


def of(service, **keys):
    """Change keys of a service; None removes one."""

    def change(compose):
        for key, value in keys.items():
            compose["services"][service][key] = value
            if value is None:
                del compose["services"][service][key]

    return COMPOSE, change


def mount(service, volume):
    return COMPOSE, lambda compose: compose["services"][service]["volumes"].append(volume)


def environment(key, value):
    def change(compose):
        found = compose["services"]["grafana"]["environment"]
        found[key] = value
        if value is None:
            del found[key]

    return COMPOSE, change


def loki(section, **keys):
    return LOKI, lambda config: config[section].update(keys)


BREAKS = {
    "no new privileges": {
        "gone": of("loki", security_opt=None),
        "off": of("grafana", security_opt=["no-new-privileges:false"]),
    },
    "capabilities dropped": {
        "gone": of("loki", cap_drop=None),
        "only one": of("grafana", cap_drop=["NET_RAW"]),
    },
    "capabilities added": {
        "for loki": of("loki", cap_add=["NET_ADMIN"]),
        "more for secrets": of("secrets", cap_add=["CHOWN", "SYS_ADMIN"]),
    },
    "root users": {
        "by number": of("grafana", user="0:0"),
        "by name": of("loki", user="root"),
        "by more noughts": of("grafana", user="00:0"),
        "by its image": of("grafana", user=None),
    },
    "read-only root": {"gone": of("loki", read_only=None), "off": of("loki", read_only=False)},
    "nothing of the host": {
        "privileged": of("promtail", privileged=True),
        "network": of("loki", network_mode="host"),
        "processes": of("loki", pid="host"),
        "another's network": of("grafana", network_mode="service:loki"),
        "another's processes": of("grafana", pid="container:promtail"),
        "another's volumes": of("grafana", volumes_from=["promtail"]),
        "another's groups": of("grafana", group_add=["docker"]),
        "devices": of("loki", devices=["/dev/sda"]),
        "unconfined": of("loki", security_opt=["no-new-privileges:true", "seccomp:unconfined"]),
    },
    "limits": {
        "memory": of("loki", mem_limit=None),
        "processors": of("promtail", cpus=None),
        "processes": of("grafana", pids_limit=None),
    },
    "log rotation": {
        "gone": of("loki", logging=None),
        "no size": of("loki", logging={"driver": "json-file"}),
        "one file": of(
            "loki", logging={"driver": "json-file", "options": {"max-size": "10m", "max-file": "1"}}
        ),
        "another driver": of("loki", logging={"driver": "syslog", "options": {"max-size": "1m"}}),
    },
    "pinned images": {
        "latest": of("loki", image="grafana/loki:latest"),
        "no tag": of("loki", image="registry:5000/grafana/loki"),
        "built": of("loki", build="."),
    },
    "restart policy": {
        "never": of("loki", restart="no"),
        "gone": of("grafana", restart=None),
        "secrets for ever": of("secrets", restart="always"),
    },
    "health checks": {
        "gone": of("loki", healthcheck=None),
        "off": of("promtail", healthcheck={"test": ["NONE"]}),
    },
    "ordered start": {
        "no wait for loki": of("promtail", depends_on=None),
        "a list": of("promtail", depends_on=["loki"]),
        "started only": of("promtail", depends_on={"loki": {"condition": "service_started"}}),
    },
    "published ports": {
        "everywhere": of("loki", ports=["3100:3100"]),
        "another address": of("loki", ports=["0.0.0.0:3100:3100"]),
        "in the long form": of("loki", ports=[{"target": 3100, "published": 3100}]),
    },
    "Docker's socket": {
        "for grafana": mount("grafana", "/var/run/docker.sock:/var/run/docker.sock:ro"),
        "writable": mount("promtail", "/run/docker.sock:/run/docker.sock"),
        "its folder": mount("grafana", "/var/run/:/x:ro"),
        "under another name": mount("grafana", "/srv/docker:/var/run/docker.sock:ro"),
        "the whole host": mount("grafana", "/:/host:ro"),
    },
    "folders of the host": {
        "writable": mount("loki", "/etc:/host"),
        "every secret": mount("grafana", "./stack/secrets:/all:ro"),
        "every secret, from above": mount("grafana", "./stack/:/all:ro"),
        "one secret": mount("grafana", "./stack/secrets/gateway_ca.key:/key:ro"),
        "another's secrets": mount("promtail", "grafana-secrets:/all:ro"),
        "as a volume": (
            COMPOSE,
            lambda compose: compose["volumes"].update(
                {"loki-data": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}
            ),
        ),
    },
    "no secret values": {
        "a password": environment("GF_DATABASE_PASSWORD", "hunter2"),
        "a token": environment("GF_API_TOKEN", "abc"),
        "in an address": environment("GF_DATABASE_URL", "mysql://user:hunter2@db/grafana"),
        "a datasource": (
            DATASOURCES,
            lambda file: file["datasources"][0]["secureJsonData"].update(basicAuthPassword="x"),
        ),
        "a key of S3": (
            LOKI,
            lambda file: file["common"]["storage"].update(s3={"secret_access_key": "x"}),
        ),
    },
    "Grafana: no sign-up": {
        "on": environment("GF_USERS_ALLOW_SIGN_UP", "true"),
        "gone": environment("GF_USERS_ALLOW_SIGN_UP", None),
    },
    "Grafana: no anonymous": {"on": environment("GF_AUTH_ANONYMOUS_ENABLED", "true")},
    "Grafana: no other door": {
        "a proxy's word": environment("GF_AUTH_PROXY_ENABLED", "true"),
        "guessing": environment("GF_SECURITY_DISABLE_BRUTE_FORCE_LOGIN_PROTECTION", "true"),
        "an argument": of("grafana", command=["cfg:auth.anonymous.enabled=true"]),
        "a file": of("grafana", env_file=["more.env"]),
    },
    "Grafana: nothing sent": {
        "reports": environment("GF_ANALYTICS_REPORTING_ENABLED", "true"),
        "updates": environment("GF_ANALYTICS_CHECK_FOR_UPDATES", None),
    },
    "Grafana: password": {
        "not by file": environment("GF_SECURITY_ADMIN_PASSWORD__FILE", None),
        "from elsewhere": environment("GF_SECURITY_ADMIN_PASSWORD__FILE", "/tmp/x"),
    },
    "Loki: config alone": {
        "a flag": of("loki", command=["-config.file=/etc/loki/loki.yaml", "-auth.enabled=false"]),
    },
    "Loki: nothing sent": {"on": loki("analytics", reporting_enabled=True)},
    "Loki: retention is on": {
        "off": loki("compactor", retention_enabled=False),
        "no store": loki("compactor", delete_request_store=""),
        "another store": loki("compactor", delete_request_store="s3"),
        "no period": loki("limits_config", retention_period="0s"),
    },
    "Loki: tenants apart": {
        "one tenant": (LOKI, lambda config: config.update(auth_enabled=False)),
        "no overrides": (LOKI, lambda config: config.pop("runtime_config")),
        "a datasource of all": (
            DATASOURCES,
            lambda file: file["datasources"][1].pop("secureJsonData"),
        ),
        "another's datasource": (
            DATASOURCES,
            lambda file: file["datasources"][1].update(
                secureJsonData=file["datasources"][2]["secureJsonData"]
            ),
        ),
    },
    "Loki: WAL on a volume": {
        "off": loki("ingester", wal={"enabled": False, "dir": "/loki/wal"}),
        "in memory": loki("ingester", wal={"enabled": True, "dir": "/tmp/wal"}),
    },
}
NGINX, PROXY = "stack/rendered/gateway/nginx.conf", "stack/rendered/docker-proxy/nginx.conf"
TENANTS = "Loki: tenants apart"
# Of configs that are neither YAML nor JSON: the variant, the file, what goes and what comes.
TEXT_BREAKS = {
    "gateway: users": {
        "no password": ("gateway", NGINX, "auth_basic loglane;", "auth_basic off;"),
        "no users": ("gateway", NGINX, "auth_basic_user_file", "# auth_basic_user_file"),
        "any method": ("gateway", NGINX, "limit_except POST { deny all; }", ""),
        "the client's tenant": ("gateway", NGINX, "OrgID $tenant", "OrgID $http_x_scope_orgid"),
        "a tenant for all": (
            "gateway",
            NGINX,
            '$tenant {\n    default ""',
            "$tenant {\n    default a",
        ),
        "to Grafana": ("gateway", NGINX, 'proxy_set_header X-Scope-OrgID "";', ""),
        "Grafana's proxy": ("gateway", NGINX, "return 403;", ""),
        "rest of Loki": ("gateway", NGINX, "^/(loki|otlp|", "^/("),
        "dots": ("gateway", NGINX, "if ($has_dots)", "if ($is_args)"),
        "underscores": (
            "gateway",
            NGINX,
            "underscores_in_headers off",
            "underscores_in_headers on",
        ),
    },
    "Docker's proxy": {
        "everything": ("alloy", PROXY, "default 0;", "default 1;"),
        "no refusal": ("alloy", PROXY, "return 403;", "break;"),
        "writing": ("alloy", PROXY, "~^GET (", "~^(GET|POST) ("),
    },
    TENANTS: {
        "promtail": ("tenants", "stack/rendered/promtail/promtail.yaml", "- tenant:", "- pack:"),
    },
}
TEXT_CASES = [(name, how) for name, breaks in TEXT_BREAKS.items() for how in breaks]
CASES = [(name, how) for name, breaks in BREAKS.items() for how in breaks]


def test_every_security_check_is_broken_here():
    """No check is without a test that sees it fail."""
    assert [check.name for check in CHECKS] == list({**BREAKS, **TEXT_BREAKS})


@pytest.mark.parametrize(
    ("name", "how"), TEXT_CASES, ids=[f"{name}-{how}" for name, how in TEXT_CASES]
)
def test_security_check_fails_alone_when_a_gate_is_open(name, how):
    """One line changed in a config of nginx or of a collector fails its check, and no other."""
    env, file, guard, instead = TEXT_BREAKS[name][how]
    project = open_project(env, SPECS[1])
    tree = project.render()
    assert guard in tree[file]
    tree[file] = tree[file].replace(guard, instead)
    verdicts = check_security(tree, project.spec.bind_address)
    assert [name] == [verdict.name for verdict in verdicts if not verdict.passed]


@pytest.mark.parametrize(("name", "how"), CASES, ids=[f"{name}-{how}" for name, how in CASES])
def test_security_check_fails_alone_when_its_guard_is_gone(tenants, name, how):
    """One guard taken out of the rendered text fails its check, and no other."""
    file, change = BREAKS[name][how]
    parsed = yaml.safe_load(tenants[file])
    change(parsed)
    verdicts = check_security({**tenants, file: yaml.safe_dump(parsed)})
    assert [name] == [verdict.name for verdict in verdicts if not verdict.passed]


@pytest.mark.parametrize(("stage", "passed"), [("tenant", True), ("pack", False)])
def test_security_check_wants_the_tenant_stage_of_alloy(tenants, stage, passed):
    """Without the stage all lines are the default tenant's, whichever collector reads them."""
    verdicts = check_security(
        {**tenants, "stack/rendered/alloy/config.alloy": f"  stage.{stage} {{\n  }}\n"}
    )
    assert passed == (TENANTS not in [v.name for v in verdicts if not v.passed])


def test_security_check_says_where_and_what(tenants):
    """A problem names the service and the key."""
    text = tenants[COMPOSE].replace("read_only: true", "read_only: false")
    problems = [v.problems for v in check_security({**tenants, COMPOSE: text}) if not v.passed]
    services = yaml.safe_load(text)["services"]
    assert [tuple(f"{name}: read_only is not true" for name in services)] == problems


def test_security_checks_let_a_widened_address_be(tenants):
    """What the spec widens is not held against the compose file; what it does not, is."""
    text = tenants[COMPOSE].replace("127.0.0.1:3100", "10.0.0.1:3100")
    failed = {
        address: [v.name for v in check_security({**tenants, COMPOSE: text}, address) if v.problems]
        for address in ("10.0.0.1", "127.0.0.1")
    }
    assert {"10.0.0.1": [], "127.0.0.1": ["published ports"]} == failed


def test_security_checks_keep_loki_on_this_machine_behind_a_gateway(tenants):
    """With a gateway only the gateway is where the spec says; Loki's own port stays here."""
    compose = yaml.safe_load(tenants[COMPOSE])
    gateway = {**compose["services"]["grafana"], "ports": ["10.0.0.1:8443:8443"], "volumes": []}
    compose["services"]["gateway"] = gateway
    tree = {**tenants, COMPOSE: yaml.safe_dump(compose)}
    assert [] == [v.problems for v in check_security(tree, "10.0.0.1") if not v.passed]
    compose["services"]["loki"]["ports"] = ["10.0.0.1:3100:3100"]
    tree = {**tenants, COMPOSE: yaml.safe_dump(compose)}
    assert [("loki: published on 10.0.0.1, not on 127.0.0.1",)] == [
        verdict.problems for verdict in check_security(tree, "10.0.0.1") if not verdict.passed
    ]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ('password = "hunter2"', True),
        ("secret_key hunter2;", False),
        ("auth_token: hunter2", True),
        ('password_file = "/run/secrets/x"', False),
        ('password = "/run/secrets/x"', False),
        ("# password = hunter2", False),
    ],
)
def test_security_check_finds_secrets_in_configs_of_other_kinds(tenants, line, refused):
    """A config that is neither YAML nor JSON is read line by line."""
    verdicts = check_security({**tenants, "stack/rendered/alloy/config.alloy": f"  {line}\n"})
    assert refused == ("no secret values" in [v.name for v in verdicts if not v.passed])


def test_security_checks_name_a_file_that_cannot_be_parsed(tenants):
    """A damaged template is one message with its file, not a traceback."""
    with pytest.raises(CheckFailed, match=r"loki\.yaml cannot be parsed; mend its template: "):
        check_security({**tenants, LOKI: tenants[LOKI] + "<<<<<<< HEAD\n  x: y\n"})
