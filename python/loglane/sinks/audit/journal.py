"""The one thread of a process that works on the outbox: many records, one write to the disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from loglane.errors import AuditOverflow
from loglane.sinks.audit.outbox import Outbox
from loglane.sinks.audit.tally import Tally

T = TypeVar("T")
Work = Callable[[], Any]
Job = tuple[Future[Any], bytes | Work, bool]
Jobs = SimpleQueue[Job | None]
# Records in one transaction: enough for many threads that wait, and short for the first of them.
_AT_ONCE = 512


class Journal:
    """Writes records into an outbox, all those that wait in one transaction; works off the rest.

    Where no thread is to be had, because the interpreter is ending, the caller's does it.
    """

    def __init__(self, outbox: Outbox, hold: Callable[[Sequence[bytes], Outbox], None]) -> None:
        """Set the outbox.

        Args:
            outbox: The file.
            hold: Writes records that are to stay in the hands of this process, too.
        """
        self.outbox = outbox
        self._hold = hold
        self._jobs: Jobs = SimpleQueue()
        # Re-entrant: a signal handler may record something, too.
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._is_final = False

    def keep(self, line: bytes, *, hold: bool) -> Future[None]:
        """Write a record; the future is done when it is on the disk, or has the AuditError.

        Args:
            line: The record.
            hold: Whether it stays in the hands of this process, too.
        """
        return self._put(line, hold)

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Have something else done with the outbox, after what came before."""
        return self._put(work, False)

    def stop(self, *, is_final: bool = False) -> None:
        """Work off what was asked for and end the thread.

        Args:
            is_final: What comes now is done by whoever asks for it; else there is a new thread.
        """
        with self._starting:
            self._is_final = self._is_final or is_final
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _put(self, job: bytes | Work, hold: bool) -> Future[Any]:
        future: Future[Any] = Future()
        with self._starting:
            if self._has_thread():
                self._jobs.put((future, job, hold))
                return future
        self._work([(future, job, hold)])
        return future

    def _has_thread(self) -> bool:
        if self._is_final:
            return False
        if self._thread is not None:
            return True
        # A thread that is stopping works off a queue of its own.
        self._jobs = SimpleQueue()
        thread = threading.Thread(
            target=self._run, args=[self._jobs], name="loglane-outbox", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self, waiting: Jobs) -> None:
        is_over = False
        while not is_over:
            jobs = [waiting.get()]
            with contextlib.suppress(Empty):
                while len(jobs) < _AT_ONCE:
                    jobs.append(waiting.get_nowait())
            is_over = None in jobs
            self._work([job for job in jobs if job is not None])

    def _work(self, jobs: Sequence[Job]) -> None:
        for hold in (True, False):
            kept = [(future, job) for future, job, held in jobs if held is hold]
            lines = [(future, job) for future, job in kept if isinstance(job, bytes)]
            if lines:
                self._keep([job for _, job in lines], [future for future, _ in lines], hold)
        for future, job, _ in jobs:
            if not isinstance(job, bytes):
                _settle([future], job)

    def _keep(self, lines: list[bytes], futures: list[Future[Any]], hold: bool) -> None:
        def work() -> None:
            if hold:
                self._hold(lines, self.outbox)
            else:
                self.outbox.add(lines)

        _settle(futures, work)


def _settle(futures: Sequence[Future[Any]], work: Work) -> None:
    """Do the work, and give everybody who waits for it what came of it."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - the thread must live on, and its callers know
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        return
    for future in futures:
        # Who awaits it may have been cancelled meanwhile; what is done is done.
        if future.set_running_or_notify_cancel():
            future.set_result(result if len(futures) == 1 else None)


def told(future: Future[None], tally: Tally) -> Future[None]:
    """Return a future that fails with AuditOverflow when the outbox could not be written."""
    told: Future[None] = Future()

    def tell(done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if not told.set_running_or_notify_cancel():
            return
        if error is None:
            told.set_result(None)
            return
        tally.last_error = str(error)
        tally.add("lost.overflow")
        failed = AuditOverflow(f"an audit record could not be kept: {error}")
        failed.__cause__ = error
        told.set_exception(failed)

    future.add_done_callback(tell)
    return told
