"""loglane as configured out of the box: masking, context, trace ids and flow control are on."""

from __future__ import annotations

import loglane
from benchmarks.log_call.cases import ENV, LOGGER, SERVICE, TRACE_ID, Loop
from benchmarks.log_call.keyword_calls import keyword_loop


def loop(name: str) -> Loop:
    """Return the loop of this name, with loglane configured for it."""
    if name == "exception":
        # Flow control would hold most of the repeated errors back, and be fast by saying less.
        loglane.configure(
            service=SERVICE, env=ENV, mode="container", flow_control={"enabled": False}
        )
    else:
        loglane.configure(service=SERVICE, env=ENV, mode="container")
    loglane.bind_context(trace_id=TRACE_ID)
    return keyword_loop(loglane.get_logger(LOGGER), name)
