"""The worker: takes marked lines, and events made by hand, into the database."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextvars import Context
from types import TracebackType

from loglane.audit.crew import Crew
from loglane.audit.event import AuditEvent
from loglane.audit.lines import write_line
from loglane.audit.sink import AuditSink
from loglane.entry import Entry
from loglane.errors import AuditError, LoglaneError
from loglane.logger import active_engine, emit
from loglane.settings.audit import Audit
from loglane.sinks.audit import intake_of

# A thread that should have ended is waited for a little longer.
_GRACE_S = 5.0


class AuditWorker:
    """Writes audit records in batches, in the background; one for each process.

    `async with AuditWorker():` runs on the loop of the app. `with AuditWorker():`, or `start()` and
    `stop()`, runs a thread with a loop of its own, for apps without one. It can be started again
    when it has stopped. A forked child starts one of its own.
    """

    def __init__(
        self,
        settings: Audit | None = None,
        *,
        sink: AuditSink | None = None,
        model: type[AuditEvent] = AuditEvent,
    ) -> None:
        """Set what is written where; nothing is opened yet.

        Args:
            settings: The section `audit`; by default the one in force when the worker starts.
            sink: Where batches go; by default what the settings ask for. It is not closed here.
            model: Class of the records; marked lines that do not fit it become dead letters.
        """
        self._given = settings
        self._sink = sink
        self._model = model
        self._crew: Crew | None = None
        self._process = 0
        self._own_sink: AuditSink | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def settings(self) -> Audit:
        """The settings that hold for this worker."""
        if self._given is not None:
            return self._given
        engine = active_engine()
        return engine.settings.audit if engine is not None else Audit()

    @property
    def is_away(self) -> bool:
        """Whether the database could not be reached the last times."""
        crew = self._crew
        return crew is not None and crew.is_away

    async def __aenter__(self) -> AuditWorker:
        """Start on the loop that runs."""
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what there is, within `drain_s`, and stop."""
        await self._close()

    def __enter__(self) -> AuditWorker:
        """Start a thread."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what there is, within `drain_s`, and stop."""
        self.stop()

    def start(self) -> None:
        """Start a thread that does the work; returns when it does.

        Raises:
            AuditError: A worker runs already, or the outbox cannot be used.
            LoglaneError: The database's address or driver is wrong.
        """
        if self._thread is not None and self._thread.is_alive():
            raise AuditError("this audit worker runs already")
        ready: Future[None] = Future()
        thread = threading.Thread(
            target=Context().run, args=[self._run, ready], name="loglane-audit", daemon=True
        )
        thread.start()
        ready.result()
        self._thread = thread

    def stop(self) -> None:
        """Write what there is, within `drain_s`, and end the thread."""
        thread, self._thread = self._thread, None
        loop, ending = self._loop, self._ending
        if thread is None or loop is None or ending is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(ending.set)
        thread.join(self.settings.drain_s + _GRACE_S)

    def put(self, event: AuditEvent) -> None:
        """Record an event made by hand, and write its log line; from any thread.

        Raises:
            AuditOverflow: There is no room for it; it is not recorded.
        """
        done = event.completed()
        intake_of(self.settings).record(done.dump())
        write_line(done.row())

    async def submit(self, event: AuditEvent) -> None:
        """Record an event made by hand, and write its log line; waits without blocking the loop.

        Raises:
            AuditOverflow: There is no room for it; it is not recorded.
        """
        done = event.completed()
        future = intake_of(self.settings).record_later(done.dump())
        if future is not None:
            await asyncio.wrap_future(future)
        write_line(done.row())

    async def _open(self) -> None:
        # A forked child has a copy of its parent's worker, which does not run there.
        if self._crew is not None and self._process == os.getpid():
            raise AuditError("this audit worker runs already")
        self._process = os.getpid()
        settings = self.settings
        sink = self._sink
        if sink is None:
            await asyncio.to_thread(init_embedded, settings)
            self._own_sink = sink = open_sink(settings)
        crew = Crew(settings, intake_of(settings), sink, self._model, self._finish)
        try:
            await crew.start()
        except BaseException:
            await self._close_sink()
            raise
        self._crew = crew

    async def _close(self) -> None:
        crew, self._crew = self._crew, None
        try:
            if crew is not None:
                await crew.stop()
        finally:
            await self._close_sink()

    async def _close_sink(self) -> None:
        sink, self._own_sink = self._own_sink, None
        if sink is not None:
            await sink.close()

    def _finish(self) -> None:
        # On a loop of the app's own there is nobody any more who would run it.
        self.stop()

    def _run(self, ready: Future[None]) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._live(ready))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _live(self, ready: Future[None]) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._open()
        except BaseException as error:  # noqa: BLE001 - whoever starts it is told
            ready.set_exception(error)
            return
        ready.set_result(None)
        try:
            await self._ending.wait()
        finally:
            await self._close()


def open_sink(settings: Audit) -> AuditSink:
    """Return the sink that settings ask for; nothing is connected yet.

    Raises:
        SpecError: The address of the database is none.
        EnvironmentMissing: Its driver is not installed.
    """
    if settings.redis.url is not None:
        from loglane.audit.redis import RedisSink

        return RedisSink.of(settings)
    from loglane.audit.sql import SqlSink

    return SqlSink.of(settings)


def init_embedded(settings: Audit) -> None:
    """Make the tables of an SQLite file, which nobody else looks after.

    On a database server `loglane audit init` does, by a user who may. What is wrong here is said
    when the first batch cannot be written.
    """
    if settings.redis.url is not None or not settings.url.startswith("sqlite"):
        return
    from loglane.audit.database import open_sync_engine
    from loglane.audit.schema import init

    engine = open_sync_engine(settings.url)
    try:
        init(engine)
    except LoglaneError as error:
        emit(Entry("error", "loglane.audit", "tables were not made", fields={"error": str(error)}))
    finally:
        engine.dispose()
