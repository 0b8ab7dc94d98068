"""The audit trail in the stack: its datasource, its secrets, and the bundled database."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from pydantic import ValidationError

from loglane.stack.dashboards import audit
from loglane.stack.render import render
from loglane.stack.secrets import required, secrets_context
from loglane.stack.security import check_security
from loglane.stack.spec import StackSpec

DATASOURCES = "stack/rendered/grafana/provisioning/datasources/datasources.yaml"
BUNDLED = {"bundled": True}


def spec(database, **keys) -> StackSpec:
    return StackSpec.model_validate({"env": "dev", "audit": {"database": database}, **keys})


def datasource(root, database):
    """Return the rendered datasource, which is the last one."""
    tree = render(spec(database), root / "templates")
    return yaml.safe_load(tree[DATASOURCES])["datasources"][-1]


def container(root, database):
    """Return the service of the bundled database."""
    tree = render(spec(database), root / "templates")
    return yaml.safe_load(tree["docker-compose.yml"])["services"]["mariadb"]


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ({}, ("address",)),
        ({**BUNDLED, "type": "postgresql"}, ("type",)),
        ({**BUNDLED, "type": "mysql"}, ("type",)),
        ({**BUNDLED, "address": "db:3306"}, ("address",)),
        ({**BUNDLED, "user": "audit_writer"}, ("user",)),
    ],
    ids=["nowhere", "bundled postgresql", "bundled mysql", "bundled elsewhere", "the writer reads"],
)
def test_database_that_cannot_be_is_refused(database, expected):
    """The error names the key that is wrong."""
    with pytest.raises(ValidationError) as caught:
        spec(database)
    (error,) = caught.value.errors()
    assert [expected] == [path for path, _ in error["ctx"]["error"].found]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mariadb", ("mysql", "+00:00", None)),
        ("mysql", ("mysql", "+00:00", None)),
        ("postgresql", ("grafana-postgresql-datasource", None, "disable")),
    ],
)
def test_datasource_is_of_its_databases_kind(root, kind, expected):
    """MySQL's naive times are compared in a session of UTC; PostgreSQL's say their zone."""
    found = datasource(root, {"type": kind, "address": "db:1234"})
    settings = found["jsonData"]
    assert expected == (found["type"], settings.get("timezone"), settings.get("sslmode"))
    assert ("db:1234", "audit_reader", "audit") == (
        found["url"],
        found["user"],
        settings["database"],
    )


def test_password_is_read_from_its_file(root):
    """The rendered datasource names the file of the secret and holds no password."""
    tree = render(spec(BUNDLED), root / "templates")
    assert "password: $__file{/run/secrets/audit_reader_password}\n" in tree[DATASOURCES]


def test_passwords_of_the_bundled_database_are_generated():
    """The database and Grafana get the reader's; the writer's goes to the database alone."""
    found = {item.name: (item.origin, item.consumers) for item in required(spec(BUNDLED))}
    assert ("generated", ("grafana", "mariadb")) == found["audit_reader_password"]
    assert ("generated", ("mariadb",)) == found["audit_writer_password"]


def test_each_reader_has_a_copy_of_its_own():
    """What two containers read is copied to two volumes."""
    handed = {item["volume"]: item["words"] for item in secrets_context(spec(BUNDLED))["handover"]}
    reader, writer = "audit_reader_password", "audit_writer_password"
    assert ["grafana", "472:0", "grafana_admin_password", reader] == handed["grafana-secrets"]
    assert ["mariadb", "999:999", reader, writer] == handed["mariadb-secrets"]


def test_bundled_database_stays_on_this_machine(root):
    """Whatever address the stack listens on, the database for development listens on loopback."""
    tree = render(spec(BUNDLED, bind_address="0.0.0.0"), root / "templates")  # noqa: S104
    services = yaml.safe_load(tree["docker-compose.yml"])["services"]
    assert ["127.0.0.1:3306:3306"] == services["mariadb"]["ports"]
    assert ["0.0.0.0:3000:3000"] == services["grafana"]["ports"]


def test_bundled_database_keeps_every_guard(root):
    """The security checks find nothing in a stack with it."""
    tree = render(spec(BUNDLED), root / "templates")
    assert [] == [verdict.problems for verdict in check_security(tree) if not verdict.passed]


def test_stack_without_a_database_has_no_container_for_one():
    """It is off by default, and where the database is elsewhere."""
    assert "mariadb" in spec(BUNDLED).components
    assert "mariadb" not in spec({"address": "db:3306"}).components
    assert "mariadb" not in StackSpec.model_validate({"env": "dev"}).components


def test_audit_lines_are_found_where_their_category_is_no_label():
    """Loki wants a matcher that cannot match an empty value, as the one of an empty field does."""
    keys = {"labels": ("service", "env", "level")}
    found = audit.queries(spec(BUNDLED, **keys))["audit_lines"]
    assert found.startswith('{service=~".+", ')
    assert '| log_category="audit"' in found


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash: apt-get install bash")
def test_start_script_writes_names_and_passwords_as_sql(root, tmp_path):
    """No password ends its string, and no `_` of a name stands for another character."""
    (script,) = container(root, {**BUNDLED, "database": "my_audit"})["command"]
    for name, password in (("reader", r"it's \ 2"), ("writer", "plain")):
        (tmp_path / f"audit_{name}_password").write_text(f"{password}\n")
    # Compose makes `$$` a dollar; the server is not what is tested here.
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    script = script.replace("/run/mysqld", str(tmp_path)).replace("exec docker-entrypoint.sh", "#")
    subprocess.run(["bash", "-euc", script], check=True)
    assert [
        "CREATE DATABASE IF NOT EXISTS `my_audit`;",
        "CREATE OR REPLACE USER 'audit_writer'@'%' IDENTIFIED BY 'plain';",
        r"GRANT ALL PRIVILEGES ON `my\_audit`.* TO 'audit_writer'@'%';",
        r"CREATE OR REPLACE USER 'audit_reader'@'%' IDENTIFIED BY 'it\'s \\ 2';",
        r"GRANT SELECT ON `my\_audit`.* TO 'audit_reader'@'%';",
    ] == (tmp_path / "start.sql").read_text().splitlines()
    assert 0o600 == (tmp_path / "start.sql").stat().st_mode & 0o777
