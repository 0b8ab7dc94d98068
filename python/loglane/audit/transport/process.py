"""The process that stores what is in the stream: `loglane audit worker`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from redis.asyncio import Redis

from loglane.audit.sink import AuditSink
from loglane.audit.sql import SqlSink
from loglane.audit.transport.connection import address_of, connect
from loglane.audit.transport.consumer import Consumer, Tally
from loglane.audit.transport.stream import Stream
from loglane.errors import SinkUnavailable
from loglane.pipeline import configure, get_logger
from loglane.settings import load_settings
from loglane.settings.audit import Audit
from loglane.settings.loading import DEFAULT

REPORT_EVERY_S = 60.0
log = get_logger(__name__)


def run_worker(
    *,
    redis: Mapping[str, Any],
    audit: Mapping[str, Any],
    config_file: str | os.PathLike[str] | None = None,
    name: str | None = None,
    drain: bool = False,
) -> Tally:
    """Run a worker in this process, logging through loglane.

    Args:
        redis: Keys of the section `audit.redis` that win over the settings; None is not given.
        audit: Keys of the section `audit`, in the same way.
        config_file: Settings file, found as `configure` finds it by default.
        name: Of the worker, by default of its host and process.
        drain: Return when the stream is empty.

    Returns:
        What was done.

    Raises:
        SpecError: A setting is wrong, or no address of a Redis is given.
        EnvironmentMissing: The driver of the database is not installed.
    """
    section: dict[str, Any] = _given(audit)
    if _given(redis):
        section["redis"] = _given(redis)
    found = load_settings({"audit": section}, config_file=config_file)
    settings = found.settings.audit
    address_of(settings.redis.url)
    sink = SqlSink.of(settings)
    defaults: dict[str, Any] = {}
    if found.origins["static.service"] == DEFAULT:
        defaults["service"] = "loglane-audit-worker"
    if found.origins["local.file_enabled"] == DEFAULT:
        defaults["local"] = {"file_enabled": False}
    # This process stores records and makes none.
    configure(config_file=config_file, audit={**section, "enabled": False}, **defaults)
    return asyncio.run(serve(settings, sink, name=name, drain=drain))


def _given(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}


def default_name() -> str:
    """Return a name that no other worker has: of the host and of the process."""
    return f"{socket.gethostname()}-{os.getpid()}"


async def serve(
    settings: Audit,
    sink: AuditSink,
    *,
    name: str | None = None,
    drain: bool = False,
    report_every_s: float = REPORT_EVERY_S,
) -> Tally:
    """Store what comes until SIGTERM or SIGINT, then finish what is in hand.

    Args:
        settings: `redis`, `workers`, `batch`, `retry` and `drain_s` are used.
        sink: Where records are stored; it is closed at the end.
        name: Of the worker; its consumers are `NAME-1` and so on.
        drain: Return when the stream is empty.
        report_every_s: How often the numbers are logged.

    Returns:
        What was done.

    Raises:
        SpecError: `redis.url` is not the address of a Redis.
    """
    address = address_of(settings.redis.url)
    redis = connect(settings.redis)
    stopping = asyncio.Event()
    tally = Tally()
    base = name or default_name()
    consumers = [
        Consumer(
            Stream(redis, settings.redis, address, f"{base}-{number}"),
            sink,
            settings,
            stopping,
            tally,
        )
        for number in range(1, settings.writers + 1)
    ]
    _stop_on_signals(stopping)
    log.info("audit worker started", redis=address, worker=base, workers=settings.writers)
    watcher = Stream(redis, settings.redis, address, base)
    reporter = asyncio.create_task(_report(watcher, tally, report_every_s))
    try:
        await _run(consumers, stopping, settings.drain_s, drain=drain)
    finally:
        reporter.cancel()
        with suppress(asyncio.CancelledError):
            await reporter
        await _close(sink, redis)
    log.info("audit worker stopped", worker=base, **asdict(tally))
    return tally


async def _run(
    consumers: list[Consumer], stopping: asyncio.Event, drain_s: float, *, drain: bool
) -> None:
    """Run consumers until they have done, or until `drain_s` after the process is to stop."""
    runs = {asyncio.create_task(one.run(drain=drain)): one for one in consumers}
    stop = asyncio.create_task(stopping.wait())
    waiting = set(runs)
    while waiting and not stop.done():
        done, _ = await asyncio.wait({*waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        waiting -= done
        if any(run.exception() for run in done - {stop}):
            # A defect: better no worker, which is seen and started again, than half a one.
            stopping.set()
    stop.cancel()
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=drain_s)
    for run in waiting:
        run.cancel()
    if waiting:
        log.warning("what is in hand stays in the stream", workers=len(waiting), waited_s=drain_s)
        await asyncio.wait(waiting)
    for run, consumer in runs.items():
        if run not in waiting:
            run.result()
            await consumer.leave()


async def _report(stream: Stream, tally: Tally, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            stats = await stream.stats()
        except SinkUnavailable:
            # The consumers say so.
            continue
        log.info("audit worker", **asdict(tally), **asdict(stats))


async def _close(sink: AuditSink, redis: Redis) -> None:
    await sink.close()
    with suppress(Exception):
        await redis.aclose()


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no such handlers; Ctrl-C ends the process there, and all stays in the stream.
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.set)
