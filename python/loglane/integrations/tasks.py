"""What the hooks of task queues share: the context on its way, and one line for each task."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from loglane.carry import context_carrier, use_carrier
from loglane.context import bound
from loglane.pipeline import get_logger
from loglane.trace import get_trace_id, new_trace_id

# The label or header of a task that carries the context, as JSON, because brokers differ in what
# else they take.
CARRIER = "loglane_context"

# A message's headers are limited (RabbitMQ: one frame; SQS: 256 KiB with the body).
_MAX_CARRIER = 16_384
_IDS = ("trace_id", "request_id", "user_id")


@dataclass(frozen=True, slots=True)
class _Running:
    """A task that runs here, and the one that it was called from, if any."""

    name: str
    task_id: str
    began: float
    block: bound
    outer: _Running | None


_running: ContextVar[_Running | None] = ContextVar("loglane_task", default=None)


def pack_context() -> str:
    """Return the context for a task that is being sent; only its ids when it is too large."""
    carrier = context_carrier()
    text = json.dumps(carrier)
    if len(text) <= _MAX_CARRIER:
        return text
    return json.dumps({name: carrier[name] for name in _IDS if name in carrier})


def begin_task(name: str, task_id: str, carried: Any) -> None:
    """Bind what a task carries, its name and id, until `end_task`.

    Args:
        name: Name of the task.
        task_id: Id of this run.
        carried: What `pack_context` returned where it was sent, or anything else that came.
            Without a trace id in it, the task has the current one, or a new one.
    """
    own = {"task_name": name, "task_id": task_id}
    carrier = {"trace_id": get_trace_id() or new_trace_id(), **own, **_unpack(carried), **own}
    block = use_carrier(carrier)
    block.__enter__()
    _running.set(_Running(name, task_id, time.perf_counter(), block, _running.get()))


def end_task(task_id: str, status: str, error: str | None = None) -> None:
    """Write the line of a task and give back the context from before it.

    Args:
        task_id: Id of this run; nothing happens when it did not begin here.
        status: `success`, `failure`, or what the queue calls another end.
        error: Name of the exception's type, if there was one.
    """
    task = _running.get()
    while task is not None and task.task_id != task_id:
        task = task.outer
    if task is None:
        return
    more = {} if error is None else {"error": error}
    get_logger("loglane.tasks").info(
        "task",
        log_category="task",
        task_name=task.name,
        task_id=task_id,
        status=status,
        duration_ms=round((time.perf_counter() - task.began) * 1000, 3),
        **more,
    )
    task.block.__exit__(None, None, None)
    _running.set(task.outer)


def _unpack(carried: Any) -> dict[str, Any]:
    if not isinstance(carried, str) or len(carried) > _MAX_CARRIER:
        return {}
    try:
        found = json.loads(carried)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
