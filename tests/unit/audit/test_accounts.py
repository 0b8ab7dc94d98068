"""Whatever fails in whatever order: each acknowledged record is found again, and once."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.audit import delivery
from loglane.audit.worker import AuditWorker
from loglane.errors import AuditOverflow, SinkUnavailable
from loglane.settings.audit import Audit
from loglane.sinks.audit import Outbox, intake_of, process
from tests.unit.audit.fake_sink import FakeSink
from tests.unit.audit.marked_lines import make_line

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(1, 30)),
        st.tuples(st.just("fault"), st.sampled_from(["none", "away", "late", "bug", "hang"])),
        st.tuples(st.just("wait"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("hurry"), st.just(0)),
    ),
    max_size=14,
)


class Trouble(FakeSink):
    """Stores, fails before or after storing, has bugs, hangs; always refuses some."""

    def __init__(self):
        super().__init__()
        self.kind = "none"
        self.refused = {"refused"}

    async def write(self, batch):
        if self.kind == "away":
            raise SinkUnavailable("away")
        if self.kind == "bug":
            raise KeyError("bug")
        if self.kind == "hang":
            await asyncio.sleep(3600)
        outcomes = await super().write(batch)
        if self.kind == "late":
            # It was committed, but the answer was lost.
            raise SinkUnavailable("connection lost")
        return outcomes


def ids_in(outbox):
    return [orjson.loads(body)["event_id"] for _, body in outbox.take(10**6)]


async def live(steps, keys, folder):
    """Go through the steps, with one worker after the other; return what was acknowledged."""
    path = str(folder / "outbox.db") if keys.pop("has_outbox") else None
    audit = Audit(
        **keys,
        outbox={"path": path},
        batch={"max_items": 7, "max_wait_s": 0.002},
        retry={"attempts": 2, "first_s": 0.001, "max_s": 0.002},
        drain_s=0.01,
    )
    sink, kinds = Trouble(), itertools.cycle(["role_changed", "refused", "role_changed", None])
    intake, acknowledged, refused = intake_of(audit), [], 0
    worker = AuditWorker(audit, sink=sink)
    await worker.__aenter__()
    for name, value in steps:
        if name == "record":
            for _ in range(value):
                message = next(kinds)
                body = make_line(message=message or "x" * 200)
                try:
                    future = intake.record_later(body)
                    if future is not None:
                        await asyncio.wrap_future(future)
                except AuditOverflow:
                    refused += 1
                else:
                    acknowledged.append(orjson.loads(body)["event_id"])
        elif name == "fault":
            sink.kind = value
        elif name == "wait":
            await asyncio.sleep(value / 1000)
        elif name == "hurry" and path is not None:
            intake.hurry()
        elif name == "restart":
            await worker.__aexit__(None, None, None)
            await worker.__aenter__()
    await worker.__aexit__(None, None, None)
    check_halted(acknowledged, sink, intake, path)
    sink.kind = "none"
    delivery.WRITE_S = 20
    async with AuditWorker(audit.model_copy(update={"drain_s": 20}), sink=sink):
        pass
    check_healed(acknowledged, refused, sink, intake, path)


def check_halted(acknowledged, sink, intake, path):
    """Stopped in the middle of it all, nothing is missing."""
    found = {*sink.rows, *(orjson.loads(body)["event_id"] for body, _, _ in intake.waiting.all())}
    if path is None:
        # Which were refused, the log says.
        assert len(set(acknowledged) - found) == intake.losses().get("refused", 0)
        return
    outbox = Outbox(path, 1 << 30)
    found |= {letter.event_id for letter in outbox.dead()}
    with outbox._file.transaction(durable=False) as connection:
        rows = connection.execute("SELECT body FROM pending").fetchall()
    found |= {orjson.loads(body)["event_id"] for (body,) in rows}
    outbox.close()
    assert set(acknowledged) <= found


def check_healed(acknowledged, refused, sink, intake, path):
    """With a database that works again, all that is good is stored, and the rest is dead."""
    losses = intake.losses()
    assert refused == losses.get("overflow", 0)
    assert (0, 0) == (len(intake.waiting), intake.waiting.in_hand)
    if path is None:
        assert len(acknowledged) == len(sink.rows) + losses.get("refused", 0)
        return
    outbox = Outbox(path, 1 << 30)
    dead = {letter.event_id for letter in outbox.dead()}
    assert ([], set(acknowledged)) == (ids_in(outbox), dead | set(sink.rows))
    assert not dead & set(sink.rows)
    outbox.close()


@pytest.mark.parametrize("has_outbox", [True, False], ids=["outbox", "no outbox"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    durability=st.sampled_from(["memory", "outbox"]),
    max_items=st.sampled_from([3, 20, 10_000]),
    overflow=st.sampled_from([["raise"], ["outbox", "raise"], ["block", "outbox"]]),
)
def test_acknowledged_records_are_found_again(has_outbox, steps, durability, max_items, overflow):
    """In the sink or among the dead letters in the end; before it in memory or the outbox, too."""
    folder = Path(tempfile.mkdtemp())
    keys = {
        "has_outbox": has_outbox,
        "durability": durability if has_outbox else "memory",
        "queue": {"max_items": max_items, "overflow": overflow},
    }
    with mock.patch.object(process, "_intake", None), mock.patch.object(delivery, "WRITE_S", 0.005):
        try:
            asyncio.run(live(steps, keys, folder))
        finally:
            process.present_intake().close()
            shutil.rmtree(folder)
