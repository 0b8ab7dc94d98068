"""A worker for as long as an app runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loglane.audit.event import AuditEvent
from loglane.audit.sink import AuditSink
from loglane.audit.worker import AuditWorker
from loglane.settings.audit import Audit


@asynccontextmanager
async def audit_lifespan(
    app: Any,
    settings: Audit | None = None,
    *,
    sink: AuditSink | None = None,
    model: type[AuditEvent] = AuditEvent,
) -> AsyncIterator[None]:
    """Run a worker on the app's loop: `FastAPI(lifespan=audit_lifespan)`.

    Within an app's own lifespan it is `async with audit_lifespan(app):` around the `yield`. The
    worker is `app.state.audit` when the app has a state.

    Args:
        app: A FastAPI or Starlette app, or anything else.
        settings: As for `AuditWorker`, as the other arguments.
        sink: Where batches go.
        model: Class of the records.

    Raises:
        AuditError: Another worker runs in this process, or the outbox cannot be used.
    """
    async with AuditWorker(settings, sink=sink, model=model) as worker:
        state = getattr(app, "state", None)
        if state is not None:
            state.audit = worker
        yield
