"""Context and one line for each task of Celery: `install()`."""

from __future__ import annotations

from typing import Any

from loglane.integrations.tasks import CARRIER, begin_task, end_task, pack_context
from loglane.logger import active_engine


def install() -> None:
    """Let tasks see the context of whoever sent them, and write one line for each when it ends.

    Call it where the Celery app is made, for those who send and for workers. Celery then leaves
    logging as `loglane.configure` set it up: its worker would replace the root logger's handlers
    and standard output, and the lines would not be what they are. Processes of its pool end without
    the interpreter's exit hooks, so what is pending, audit records too, is written when Celery says
    that one ends. Doing it twice changes nothing.
    """
    from celery import signals

    signals.before_task_publish.connect(_send)
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)
    signals.setup_logging.connect(_leave_logging)
    signals.worker_process_shutdown.connect(_end_process)


def _send(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers[CARRIER] = pack_context()


def _begin(task_id: str = "", task: Any = None, **_: Any) -> None:
    begin_task(task.name, task_id, getattr(task.request, CARRIER, None))


def _end(task_id: str = "", state: str | None = None, retval: Any = None, **_: Any) -> None:
    # Celery hands over the exception in place of the value when there is one.
    error = type(retval).__name__ if isinstance(retval, BaseException) else None
    end_task(task_id, (state or "unknown").lower(), error)


def _end_process(**_: Any) -> None:
    engine = active_engine()
    if engine is not None:
        engine.end()


def _leave_logging(**_: Any) -> None:
    """Be there: Celery sets logging up only when nobody listens."""
