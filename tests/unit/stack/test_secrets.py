"""Secrets are made once, refused when weak, closed to others, and never shown."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from types import SimpleNamespace

import pytest

from loglane.errors import SpecError
from loglane.stack import certificates, engine, passwords, rotation
from loglane.stack.engine import Container
from loglane.stack.project import Project
from loglane.stack.secretfolder import SecretFolder
from loglane.stack.secrets import required, secrets_context
from loglane.stack.spec import StackSpec

STRONG = "x7Qm-vT2k_Lp9w-Rz4s"
AWS = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = abc+/=\n"
GATEWAY = {
    "tls": {"mode": "generated", "names": ["localhost", "127.0.0.1"]},
    "users": [{"name": "shop", "may": ["push"]}, {"name": "desk", "may": ["push", "query"]}],
}
EVERYTHING = {
    "gateway": GATEWAY,
    "storage": {"type": "s3", "bucket": "logs", "region": "eu-1"},
    "alerts": {"contact_points": {"a": {"type": "webhook", "url_secret": "alert_webhook_url"}}},
    "grafana": {"smtp": {"address": "mail:587", "sender": "a@example.org", "user": "logs"}},
    "audit": {"database": {"address": "db:3306"}},
}


def spec(**keys) -> StackSpec:
    return StackSpec.model_validate_json(json.dumps({"env": "dev", **keys}))


@pytest.fixture
def folder(tmp_path):
    return SecretFolder(spec(gateway=GATEWAY), tmp_path / "secrets")


def outcomes(findings) -> dict[str, str]:
    return {finding.secret.name: finding.outcome for finding in findings}


def texts(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.folder.iterdir()}


def test_required_names_what_the_spec_uses():
    """Each part of the spec brings its secrets, each with the containers that read it."""
    assert {
        "grafana_admin_password": ("generated", ("grafana",)),
        "alert_webhook_url": ("given", ("grafana",)),
        "grafana_smtp_password": ("given", ("grafana",)),
        "audit_reader_password": ("given", ("grafana",)),
        "s3_credentials": ("given", ("loki",)),
        "gateway_shop_password": ("generated", ()),
        "gateway_desk_password": ("generated", ()),
        "gateway_users": ("derived", ("gateway",)),
        "gateway_ca": ("generated", ()),
        "gateway_tls": ("generated", ("gateway",)),
    } == {item.name: (item.origin, item.consumers) for item in required(spec(**EVERYTHING))}


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"alerts": {**EVERYTHING["alerts"], "enabled": False}},
        {"grafana": {"smtp": {"address": "mail:25", "sender": "a@example.org"}}},
    ],
    ids=["default", "alerts off", "mail without a user"],
)
def test_required_names_nothing_else(keys):
    """A stack without the part needs the password of Grafana's user alone."""
    assert ["grafana_admin_password"] == [item.name for item in required(spec(**keys))]


def test_handover_keeps_the_readers_apart():
    """No file goes to two containers; the authority's key and the passwords go to none."""
    handed = {
        item["volume"]: item["words"][2:]
        for item in secrets_context(spec(**EVERYTHING))["handover"]
    }
    assert {
        "grafana-secrets": [
            "grafana_admin_password", "alert_webhook_url", "grafana_smtp_password",
            "audit_reader_password",
        ],
        "loki-secrets": ["s3_credentials"],
        "gateway-secrets": [
            "gateway_push_users", "gateway_query_users", "gateway_tls.pem", "gateway_tls.key",
        ],
    } == handed  # fmt: skip


def test_own_certificate_is_handed_over_and_never_made():
    """With mode `files` the operator's files take the generated ones' place."""
    tls = {"mode": "files", "certificate": "/etc/tls/a.pem", "key": "/etc/tls/a.key"}
    context = secrets_context(spec(gateway={"tls": tls}))
    assert [
        {"path": "/etc/tls/a.pem", "target": "/given/gateway_tls.pem"},
        {"path": "/etc/tls/a.key", "target": "/given/gateway_tls.key"},
    ] == context["own_certificate"]
    assert ["gateway_tls.pem", "gateway_tls.key"] == context["handover"][1]["words"][2:]


def test_init_makes_what_is_missing_closed_to_others(folder):
    """Every file has mode 0600, the folder 0700, and git ignores all of it."""
    assert {"made"} == set(outcomes(folder.init()).values())
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.folder.iterdir()}
    assert 0o700 == folder.folder.stat().st_mode & 0o777
    del modes[".gitignore"]
    assert {0o600} == set(modes.values())
    assert {file for secret in folder.secrets for file in secret.files} == set(modes)
    assert "*\n!.gitignore\n" == (folder.folder / ".gitignore").read_text()


def test_init_leaves_what_is_there(folder):
    """The second run changes nothing and says so."""
    folder.init()
    before = texts(folder)
    assert {"there"} == set(outcomes(folder.init()).values())
    assert before == texts(folder)


def test_init_closes_what_others_can_read(folder):
    """A mode that has slipped is repaired and reported."""
    folder.init()
    password = folder.folder / "grafana_admin_password"
    password.chmod(0o644)
    folder.folder.chmod(0o755)
    assert "repaired" == outcomes(folder.init())["grafana_admin_password"]
    assert (0o600, 0o700) == tuple(p.stat().st_mode & 0o777 for p in (password, folder.folder))


def test_init_says_what_only_people_can_give(tmp_path):
    """What is given is missing until it is there; the rest is made all the same."""
    folder = SecretFolder(spec(**EVERYTHING), tmp_path / "secrets")
    given = {name for name, outcome in outcomes(folder.init()).items() if outcome == "missing"}
    assert {
        "alert_webhook_url", "grafana_smtp_password", "audit_reader_password", "s3_credentials",
    } == given  # fmt: skip
    for name, value in (
        ("alert_webhook_url", "https://example.org/hook?token=1"),
        ("grafana_smtp_password", STRONG),
        ("audit_reader_password", STRONG + "2"),
        ("s3_credentials", AWS),
    ):
        folder.put(folder.named(name), value)
    assert {"there"} == set(outcomes(folder.init()).values())


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "is empty"),
        ("short-7Qm", "9 characters"),
        ("admin", "5 characters"),
        ("aaaaaaaabbbbbbbb", "2 different characters"),
        ("adminADMINadmin12x7Q", "common word"),
        ("Password-Secret-x7Qm", "common word"),
        ("abcdefghijklmnopq", "a sequence"),
        ("x7Qm$HOMEvT2k_Lp9w", "has a $"),
        ("x7Qm-vT2k\n_Lp9w-Rz4s", "do not print"),
        ("x7Qm-vT2k_Lp9w-Rzüs", "not ASCII"),
        (" x7Qm-vT2k_Lp9w-Rz4s", "a space"),
    ],
    ids=["empty", "short", "admin", "few", "word", "words", "sequence", "dollar", "line break",
         "umlaut", "space"],
)  # fmt: skip
def test_weak_password_is_refused_without_being_shown(folder, password, why):
    """Given, or found in its file: neither is used, and the message does not quote it."""
    secret = folder.named("gateway_shop_password")
    with pytest.raises(SpecError, match=why.replace("$", r"\$")) as refused:
        folder.put(secret, password)
    assert not password.strip() or password not in str(refused.value)
    assert not (folder.folder / "gateway_shop_password").exists()


def test_strong_password_is_taken():
    """Generated ones, and those of people with some care."""
    assert [None, None, None] == [
        passwords.weakness(value)
        for value in (STRONG, passwords.generate(), "correct horse battery staple")
    ]


def test_init_makes_nothing_beside_a_weak_secret(folder):
    """A weak one that is there stops everything, with the command that replaces it."""
    folder.folder.mkdir()
    (folder.folder / "grafana_admin_password").write_text("admin\n")
    with pytest.raises(
        SpecError, match="`loglane secrets rotate grafana_admin_password --env dev`"
    ):
        folder.init()
    assert ["grafana_admin_password"] == [path.name for path in folder.folder.iterdir()]
    assert "weak" == outcomes(folder.look())["grafana_admin_password"]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("alert_webhook_url", "example.org/hook", "no web address"),
        ("alert_webhook_url", "https://example.org/a b", "no web address"),
        ("alert_webhook_url", "https://example.org/$TOKEN", r"%24"),
        ("s3_credentials", "AKIA1:abc", "no file of AWS credentials"),
        ("s3_credentials", AWS.replace("default", "logs"), r"no section \[default\]"),
        ("s3_credentials", AWS.splitlines()[0] + "\n", "no aws_access_key_id and no aws_secret"),
        ("gateway_users", "a:b", "is made by loglane"),
    ],
    ids=["no scheme", "space", "dollar", "no ini", "no default", "no keys", "derived"],
)
def test_value_of_a_wrong_form_is_refused(tmp_path, name, value, why):
    """What its reader could not use is found when it is given."""
    folder = SecretFolder(spec(**EVERYTHING), tmp_path / "secrets")
    with pytest.raises(SpecError, match=why):
        folder.put(folder.named(name), value)


def test_link_instead_of_a_secret_is_refused(folder):
    """The container that hands secrets over could not follow it."""
    folder.init()
    file = folder.folder / "grafana_admin_password"
    file.rename(folder.folder.parent / "elsewhere")
    file.symlink_to(folder.folder.parent / "elsewhere")
    with pytest.raises(SpecError, match="not a plain file"):
        folder.init()


def test_users_file_holds_hashes_by_right(folder):
    """Each file names who has the right, with a salted hash and never the password."""
    folder.init()
    push, query = (folder.folder / f"gateway_{name}_users" for name in ("push", "query"))
    assert [["shop", "desk"], ["desk"]] == [
        [line.partition(":")[0] for line in file.read_text().splitlines()] for file in (push, query)
    ]
    password = (folder.folder / "gateway_desk_password").read_text().strip()
    assert password not in push.read_text() + query.read_text()
    assert passwords.users_agree(query.read_text(), {"desk": password})
    assert not passwords.users_agree(query.read_text(), {"desk": password + "x"})
    assert not passwords.users_agree(query.read_text(), {"shop": password})


def test_users_file_follows_the_spec_and_the_passwords(folder):
    """A user who is gone, or whose password is new, is gone from the file or new in it."""
    folder.init()
    fewer = {**GATEWAY, "users": GATEWAY["users"][:1]}
    after = SecretFolder(spec(gateway=fewer), folder.folder)
    assert "made" == outcomes(after.init())["gateway_users"]
    assert "desk" not in (folder.folder / "gateway_push_users").read_text()
    assert "# nobody\n" == (folder.folder / "gateway_query_users").read_text()
    after.put(after.named("gateway_shop_password"), STRONG)
    after.settle()
    push = (folder.folder / "gateway_push_users").read_text()
    assert passwords.users_agree(push, {"shop": STRONG})


def test_certificate_is_good_for_its_names(folder):
    """The server certificate is signed by the authority and names every host and address."""
    folder.init()
    context = ssl.create_default_context(cafile=folder.folder / "gateway_ca.pem")
    assert 1 == context.cert_store_stats()["x509_ca"]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder.folder / "gateway_tls.pem", folder.folder / "gateway_tls.key")
    for name in ("localhost", "127.0.0.1"):
        handshake(server, context, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, context, "example.org")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Let two ends shake hands in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() is not None


def test_certificate_is_renewed_when_its_names_change(folder):
    """A new name makes a new certificate; the authority that clients trust stays."""
    folder.init()
    before = texts(folder)
    more = {**GATEWAY, "tls": {"mode": "generated", "names": ["logs.example.org"]}}
    found = {f.secret.name: f for f in SecretFolder(spec(gateway=more), folder.folder).init()}
    assert ("made", "the names have changed") == (
        found["gateway_tls"].outcome, found["gateway_tls"].detail,
    )  # fmt: skip
    assert "there" == found["gateway_ca"].outcome
    assert before["gateway_ca.pem"] == texts(folder)["gateway_ca.pem"]


@pytest.mark.parametrize(
    ("file", "taken_from", "why"),
    [("gateway_tls.key", "gateway_ca.key", "another certificate"),
     ("gateway_tls.pem", "gateway_ca.key", "cannot be read")],
)  # fmt: skip
def test_broken_certificate_is_made_anew(folder, file, taken_from, why):
    """A key that does not fit, or a file that is no certificate, would stop the gateway."""
    folder.init()
    (folder.folder / file).write_text((folder.folder / taken_from).read_text())
    found = {f.secret.name: f for f in folder.init()}
    assert why in found["gateway_tls"].detail
    assert "there" == outcomes(folder.init())["gateway_tls"]


def test_certificate_is_renewed_in_time(folder, monkeypatch):
    """Within its last thirty days `init` makes another."""
    monkeypatch.setattr(certificates, "_SERVER_DAYS", 29)
    folder.init()
    monkeypatch.undo()
    found = {f.secret.name: f for f in folder.init()}
    assert ("made", "ends soon") == (found["gateway_tls"].outcome, found["gateway_tls"].detail)


@pytest.fixture
def project(tmp_path):
    made = Project(spec(**EVERYTHING, project="secrets-test"), tmp_path, tmp_path)
    SecretFolder(made.spec, made.secrets).init()
    return made


class FakeDocker:
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        self.running: tuple[str, ...] = ()
        self.volume_names: list[str] = []
        self.composed: list[list[str]] = []
        self.told: list[str] = []
        self.reset_code = 0
        self.volumes = SimpleNamespace(list=lambda **_filters: self.volume_names)


@pytest.fixture
def docker(monkeypatch):
    """Stand in for Docker; return what runs there and what was asked of it."""
    fake = FakeDocker()

    def containers(_client, _project):
        return [Container(name, name, "running", "", "i", 0) for name in fake.running]

    def reset(_file, service, command, stdin):
        fake.told.append(stdin)
        return fake.reset_code, "said"

    monkeypatch.setattr(engine, "connect", lambda: fake)
    monkeypatch.setattr(engine, "containers", containers)
    monkeypatch.setattr(engine, "compose", lambda _file, words: fake.composed.append(words))
    monkeypatch.setattr(engine, "compose_exec", reset)
    return fake


def test_rotate_renews_all_that_is_generated_but_the_authority(project, docker):
    """What clients trust stays, so that a rotation does not cut them off."""
    before = {path.name: path.read_text() for path in project.secrets.iterdir()}
    rotation.rotate(project, [])
    after = {path.name: path.read_text() for path in project.secrets.iterdir()}
    assert {
        "grafana_admin_password", "gateway_shop_password", "gateway_desk_password",
        "gateway_push_users", "gateway_query_users", "gateway_tls.pem", "gateway_tls.key",
    } == {name for name, text in after.items() if before[name] != text}  # fmt: skip
    assert [] == docker.composed


def test_rotate_of_the_authority_signs_a_new_certificate(project, docker):
    """And says that every client must learn it."""
    (change,) = rotation.rotate(project, ["gateway_ca"])
    assert f"give {project.secrets / 'gateway_ca.pem'} to every client" in change.follow_up
    folder = SecretFolder(project.spec, project.secrets)
    assert "there" == outcomes(folder.look())["gateway_tls"]


def test_rotate_starts_the_readers_that_run_anew(project, docker):
    """The handing over runs again, then the gateway; Grafana is told and keeps running."""
    docker.running = ("grafana", "gateway")
    rotation.rotate(project, ["gateway_shop_password", "grafana_admin_password"])
    assert [["up", "--detach", "--force-recreate", "secrets", "gateway"]] == docker.composed
    assert docker.told == [(project.secrets / "grafana_admin_password").read_text().strip()]


def test_rotate_keeps_the_old_password_when_grafana_refuses(project, docker):
    """Otherwise the file and Grafana's database would say different things."""
    docker.running, docker.reset_code = ("grafana",), 1
    before = (project.secrets / "grafana_admin_password").read_text()
    with pytest.raises(Exception, match="Grafana keeps its old password"):
        rotation.rotate(project, [])
    assert before == (project.secrets / "grafana_admin_password").read_text()


def test_rotate_needs_a_running_grafana_when_it_has_a_database(project, docker):
    """A stopped Grafana would start with the old password."""
    docker.volume_names = ["grafana-data"]
    with pytest.raises(Exception, match="`loglane up --env dev` first"):
        rotation.rotate(project, ["grafana_admin_password"])


@pytest.mark.parametrize(
    ("name", "why"),
    [("s3_credentials", "loglane secrets set s3_credentials"), ("nope", "is no secret of this")],
)
def test_rotate_of_what_is_not_generated_is_refused(project, docker, name, why):
    """A given secret is renewed where it comes from."""
    with pytest.raises(SpecError, match=why):
        rotation.rotate(project, [name])


def test_given_value_reaches_its_reader(project, docker):
    """`set` writes the value and starts the container that reads it anew."""
    docker.running = ("grafana", "gateway")
    rotation.give(project, "alert_webhook_url", "https://example.org/hook\n")
    assert "https://example.org/hook\n" == (project.secrets / "alert_webhook_url").read_text()
    assert [["up", "--detach", "--force-recreate", "secrets", "grafana"]] == docker.composed


@pytest.fixture
def here(root, tmp_path):
    """Return a project with a gateway, for the command line."""
    (tmp_path / "stack" / "environments").mkdir(parents=True)
    text = (root / "stack" / "stack.yaml").read_text()
    (tmp_path / "stack" / "stack.yaml").write_text(text)
    overlay = {"env": "dev", "project": "secrets-test", "gateway": GATEWAY,
               "alerts": EVERYTHING["alerts"]}  # fmt: skip
    (tmp_path / "stack" / "environments" / "dev.yaml").write_text(json.dumps(overlay))
    return tmp_path


def loglane(folder, *arguments, stdin="") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "loglane", "secrets", *arguments],
        cwd=folder, input=stdin, capture_output=True, text=True, check=False,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_commands_never_show_a_value(here):
    """Neither init, list, set nor rotate prints what is in a file."""
    done = [
        loglane(here, "init", "--json"),
        loglane(here, "set", "alert_webhook_url", stdin="https://example.org/hidden-token\n"),
        loglane(here, "list"),
        loglane(here, "init"),
        loglane(here, "rotate", "gateway_shop_password", "gateway_tls"),
    ]
    assert [1, 0, 0, 0, 0] == [item.returncode for item in done]
    said = "".join(item.stdout + item.stderr for item in done)
    for file in (here / "stack/secrets").iterdir():
        if file.name != ".gitignore":
            assert file.read_text().strip().splitlines()[-1] not in said
    assert "hidden-token" not in said


def test_init_fails_with_the_list_of_what_is_missing(here):
    """Exit code 1, the name and the command; as plain data too."""
    done = loglane(here, "init", "--json")
    assert 1 == done.returncode
    assert "alert_webhook_url is missing: `loglane secrets set alert_webhook_url" in done.stderr
    found = {item["name"]: item["outcome"] for item in json.loads(done.stdout)["secrets"]}
    assert ("missing", "made") == (found["alert_webhook_url"], found["gateway_tls"])


def test_set_of_a_weak_password_exits_2(here):
    """The value came from the command line's user, so it is wrong input."""
    done = loglane(here, "set", "gateway_shop_password", stdin="admin")
    assert (2, "") == (done.returncode, done.stdout)
    assert "gateway_shop_password: has 5 characters; use 16 at least" in done.stderr
