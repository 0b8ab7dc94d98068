"""Moments are nanoseconds, however they are written."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from loglane.query.moments import to_datetime, to_ns

EAST = timezone(timedelta(hours=2))
NOW = 1_795_320_000_123_456_789


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 22, 3, 4, 5, 678901, timezone.utc), 1_795_316_645_678_901_000),
        (datetime(2026, 11, 22, 5, 4, 5, tzinfo=EAST), 1_795_316_645 * 10**9),
        ("2026-11-22T03:04:05Z", 1_795_316_645 * 10**9),
        ("2026-11-22T03:04:05.5+00:00", 1_795_316_645_500_000_000),
        ("2026-11-22T05:04:05.678901234+02:00", 1_795_316_645_678_901_234),
        ("2026-11-22T03:04:05,0000001Z", 1_795_316_645_000_000_100),
        (NOW - 1, NOW - 1),
        (0, 0),
        ("now", NOW),
        (timedelta(minutes=5), NOW - 300 * 10**9),
        ("90s", NOW - 90 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("2w", NOW - 14 * 86400 * 10**9),
        ("250ms", NOW - 250 * 10**6),
    ],
    ids=str,
)  # fmt: skip
def test_moment_is_nanoseconds(moment, expected):
    """No moment goes through a float."""
    assert expected == to_ns(moment, NOW)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs time.tzset, which Windows has not")
def test_naive_datetime_is_local_time(monkeypatch):
    """A datetime without a zone is what the clock on the wall said."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert 1_795_316_645 * 10**9 == to_ns(datetime(2026, 11, 22, 11, 4, 5), NOW)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("moment", "error"),
    [
        ("yesterday", ValueError), ("1y", ValueError), ("", ValueError),
        (1_795_320_000, ValueError), (-1, ValueError), (2**63, ValueError), (1.5, TypeError),
        (True, TypeError), (None, TypeError), ("99999w", ValueError),
        (datetime.min, ValueError), (datetime.max, ValueError),
        (datetime.min.replace(tzinfo=EAST), ValueError), ("0001-01-01T00:00:00+02:00", ValueError),
        ("9999-12-31T23:59:59-02:00", ValueError),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_moment_is_refused(moment, error):
    """Seconds taken for nanoseconds would search from 1970."""
    with pytest.raises(error):
        to_ns(moment, NOW)


def test_datetime_is_cut_to_microseconds():
    """Nothing is rounded up into the next microsecond."""
    expected = datetime(2026, 11, 22, 4, 0, 0, 123456, timezone.utc)
    assert expected == to_datetime(NOW)
