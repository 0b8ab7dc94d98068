"""A marked call is a line and a record, of the same id."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from concurrent.futures import Future

import pytest
import structlog
from structlog import DropEvent

import loglane
from loglane import logger
from loglane.entry import Entry
from loglane.errors import AuditError, AuditOverflow
from loglane.event_id import new_event_id
from loglane.logger import emit

OFF = "a marked line is not recorded: there is no audit trail, see logging.audit"


class Recorder:
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.error: Exception | None = None
        self.future: Future[None] | None = None
        self.calls: list[str] = []
        self.lost: dict[str, int] = {}

    def record(self, line: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.lines.append(line)

    def record_later(self, line: bytes) -> Future[None] | None:
        self.record(line)
        return self.future

    def losses(self) -> dict[str, int]:
        return self.lost

    def __getattr__(self, name: str):
        return lambda: self.calls.append(name)

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def recorder(lines):
    """Return what the audit trail of a process in container mode was given."""
    return lambda **settings: _recorder(settings)


def _recorder(settings) -> Recorder:
    loglane.configure(**{"service": "orders", **settings})
    found = Recorder()
    logger.active_engine().outputs.audit = found
    logger.refresh()
    return found


@pytest.mark.parametrize(
    "settings",
    [{}, {"caller": True}, {"processors": [lambda _logger, _name, event: event]}],
    ids=["shortest way", "longest way", "processors"],
)
@pytest.mark.parametrize(
    "mark", [{"persist_db": True}, {"to_db": True}, {"level": "AUDIT"}, {"level": "audit"}], ids=str
)
def test_marked_line_is_a_record_of_the_same_fields(lines, recorder, settings, mark):
    """The record is the line, with an id and a category, and without the mark."""
    records = recorder(**settings)
    log = loglane.get_logger("shop")
    for _ in range(2):
        log.info("role_changed", user_id=1, password="x", **mark)
    written = lines()
    assert written == records.records
    assert [("role_changed", 1, "***", "audit", "info")] * 2 == [
        (one["message"], one["user_id"], one["password"], one["log_category"], one["level"])
        for one in written
    ]
    ids = [uuid.UUID(one["event_id"]) for one in written]
    assert [7, 7] == [one.version for one in ids]
    assert 2 == len(set(ids))
    assert not {"persist_db", "to_db", "level_"} & set(written[0])


@pytest.mark.parametrize("mark", [{}, {"persist_db": False}, {"to_db": None}, {"level": "x"}])
def test_other_line_is_no_record(lines, recorder, mark):
    """A mark that says no is none, and is not written either."""
    records = recorder()
    loglane.get_logger("shop").info("seen", **mark)
    (line,) = lines()
    assert [] == records.lines
    assert not {"persist_db", "to_db", "event_id", "log_category"} & set(line)


def test_id_and_category_of_the_call_are_kept(lines, recorder):
    """An app that has an id of its own finds its record by it."""
    records = recorder()
    given = uuid.uuid4()
    loglane.get_logger("shop").info("paid", event_id=given, log_category="money", to_db=True)
    (line,) = lines()
    assert (str(given), "money") == (line["event_id"], line["log_category"])
    assert [line] == records.records


@pytest.mark.parametrize(
    "write",
    [
        lambda log: log.bind(persist_db=True).info("x"),
        lambda log: log.log("AUDIT", "x"),
        lambda log: asyncio.run(log.alog("audit", "x")),
        lambda log: asyncio.run(log.ainfo("x", persist_db=True)),
        lambda _: loglane.bound(to_db=True)(lambda: loglane.get_logger("shop").info("x"))(),
        lambda _: logging.getLogger("shop").info("x", extra={"persist_db": True}),
        lambda _: structlog.get_logger("shop").info("x", persist_db=True),
        lambda _: loglane.GLOG.info("x", persist_db=True),
    ],
    ids=["bound", "log", "alog", "ainfo", "context", "logging", "structlog", "glog"],
)
def test_mark_works_wherever_a_line_comes_from(lines, recorder, write):
    """Bound to a logger or the context, by the standard library and by structlog."""
    records = recorder()
    write(loglane.get_logger("shop"))
    (line,) = lines()
    assert [line] == records.records
    assert "persist_db" not in line
    assert "to_db" not in line


@pytest.mark.parametrize("level", ["info", "error"])
def test_call_may_take_a_bound_mark_back(lines, recorder, level):
    """What the call says wins over what is bound to the logger."""
    records = recorder(level=level)
    log = loglane.get_logger("shop").bind(persist_db=True)
    log.info("x", persist_db=False)
    log.info("y")
    assert ["y"] == [record["message"] for record in records.records]
    assert ["x", "y"] * (level == "info") == [line["message"] for line in lines()]


@pytest.mark.parametrize(
    "settings", [{"level": "error"}, {"level": "error", "caller": True}], ids=["off", "long way"]
)
def test_level_does_not_decide_about_records(lines, recorder, settings):
    """A marked line below the level is recorded and not written."""
    records = recorder(**settings)
    log = loglane.get_logger("shop")
    log.info("x", persist_db=True)
    log.bind(to_db=True).info("x")
    log.info("y")
    assert [] == lines()
    assert ["x", "x"] == [record["message"] for record in records.records]


@pytest.mark.parametrize("settings", [{}, {"caller": True}], ids=["shortest way", "longest way"])
def test_neither_flow_control_nor_sampling_holds_records_back(lines, recorder, settings):
    """Each of many equal errors is a record, and so is each line of a level that is sampled."""
    flow = {"first": 1, "every": 1000}
    records = recorder(flow_control=flow, sampling={"rate": 0.0}, **settings)
    log = loglane.get_logger("shop")
    for _ in range(5):
        log.error("refused", persist_db=True)
        log.info("taken", persist_db=True)
    assert 10 == len(records.lines) == len(lines())


def test_line_of_a_record_is_not_held_back(lines, recorder):
    """Whoever wrote the record otherwise asks for its line to be written in any case."""
    records = recorder(flow_control={"first": 1, "every": 1000}, sampling={"rate": 0.0})
    for level in ("error", "info") * 3:
        entry = Entry(level, "shop", "refunded")
        entry.always = True
        emit(entry)
    assert 6 == len(lines())
    assert [] == records.lines


def test_dropped_line_is_recorded(lines, recorder):
    """A processor that drops a line does not decide about the audit trail."""

    def drop(_logger, _name, _event):
        raise DropEvent

    records = recorder(processors=[drop])
    loglane.get_logger("shop").info("x", persist_db=True)
    assert [] == lines()
    assert ["x"] == [record["message"] for record in records.records]


def test_long_record_is_not_cut(lines, recorder):
    """The line is cut for its reader, the record is not."""
    records = recorder(max_line_bytes=1000)
    loglane.get_logger("shop").info("x", text="a" * 5000, persist_db=True)
    (line,), (record,) = lines(), records.records
    assert 5000 == len(record["text"])
    assert 1000 > len(line["text"])
    assert record["event_id"] == line["event_id"]


@pytest.mark.parametrize("settings", [{}, {"caller": True}], ids=["shortest way", "longest way"])
@pytest.mark.parametrize("error", [AuditOverflow("full"), OSError("disk")], ids=repr)
def test_record_that_cannot_be_kept_raises_and_its_line_is_written(
    lines, recorder, settings, error
):
    """Nothing else is left to say it with."""
    records = recorder(**settings)
    records.error = error
    with pytest.raises(AuditError) as caught:
        loglane.get_logger("shop").info("x", persist_db=True)
    assert error in (caught.value, caught.value.__cause__)
    assert ["x"] == [line["message"] for line in lines()]


def test_awaited_call_waits_without_blocking_the_loop(lines, recorder):
    """`ainfo` returns when the record is acknowledged; other tasks go on meanwhile."""
    records = recorder()
    records.future = Future()
    seen = []

    async def acknowledge() -> None:
        seen.append("other task")
        records.future.set_result(None)

    async def main() -> None:
        task = asyncio.create_task(acknowledge())
        await loglane.get_logger("shop").ainfo("x", persist_db=True)
        seen.append("acknowledged")
        await task

    asyncio.run(main())
    assert ["other task", "acknowledged"] == seen
    assert 1 == len(lines())


def test_awaited_call_raises_what_became_of_its_record(recorder):
    """The record was not kept after all."""
    records = recorder()
    records.future = Future()
    records.future.set_exception(AuditOverflow("full"))
    with pytest.raises(AuditOverflow, match="full"):
        asyncio.run(loglane.get_logger("shop").awarning("x", to_db=True))


def test_marked_line_without_audit_trail_is_told_once_and_counted(lines):
    """The line is written with its id, a warning says what is missing, and each one counts."""
    loglane.configure()
    log = loglane.get_logger("shop")
    for _ in range(3):
        log.info("x", persist_db=True)
    written = lines()
    assert [OFF, "x", "x", "x"] == [line["message"] for line in written]
    assert 3 == len({line["event_id"] for line in written[1:]})
    assert 3 == loglane.get_lost_counts()["audit.off"]


def test_lost_records_are_counted_with_lost_lines(recorder):
    """What the audit trail lost is told as other losses are."""
    recorder().lost = {"overflow": 2}
    assert 2 == loglane.get_lost_counts()["audit.overflow"]


def test_ends_of_a_process_reach_the_audit_trail(recorder):
    """A fork, a signal, the end of the interpreter, and the end of logging."""
    records = recorder()
    engine = logger.active_engine()
    engine.start_child()
    engine.flush(hurry=True)
    engine.end()
    loglane.reset()
    assert ["start_child", "hurry", "end", "close"] == records.calls


def test_second_configure_keeps_the_audit_trail_open(recorder, monkeypatch):
    """Records wait in one queue, whatever settings come."""
    records = recorder()
    second = logger.active_engine().__class__
    engine = second(logger.active_engine().settings, True)
    engine.outputs.audit = records
    from loglane.pipeline import activate

    activate(engine)
    assert [] == records.calls


def test_event_ids_sort_by_time():
    """Version 7 and variant 10 of RFC 9562; the first 48 bits are milliseconds."""
    ids = [uuid.UUID(new_event_id()) for _ in range(200)]
    assert {(7, uuid.RFC_4122)} == {(one.version, one.variant) for one in ids}
    assert 200 == len(set(ids))
    at = [one.int >> 80 for one in ids]
    assert sorted(at) == at
