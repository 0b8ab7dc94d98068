"""The gateway in front of a stack with tenants: who gets in, and as whom."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from loglane.stack import engine, probe
from loglane.stack.project import Project, open_project
from tests.integration.conftest import eventually, free_ports, write_project

pytestmark = pytest.mark.integration

PUSH, QUERY = "/loki/api/v1/push", "/loki/api/v1/query_range"
USERS = [
    {"name": "pusher-a", "tenant": "team-a", "may": ["push"]},
    {"name": "reader-a", "tenant": "team-a", "may": ["query"]},
    {"name": "both-b", "tenant": "team-b", "may": ["push", "query"]},
    {"name": "flooder", "tenant": "team-b", "may": ["query"]},
    {"name": "changing", "tenant": "team-b", "may": ["query"]},
    # Words of nginx's own, as names.
    {"name": "default", "tenant": "team-a", "may": ["query"]},
    {"name": "include", "tenant": "team-a", "may": ["query"]},
]
# Forms in which a client may try to name another tenant than its own.
FORGED = {
    "plain": [("X-Scope-OrgID", "{other}")],
    "both": [("X-Scope-OrgID", "team-a|team-b")],
    "lower case": [("x-scope-orgid", "{other}")],
    "upper case": [("X-SCOPE-ORGID", "{other}")],
    "underscores": [("X_Scope_OrgID", "{other}")],
    "twice": [("X-Scope-OrgID", "{other}"), ("X-Scope-OrgID", "{other}")],
    "beside a right one": [("X-Scope-OrgID", "{own}"), ("X-Scope-OrgID", "{other}")],
    "hop by hop": [("Connection", "close, X-Scope-OrgID"), ("X-Scope-OrgID", "{other}")],
    "folded name": [("X-Scope-OrgID ", "{other}")],
}
CLOSED = [
    ("POST", "/loki/api/v1/delete?query=%7Bservice%3D%22orders%22%7D&start=1"),
    ("GET", "/loki/api/v1/delete"),
    ("PUT", "/loki/api/v1/delete?query=%7Bservice%3D%22orders%22%7D&start=1"),
    ("GET", "/loki/api/v1/rules"),
    ("GET", "/prometheus/api/v1/rules"),
    ("POST", "/flush"),
    ("POST", "/ingester/shutdown"),
    ("GET", "/config"),
    ("GET", "/ring"),
    ("GET", "/compactor/ring"),
    ("GET", "/metrics"),
    ("GET", "/services"),
    ("GET", "/loki/api/v1/status/buildinfo"),
    ("POST", "/otlp/v1/logs"),
    ("POST", "/api/prom/push"),
    ("DELETE", "/loki/api/v1/push"),
    ("GET", "/loki/api/v1/push"),
    ("PUT", "/loki/api/v1/query"),
    ("GET", "//loki//api/v1/delete"),
    ("GET", "/loki/api/v1/push/../delete"),
    ("GET", "/loki/api/v1/label/..%2f..%2fdelete/values"),
    ("GET", "/loki/api/v1/query%0a"),
    ("GET", "/loki/api/v1/query%0d%0aX-Scope-OrgID:%20team-a"),
    ("GET", "/loki/api/v1/query%3f/../delete"),
    ("GET", "/%6c%6f%6b%69/api/v1/delete"),
    ("GET", "/public/..%2fmetrics"),
    ("POST", "/api/datasources/proxy/uid/loglane-loki/loki/api/v1/push"),
    ("POST", "/api/datasources/proxy/1/loki/api/v1/delete"),
    ("POST", "/api/datasources/proxy/uid/loglane-loki/../../../../loki/api/v1/push"),
]
# Paths that Grafana would pass on, made into another path by Loki.
THROUGH_GRAFANA = [
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/config?x",
    "/..%2f..%2f..%2f..%2fconfig?x",
    "/..%2F..%2F..%2F..%2Fflush?x",
    "/..%252f..%252f..%252f..%252fmetrics?x",
    "/%252E%252e/%252e%252e/%252e%252e/%252e%252e/config?x",
    "/.%2e/.%2e/.%2e/.%2e/config?x",
]


def loglane(spec_file: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loglane", *arguments],
        cwd=spec_file.parent.parent,
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
    )


@dataclass(frozen=True)
class Entrance:
    """A running stack, as its gateway's clients see it."""

    spec_file: Path
    project: Project
    port: int

    def secret(self, name: str) -> str:
        return (self.project.secrets / name).read_text().strip()

    def login(self, user: str) -> tuple[str, str]:
        return user, self.secret(f"gateway_{user}_password")

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.project.secrets / "gateway_ca.pem")

    def ask(self, method: str, path: str, **arguments) -> httpx2.Response:
        url = f"https://localhost:{self.port}{path}"
        return httpx2.request(method, url, verify=self.tls, timeout=30, **arguments)

    def push(self, user: str, line: str, headers=(), **arguments) -> int:
        stream = {"stream": {"service": "t"}, "values": [[str(time.time_ns()), line]]}
        body = {"json": {"streams": [stream]}, **arguments}
        return self.ask("POST", PUSH, auth=self.login(user), headers=headers, **body).status_code

    def lines(self, user: str, headers=()) -> set[str]:
        since = str(time.time_ns() - 3600 * 10**9)
        query = {"query": '{service="t"}', "start": since, "limit": "1000"}
        answer = self.ask("GET", QUERY, auth=self.login(user), params=query, headers=headers)
        assert 200 == answer.status_code, answer.text
        streams = answer.json()["data"]["result"]
        return {value[1] for stream in streams for value in stream["values"]}

    def handshake(self, path: str, authorization: str) -> str:
        """Ask for a WebSocket; return the status line."""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n"
            f"Origin: https://localhost:{self.port}\r\nAuthorization: {authorization}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(request.encode())
            return connection.recv(4096).split(b"\r\n")[0].decode()

    def in_container(self, service: str, *command: str) -> str:
        code, said = engine.compose_exec(self.project.compose_file, service, command, "")
        assert 0 == code, said
        return said


def basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


@pytest.fixture(scope="module")
def entrance(docker_engine, tmp_path_factory) -> Iterator[Entrance]:
    """Start a stack with two teams and a gateway once for this module."""
    name = f"loglane-test-{uuid.uuid4().hex[:8]}"
    spec_file = write_project(tmp_path_factory.mktemp("gateway"), name, f"collect={name}")
    overlay_file = spec_file.parent / "environments" / "dev.yaml"
    overlay = yaml.safe_load(overlay_file.read_text())
    (port,) = free_ports(1)
    overlay["ports"]["gateway"] = port
    overlay["tenants"] = {"team-a": {"services": ["orders"]}, "team-b": {"services": ["search"]}}
    overlay["grafana"] = {"dashboards": ["logs-overview"]}
    overlay["gateway"] = {
        "tls": {"mode": "generated", "names": ["localhost", "127.0.0.1"]},
        "users": USERS,
        "rate_limit": {"requests_per_second": 20, "burst": 60},
    }
    overlay_file.write_text(yaml.safe_dump(overlay))
    project = open_project("dev", spec_file)
    images = project.spec.pinned_images
    missing = [image for image in images if not engine.has_image(docker_engine, image)]
    if missing:
        commands = " && ".join(f"docker pull {image}" for image in missing)
        pytest.skip(f"needs images that are not on this machine: {commands}")
    try:
        done = loglane(spec_file, "up", "--json")
        assert 0 == done.returncode, done.stderr
        assert f"https://localhost:{port}" == json.loads(done.stdout)["gateway"]
        yield Entrance(spec_file, project, port)
    finally:
        loglane(spec_file, "down", "--volumes", "--yes")


@pytest.fixture(scope="module")
def lines(entrance) -> dict[str, str]:
    """Return a line of each team, stored."""
    found = {tenant: f"{tenant} {uuid.uuid4().hex}" for tenant in ("team-a", "team-b")}
    assert 204 == entrance.push("pusher-a", found["team-a"])
    assert 204 == entrance.push("both-b", found["team-b"])
    for user, tenant in (("reader-a", "team-a"), ("both-b", "team-b")):
        assert eventually(lambda u=user, t=tenant: found[t] in entrance.lines(u), True)
    return found


def test_certificate_is_trusted_by_its_authority_only(entrance):
    """A client that knows the generated authority connects by name and address; others do not."""
    assert 200 == entrance.ask("GET", "/healthz").status_code
    by_address = f"https://127.0.0.1:{entrance.port}/healthz"
    assert "ok\n" == httpx2.get(by_address, verify=entrance.tls).text
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(by_address)


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize(
    ("user", "own", "other"), [("reader-a", "team-a", "team-b"), ("both-b", "team-b", "team-a")]
)
def test_tenant_cannot_read_another(entrance, lines, user, own, other, headers):
    """Whatever header a client brings along, it reads its own tenant's lines."""
    forged = [(name, value.format(own=own, other=other)) for name, value in headers]
    if any(" " in name for name, _ in forged):
        assert 400 == raw(entrance, "GET", f"{QUERY}?query=x", [*forged, auth_of(entrance, user)])
        return
    found = entrance.lines(user, forged)
    assert lines[own] in found
    assert lines[other] not in found


@pytest.mark.parametrize("form", ["plain", "both", "underscores", "twice", "hop by hop"])
def test_tenant_cannot_write_into_another(entrance, form):
    """What team A pushes with a forged header is stored as team A's, and not as team B's."""
    line = f"forged {uuid.uuid4().hex}"
    headers = [(name, value.format(own="team-a", other="team-b")) for name, value in FORGED[form]]
    assert 204 == entrance.push("pusher-a", line, headers)
    assert eventually(lambda: line in entrance.lines("reader-a"), True)
    assert line not in entrance.lines("both-b")


def auth_of(entrance, user):
    return "Authorization", basic(entrance.login(user))


def raw(entrance, method, path, headers) -> int:
    """Send a request as it is: clients clean paths and headers."""
    connection = http.client.HTTPSConnection("localhost", entrance.port, context=entrance.tls)
    connection.putrequest(method, path, skip_accept_encoding=True)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    connection._buffer.append(lines.rstrip("\r\n").encode())  # putheader refuses wrong names
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "login",
    [None, ("reader-a", "wrong"), ("nobody", "wrong"), ("reader-a", ""), ("", "")],
    ids=["none", "wrong password", "unknown user", "empty password", "empty"],
)
def test_wrong_login_is_refused(entrance, login):
    """Without a user and the right password nothing is answered."""
    assert 401 == entrance.ask("GET", QUERY, auth=login).status_code
    assert 401 == entrance.ask("POST", PUSH, auth=login, json={"streams": []}).status_code


@pytest.mark.parametrize("user", ["default", "include"])
def test_user_may_have_a_name_that_nginx_knows(entrance, lines, user):
    """A user named as one of nginx's own words is a user like others, of its own tenant."""
    found = entrance.lines(user)
    assert lines["team-a"] in found
    assert lines["team-b"] not in found


def test_password_of_one_user_is_not_anothers(entrance):
    """A right password under another name is a wrong one."""
    login = ("both-b", entrance.login("reader-a")[1])
    assert 401 == entrance.ask("GET", QUERY, auth=login).status_code


def test_user_may_do_what_is_named_and_nothing_else(entrance):
    """Who may push cannot query, and the other way round."""
    query = {"query": '{service="t"}'}
    pusher, reader = entrance.login("pusher-a"), entrance.login("reader-a")
    assert 401 == entrance.ask("GET", QUERY, auth=pusher, params=query).status_code
    assert 200 == entrance.ask("GET", QUERY, auth=reader, params=query).status_code
    assert 200 == entrance.ask("POST", QUERY, auth=reader, data=query).status_code
    assert 401 == entrance.push("reader-a", "x")


@pytest.mark.parametrize(("method", "path"), CLOSED, ids=[" ".join(item) for item in CLOSED])
def test_rest_of_loki_is_closed(entrance, method, path):
    """Deleting, flushing, configuration and metrics are not reached, by any way of writing them."""
    status = raw(entrance, method, path, [auth_of(entrance, "both-b"), ("Content-Length", "0")])
    assert status in (400, 403, 404)


@pytest.mark.parametrize("path", THROUGH_GRAFANA)
def test_rest_of_loki_is_closed_to_grafanas_users(entrance, path):
    """Nobody who is logged in to Grafana reaches more of Loki by a path with dots in it."""
    login = (entrance.project.spec.grafana.admin_user, entrance.secret("grafana_admin_password"))
    asked = "/api/datasources/uid/loglane-loki/resources/label"
    headers = [("Authorization", basic(login))]
    assert 200 == raw(entrance, "GET", f"{asked}/service/values?x", headers)
    assert 400 == raw(entrance, "GET", f"{asked}{path}", headers)


@pytest.mark.parametrize(
    "path",
    ["query?query=1", "labels", "label/service/values", "series?match[]=%7Bservice%3D%22t%22%7D",
     "index/stats?query=%7Bservice%3D%22t%22%7D", "index/volume?query=%7Bservice%3D%22t%22%7D"],
)  # fmt: skip
def test_query_endpoints_answer(entrance, lines, path):
    """What clients and Grafana's Explore ask Loki for is there."""
    answer = entrance.ask("GET", f"/loki/api/v1/{path}", auth=entrance.login("both-b"))
    assert 200 == answer.status_code, answer.text


def test_gzipped_push_is_stored(entrance):
    """A body that the client has packed passes as it is."""
    line = f"packed {uuid.uuid4().hex}"
    stream = {"stream": {"service": "t"}, "values": [[str(time.time_ns()), line]]}
    body = gzip.compress(json.dumps({"streams": [stream]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    login = entrance.login("both-b")
    answer = entrance.ask("POST", PUSH, auth=login, content=body, headers=headers)
    assert 204 == answer.status_code, answer.text
    assert eventually(lambda: line in entrance.lines("both-b"), True)


def test_tail_is_upgraded_for_those_who_may_query(entrance):
    """Live lines come through a WebSocket."""
    path = "/loki/api/v1/tail?query=%7Bservice%3D%22t%22%7D"
    assert "101" in entrance.handshake(path, basic(entrance.login("reader-a")))
    assert "401" in entrance.handshake(path, basic(entrance.login("pusher-a")))


def test_flood_of_one_user_is_answered_with_429(entrance):
    """Over the rate and the burst a user is told to wait, and nobody else is."""
    with httpx2.Client(
        base_url=f"https://localhost:{entrance.port}",
        verify=entrance.tls,
        auth=entrance.login("flooder"),
    ) as client:
        answers = [client.get("/loki/api/v1/labels") for _ in range(300)]
    assert {200, 429} == {answer.status_code for answer in answers}
    assert {"1"} == {a.headers["Retry-After"] for a in answers if a.status_code == 429}
    other = entrance.ask("GET", "/loki/api/v1/labels", auth=entrance.login("both-b"))
    assert 200 == other.status_code


def test_wrong_password_does_not_use_up_a_users_share(entrance):
    """Only requests with the right password count against a user."""
    wrong = ("reader-a", "wrong")
    with httpx2.Client(
        base_url=f"https://localhost:{entrance.port}", verify=entrance.tls, auth=wrong
    ) as client:
        assert {401} == {client.get("/loki/api/v1/labels").status_code for _ in range(200)}
    answer = entrance.ask("GET", "/loki/api/v1/labels", auth=entrance.login("reader-a"))
    assert 200 == answer.status_code


def test_grafana_is_behind_its_own_login(entrance):
    """Grafana answers its user, refuses others, and its cookie travels by TLS only."""
    login = (entrance.project.spec.grafana.admin_user, entrance.secret("grafana_admin_password"))
    assert 200 == entrance.ask("GET", "/api/org", auth=login).status_code
    assert 401 == entrance.ask("GET", "/api/org").status_code
    forged = {"X-WEBAUTH-USER": login[0]}
    assert 401 == entrance.ask("GET", "/api/org", headers=forged).status_code
    body = {"user": login[0], "password": login[1]}
    answer = entrance.ask("POST", "/login", json=body)
    assert 200 == answer.status_code, answer.text
    cookies = answer.headers.get_list("set-cookie")
    assert any(cookie.startswith("grafana_session=") for cookie in cookies)
    assert [] == [cookie for cookie in cookies if "; secure" not in cookie.lower()]
    assert "101" in entrance.handshake("/api/live/ws", basic(login))


def test_grafana_logins_are_limited_by_address(entrance):
    """Guessing Grafana's password is slowed down."""
    body = {"user": "nobody", "password": "wrong"}
    answers = {entrance.ask("POST", "/login", json=body).status_code for _ in range(20)}
    assert {401, 429} == answers


def seen_in(entrance, uid) -> set[str]:
    login = (entrance.project.spec.grafana.admin_user, entrance.secret("grafana_admin_password"))
    query = {
        "refId": "A",
        "datasource": {"type": "loki", "uid": uid},
        "expr": '{service="t"}',
        "queryType": "range",
        "maxLines": 1000,
    }
    body = {"from": "now-1h", "to": "now+1m", "queries": [query]}
    answer = entrance.ask("POST", "/api/ds/query", auth=login, json=body)
    assert 200 == answer.status_code, answer.text
    frames = answer.json()["results"]["A"]["frames"]
    return {
        text
        for frame in frames
        for field, values in zip(frame["schema"]["fields"], frame["data"]["values"], strict=True)
        if field["name"] == "Line"
        for text in values
    }


def test_datasource_of_a_tenant_shows_that_tenant(entrance, lines):
    """Each tenant has a datasource that sees its lines only; the default one sees all."""
    both = set(lines.values())
    assert {lines["team-a"]} == both & seen_in(entrance, "loglane-loki-team-a")
    assert {lines["team-b"]} == both & seen_in(entrance, "loglane-loki-team-b")
    assert set() == both & seen_in(entrance, "loglane-loki-main")
    assert both == both & seen_in(entrance, "loglane-loki")


def test_each_container_has_its_own_secrets_only(entrance):
    """A copy is there for its reader, closed to others, and nobody has another's."""
    listing = ["sh", "-c", "stat -c '%n %a %u' /run/secrets/* | sed s,/run/secrets/,,"]
    assert ["grafana_admin_password 600 472"] == entrance.in_container(
        "grafana", *listing
    ).splitlines()
    assert [
        "gateway_push_users 600 101", "gateway_query_users 600 101",
        "gateway_tls.key 600 101", "gateway_tls.pem 600 101",
    ] == sorted(entrance.in_container("gateway", *listing).splitlines())  # fmt: skip
    host = {path.name: path.stat().st_mode & 0o777 for path in entrance.project.secrets.iterdir()}
    assert {0o600} == {mode for name, mode in host.items() if name != ".gitignore"}


def service_filter(entrance, service) -> dict[str, list[str]]:
    project = entrance.project.spec.project
    return {
        "label": [
            f"com.docker.compose.project={project}",
            f"com.docker.compose.service={service}",
        ]
    }


def test_gateway_has_no_rights_of_its_own(entrance, docker_engine):
    """Its container is no root, has no capability, and cannot write its root file system."""
    (gateway,) = docker_engine.containers.list(filters=service_filter(entrance, "gateway"))
    host = gateway.attrs["HostConfig"]
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (
        host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"],
    )  # fmt: skip
    assert "101:101" == gateway.attrs["Config"]["User"]


def test_access_log_is_json_without_secrets(entrance, docker_engine):
    """Every line is one JSON object; no password and no query string is in it."""
    marker = uuid.uuid4().hex
    login = entrance.login("both-b")
    entrance.ask("GET", QUERY, auth=login, params={"query": f'{{service="{marker}"}}'})
    entrance.ask("GET", f"/invite/{marker}")

    (gateway,) = docker_engine.containers.list(filters=service_filter(entrance, "gateway"))

    def said() -> str:
        return gateway.logs().decode()

    assert eventually(lambda: "/invite/..." in said(), True)
    text = said()
    records = [json.loads(line) for line in text.splitlines()]
    (query,) = [r for r in records if r["user"] == "both-b" and r["path"] == QUERY][-1:]
    assert ("gateway", "team-b", "access") == (
        query["service"], query["tenant"], query["log_category"],
    )  # fmt: skip
    for secret in (marker, login[1], basic(login).removeprefix("Basic ")):
        assert secret not in text


def test_access_lines_are_collected(entrance, docker_engine):
    """The default tenant has them, with the level that the status stands for."""
    entrance.ask("GET", QUERY, auth=("reader-a", "wrong"))
    labels = '{service="gateway", level="warning"}'
    params = {"query": f'{labels} | json | status=401 and path="{QUERY}"'}

    def found() -> int:
        url = f"{probe.loki_url(entrance.project.spec)}{QUERY}"
        headers = probe.tenant_headers(entrance.project.spec)
        answer = httpx2.get(url, params=params, headers=headers, trust_env=False)
        return len(answer.json()["data"]["result"])

    assert eventually(lambda: found() > 0, True)


def test_rotated_passwords_replace_the_old_ones(entrance):
    """After `rotate` the old passwords are refused and the new ones taken, by Grafana too."""
    user = entrance.project.spec.grafana.admin_user
    old_login, old_admin = entrance.login("changing"), entrance.secret("grafana_admin_password")
    done = loglane(
        entrance.spec_file, "secrets", "rotate", "gateway_changing_password",
        "grafana_admin_password", "--json",
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert {
        "gateway_changing_password": "gateway was started anew; give the new password to whoever "
        "uses it",
        "grafana_admin_password": "Grafana took it",
    } == {item["name"]: item["follow_up"] for item in json.loads(done.stdout)["changed"]}
    new_login, new_admin = entrance.login("changing"), entrance.secret("grafana_admin_password")
    assert new_login != old_login
    assert new_admin not in (old_admin, done.stdout, done.stderr)

    def status(path: str, login: tuple[str, str]) -> int:
        try:
            return entrance.ask("GET", path, auth=login).status_code
        except httpx2.HTTPError:
            return 0

    assert 200 == eventually(lambda: status("/loki/api/v1/labels", new_login), 200)
    assert 401 == status("/loki/api/v1/labels", old_login)
    assert 200 == status("/api/org", (user, new_admin))
    assert 401 == status("/api/org", (user, old_admin))


def test_user_who_is_taken_out_of_the_spec_is_shut_out(entrance):
    """`up` with one user less and one more changes the gateway that runs."""
    leaving = entrance.login("changing")
    overlay_file = entrance.spec_file.parent / "environments" / "dev.yaml"
    overlay = yaml.safe_load(overlay_file.read_text())
    users = [user for user in overlay["gateway"]["users"] if user["name"] != "changing"]
    users.append({"name": "coming", "tenant": "team-a", "may": ["query"]})
    overlay["gateway"]["users"] = users
    overlay_file.write_text(yaml.safe_dump(overlay))
    done = loglane(entrance.spec_file, "up", "--json")
    assert 0 == done.returncode, done.stderr
    assert 401 == entrance.ask("GET", "/loki/api/v1/labels", auth=leaving).status_code
    coming = entrance.login("coming")
    assert 200 == entrance.ask("GET", "/loki/api/v1/labels", auth=coming).status_code


def test_missing_secret_stops_the_stack_with_its_name(docker_engine, entrance, tmp_path):
    """What only the operator can give is asked for, by loglane and by the container alone."""
    name = f"loglane-test-{uuid.uuid4().hex[:8]}"
    spec_file = write_project(tmp_path, name, f"collect={name}")
    overlay_file = spec_file.parent / "environments" / "dev.yaml"
    overlay = yaml.safe_load(overlay_file.read_text())
    overlay["alerts"] = {
        "contact_points": {"team": {"type": "webhook", "url_secret": "alert_webhook_url"}}
    }
    overlay_file.write_text(yaml.safe_dump(overlay))
    done = loglane(spec_file, "up")
    assert 1 == done.returncode
    assert "alert_webhook_url is missing: `loglane secrets set alert_webhook_url" in done.stderr
    file = str(open_project("dev", spec_file).compose_file)
    try:
        code, said = engine.run_docker(["compose", "--file", file, "up", "secrets"])
        assert "the secret alert_webhook_url is missing" in said
        code, said = engine.run_docker(["compose", "--file", file, "run", "--rm", "secrets"])
        assert 1 == code, said
    finally:
        engine.run_docker(["compose", "--file", file, "down", "--volumes"])
