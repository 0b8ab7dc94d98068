"""Cursors: where a walk through entries stands, as a short text that goes into a URL.

Loki knows no cursor. A walk is told by the nanosecond it stands in, and by which entries of that
nanosecond it has given: their digests when they are few; else all up to one digest, because a large
group is walked in the order of its digests.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

# Groups up to this size keep Loki's order, and a cursor into them lists what was given.
FEW = 32
DIGEST_BYTES = 8

_VERSION = 1
_HEAD = struct.Struct(">BB4sQQ")
_BACKWARD, _ORDERED = 1, 2


@dataclass(frozen=True, slots=True)
class Trail:
    """What every cursor of one walk has in common.

    Attributes:
        query: LogQL of the walk.
        backward: Whether it goes from the newest entry to the oldest.
        start_ns: Where a backward walk ends.
    """

    query: str
    backward: bool
    start_ns: int

    def cursor(self, timestamp_ns: int, digests: Sequence[bytes], at: int) -> str:
        """Write the cursor after entry `at` of a group that shares a nanosecond.

        Args:
            timestamp_ns: The nanosecond.
            digests: Of the whole group in the order of the walk.
            at: Position of the entry in it.
        """
        ordered = isinstance(digests, OrderedDigests)
        given = [digests[at]] if ordered else digests[: at + 1]
        flags = (_BACKWARD if self.backward else 0) | (_ORDERED if ordered else 0)
        head = _HEAD.pack(_VERSION, flags, _fingerprint(self.query), timestamp_ns, self.start_ns)
        return base64.urlsafe_b64encode(head + b"".join(given)).rstrip(b"=").decode()


class OrderedDigests(list[bytes]):
    """Digests of a large group, in ascending order."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk goes on.

    Attributes:
        timestamp_ns: The nanosecond it stands in.
        start_ns: Where a backward walk ends.
        given: Digests of the entries of that nanosecond that were given.
        ordered: Whether it is one digest, and all up to it were given.
    """

    timestamp_ns: int
    start_ns: int
    given: tuple[bytes, ...]
    ordered: bool

    def has_given(self, digest: bytes) -> bool:
        """Tell whether an entry of the nanosecond was given before."""
        return digest <= self.given[0] if self.ordered else digest in self.given


def read_cursor(cursor: str, query: str, *, backward: bool) -> Position:
    """Read a cursor.

    Raises:
        ValueError: It is damaged, or of another query or direction.
    """
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        version, flags, fingerprint, timestamp_ns, start_ns = _HEAD.unpack_from(data)
    except (binascii.Error, ValueError, struct.error):
        raise ValueError(f"{cursor[:80]!r} is no cursor") from None
    digests = data[_HEAD.size :]
    if version != _VERSION or len(digests) % DIGEST_BYTES or not digests:
        raise ValueError(f"{cursor[:80]!r} is no cursor of this version of loglane")
    if fingerprint != _fingerprint(query) or bool(flags & _BACKWARD) != backward:
        raise ValueError("the cursor belongs to another query or direction; begin without it")
    given = tuple(digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))
    return Position(timestamp_ns, start_ns, given, bool(flags & _ORDERED))


def _fingerprint(query: str) -> bytes:
    return blake2b(query.encode("utf-8", "surrogatepass"), digest_size=4).digest()
