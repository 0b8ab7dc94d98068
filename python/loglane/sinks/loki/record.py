"""One line on its way to Loki."""

from __future__ import annotations

# When (nanoseconds since 1970-01-01 UTC, never the same twice in a process), its level as an index
# into `fields.LEVELS`, and the rendered line without a newline. A plain tuple, because a log call
# makes one: a named one would cost it as much as everything else here together.
Record = tuple[int, int, bytes]
