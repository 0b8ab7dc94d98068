"""What an answer of Loki means for the lines of a push.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs and
loki: pkg/distributor/distributor.go, pkg/util/errors.go, pkg/ingester/stream.go (how refused lines
are counted).
"""

from __future__ import annotations

import re
from typing import Literal

from loglane.sinks.loki.transport import Answer

Outcome = Literal["stored", "refused", "too_large", "again"]

# A proxy or a gateway says these while it is set up, or a password is changed: no fault of a line.
_SETUP = frozenset({401, 403, 404, 405, 407, 408, 425})
# Ingestion is blocked, and a client must not try again; else it looks as if all were well (loki:
# pkg/validation/limits.go, `block_ingestion_status_code`).
_BLOCKED = 260
# The last words of an ingester, behind a reason for each line.
_IGNORED = re.compile(r"total ignored: (\d+) out of \d+ for stream")
# A distributor groups equal texts, and gives no number when there is but one.
_ALIKE = re.compile(r"(?:^|; )(\d+) errors like: ")
# Of its texts those that are about one line; others are about a stream, or the whole push.
_OF_A_LINE = re.compile(r"has timestamp too (?:old|new)|max entry size|structured metadata")


def judge(answer: Answer) -> Outcome:
    """Tell what to do with the lines of a push."""
    status = answer.status
    if 200 <= status < 300 and status != _BLOCKED:
        return "stored"
    if status == 413:
        return "too_large"
    if status != _BLOCKED and (status < 400 or status == 429 or status >= 500 or status in _SETUP):
        return "again"
    return "refused"


def refused_lines(text: str, lines: int) -> int:
    """Count the lines that Loki refused of a push; the others it has stored.

    Args:
        text: Loki's answer.
        lines: How many there were. All count when the answer does not tell.
    """
    counts = _IGNORED.findall(text)
    if not counts:
        first, *rest = _ALIKE.split(text)
        counts, reasons = (rest[::2], rest[1::2]) if rest else (["1"], [first])
        if not all(map(_OF_A_LINE.search, reasons)):
            return lines
    return min(sum(map(int, counts)), lines)
