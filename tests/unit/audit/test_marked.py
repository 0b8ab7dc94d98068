"""A marked line becomes a record, or is a dead letter with the reason."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from loglane.audit.event import AuditEvent
from loglane.audit.marked import event_of_line


class Payment(AuditEvent):
    """An app's own record."""

    amount: Decimal
    account: uuid.UUID | None = None


def test_line_gives_its_fields_to_the_record(line):
    """Those that the model knows; the others are extra, but for what a line alone has."""
    body = line(
        user_id=17, resource="user:17", trace_id="a" * 32, service="shop", env="dev",
        log_category="audit", role="admin", request_id="b" * 32, duration_ms=1.5,
    )  # fmt: skip
    event = event_of_line(body)
    assert {
        "event_id": event.event_id,
        "occurred_at": datetime(2026, 11, 22, 6, 28, 34, 123456, timezone.utc),
        "actor": "17", "user_id": "17", "action": "role_changed", "resource": "user:17",
        "status": "success", "error": None, "trace_id": "a" * 32, "service": "shop", "env": "dev",
        "duration_ms": 1.5,
        "extra": {"logger": "app.users", "role": "admin", "request_id": "b" * 32},
    } == event.model_dump()  # fmt: skip
    assert event.event_id.encode() in body


@pytest.mark.parametrize(
    ("fields", "action", "message"),
    [
        ({}, "role_changed", None),
        ({"action": "change_role"}, "change_role", "role_changed"),
        ({"action": "role_changed"}, "role_changed", None),
        ({"action": "x", "message": ""}, "x", None),
    ],
    ids=["none", "another", "the same", "no message"],
)
def test_action_is_the_message_unless_it_is_given(line, fields, action, message):
    """The message is kept when it says something else."""
    event = event_of_line(line(**fields))
    assert (action, message) == (event.action, event.extra.get("message"))


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({}, "success", None),
        ({"level": "error"}, "failure", None),
        ({"level": "critical"}, "failure", None),
        ({"level": "warning"}, "success", None),
        ({"exception": "Traceback\n  ...\nKeyError: 'x'\n"}, "failure", "KeyError: 'x'"),
        ({"level": "error", "status": "success"}, "success", None),
        ({"status": "failure", "error": "mine", "exception": "E: 1"}, "failure", "mine"),
    ],
    ids=["plain", "error", "critical", "warning", "exception", "given status", "given error"],
)
def test_status_and_error_come_from_level_and_exception(line, fields, status, error):
    """Unless the line says them itself."""
    event = event_of_line(line(**fields))
    assert (status, error) == (event.status, event.error)


def test_line_may_say_when_it_happened(line):
    """Its own time is that of the call."""
    event = event_of_line(line(occurred_at="2020-01-01T01:00:00+01:00"))
    assert datetime(2020, 1, 1, tzinfo=timezone.utc) == event.occurred_at


def test_extra_of_a_line_is_merged(line):
    """One that is a mapping; anything else is a value as others."""
    assert {"logger": "app.users", "a": 1} == event_of_line(line(extra={"a": 1})).extra
    assert {"logger": "app.users", "extra": [1]} == event_of_line(line(extra=[1])).extra


def test_fields_of_an_apps_own_model_are_taken_from_the_line(line):
    """In JSON's form: texts are what they stand for."""
    account = uuid.uuid4()
    event = event_of_line(line(amount="12.50", account=str(account)), Payment)
    assert (Decimal("12.50"), account, {"logger": "app.users"}) == (
        event.amount, event.account, event.extra,
    )  # fmt: skip


def test_dump_is_read_back():
    """What an event made by hand is written as; a subclass's own fields are extra by then."""
    event = Payment(action="pay", amount=Decimal("1.5"), extra={"a": [1, None]})
    read = event_of_line(event.dump(), Payment)
    assert event.row() == read.row()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "it is no JSON"),
        (b"[1]", "it is no JSON object"),
        (b"{}", "action: Field required"),
    ],
    ids=["cut off", "a list", "an empty object"],
)
def test_what_is_no_line_is_refused(body, reason):
    """Whatever somebody has put into the outbox."""
    with pytest.raises(ValueError, match=reason):
        event_of_line(body)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"event_id": "hunter2"}, "event_id"),
        ({"status": "hunter2"}, "status"),
        ({"message": "hunter2" * 99}, "action"),
        ({"resource": {"hunter2": 1}}, "resource"),
        ({"occurred_at": "hunter2"}, "occurred_at"),
        ({"duration_ms": "hunter2"}, "duration_ms"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reason_names_the_field_and_not_its_value(line, fields, name):
    """The value may be what masking hides elsewhere."""
    with pytest.raises(ValueError, match=name) as raised:
        event_of_line(line(**fields))
    assert "hunter2" not in str(raised.value)
