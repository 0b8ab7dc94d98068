"""The note of what is delivered survives whatever happens to its writer."""

from __future__ import annotations

import pytest

from loglane.sinks.loki.wal_positions import Position, PositionFile


@pytest.fixture
def file(tmp_path):
    """Return a new file that is closed at the end."""
    file = PositionFile(tmp_path / "delivered")
    file.make()
    yield file
    file.close()


def test_position_starts_at_the_first_block(file):
    """Nothing is delivered."""
    assert (Position(0), "") == PositionFile(file.path).read()


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_a_write_that_was_cut_off_leaves_the_one_before(file, writes):
    """Also when it is the first of a process that took the file over."""
    for number in range(writes):
        file.write(Position(1, 100 + number))
    file.close()
    before = file.path.read_bytes()
    other = PositionFile(file.path)
    assert (Position(1, 99 + writes), "") == other.read()
    other.write(Position(2, 50))
    other.close()
    after = file.path.read_bytes()
    (changed,) = (slot for slot in (0, 32) if before[slot : slot + 32] != after[slot : slot + 32])
    file.path.write_bytes(after[: changed + 20] + before[changed + 20 :])
    position, problem = PositionFile(file.path).read()
    assert (Position(1, 99 + writes), "damaged, 64 bytes") == (position, problem)


def test_a_later_segment_is_a_later_position(file):
    """However small the offset in it is."""
    file.write(Position(1, 5000))
    file.write(Position(2, 16))
    file.write(Position(10, 16))
    assert Position(10, 16) == PositionFile(file.path).read()[0]
