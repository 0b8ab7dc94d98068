"""What an answer of Loki means for the lines of a push.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs and
loki: pkg/distributor/http.go, pkg/util/errors.go (how refused lines are counted).
"""

from __future__ import annotations

import re
from typing import Literal

from loglane.sinks.loki.transport import Answer

Outcome = Literal["stored", "refused", "too_large", "again"]

# A proxy or a gateway says these while it is set up, or a password is changed: no fault of a line.
_SETUP = frozenset({401, 403, 404, 405, 407, 408, 425})
_IGNORED = re.compile(r"total ignored: (\d+) out of \d+")
_ALIKE = re.compile(r"\b(\d+) errors? like:")


def judge(answer: Answer) -> Outcome:
    """Tell what to do with the lines of a push."""
    status = answer.status
    if 200 <= status < 300:
        return "stored"
    if status == 413:
        return "too_large"
    if status < 400 or status == 429 or status >= 500 or status in _SETUP:
        return "again"
    return "refused"


def refused_lines(reason: str, lines: int) -> int:
    """Count the lines that Loki refused of a push; the others it has stored.

    Args:
        reason: Loki's text.
        lines: How many there were. All count when the text gives no number.
    """
    counts = _IGNORED.findall(reason) or _ALIKE.findall(reason)
    return min(sum(map(int, counts)), lines) if counts else lines
