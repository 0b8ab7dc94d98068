"""Tasks of Celery see the context of whoever sent them, and have one line each."""

from __future__ import annotations

import logging
import sys

import pytest
from celery import Celery, chain
from celery.contrib.testing.worker import start_worker

import loglane
from loglane.integrations.celery import install
from loglane.integrations.tasks import CARRIER

log = loglane.get_logger("app")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture
def app():
    install()
    install()
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(task_default_retry_delay=0, broker_transport_options={"polling_interval": 0.01})

    @app.task(name="add", shared=False)
    def add(value):
        loglane.bind_context(inner=value)
        log.info("inside")
        return value

    @app.task(name="fail", shared=False)
    def fail():
        raise LookupError("no")

    @app.task(name="again", shared=False, bind=True, max_retries=1)
    def again(self):
        log.info("inside")
        if self.request.retries == 0:
            raise self.retry(countdown=0)
        return 1

    @app.task(name="outer", shared=False)
    def outer():
        add.apply(args=[2])
        log.info("outside")

    yield app
    app.close()


@pytest.fixture
def worker(app):
    """Run a worker in a thread; the pipeline's stdout stays what it was."""
    with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
        yield app


def own(lines):
    return [line for line in lines() if line["logger"] in ("app", "loglane.tasks")]


def wait(result):
    return result.get(timeout=30, propagate=False)


def test_a_task_has_the_senders_context_and_one_line(worker, lines):
    """In a worker: the sender's fields, and which task it is."""
    with loglane.bound(trace_id="t-1", user_id=7):
        result = worker.tasks["add"].delay(1)
    assert 1 == wait(result)
    second = worker.tasks["add"].delay(2)
    wait(second)
    # The line comes after the result; the next task's first line comes after that.
    inside, end, *later = own(lines)
    assert {"message": "inside", "trace_id": "t-1", "user_id": 7}.items() <= inside.items()
    expected = {
        "level": "info",
        "message": "task",
        "logger": "loglane.tasks",
        "log_category": "task",
        "task_name": "add",
        "task_id": result.id,
        "status": "success",
        "trace_id": "t-1",
        "inner": 1,
    }
    assert expected.items() <= end.items()
    assert end["duration_ms"] >= 0
    assert [False] * len(later) == ["user_id" in line or "t-1" in line.values() for line in later]


def test_a_task_that_fails_has_its_line(worker, lines):
    """The line names the kind of exception; Celery itself writes the traceback."""
    wait(worker.tasks["fail"].delay())
    wait(worker.tasks["add"].delay(1))
    end = own(lines)[0]
    assert ("fail", "failure", "LookupError") == (end["task_name"], end["status"], end["error"])


def test_a_task_that_is_tried_again_has_a_line_for_each_try(worker, lines):
    """Both tries are of one trace and have one task id."""
    with loglane.with_trace_id("t-1"):
        result = worker.tasks["again"].delay()
    wait(result)
    wait(worker.tasks["add"].delay(1))
    found = [line for line in own(lines) if line["task_name"] == "again"]
    assert [None, "retry", None, "success"] == [line.get("status") for line in found]
    assert {("t-1", result.id)} == {(line["trace_id"], line["task_id"]) for line in found}


def test_a_chain_is_one_trace(worker, lines):
    """What a task leads to has the trace of what it came from."""
    add = worker.tasks["add"]
    with loglane.with_trace_id("t-1"):
        wait(chain(add.s(1), add.s())())
    wait(add.delay(3))
    assert ["t-1"] * 4 == [line["trace_id"] for line in own(lines)[:4]]


def test_a_task_called_in_place_keeps_the_callers_context(app, lines):
    """An eager task is part of what calls it, which is as before afterwards."""
    with loglane.bound(trace_id="t-1"):
        app.tasks["outer"].apply()
        assert {"trace_id": "t-1"} == loglane.get_context()
    found = own(lines)
    expected = [("inside", "add"), ("task", "add"), ("outside", "outer"), ("task", "outer")]
    assert expected == [(line["message"], line["task_name"]) for line in found]
    assert {"t-1"} == {line["trace_id"] for line in found}


def test_the_worker_leaves_logging_and_stdout_as_they_are(app, lines):
    """Celery's own set-up would write lines that are not the pipeline's."""
    root = logging.getLogger()
    before = list(root.handlers), root.level, sys.stdout
    app.log.already_setup = False
    app.log.setup(loglevel="ERROR", redirect_stdouts=True)
    assert before == (root.handlers, root.level, sys.stdout)


def test_a_message_without_headers_is_sent():
    """A publisher of another kind has nothing to put the context in."""
    from celery.signals import before_task_publish

    headers = {}
    before_task_publish.send(sender="add", body=None, headers=headers)
    found = before_task_publish.send(sender="add", body=None, headers=None)
    assert [CARRIER] == list(headers)
    assert not [error for _, error in found if isinstance(error, Exception)]
