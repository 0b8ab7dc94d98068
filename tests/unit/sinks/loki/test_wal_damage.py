"""Damaged files: what is whole is delivered, what is not is reported once and passed over."""

from __future__ import annotations

import os
import struct
import zlib

import pytest

from loglane.sinks.loki import wal_blocks
from tests.unit.sinks.loki.wal_cases import batch, read_all, take_all


@pytest.fixture
def blocks(folder):
    """Leave five blocks of ten records in one segment; return the file and where each begins."""
    folder.leave(*(batch(first) for first in range(0, 50, 10)))
    (file,) = folder.files("*.segment")
    size = (file.stat().st_size - wal_blocks.HEADER_BYTES) // 5
    return file, [wal_blocks.HEADER_BYTES + size * at for at in range(5)]


def damage(file, at, data):
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def flip(file, at):
    damage(file, at, bytes([file.read_bytes()[at] ^ 0x40]))


@pytest.mark.parametrize("inside", [0, 5, 9, 14, 20, 150, 400], ids=lambda at: f"byte {at}")
@pytest.mark.parametrize("hit", [0, 2, 4], ids=["first", "middle", "last"])
def test_one_damaged_block_costs_only_itself(folder, blocks, inside, hit):
    """Whether its magic, length, count, checksum or payload is hit, the others are found."""
    file, starts = blocks
    flip(file, starts[hit] + inside)
    wal = folder.open()
    assert 40 == wal.adopt()
    expected = [record for record in batch(0, 50) if record[0] // 10 != hit]
    assert expected == read_all(wal) == read_all(wal)
    size = starts[1] - starts[0]
    assert [f"{file}: {size} damaged bytes at byte {starts[hit]}, skipped"] == folder.reports
    assert expected == take_all(wal)
    assert (0, []) == (wal.pending_records, folder.files("*.segment"))


@pytest.mark.parametrize("kept", [0, 7, 15, 20, 200], ids=lambda kept: f"{kept} bytes kept")
def test_a_cut_off_tail_is_passed_over(folder, blocks, kept):
    """As a process leaves it that is killed in the middle of a write."""
    file, starts = blocks
    os.truncate(file, starts[3] + kept)
    wal = folder.open()
    assert 30 == wal.adopt()
    assert batch(0, 30) == take_all(wal)
    expected = [f"{file}: {kept} damaged bytes at byte {starts[3]}, skipped"] if kept else []
    assert expected == folder.reports
    wal.close()
    assert [] == folder.names()


@pytest.mark.parametrize("kept", [0, 1, 15], ids=lambda kept: f"{kept} bytes kept")
def test_a_segment_without_a_whole_header_is_removed(folder, blocks, kept):
    """Nothing can be in it."""
    file, _ = blocks
    os.truncate(file, kept)
    wal = folder.open()
    assert 0 == wal.adopt()
    assert [] == take_all(wal)
    wal.close()
    assert [] == folder.names()


def test_a_damaged_header_costs_nothing(folder, blocks):
    """The blocks have checksums of their own."""
    file, _ = blocks
    flip(file, 9)
    wal = folder.open()
    assert (50, batch(0, 50)) == (wal.adopt(), take_all(wal))


def test_another_versions_segment_is_left_as_it_is(folder, blocks):
    """A newer loglane may have written it; the lock and position stay with it."""
    file, _ = blocks
    damage(file, 0, wal_blocks.make_header(version=2))
    before = folder.names()
    for _ in range(2):
        wal = folder.open()
        assert (0, 0, None) == (wal.adopt(), wal.adopt(), wal.read(1000))
        wal.close()
    assert before == folder.names()
    assert [f"{file}: written by another version; left as it is"] * 2 == folder.reports


def test_nothing_but_damage_is_passed_over(folder, blocks):
    """Without one good block there is nothing to deliver and nothing stays."""
    file, _ = blocks
    damage(file, 0, os.urandom(file.stat().st_size))
    wal = folder.open()
    wal.adopt()
    assert [] == take_all(wal)
    wal.close()
    assert (1, []) == (len(folder.reports), folder.names())


def test_a_block_within_a_line_is_not_taken_for_one(folder):
    """The search for the next good block goes on behind what looks like one and is none."""
    fake = wal_blocks.make_block([(1, 1, b"no record")])[:-1]
    folder.leave([(1, 1, b"x" * 100)], [(2, 1, fake + b"!" + fake)], batch(10))
    (file,) = folder.files("*.segment")
    flip(file, wal_blocks.HEADER_BYTES + 20)
    flip(file, wal_blocks.HEADER_BYTES + wal_blocks.BLOCK_HEADER_BYTES + 13 + 100 + 20)
    wal = folder.open()
    assert (10, batch(10)) == (wal.adopt(), take_all(wal))


def test_damage_under_a_living_process_is_passed_over(folder):
    """What it appends afterwards is delivered."""
    wal = folder.open()
    wal.append(batch(0))
    wal.append(batch(10))
    (file,) = folder.files("*.segment")
    flip(file, 100)
    assert batch(10) == take_all(wal)
    wal.append(batch(20))
    assert batch(20) == take_all(wal)
    assert (0, 1) == (wal.pending_records, len(folder.reports))


def test_damage_at_the_end_under_a_living_process_leaves_nothing_pending(folder):
    """Nobody waits for lines that can never be sent."""
    wal = folder.open()
    wal.append(batch(0))
    (file,) = folder.files("*.segment")
    flip(file, 100)
    assert (10, None, 0) == (wal.pending_records, wal.read(1000), wal.pending_records)


def test_a_segment_that_was_removed_leaves_nothing_pending(folder):
    """It is reported, and what is appended then is delivered."""
    wal = folder.open()
    wal.append(batch(0))
    (file,) = folder.files("*.segment")
    file.unlink()
    assert (None, 0) == (wal.read(1000), wal.pending_records)
    wal.append(batch(10))
    assert batch(10) == take_all(wal)
    assert [f"{file}: No such file or directory; its lines cannot be read"] == folder.reports


def test_a_segment_that_was_removed_takes_no_more(folder):
    """Though a portion of it is still to be acknowledged, the next lines go to a new file."""
    wal = folder.open()
    wal.append(batch(0))
    wal.append(batch(10))
    portion = wal.read(1)
    folder.files("*.segment")[0].unlink()
    assert wal.read(1) is None
    wal.append(batch(20))
    assert batch(20) == wal.read(1).records
    wal.acknowledge(portion)
    assert 20 == wal.pending_records


@pytest.fixture
def half_delivered(folder):
    """Leave five blocks of which two are delivered; return the file that says so."""
    wal = folder.open()
    for first in range(0, 50, 10):
        wal.append(batch(first))
    for _ in range(2):
        wal.acknowledge(wal.read(1))
    wal.abandon()
    return folder.files("delivered")[0]


@pytest.mark.parametrize(
    ("slots", "left"), [((0,), 30), ((1,), 40), ((0, 1), 50)], ids=["older", "newer", "both"]
)
def test_a_damaged_position_sends_lines_again_but_loses_none(folder, half_delivered, slots, left):
    """With one good slot it is one portion at most."""
    for slot in slots:
        flip(half_delivered, 32 * slot + 12)
    wal = folder.open()
    assert (left, batch(50 - left, left)) == (wal.adopt(), read_all(wal))
    assert [f"{half_delivered}: damaged, 64 bytes; lines may be sent again"] == folder.reports


@pytest.mark.parametrize("size", [0, 10, 32, 40])
def test_a_cut_off_position_is_noted_anew(folder, half_delivered, size):
    """The next acknowledgement is good again."""
    os.truncate(half_delivered, size)
    wal = folder.open()
    wal.adopt()
    wal.acknowledge(wal.read(1))
    count = wal.pending_records
    wal.abandon()
    assert count == folder.open().adopt()


def test_a_missing_position_reads_all(folder, half_delivered):
    """Loki stores the same line with the same timestamp once."""
    half_delivered.unlink()
    wal = folder.open()
    assert (50, batch(0, 50)) == (wal.adopt(), take_all(wal))
    assert [
        f"{half_delivered}: No such file or directory; lines may be sent again"
    ] == folder.reports


def test_segments_that_were_delivered_are_not_read(folder):
    """A process that was killed between its note and the removal has left them."""
    wal = folder.open(segment_bytes=100)
    for first in (0, 10, 20):
        wal.append(batch(first))
    (first, *_) = folder.files("*.segment")
    data = first.read_bytes()
    wal.acknowledge(wal.read(1))
    wal.abandon()
    first.write_bytes(data)
    other = folder.open()
    assert (20, batch(10, 20)) == (other.adopt(), take_all(other))
    assert [] == folder.files("*.segment")


def test_a_directory_without_its_lock_is_not_taken(folder):
    """Its process may live; it is reported and nothing of it is removed."""
    folder.leave(batch(0))
    (lock,) = folder.files("lock")
    lock.unlink()
    before = folder.names()
    wal = folder.open()
    assert 0 == wal.adopt()
    assert before == folder.names()
    assert [f"{lock.parent}: has no lock file; the lines in it are not sent"] == folder.reports


def test_a_block_count_that_lies_is_damage():
    """Numbers are not read beyond the block, also when the checksum is good."""
    block = bytearray(wal_blocks.make_block(batch(0)))
    struct.pack_into("<I", block, 8, 2**32 - 1)
    struct.pack_into("<I", block, 12, zlib.crc32(block[16:], zlib.crc32(block[:12])))
    assert wal_blocks.find_block(bytes(block), 0) is None
