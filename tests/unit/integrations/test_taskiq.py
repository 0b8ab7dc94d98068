"""Tasks of taskiq see the context of whoever sent them, and have one line each."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from taskiq import InMemoryBroker, TaskiqMiddleware
from taskiq.exceptions import NoResultError

import loglane
from loglane.integrations.taskiq import TaskLogMiddleware
from loglane.integrations.tasks import CARRIER

log = loglane.get_logger("app")


class Forget(TaskiqMiddleware):
    """As if the sender's process did not have the middleware, or sent something else."""

    def __init__(self, label):
        super().__init__()
        self._label = label

    def pre_send(self, message):
        message.labels.pop(CARRIER, None)
        if self._label is not None:
            message.labels[CARRIER] = self._label
        return message


class Apart(InMemoryBroker):
    """Runs tasks with nothing of the sender's context, as another process does."""

    async def kick(self, message):
        run = self.receiver.callback(message=message.message)
        task = contextvars.Context().run(asyncio.create_task, run)
        self._running_tasks.add(task)


def run(lines, send, *middlewares, inplace=False):
    """Run tasks until all have ended; return the lines of the app and of the tasks."""
    broker = InMemoryBroker(await_inplace=True) if inplace else Apart()
    broker.add_middlewares(TaskLogMiddleware(), *middlewares)

    @broker.task("add")
    async def add(value):
        loglane.bind_context(inner=value)
        log.info("inside")
        return value

    @broker.task("add_sync")
    def add_sync(value):
        log.info("inside")
        return value

    @broker.task("fail")
    async def fail():
        raise LookupError("no")

    @broker.task("skip")
    async def skip():
        raise NoResultError

    @broker.task("outer")
    async def outer():
        await add.kiq(1)
        log.info("outside")

    async def main():
        await broker.startup()
        await send({task.task_name: task for task in (add, add_sync, fail, skip, outer)})
        await broker.wait_all()
        await broker.shutdown()

    asyncio.run(main())
    return [line for line in lines() if line["logger"] in ("app", "loglane.tasks")]


@pytest.mark.parametrize("inplace", [False, True], ids=["apart", "inplace"])
@pytest.mark.parametrize("name", ["add", "add_sync"])
def test_a_task_has_the_senders_context_and_one_line(lines, name, inplace):
    """In the task: the sender's fields, and which task it is; afterwards none of it is left."""

    async def send(tasks):
        with loglane.bound(trace_id="t-1", user_id=7):
            before = dict(loglane.get_context())
            await tasks[name].kiq(1)
            assert before == loglane.get_context()

    inside, end = run(lines, send, inplace=inplace)
    assert {"message": "inside", "trace_id": "t-1", "user_id": 7}.items() <= inside.items()
    assert (inside["task_name"], inside["task_id"]) == (end["task_name"], end["task_id"])
    expected = {
        "level": "info",
        "message": "task",
        "logger": "loglane.tasks",
        "log_category": "task",
        "task_name": name,
        "status": "success",
        "trace_id": "t-1",
        "user_id": 7,
    }
    assert expected.items() <= end.items()
    assert end["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [("fail", "failure", "LookupError"), ("skip", "no_result", None)],
    ids=["error", "no-result"],
)
@pytest.mark.parametrize("inplace", [False, True], ids=["apart", "inplace"])
def test_a_task_that_fails_has_its_line_and_leaves_nothing(lines, name, status, error, inplace):
    """The line names the kind of exception; taskiq itself writes the traceback."""

    async def send(tasks):
        loglane.bind_context(user_id=7)
        await tasks[name].kiq()
        assert {"user_id": 7} == loglane.get_context()

    (end,) = run(lines, send, inplace=inplace)
    assert (status, error) == (end["status"], end.get("error"))


@pytest.mark.parametrize(
    "label",
    [None, "", "no json", "[1]", '{"trace_id": "a\\r\\nb"}', "{" * 20_000, "[" * 10_000, 7,
     '{"task_name": "other", "task_id": "other"}'],
    ids=["none", "empty", "text", "list", "hostile", "huge", "deep", "number", "own-fields"],
)  # fmt: skip
def test_a_task_that_carries_no_context_has_a_trace_id_of_its_own(lines, label):
    """What came in its place reaches no line, and the task runs."""

    async def send(tasks):
        await tasks["add"].kiq(1)

    inside, end = run(lines, send, Forget(label))
    assert 32 == len(inside["trace_id"])
    assert inside["trace_id"].isalnum()
    assert (inside["trace_id"], "add", "success") == (
        end["trace_id"],
        end["task_name"],
        end["status"],
    )


@pytest.mark.parametrize("inplace", [False, True], ids=["apart", "inplace"])
def test_a_task_sent_by_a_task_has_a_line_of_its_own_and_the_same_trace(lines, inplace):
    """Tasks within tasks: one trace, and each line names its own task."""

    async def send(tasks):
        await tasks["outer"].kiq()

    found = run(lines, send, inplace=inplace)
    assert 1 == len({line["trace_id"] for line in found})
    assert {("inside", "add"), ("task", "add"), ("outside", "outer"), ("task", "outer")} == {
        (line["message"], line["task_name"]) for line in found
    }


def test_many_tasks_at_once_do_not_mix(lines):
    """Each task has the context of its own sender."""

    async def send(tasks):
        async def one(number):
            with loglane.with_trace_id(f"t-{number}"):
                await tasks["add"].kiq(number)

        await asyncio.gather(*(one(number) for number in range(100)))

    found = run(lines, send)
    assert {(f"t-{number}", number) for number in range(100)} == {
        (line["trace_id"], line["inner"]) for line in found
    }
    assert 200 == len(found)


def test_a_context_that_is_too_large_for_a_message_is_left_out_but_for_its_ids(lines):
    """Brokers limit what a message's headers hold."""

    async def send(tasks):
        many = {f"field_{number}": "x" * 1000 for number in range(30)}
        with loglane.bound(trace_id="t-1", **many):
            await tasks["add"].kiq(1)

    inside, _ = run(lines, send)
    assert ("t-1", False) == (inside["trace_id"], "field_0" in inside)
