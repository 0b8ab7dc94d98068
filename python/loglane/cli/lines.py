"""How lines of Loki are printed: for people, as JSON lines, or as they are stored."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

import orjson
import typer

from loglane.sinks.console import BOLD, DIM, KEY, LEVEL_STYLES, RESET, below, parts, wants_colors
from loglane.sinks.escapes import shown

if TYPE_CHECKING:
    from loglane.query import LogEntry

# What a line is called by other loggers; shown once, as the message.
_MESSAGES = ("message", "msg", "event")
# Said by the columns, or known from the query.
_SAID = frozenset({*_MESSAGES, "level", "timestamp", "service", "env", "version"})
_PROGRESS_S = 0.2


class Output(str, Enum):
    """How lines are printed."""

    pretty = "pretty"
    json = "json"
    raw = "raw"


def as_json(facts: Any) -> str:
    """Return JSON on one line that no terminal acts on, and that stays JSON."""
    text = orjson.dumps(facts).decode()
    return text if text.isprintable() else json.dumps(orjson.loads(text))


def pretty(entry: LogEntry, colored: bool) -> str:
    """Return a line for people: local time, level, service, message, fields, traceback."""
    service = entry.labels.get("service") or entry.labels.get("service_name") or "-"
    fields = {name: value for name, value in entry.fields.items() if name not in _SAID}
    ids = {name: value for name, value in entry.metadata.items() if name not in entry.fields}
    ids.pop("detected_level", None)
    level, message, logger, pairs = parts(
        {**fields, **ids, "message": entry.message, "level": entry.level or ""}
    )
    at = datetime.fromtimestamp(entry.timestamp_ns // 10**6 / 1000).astimezone()
    when = at.isoformat(" ", timespec="milliseconds")[:23]
    name, level = f"{shown(service):<10}", shown(level)
    if colored:
        style = LEVEL_STYLES.get(level.lower(), "")
        line = f"{DIM}{when}{RESET} {style}{level.upper():<8}{RESET} {name} {BOLD}{message}{RESET}"
        line += f" {DIM}[{logger}]{RESET}" if "logger" in fields else ""
        line += "".join(f" {KEY}{key}{RESET}={value}" for key, value in pairs)
    else:
        line = f"{when} {level.upper():<8} {name} {message}"
        line += f" [{logger}]" if "logger" in fields else ""
        line += "".join(f" {key}={value}" for key, value in pairs)
    trace = below(str(fields.get("exception") or "").rstrip("\n"))
    return line.rstrip() + below(fields.get("stack")) + trace


def printer(output: Output, out: IO[str]) -> Callable[[LogEntry], str]:
    """Return what makes the text of an entry."""
    if output is Output.json:
        return lambda entry: as_json(dict(entry))
    if output is Output.raw:
        # A pipe gets each line as it is stored.
        return (lambda entry: shown(entry.raw)) if out.isatty() else (lambda entry: entry.raw)
    colored = wants_colors(out)
    return lambda entry: pretty(entry, colored)


@contextmanager
def writing() -> Iterator[IO[str]]:
    """Give stdout; a reader that has gone (`| head`) ends the command, and is no error."""
    out = sys.stdout
    reconfigure = getattr(out, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    try:
        yield out
    except BrokenPipeError:
        raise typer.Exit from None


def counted(entries: Iterable[LogEntry]) -> Iterator[LogEntry]:
    """Pass entries on, and say on a terminal how many there were when it shows nothing else."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from entries
        return
    began_s = said_s = time.monotonic()
    count = 0
    try:
        for entry in entries:
            count += 1
            if time.monotonic() - said_s > _PROGRESS_S:
                said_s = time.monotonic()
                print(f"\r{count:,} lines read", end="", file=sys.stderr, flush=True)
            yield entry
    finally:
        if said_s != began_s:
            print(f"\r{count:,} lines read", file=sys.stderr)
