"""Text that a terminal only shows, whatever is in it."""

from __future__ import annotations

import re

# What moves the cursor, changes a terminal's state, or turns the reading direction. A line break
# is dealt with where it stands.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    """Return the text with what would act on a terminal written as its escape."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
