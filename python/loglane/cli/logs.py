"""The command that finds and follows lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

from loglane.cli.application import app, examples
from loglane.cli.lines import Output, as_json, counted, printer, writing
from loglane.cli.loki import (
    DEFAULT_URL,
    Access,
    CaFile,
    CertFile,
    Contains,
    FieldValues,
    KeyFile,
    Levels,
    PasswordFile,
    Services,
    Since,
    Tenant,
    TokenFile,
    Until,
    Url,
    User,
    query_of,
    read_filters,
    span_of,
)
from loglane.cli.notes import say_nothing_found, say_outage
from loglane.sinks.escapes import shown

if TYPE_CHECKING:
    from collections.abc import Generator

    from loglane.query import LogEntry, LogService
    from loglane.query.search import Direction

# How late a line may reach Loki and still be shown between the first lines and the tail.
_OVERLAP_NS = 10 * 10**9
_TRY = "try a longer --since, as 7d, or fewer filters; `loglane labels service` lists the services"
_WAITING = "waiting for what comes; Ctrl-C ends it"
_FIRST_LINES = 100
_FIRST_LINES_OF_A_TAIL = 10


@app.command(
    epilog=examples(
        """loglane logs '{service="api"} |= "boom"' --since 1h""",
        "loglane logs --service api --level error --level critical --since 7d",
        "loglane logs --trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "loglane logs --contains declined --field order_id=17",
        "loglane logs --service api --follow",
        "loglane logs --all --since 1d --output json | jq -r .message",
        """loglane logs 'sum by (level) (count_over_time({service="api"}[1h]))'""",
    )
)
def logs(  # noqa: PLR0913 - the options of a command
    logql: Annotated[
        str | None,
        typer.Argument(metavar="LOGQL", help="A query as Grafana takes it, instead of filters."),
    ] = None,
    *,
    service: Services = None,
    level: Levels = None,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Of this log_category; repeat.")
    ] = None,
    contains: Contains = None,
    matches: Annotated[
        list[str] | None,
        typer.Option("--matches", help="Where this RE2 expression is found; repeat."),
    ] = None,
    field: FieldValues = None,
    trace: Annotated[
        str | None, typer.Option("--trace", "-t", metavar="ID", help="Of this trace_id.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=0,
            help="So many of the newest; 0 is all. [default: 100, with --follow 10]",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The same as --limit 0.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people, as JSON lines, or as stored.")
    ] = Output.pretty,
    as_json_lines: Annotated[
        bool, typer.Option("--json", help="The same as --output json.")
    ] = False,
    url: Url = DEFAULT_URL,
    tenant: Tenant = None,
    user: User = None,
    password_file: PasswordFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
) -> None:
    """Find lines in Loki, the newest last.

    Without --since it looks back an hour, for a trace a day. Times are shown in local time.
    What the stack's own containers print: loglane compose logs.
    """
    filters = read_filters(
        service, level, contains, field, log_category=category, matches=matches, trace_id=trace
    )
    if logql is not None and filters:
        raise typer.BadParameter("give LogQL or filters, not both")
    if follow and until is not None:
        raise typer.BadParameter("what is followed has no end", param_hint="--until")
    if everything:
        limit = 0
    elif limit is None:
        limit = _FIRST_LINES_OF_A_TAIL if follow else _FIRST_LINES
    start_ns, end_ns = span_of(since, until, 24 if trace else 1)
    shape = Output.json if as_json_lines else output
    access = Access(url, tenant, user, password_file, token_file, ca_file, cert_file, key_file)
    with writing() as out, access.open() as service_:
        if logql is not None and _computes(logql):
            if follow:
                raise typer.BadParameter("numbers cannot be followed", param_hint="--follow")
            _print_numbers(service_, logql, end_ns, shape, out)
            return
        question = Question(service_, logql, filters, start_ns, end_ns)
        text_of = printer(shape, out)
        if follow:
            _follow(question, limit, text_of, out)
        elif not _print(question.newest(limit), text_of, out):
            question.say_nothing_found(_TRY)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: LogQL or filters, and a time range."""

    service: LogService
    logql: str | None
    filters: dict[str, Any]
    start_ns: int
    end_ns: int

    def newest(self, limit: int) -> Iterable[LogEntry]:
        """Return the newest lines, oldest first; all, one page in memory, for a limit of 0."""
        if limit == 0:
            return counted(self._read("forward", None))
        found = list(counted(self._read("backward", limit)))
        found.reverse()
        return found

    def tail(self, start_ns: int) -> Iterator[LogEntry]:
        """Give lines as they come, for ever."""
        # Loki may be away for a night: who follows waits until he has enough of it himself.
        rules: dict[str, Any] = {"patience_s": float("inf"), "on_outage": say_outage}
        if self.logql is not None:
            return self.service.tail_raw(self.logql, start_time=start_ns, **rules)
        return self.service.tail(start_time=start_ns, **rules, **self.filters)

    def say_nothing_found(self, advice: str) -> None:
        """Tell who sits at a terminal what was searched."""
        what = str(query_of(self.filters)) if self.logql is None else self.logql
        say_nothing_found(what, self.start_ns, self.end_ns, advice)

    def _read(self, direction: Direction, limit: int | None) -> Iterator[LogEntry]:
        span: dict[str, Any] = {"start_time": self.start_ns, "end_time": self.end_ns}
        if self.logql is not None:
            return self.service.iter_raw(self.logql, direction=direction, limit=limit, **span)
        options = {**self.filters, **span}
        return self.service.iter_logs(direction=direction, limit=limit, **options)


def _follow(
    question: Question, limit: int, text_of: Callable[[LogEntry], str], out: IO[str]
) -> None:
    """Print the newest lines, then what comes; Ctrl-C is how it ends."""
    try:
        first = list(question.newest(limit)) if limit else []
        if not _print(first, text_of, out) and limit:
            question.say_nothing_found(_WAITING)
        out.flush()
        start_ns = question.start_ns
        if limit:
            start_ns = max(start_ns, question.end_ns - _OVERLAP_NS)
        if limit and len(first) == limit:
            start_ns = max(start_ns, first[0].timestamp_ns)
        printed = {(entry.timestamp_ns, entry.digest()) for entry in first}
        # It is a generator: closing it closes the connection.
        with closing(cast("Generator[LogEntry, None, None]", question.tail(start_ns))) as coming:
            for entry in coming:
                if (entry.timestamp_ns, entry.digest()) not in printed:
                    _print([entry], text_of, out)
                    out.flush()
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _print(entries: Iterable[LogEntry], text_of: Callable[[LogEntry], str], out: IO[str]) -> int:
    """Print entries and return how many there were."""
    count = 0
    for entry in entries:
        out.write(text_of(entry) + "\n")
        count += 1
    return count


def _computes(logql: str) -> bool:
    from loglane.query.logql import is_log_query

    return not is_log_query(logql)


def _print_numbers(
    service: LogService, logql: str, at_ns: int, shape: Output, out: IO[str]
) -> None:
    found = service.raw_instant(logql, at=at_ns)
    if not found:
        say_nothing_found(logql, None, at_ns, "try a longer range in the query, as [7d]")
    for series in found:
        if shape is Output.json:
            text = as_json({"labels": dict(series.labels), "value": series.value})
        else:
            names = " ".join(f"{name}={value}" for name, value in sorted(series.labels.items()))
            text = f"{series.value:>12,.10g}  {shown(names)}".rstrip()
        out.write(text + "\n")
