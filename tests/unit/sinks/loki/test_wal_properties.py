"""Whatever happens in whatever order: what is due comes back, in order, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loglane.sinks.loki import wal_blocks
from tests.unit.sinks.loki.wal_cases import Folder, read_all

RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 255),
        st.binary(max_size=60),
    ),
    min_size=1,
    max_size=20,
)


@given(records=RECORDS, before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_block_holds_any_records(records, before, after):
    """Whatever lies before and after it."""
    data = before + wal_blocks.make_block(records) + after
    block = wal_blocks.find_block(data, len(before))
    assert (records, len(data) - len(after)) == (wal_blocks.read_block(data, block), block.end)


@given(records=RECORDS, data=st.data())
def test_block_with_any_wrong_bit_is_found_out(records, data):
    """No single bit goes unnoticed."""
    block = bytearray(wal_blocks.make_block(records))
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    block[bit // 8] ^= 1 << bit % 8
    assert wal_blocks.find_block(bytes(block), 0) is None


class Log(RuleBasedStateMachine):
    """A log, the processes that use it one after the other, and what each record's fate is."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folder = Folder(self.root / "wal")
        self.appended = []  # what is in the files and was not acknowledged, in order
        self.delivered = []  # what was acknowledged, in order
        self.portions = []  # read and not acknowledged
        self.flipped = set()
        self.serial = 0
        self.wal = self.folder.open(segment_bytes=600)

    def teardown(self):
        for wal in self.folder.opened:
            wal.abandon()
        shutil.rmtree(self.root)

    @property
    def due(self):
        """What the next read begins with."""
        return self.appended[sum(len(portion.records) for portion in self.portions) :]

    @rule(count=st.integers(1, 12), size=st.integers(0, 60))
    def append(self, count, size):
        records = [(self.serial + at, at % 5, b"x" * size) for at in range(count)]
        self.serial += count
        assert count == self.wal.append(records)
        self.appended += records

    @rule(max_bytes=st.integers(1, 3000))
    def read(self, max_bytes):
        portion = self.wal.read(max_bytes)
        if portion is None:
            assert [] == self.due
        else:
            assert portion.records == self.due[: len(portion.records)]
            assert portion.records
            self.portions.append(portion)

    @precondition(lambda self: self.portions)
    @rule(data=st.data())
    def acknowledge(self, data):
        count = data.draw(st.integers(1, len(self.portions)))
        self.wal.acknowledge(self.portions[count - 1])
        done = sum(len(portion.records) for portion in self.portions[:count])
        self.delivered += self.appended[:done]
        del self.appended[:done], self.portions[:count]

    @rule()
    def rewind(self):
        self.wal.rewind()
        self.portions.clear()

    @rule(is_clean=st.booleans())
    def reopen(self, is_clean):
        self._stop(is_clean)
        self._start()

    @rule(data=st.data())
    def flip_a_byte(self, data):
        self._stop(is_clean=False)
        files = [file for file in self.folder.files("*.segment") if file.stat().st_size]
        if files:
            file = data.draw(st.sampled_from(files))
            content = bytearray(file.read_bytes())
            at = data.draw(st.integers(0, len(content) - 1))
            self._lose(file, lambda start, end: start <= at < end)
            if (file, at) not in self.flipped:  # a second time could mend it
                self.flipped.add((file, at))
                content[at] ^= data.draw(st.integers(1, 255))
                file.write_bytes(content)
        self._start()

    @rule(data=st.data())
    def cut_a_tail_off(self, data):
        self._stop(is_clean=False)
        files = self.folder.files("*.segment")
        if files:
            file = data.draw(st.sampled_from(files))
            size = data.draw(st.integers(0, file.stat().st_size))
            self._lose(file, lambda _, end: end > size)
            file.write_bytes(file.read_bytes()[:size])
        self._start()

    @rule(data=st.data())
    def damage_the_position(self, data):
        self._stop(is_clean=False)
        files = self.folder.files("delivered")
        if files:
            file = data.draw(st.sampled_from(files))
            content = bytearray(file.read_bytes())
            content[data.draw(st.integers(0, len(content) - 1))] ^= 0xFF
            file.write_bytes(content)
        self.wal = self.folder.open(segment_bytes=600)
        self.wal.adopt()
        # What was acknowledged may come back, but only that, and nothing is left out.
        found = read_all(self.wal)
        assert found == sorted(found)
        again = [record for record in found if record not in self.appended]
        assert {*again} <= {*self.delivered}
        assert self.appended == [record for record in found if record not in again]
        self.delivered = [record for record in self.delivered if record not in again]
        self.appended = found

    @invariant()
    def what_waits_is_counted(self):
        assert len(self.appended) == self.wal.pending_records
        assert self.wal.pending_bytes > 0 or not self.appended

    def _stop(self, is_clean):
        self.portions.clear()
        if is_clean:
            self.wal.close()
        else:
            self.wal.abandon()

    def _start(self):
        self.wal = self.folder.open(segment_bytes=600)
        assert len(self.appended) == self.wal.adopt()
        assert self.appended == read_all(self.wal)

    def _lose(self, file, is_hit):
        """Expect no more what is in the blocks of a file that are hit."""
        data, at = file.read_bytes(), wal_blocks.HEADER_BYTES
        at = wal_blocks.search_block(data, at)
        while at is not None:
            block = wal_blocks.find_block(data, at)
            if is_hit(at, block.end):
                lost = {*wal_blocks.read_block(data, block)}
                self.appended = [record for record in self.appended if record not in lost]
            at = wal_blocks.search_block(data, block.end)


TestLog = Log.TestCase
TestLog.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
