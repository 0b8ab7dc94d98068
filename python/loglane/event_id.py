"""Ids of audit events: UUIDs of version 7, which sort by the time they were made.

Format: RFC 9562, section 5.7 (https://www.rfc-editor.org/rfc/rfc9562#section-5.7): 48 bits of
milliseconds since 1970, and 74 random bits, here from the system, so that forked processes and
threads never make the same one.
"""

from __future__ import annotations

import os
import time

# The digit with the variant's two bits, 10, before two random ones.
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


# The last millisecond, and how ids begin in it.
_begin: tuple[int, str] = (0, "")


def new_event_id() -> str:
    """Return a new id: 36 characters, lower case."""
    global _begin  # noqa: PLW0603 - a cache; a thread that replaces it does no harm
    now = time.time_ns() // 1_000_000
    at, begin = _begin
    if at != now:
        text = f"{now:012x}"
        begin = f"{text[:8]}-{text[8:]}-7"
        _begin = (now, begin)
    low = os.urandom(10).hex()
    return f"{begin}{low[:3]}-{_VARIANT[low[3]]}{low[4:7]}-{low[7:19]}"
