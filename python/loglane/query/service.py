"""Asking Loki for log lines, blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loglane.query.connection import Connection, Secret
from loglane.query.entry import LogEntry
from loglane.query.filters import ERRORS, Text, Value
from loglane.query.link import Link
from loglane.query.moments import Moment
from loglane.query.planner import Page, Planner, Volume
from loglane.query.retry import Retry
from loglane.query.search import Direction
from loglane.query.series import Series
from loglane.query.tailing import OnOutage, Patience
from loglane.query.walk import PAGE_SIZE


class LogService:
    """Reads the log lines of one Loki; safe to share between threads.

    Use it as a context manager, or call `close`. Every method may raise `ServiceUnavailable` (Loki
    is down, too slow, or answered 429 or 5xx until `retry` was used up), `QueryError` (Loki refused
    the query; it carries Loki's message and the query), `TooManyResults` (a `QueryError`: the
    answer is larger than Loki gives), and `ValueError` or `TypeError` (an argument that no query
    can have; nothing was sent).

    Args:
        url: Address of Loki, `http://127.0.0.1:3100`.
        tenant: For a Loki with `auth_enabled`.
        auth: `(user, password)` for a proxy in front; the password as text, `Path` or callable.
        token: A bearer token instead, as text, `Path` or callable.
        ca_file: Certificates to trust instead of the system's.
        client_cert: `(certificate file, key file)` to show.
        verify: False takes any certificate; only for a test.
        headers: More headers to send.
        timeout_s: How long to wait for one answer.
        retry: How often and how long to try again.
        selector: Labels that every query has, for example `{"env": "prod"}`.
        labels: Names of labels beside those of the contract (`loglane.fields.LABELS`).
        metadata: Names of structured metadata beside those of the contract.
        page_size: How many entries to ask for at once; Loki's own limit is 5000.
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
        self._link = Link(connection, retry or Retry())
        self._plan = Planner(selector, labels, metadata, page_size)

    def __enter__(self) -> LogService:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def query_logs(  # noqa: PLR0913 - named, and each with a default
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

        Every filter narrows; of several values for one (a list) one must fit.

        Args:
            level: `error`, or several; case does not matter.
            log_category: Kind of line.
            service: Name of the service.
            trace_id: Id of the trace.
            contains: Text in the line, upper and lower case as given; of several each.
            matches: RE2 expression found anywhere in the line; of several each.
            start_time: First moment, inclusive. A naive datetime is local time; an int is
                nanoseconds; a timedelta, or a text like `15m` or `7d`, is so long ago.
                By default one hour before `end_time`.
            end_time: Last moment, exclusive; by default now.
            limit: How many entries at most; above 5000 they are read in pages.
            offset: How many entries to leave out first. Loki cannot skip, so these are read too:
                page 100 costs 100 pages. To read on and on use `page` or `iter_logs`.
            direction: `backward` gives the newest entries first, `forward` the oldest.
            fields: Any other field by its name. Labels and structured metadata of the contract
                are looked up there, others in the line's JSON: `a.b` is also the `b` inside `a`,
                None is `null`, and a number or boolean also fits a text that is written so.

        Returns:
            Entries in the order of `direction`.
        """
        options = {
            "level": level, "log_category": log_category, "service": service,
            "trace_id": trace_id, "contains": contains, "matches": matches,
            "start_time": start_time, "end_time": end_time, **fields,
        }  # fmt: skip
        search = self._plan.search(options, limit=limit, offset=offset, direction=direction)
        return self._link.run(self._plan.entries(search))

    def query_by(self, field: str, value: Value, **options: Any) -> list[LogEntry]:
        """Find entries by any field.

        Args:
            field: Its name, also one that is no Python name.
            value: What it has, or a list of which it has one.
            options: As of `query_logs`; but without `start_time` it looks back a day, because who
                asks for an id does not know when it was.

        Returns:
            Entries, newest first unless `direction` says otherwise.
        """
        return self._link.run(self._plan.entries(self._plan.search_by(field, value, options)))

    def query_by_trace_id(self, trace_id: Text, **options: Any) -> list[LogEntry]:
        """Find the entries of one trace, all services; as `query_by`."""
        return self.query_by("trace_id", trace_id, **options)

    def query_by_portfolio(self, portfolio_id: Value, **options: Any) -> list[LogEntry]:
        """Find the entries with this `portfolio_id`; as `query_by`."""
        return self.query_by("portfolio_id", portfolio_id, **options)

    def query_by_strategy(self, strategy_id: Value, **options: Any) -> list[LogEntry]:
        """Find the entries with this `strategy_id`; as `query_by`."""
        return self.query_by("strategy_id", strategy_id, **options)

    def query_errors(self, **options: Any) -> list[LogEntry]:
        """Find entries of level `error` and `critical`; as `query_logs`."""
        return self.query_logs(**{"level": ERRORS, **options})

    def get_log_count(self, **options: Any) -> int:
        """Count entries by the filters and times of `query_logs`; no line is sent."""
        return self._link.run(self._plan.count(self._plan.search(options)))

    def count_by(self, label: str, **options: Any) -> dict[str, int]:
        """Count entries by the values of a field.

        Args:
            label: A label, structured metadata, or a field of the line's JSON.
            options: The filters and times of `query_logs`.

        Returns:
            The count of each value, the largest first; `""` counts entries without the field.

        Raises:
            TooManyResults: It has more values than Loki groups by (`max_query_series`).
        """
        return self._link.run(self._plan.count_by(label, self._plan.search(options)))

    def stats(self, **options: Any) -> list[Volume]:
        """Add up lines and bytes by service and level, most first; options as of `count_by`."""
        return self._link.run(self._plan.stats(self._plan.search(options)))

    def page(self, *, cursor: str | None = None, **options: Any) -> Page:
        """Read one page, and where the next one begins; costs the same for every page.

        Args:
            cursor: Of the page before, or of an entry (`entry.cursor`), of the same filters and
                direction. It stands for the bound of the range where reading goes on; going
                backward also for `start_time`, so that a relative one does not move.
            options: As of `query_logs` without `offset`.
        """
        search = self._plan.page_search(options, cursor)
        return self._link.run(self._plan.page(search))

    def iter_logs(self, *, cursor: str | None = None, **options: Any) -> Iterator[LogEntry]:
        """Read any number of entries, each exactly once, with one page in memory.

        Args:
            cursor: `entry.cursor` of the last entry that was worked on: goes on after it. Going
                forward it also finds what was written since; an entry that reaches Loki late,
                with a time before the cursor's, is not found.
            options: As of `query_logs` without `offset`; by default `direction` is `forward` and
                `limit` is None: all.

        Raises:
            TooManyResults: More entries than can be read in parts share one nanosecond.
        """
        return self._link.iterate(self._plan.walk(self._plan.iter_search(options, cursor)))

    def tail(
        self, *, patience_s: float = 300.0, on_outage: OnOutage | None = None, **options: Any
    ) -> Iterator[LogEntry]:
        """Give entries as Loki gets them, until the caller stops; needs `websockets`.

        A connection that breaks is opened again, and what Loki stored meanwhile is read first:
        nothing is lost or given twice. Entries come about in order of time.

        Args:
            patience_s: How long Loki may be away before `ServiceUnavailable` is raised.
            on_outage: Called with the reason when Loki is away, and with None when it is back.
            options: The filters of `query_logs`, and `start_time`: where to begin, by default now.
        """
        tail = self._plan.tail(self._plan.tail_search(options))
        return self._link.follow(tail, Patience(patience_s, on_outage))

    def raw(
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

        Args:
            logql: A query that selects lines, or one that computes numbers.
            start_time: As of `query_logs`.
            end_time: As of `query_logs`.
            limit: As of `query_logs`; of numbers Loki gives all.
            direction: As of `query_logs`.
            step_s: Seconds between two points of numbers; by default Loki chooses.
        """
        search = self._plan.raw_search(
            logql, start_time, end_time, limit=limit, direction=direction
        )
        return self._link.run(self._plan.raw(search, step_s))

    def raw_instant(self, logql: str, *, at: Moment | None = None) -> list[Series]:
        """Ask LogQL that computes numbers for one moment, by default now; the largest first."""
        return self._link.run(self._plan.instant(logql, at))

    def iter_raw(
        self,
        logql: str,
        *,
        start_time: Moment | None = None,
        end_time: Moment | None = None,
        limit: int | None = None,
        direction: Direction = "forward",
        cursor: str | None = None,
    ) -> Iterator[LogEntry]:
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
    ) -> Iterator[LogEntry]:
        """Give entries that LogQL selects as Loki gets them; as `tail`."""
        tail = self._plan.tail(self._plan.raw_search(logql, start_time or "now", None))
        return self._link.follow(tail, Patience(patience_s, on_outage))

    def labels(
        self, *, start_time: Moment | None = None, end_time: Moment | None = None
    ) -> list[str]:
        """List the names of the labels of a time range, sorted."""
        return self._link.run(self._plan.labels(self._plan.span(start_time, end_time)))

    def label_values(
        self, name: str, *, start_time: Moment | None = None, end_time: Moment | None = None
    ) -> list[str]:
        """List the values of a label in a time range, sorted."""
        plan = self._plan.label_values(name, self._plan.span(start_time, end_time))
        return self._link.run(plan)
