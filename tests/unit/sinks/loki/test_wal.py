"""Lines on the disk: none that was taken is lost, none that was delivered comes back."""

from __future__ import annotations

import pytest

from loglane.sinks.loki.wal import Wal


def batch(first, count=10, size=50):
    """Return numbered records."""
    return [(at, at % 5, b"%0*d" % (size, at)) for at in range(first, first + count)]


def take_all(wal, max_bytes=1_000_000):
    """Return all that can be read, and acknowledge it."""
    found = []
    while (portion := wal.read(max_bytes)) is not None:
        found += portion.records
        wal.acknowledge(portion)
    return found


@pytest.fixture
def reports():
    return []


@pytest.fixture
def open_wal(tmp_path, reports):
    """Return a function that opens the folder as one more process would."""
    opened = []

    def open_one(max_bytes=10_000_000, **options):
        wal = Wal(tmp_path / "wal", max_bytes, report=reports.append, **options)
        opened.append(wal)
        return wal

    yield open_one
    for wal in opened:
        wal.close()


def test_what_is_appended_is_read_in_order(open_wal):
    """Timestamp, level and line come back as they were."""
    wal = open_wal()
    assert [10, 10] == [wal.append(batch(0)), wal.append(batch(10))]
    assert batch(0, 20) == take_all(wal)
    assert None is wal.read(1000)


def test_the_next_process_finds_what_is_not_acknowledged(open_wal):
    """An acknowledged portion does not come back, the others do."""
    wal = open_wal()
    wal.append(batch(0))
    wal.append(batch(10))
    wal.acknowledge(wal.read(1))
    wal.close()
    other = open_wal()
    assert 10 == other.adopt()
    assert batch(10) == take_all(other)


def test_all_delivered_leaves_nothing(open_wal, tmp_path):
    """Directories without lines are removed."""
    wal = open_wal()
    wal.append(batch(0))
    take_all(wal)
    wal.close()
    assert [] == list((tmp_path / "wal").iterdir())
