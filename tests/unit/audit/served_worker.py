"""A process that marks lines: `served_worker.py SCENARIO FOLDER`; prints ids when acknowledged."""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import loglane
from loglane.audit.stats import audit_stats
from loglane.audit.worker import AuditWorker
from loglane.event_id import new_event_id

log = loglane.get_logger("app")


def configure(folder: str, durability: str = "memory", **keys: object) -> None:
    """Configure an audit trail in a folder."""
    audit = {
        "enabled": True,
        "url": f"sqlite:///{folder}/audit.db",
        "durability": durability,
        "outbox": {"path": f"{folder}/outbox.db"},
        "batch": {"max_wait_s": 0.02},
        **keys,
    }
    loglane.configure(mode="container", level="critical", audit=audit)


def mark(count: int) -> None:
    """Mark lines, and say which were acknowledged."""
    for _ in range(count):
        event_id = new_event_id()
        log.info("changed", event_id=event_id, persist_db=True)
        os.write(1, f"{event_id}\n".encode())


def for_ever(folder: str) -> None:
    """Mark lines in several threads until somebody kills the process."""
    configure(folder, "outbox")
    with AuditWorker():
        threads = [threading.Thread(target=mark, args=[10**9]) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(3600)


def script(folder: str) -> None:
    """Start a worker and end without stopping it."""
    configure(folder)
    AuditWorker().start()
    mark(300)


def until_terminated(folder: str) -> None:
    """Mark lines in the main thread, which a signal interrupts; a worker is at work."""
    configure(folder, workers=1)
    AuditWorker().start()
    mark(10**9)


def without_worker(folder: str) -> None:
    """End with records that nobody takes."""
    configure(folder)
    mark(300)


def children(folder: str) -> None:
    """Have children of multiprocessing mark lines, in a fork and in a new process."""
    configure(folder)
    with AuditWorker():
        for method in ("fork", "spawn"):
            child = get_context(method).Process(target=in_child, args=[folder])
            child.start()
            child.join()
            assert 0 == child.exitcode


def in_child(folder: str) -> None:
    """Be a child, which has no worker."""
    configure(folder)
    mark(50)


def own_worker(folder: str) -> None:
    """Fork a child that starts a worker of its own, as servers do with theirs."""
    configure(folder)
    worker = AuditWorker()
    worker.start()
    mark(50)
    # A fork in the middle of a write to SQLite may leave the child with SQLite's own lock held.
    while audit_stats()["written"] < 50:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        with worker:
            mark(50)
        os._exit(0)
    assert 0 == os.waitpid(child, 0)[1]


def of_billiard(folder: str) -> None:
    """Have a child of billiard, which Celery's processes are, mark lines."""
    configure(folder)
    import billiard

    child = billiard.Process(target=mark, args=[50])
    child.start()
    child.join()
    assert 0 == child.exitcode


def of_celery(folder: str) -> None:
    """Mark lines in a process that ends as those of Celery's pool do: without any exit hook."""
    configure(folder)
    from celery import signals

    from loglane.integrations import celery

    celery.install()
    child = os.fork()
    if child == 0:
        mark(50)
        signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
        os._exit(0)
    assert 0 == os.waitpid(child, 0)[1]


if __name__ == "__main__":
    # A child of multiprocessing imports this file anew.
    sys.path.insert(0, str(Path(__file__).parent))
    globals()[sys.argv[1]](sys.argv[2])
