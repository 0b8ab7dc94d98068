"""The queries of *Audit and logs* on real databases, as Grafana sends them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, event, make_url, text

from loglane.audit.table import audit_records, metadata
from loglane.stack.dashboards import audit
from loglane.stack.render import render
from loglane.stack.spec import StackSpec

NOW = datetime(2026, 6, 1, 12, 0, 30, 250_000, tzinfo=timezone.utc)
HOUR = (NOW - timedelta(hours=1), NOW + timedelta(seconds=1))
DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}
# Enough for a database to prefer an index, spread over 40 days.
ROWS = 4000


def spec(kind):
    return StackSpec.model_validate(
        {"env": "dev", "audit": {"database": {"type": kind, "address": "db:1"}}}
    )


def row(number):
    """Return one record; the first one is of now, each other a quarter of an hour older."""
    at = NOW - number * timedelta(minutes=15)
    failed = number % 10 == 2
    return {
        "event_id": f"00000000-0000-7000-8000-{number:012}",
        "occurred_at": at,
        "recorded_at": at,
        "actor": "o'brien" if number % 4 == 1 else f"user-{number % 50}",
        "action": f"action-{number % 7}",
        "resource": f"order:{number % 500}",
        "status": "failure" if failed else "success",
        "error": "ValueError: no" if failed else None,
        "trace_id": f"{number:032x}",
        "service": "shop",
        "env": "dev",
        "extra": {},
    }


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def database(request, root):
    """Return an engine of a server with records, and its kind; sessions are as Grafana's."""
    kind = request.param
    fixture = {"mariadb": "mariadb_server", "postgresql": "postgres_server"}[kind]
    server = request.getfixturevalue(fixture)
    url = make_url(server.new_database())
    name = url.get_backend_name()
    engine = create_engine(url.set(drivername=DRIVERS[name]))
    rendered = render(spec(kind), root / "templates")
    provisioned = rendered["stack/rendered/grafana/provisioning/datasources/datasources.yaml"]
    zone = re.search(r"timezone: (\S+)", provisioned)

    @event.listens_for(engine, "connect")
    def _as_grafana(connection, _record):
        # The session begins in a zone that is not UTC, as a server's may be.
        away = "SET time_zone = '+05:30'" if name == "mysql" else "SET TIME ZONE 'Asia/Kolkata'"
        with connection.cursor() as cursor:
            cursor.execute(away)
            if zone is not None:
                cursor.execute(f"SET time_zone = {json.loads(zone[1])!r}")

    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(audit_records.insert(), [row(number) for number in range(ROWS)])
        connection.execute(
            text("ANALYZE TABLE audit_records" if name == "mysql" else "ANALYZE audit_records")
        )
    yield engine, kind
    engine.dispose()


def filled_in(kind, query, span=HOUR, **chosen):
    """Fill in variables as Grafana's pages do, and macros as its server does.

    Sources: grafana public/app/features/templating (`sqlstring`), and macros.go of pkg/tsdb's
    mysql and grafana-postgresql-datasource.
    """
    begin, end = span
    for name in ("action", "status", "actor", "resource", "trace_id"):
        every = name if name in ("action", "status") else "''"
        given = "'" + chosen[name].replace("'", "''") + "'" if name in chosen else every
        query = query.replace(f"${{{name}:sqlstring}}", given)
    if kind == "postgresql":
        times = f"BETWEEN '{begin.isoformat()}' AND '{end.isoformat()}'"
        step = r"floor(extract(epoch from \1)/60)*60"
    else:
        begin_s, end_s = int(begin.timestamp()), int(end.timestamp())
        times = f"BETWEEN FROM_UNIXTIME({begin_s}) AND FROM_UNIXTIME({end_s})"
        step = r"UNIX_TIMESTAMP(\1) DIV 60 * 60"
    query = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 {times}", query)
    query = re.sub(r"\$__timeGroupAlias\((\w+), \$__interval\)", f'{step} AS "time"', query)
    # MySQL takes double quotes for a string, which may be a name too.
    return query.replace('"time"', "`time`") if kind != "postgresql" else query


def ask(database, name, **chosen):
    """Return the rows of one of the dashboard's queries."""
    engine, kind = database
    query = filled_in(kind, audit.queries(spec(kind))[name], **chosen)
    with engine.connect() as connection:
        return [tuple(item) for item in connection.exec_driver_sql(query.replace("%", "%%"))]


def test_hour_is_the_hour_in_any_zone(database):
    """Records of the chosen hour are counted, whatever zone the server is in."""
    assert [(5,)] == ask(database, "records")
    assert [(1,)] == ask(database, "failures")


def test_steps_of_time_are_in_utc(database):
    """Each record is drawn at the minute in which it occurred."""
    found = {int(at): action for at, action, _ in ask(database, "actions_over_time")}
    minute = int(NOW.timestamp()) // 60 * 60
    assert {minute - 900 * n: f"action-{n}" for n in range(5)} == found
    assert [(minute - 1800, "action-2", 1)] == [
        (int(at), *rest) for at, *rest in ask(database, "failures_over_time")
    ]


def test_newest_record_is_first(database):
    """The table begins with the newest record, and has the columns that it names."""
    found = ask(database, "newest")
    assert [row(number)["event_id"] for number in range(5)] == [item[-1] for item in found]
    assert ("user-0", "action-0", "order:0", "success", None) == found[0][1:6]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"actor": "o'brien"}, 1),
        ({"actor": "' OR '1'='1"}, 0),
        ({"action": "action-3"}, 1),
        ({"status": "failure"}, 1),
        ({"resource": "order:4"}, 1),
        ({"trace_id": f"{1:032x}"}, 1),
        ({"trace_id": f"{1:032x}", "actor": "user-2"}, 0),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else None,
)
def test_chosen_values_are_compared_as_text(database, chosen, expected):
    """A quote in a value belongs to the value."""
    assert [(expected,)] == ask(database, "records", **chosen)


@pytest.mark.parametrize(
    ("name", "chosen", "index"),
    [
        ("records", {}, "occurred_at"),
        ("actions_over_time", {}, "occurred_at"),
        ("newest", {}, "occurred_at"),
        ("newest", {"trace_id": f"{1:032x}"}, "trace_id"),
        ("newest", {"resource": "order:4"}, "resource"),
        ("newest", {"actor": "user-2"}, "actor"),
    ],
    ids=str,
)
def test_queries_use_an_index(database, name, chosen, index):
    """No panel reads the whole table: an empty field costs nothing, a filled one is looked up."""
    engine, kind = database
    # A month, in which the index of the time alone would find most of the table.
    span = (NOW - timedelta(days=30), NOW) if chosen else HOUR
    query = filled_in(kind, audit.queries(spec(kind))[name], span, **chosen)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {query}".replace("%", "%%")).mappings().all()
    # MySQL's plan has a column with the index that is used; PostgreSQL's is text.
    used = plan[0]["key"] if kind != "postgresql" else " ".join(str(line) for line in plan)
    assert f"ix_audit_records_{index}" in used
    assert "Seq Scan" not in used
