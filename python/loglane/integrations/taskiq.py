"""Context and one line for each task of taskiq: `broker.add_middlewares(TaskLogMiddleware())`."""

from __future__ import annotations

from typing import Any

from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.exceptions import NoResultError

from loglane.integrations.tasks import CARRIER, begin_task, end_task, pack_context


class TaskLogMiddleware(TaskiqMiddleware):
    """Tasks see the context of whoever sent them, and have one line each when they end.

    `broker.add_middlewares(TaskLogMiddleware())`, before other middlewares, on both sides.
    """

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """Put the context into a task's labels."""
        message.labels[CARRIER] = pack_context()
        return message

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Bind the context that a task carries, its name and id."""
        begin_task(message.task_name, message.task_id, message.labels.get(CARRIER))
        return message

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """Write the task's line and give back the context from before."""
        if isinstance(result.error, NoResultError):
            end_task(message.task_id, "no_result")
        elif result.error is not None:
            end_task(message.task_id, "failure", type(result.error).__name__)
        else:
            end_task(message.task_id, "success")
