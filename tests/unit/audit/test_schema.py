"""The tables: made, migrated, taken over and checked, on every database."""

from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy import Column, MetaData, String, Table, inspect, text
from sqlalchemy.event import listens_for

from loglane.audit import schema
from loglane.audit.table import metadata
from loglane.errors import CheckFailed, SinkUnavailable
from tests.unit.audit.stores import engine_of, event, execute, stored, write


@pytest.fixture
def engine(database_url):
    with engine_of(database_url) as engine:
        yield engine


def test_migrations_make_the_table_of_the_package(engine):
    """Alembic finds no difference between what it made and what the package writes to."""
    assert schema.Change(None, "0001") == schema.init(engine)
    with engine.connect() as connection:
        assert [] == schema.differences(connection)


def test_differences_are_found(engine):
    """A comparison that found nothing ever would prove nothing."""
    schema.init(engine)
    with engine.begin() as connection:
        on = " ON audit_records" if "mysql" in engine.url.drivername else ""
        connection.exec_driver_sql(f"DROP INDEX ix_audit_records_actor{on}")
        connection.exec_driver_sql("ALTER TABLE audit_seals ADD COLUMN more INT")
    with engine.connect() as connection:
        assert {
            "add index audit_records.ix_audit_records_actor",
            "remove column audit_seals.more",
        } == set(schema.differences(connection))


def test_init_is_done_once(engine):
    """The second time there is nothing to do."""
    schema.init(engine)
    assert schema.Change("0001", "0001") == schema.init(engine) == schema.migrate(engine)


def test_init_of_several_processes_at_a_time(engine, database_url):
    """Replicas of an app that start together make the tables once."""
    errors: list[BaseException] = []

    def make() -> None:
        with engine_of(database_url) as own:
            try:
                schema.init(own)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert schema.check(engine).passed


def test_init_gives_its_lock_back_after_the_commit(engine):
    """Before it, the next process would find the tables of MySQL without their revision."""
    said: list[str] = []

    @listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        said.append(statement)

    @listens_for(engine, "commit")
    def note_commit(_connection):
        said.append("COMMIT")

    schema.init(engine)
    locks = [place for place, one in enumerate(said) if "RELEASE_LOCK" in one]
    first_noted = next(place for place, one in enumerate(said) if "INSERT INTO audit_alem" in one)
    assert "COMMIT" in said[first_noted : locks[0] if locks else None]
    assert ("mysql" in engine.url.drivername) == bool(locks)


def test_init_says_that_another_process_is_at_it(mariadb_server, monkeypatch):
    """It waits for a bounded time, and does not go on without the lock."""
    monkeypatch.setattr(schema, "_LOCK_S", 0)
    url = mariadb_server.new_database()
    with engine_of(url) as engine, engine_of(url) as other, other.connect() as holder:
        holder.execute(text("SELECT GET_LOCK(:name, 1)"), {"name": schema._LOCK})
        with pytest.raises(SinkUnavailable, match="another process has been changing"):
            schema.init(engine)


def test_init_goes_on_where_it_broke_off(engine):
    """MySQL commits each table by itself: what is missing is made, what is there stays."""
    schema.init(engine)
    with engine.begin() as connection:
        on = " ON audit_records" if "mysql" in engine.url.drivername else ""
        connection.exec_driver_sql(f"DROP INDEX ix_audit_records_trace_id{on}")
        connection.exec_driver_sql("DROP TABLE audit_seals")
        connection.exec_driver_sql(f"DROP TABLE {schema.VERSION_TABLE}")
    schema.init(engine)
    assert schema.check(engine).passed


def test_init_takes_over_tables_of_an_apps_own_migrations(engine, database_url):
    """An app that has our metadata among its own needs no second set of tables."""
    own = MetaData()
    Table("orders", own, Column("id", String(36), primary_key=True))
    for table in metadata.tables.values():
        table.to_metadata(own)
    own.create_all(engine)
    write(database_url, [event()])
    assert schema.check(engine).passed
    assert schema.Change(None, "0001") == schema.init(engine)
    assert (1, True) == (len(stored(database_url)), schema.check(engine).passed)


def test_init_leaves_another_table_of_this_name_alone(engine):
    """What is not ours is not changed, and the error says what differs."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE audit_seals (day DATE, wrong INT)")
    with pytest.raises(CheckFailed, match=r"remove column audit_seals\.wrong"):
        schema.init(engine)


def test_app_keeps_its_own_version_table(engine):
    """Alembic's default table, which an app may have, is not touched."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of the app')")
    schema.init(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
        assert [("of the app",)] == [tuple(row) for row in rows]
        assert "audit_alembic_version" in inspect(connection).get_table_names()


def test_migrate_needs_tables(engine):
    """Who migrates what is not there has the wrong database."""
    with pytest.raises(CheckFailed, match="loglane audit init"):
        schema.migrate(engine)


def test_check_reports_what_is_there(engine, database_url):
    """All is well, with counts; the record that was tried is gone."""
    schema.init(engine)
    write(database_url, [event(), event()], tamper_evident=True)
    report = schema.check(engine)
    assert ["database", "tables", "writable"] == [one.name for one in report.findings]
    assert (True, 2, 2) == (report.passed, report.records, report.seals)
    assert stored(database_url)[-1].recorded_at == report.newest


def test_check_says_that_there_are_no_tables(engine):
    """The finding names the command."""
    report = schema.check(engine)
    assert not report.passed
    assert "loglane audit init" in report.findings[-1].text


def test_check_finds_an_old_revision(engine, database_url):
    """Tables of an older version are to be migrated."""
    schema.init(engine)
    execute(database_url, "UPDATE audit_alembic_version SET version_num = '0000'")
    assert "loglane audit migrate" in schema.check(engine).findings[-1].text


def test_check_finds_that_nothing_can_be_written(engine, database_url):
    """A database that only reads is no place for records."""
    schema.init(engine)
    backend = engine.url.get_backend_name()
    refuse = {
        "sqlite": "CREATE TRIGGER no BEFORE INSERT ON audit_records "
        "BEGIN SELECT RAISE(ABORT, 'read-only'); END",
        "mysql": "CREATE TRIGGER no BEFORE INSERT ON audit_records FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'read-only'",
        "postgresql": "ALTER TABLE audit_records ADD CHECK (id < 0)",
    }[backend]
    execute(database_url, refuse)
    last = schema.check(engine).findings[-1]
    assert ("writable", False) == (last.name, last.passed)


def test_check_of_a_server_that_is_away():
    """A refused connection is a finding, without a password in it."""
    with engine_of("postgresql://app:hunter2@127.0.0.1:1/audit") as engine:
        report = schema.check(engine)
        assert ("database", False) == (report.findings[0].name, report.passed)
        assert "hunter2" not in repr(report)
        with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1:1/audit"):
            schema.init(engine)


def test_downgrade_drops_nothing():
    """No command throws an audit trail away."""
    from importlib import import_module

    first = import_module("loglane.audit.migrations.versions.0001_records_and_seals")
    with pytest.raises(RuntimeError, match="not dropped"):
        first.downgrade()


def test_migrations_are_beside_the_module():
    """Who installs the wheel has them: they are modules of the package."""
    assert (schema._MIGRATIONS / "versions/0001_records_and_seals.py").is_file()


@pytest.mark.parametrize("act", [schema.init, schema.migrate])
def test_a_newer_revision_is_left_alone(engine, act):
    """An app that went back to an older version says so, and its worker starts all the same."""
    schema.init(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_alembic_version SET version_num = '9999'")
    with pytest.raises(CheckFailed, match="9999 is of a newer loglane"):
        act(engine)
    assert "update it" in schema.check(engine).findings[-1].text


@pytest.mark.parametrize("act", [schema.init, schema.migrate])
def test_a_table_that_was_dropped_is_told(engine, act):
    """It is not made anew in silence: what was in it is gone."""
    schema.init(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit_seals")
    with pytest.raises(CheckFailed, match="there is no audit_seals: restore"):
        act(engine)
    assert "restore" in schema.check(engine).findings[-1].text


def test_a_table_of_somebody_else_is_left_alone(engine):
    """It is named before anything is changed."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE audit_records (id INT PRIMARY KEY, what TEXT)")
    with pytest.raises(CheckFailed, match="audit_records is another's: it has no action, actor"):
        schema.init(engine)
    assert ["audit_records"] == inspect(engine).get_table_names()
    assert "another's" in schema.check(engine).findings[-1].text


def test_a_database_that_is_missing_is_to_be_made(mariadb_server, postgres_server):
    """The finding says so; psycopg has no code for it."""
    for server in (mariadb_server, postgres_server):
        with engine_of(server.url.rpartition("/")[0] + "/nowhere") as engine:
            (finding,) = schema.check(engine).findings
        assert "make the database first" in finding.text


def test_init_leaves_alembic_out_of_the_log(tmp_path, caplog):
    """A worker makes the tables of an SQLite file at each start; that is no news."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, "alembic")
    with engine_of(f"sqlite:///{tmp_path}/audit.db") as engine:
        schema.init(engine)
    assert [] == caplog.records
    assert logging.INFO == logging.getLogger("alembic").level
