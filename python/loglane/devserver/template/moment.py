"""Points in time as templates see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from loglane.devserver.refusal import unsupported

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1)
# 0001-01-01 00:00:00 UTC, Go's zero time.
ZERO_NS = -62_135_596_800 * _SECOND


@dataclass(frozen=True, slots=True)
class Moment:
    """Nanoseconds since 1970 and the zone to show them in."""

    unix_ns: int
    zone: tzinfo = timezone.utc

    @property
    def nanosecond(self) -> int:
        """The part of a second."""
        return self.unix_ns % _SECOND

    @property
    def offset_s(self) -> int:
        """Seconds that the zone is ahead of UTC."""
        offset = self._aware().utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    @property
    def abbreviation(self) -> str:
        """What the zone is called then."""
        return self._aware().tzname() or ""

    def civil(self) -> datetime:
        """The date and time of day in the zone, without the part of a second."""
        return self._aware().replace(tzinfo=None)

    def _aware(self) -> datetime:
        try:
            utc = _EPOCH + timedelta(seconds=self.unix_ns // _SECOND)
            return utc.replace(tzinfo=timezone.utc).astimezone(self.zone)
        except OverflowError:
            raise unsupported("a time outside of the years 1 to 9999 in a template") from None


def from_civil(civil: datetime, nanosecond: int, zone: tzinfo) -> Moment:
    """Build the point of time of a date and a time of day in a zone."""
    offset = civil.replace(tzinfo=zone).utcoffset() or timedelta()
    seconds = (civil - offset - _EPOCH) // timedelta(seconds=1)
    return Moment(seconds * _SECOND + nanosecond, zone)
