"""Asking Loki for log lines, with asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loglane.query.connection import Connection, Secret
from loglane.query.entry import LogEntry
from loglane.query.filters import ERRORS, Text, Value
from loglane.query.link import AsyncLink
from loglane.query.moments import Moment
from loglane.query.planner import Page, Planner, Volume
from loglane.query.retry import Retry
from loglane.query.search import Direction
from loglane.query.series import Series
from loglane.query.service import LogService
from loglane.query.tailing import OnOutage, Patience
from loglane.query.walk import PAGE_SIZE


class AsyncLogService:
    """Reads the log lines of one Loki with asyncio; as `LogService`, each method awaited.

    Use it as an async context manager, or await `aclose`. `iter_logs`, `iter_raw`, `tail` and
    `tail_raw` return async iterators. It belongs to one event loop. Arguments and errors are those
    of `LogService`.
    """

    def __init__(  # noqa: PLR0913 - named, and each with a default
        self,
        url: str,
        *,
        tenant: str | None = None,
        auth: tuple[str, Secret] | None = None,
        token: Secret | None = None,
        ca_file: str | Path | None = None,
        client_cert: tuple[str | Path, str | Path] | None = None,
        verify: bool = True,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        selector: Mapping[str, str] | None = None,
        labels: Sequence[str] = (),
        metadata: Sequence[str] = (),
        page_size: int = PAGE_SIZE,
    ) -> None:
        connection = Connection(
            url, tenant, auth, token, ca_file, client_cert, verify, headers or {}, timeout_s
        )
        self._link = AsyncLink(connection, retry or Retry())
        self._plan = Planner(selector, labels, metadata, page_size)

    @classmethod
    def like(cls, service: LogService) -> AsyncLogService:
        """Return one that asks the same Loki in the same way, with connections of its own."""
        made = cls.__new__(cls)
        made._link = AsyncLink(service._link.connection, service._link.retry)
        made._plan = service._plan
        return made

    async def __aenter__(self) -> AsyncLogService:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()

    async def query_logs(  # noqa: PLR0913 - named, and each with a default
        self,
        *,
        level: Text | None = None,
        log_category: Text | None = None,
        service: Text | None = None,
        trace_id: Text | None = None,
        contains: Text | None = None,
        matches: Text | None = None,
        start_time: Moment | None = None,
        end_time: Moment | None = None,
        limit: int = 100,
        offset: int = 0,
        direction: Direction = "backward",
        **fields: Value,
    ) -> list[LogEntry]:
        """Find entries.

        Arguments, result and errors are those of the method of `LogService`.
        """
        options = {
            "level": level, "log_category": log_category, "service": service,
            "trace_id": trace_id, "contains": contains, "matches": matches,
            "start_time": start_time, "end_time": end_time, **fields,
        }  # fmt: skip
        search = self._plan.search(options, limit=limit, offset=offset, direction=direction)
        return await self._link.run(self._plan.entries(search))

    async def query_by(self, field: str, value: Value, **options: Any) -> list[LogEntry]:
        """Find entries by any field.

        Arguments, result and errors are those of the method of `LogService`.
        """
        search = self._plan.search_by(field, value, options)
        return await self._link.run(self._plan.entries(search))

    async def query_by_trace_id(self, trace_id: Text, **options: Any) -> list[LogEntry]:
        """Find the entries of one trace, all services; as `query_by`."""
        return await self.query_by("trace_id", trace_id, **options)

    async def query_by_portfolio(self, portfolio_id: Value, **options: Any) -> list[LogEntry]:
        """Find the entries with this `portfolio_id`; as `query_by`."""
        return await self.query_by("portfolio_id", portfolio_id, **options)

    async def query_by_strategy(self, strategy_id: Value, **options: Any) -> list[LogEntry]:
        """Find the entries with this `strategy_id`; as `query_by`."""
        return await self.query_by("strategy_id", strategy_id, **options)

    async def query_errors(self, **options: Any) -> list[LogEntry]:
        """Find entries of level `error` and `critical`; as `query_logs`."""
        return await self.query_logs(**{"level": ERRORS, **options})

    async def get_log_count(self, **options: Any) -> int:
        """Count entries by the filters and times of `query_logs`; no line is sent."""
        return await self._link.run(self._plan.count(self._plan.search(options)))

    async def count_by(self, label: str, **options: Any) -> dict[str, int]:
        """Count entries by the values of a field.

        Arguments, result and errors are those of the method of `LogService`.
        """
        return await self._link.run(self._plan.count_by(label, self._plan.search(options)))

    async def stats(self, **options: Any) -> list[Volume]:
        """Add up lines and bytes by service and level, most first; options as of `count_by`."""
        return await self._link.run(self._plan.stats(self._plan.search(options)))

    async def page(self, *, cursor: str | None = None, **options: Any) -> Page:
        """Read one page, and where the next one begins; costs the same for every page.

        Arguments, result and errors are those of the method of `LogService`.
        """
        search = self._plan.page_search(options, cursor)
        return await self._link.run(self._plan.page(search))

    def iter_logs(self, *, cursor: str | None = None, **options: Any) -> AsyncIterator[LogEntry]:
        """Read any number of entries, each exactly once, with one page in memory.

        Arguments, result and errors are those of the method of `LogService`.
        """
        return self._link.iterate(self._plan.walk(self._plan.iter_search(options, cursor)))

    def tail(
        self, *, patience_s: float = 300.0, on_outage: OnOutage | None = None, **options: Any
    ) -> AsyncIterator[LogEntry]:
        """Give entries as Loki gets them, until the caller stops; needs `websockets`.

        Arguments, result and errors are those of the method of `LogService`.
        """
        tail = self._plan.tail(self._plan.tail_search(options))
        return self._link.follow(tail, Patience(patience_s, on_outage))

    async def raw(
        self,
        logql: str,
        *,
        start_time: Moment | None = None,
        end_time: Moment | None = None,
        limit: int = 100,
        direction: Direction = "backward",
        step_s: float | None = None,
    ) -> list[LogEntry] | list[Series]:
        """Ask LogQL as it is written.

        Arguments, result and errors are those of the method of `LogService`.
        """
        search = self._plan.raw_search(
            logql, start_time, end_time, limit=limit, direction=direction
        )
        return await self._link.run(self._plan.raw(search, step_s))

    async def raw_instant(self, logql: str, *, at: Moment | None = None) -> list[Series]:
        """Ask LogQL that computes numbers for one moment, by default now; the largest first."""
        return await self._link.run(self._plan.instant(logql, at))

    def iter_raw(
        self,
        logql: str,
        *,
        start_time: Moment | None = None,
        end_time: Moment | None = None,
        limit: int | None = None,
        direction: Direction = "forward",
        cursor: str | None = None,
    ) -> AsyncIterator[LogEntry]:
        """Read any number of entries that LogQL selects; as `iter_logs`."""
        search = self._plan.raw_search(
            logql, start_time, end_time, limit=limit, direction=direction, cursor=cursor
        )
        return self._link.iterate(self._plan.walk(search))

    def tail_raw(
        self,
        logql: str,
        *,
        start_time: Moment | None = None,
        patience_s: float = 300.0,
        on_outage: OnOutage | None = None,
    ) -> AsyncIterator[LogEntry]:
        """Give entries that LogQL selects as Loki gets them; as `tail`."""
        tail = self._plan.tail(self._plan.raw_search(logql, start_time or "now", None))
        return self._link.follow(tail, Patience(patience_s, on_outage))

    async def labels(
        self, *, start_time: Moment | None = None, end_time: Moment | None = None
    ) -> list[str]:
        """List the names of the labels of a time range, sorted."""
        return await self._link.run(self._plan.labels(self._plan.span(start_time, end_time)))

    async def label_values(
        self, name: str, *, start_time: Moment | None = None, end_time: Moment | None = None
    ) -> list[str]:
        """List the values of a label in a time range, sorted."""
        span = self._plan.span(start_time, end_time)
        return await self._link.run(self._plan.label_values(name, span))
