"""What the audit trail has to reach (issue 6), and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from benchmarks.audit.call import Call
from benchmarks.audit.memory import Memory
from benchmarks.audit.rates import Rates
from benchmarks.databases import TITLES
from benchmarks.shipping.goals import Verdict

RATIO = 20.0
MARKED_US = 20.0
MORE_US = 5.0
# The queue's own bound, and as much again for what is being written.
GROWN_MIB = 128.0


def judge(rates: Mapping[str, Rates], call: Call, memory: Memory) -> list[Verdict]:
    """Return a verdict for each goal."""
    return [
        *(
            Verdict(f"batched worker, of one commit a record, {TITLES[kind]}",
                    statistics.median(found.ratios), RATIO)
            for kind, found in rates.items()
        ),
        Verdict("marked call", call.marked, MARKED_US, " us", at_most=True),
        Verdict("marked call, more than a plain one", call.more, MORE_US, " us", at_most=True),
        Verdict(f"memory, {memory.events:,} records, database away",
                memory.grown_bytes / 2**20, GROWN_MIB, " MiB", at_most=True),
        Verdict("records of these that are not rows", float(memory.events - memory.rows), 0, "",
                at_most=True),
    ]  # fmt: skip
