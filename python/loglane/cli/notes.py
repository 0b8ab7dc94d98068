"""What commands say on stderr beside their output: nothing found, Loki away and back."""

from __future__ import annotations

import sys
from datetime import datetime

from loglane.sinks.escapes import shown

_SECOND_NS = 10**9


def say_nothing_found(what: str, start_ns: int | None, end_ns: int, advice: str) -> None:
    """Tell who sits at a terminal what was searched, when, and what to try; a script nothing.

    Args:
        what: What was asked for.
        start_ns: Begin of the time range; None for a single moment.
        end_ns: Its end.
        advice: What to do next.
    """
    if not sys.stderr.isatty():
        return
    span = f"at {clock(end_ns)}"
    if start_ns is not None:
        span = f"from {clock(start_ns)} to {clock(end_ns)}"
    print(f"nothing found: {shown(what)}\n{span}\n{advice}", file=sys.stderr)


def say_outage(reason: str | None) -> None:
    """Say why Loki is away, or with None that it is back: what follows it would just be silent."""
    if reason is None:
        print("Loki is back", file=sys.stderr, flush=True)
    else:
        print(f"{shown(reason)}; waiting for it", file=sys.stderr, flush=True)


def clock(ns: int) -> str:
    """Return a moment in local time, to the second."""
    return datetime.fromtimestamp(ns // _SECOND_NS).isoformat(" ")
