"""Ids of audit events: UUIDs of version 7, which sort by the time they were made.

Format: RFC 9562, section 5.7 (https://www.rfc-editor.org/rfc/rfc9562#section-5.7): 48 bits of
milliseconds since 1970, and 74 random bits, here from the system, so that forked processes and
threads never make the same one.
"""

from __future__ import annotations

import os
import time

_VERSION_AND_VARIANT = (7 << 76) | (0b10 << 62)
_RANDOM = ~((0xF << 76) | (0b11 << 62))
_80_BITS = (1 << 80) - 1


def new_event_id() -> str:
    """Return a new id: 36 characters, lower case."""
    low = int.from_bytes(os.urandom(10), "big") & _RANDOM | _VERSION_AND_VARIANT
    text = f"{(time.time_ns() // 1_000_000) << 80 | low & _80_BITS:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
