"""loguru with a sink that writes one flat JSON object by orjson.

`serialize=True` would write each line twice (as text and as a nested record of some 30 keys). The
sink is a function, as the documentation's 'serializing log messages' recipe has it.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from loguru import logger

from benchmarks.log_call.cases import ENV, LOGGER, SERVICE, TRACE_ID, Loop
from benchmarks.log_call.keyword_calls import keyword_loop
from benchmarks.log_call.masking import masked


def loop(name: str) -> Loop:
    """Return the loop of this name, with loguru configured for it."""
    logger.remove()
    # With an empty format, the text that loguru makes is the traceback alone, or nothing: so the
    # traceback is formatted once. `backtrace` and `diagnose` would add frames and local variables.
    logger.add(_sink(name == "nested"), level="INFO", format="", backtrace=False, diagnose=False)
    calls = keyword_loop(logger.bind(logger=LOGGER, service=SERVICE, env=ENV), name)

    def in_context(count: int) -> None:
        with logger.contextualize(trace_id=TRACE_ID):
            calls(count)

    return in_context


def _sink(masking: bool) -> Any:
    out = sys.stdout.buffer

    def write(message: Any) -> None:
        record = message.record
        flat = {
            "timestamp": record["time"].isoformat(),
            "level": record["level"].name,
            "message": record["message"],
            **record["extra"],
        }
        if record["exception"]:
            flat["exception"] = message.strip()
        out.write(orjson.dumps(masked(flat) if masking else flat) + b"\n")
        out.flush()

    return write
