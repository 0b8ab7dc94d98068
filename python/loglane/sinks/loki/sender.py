"""The loop that brings lines from their source to Loki."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loglane.settings.loki import LokiPush
from loglane.sinks.loki.courier import GRACE_NS, Courier
from loglane.sinks.loki.record import Record
from loglane.sinks.loki.sources import Portion, Source
from loglane.sinks.loki.streams import Body, Encoder

# A thread that nobody wakes looks all the same.
_IDLE_S = 30.0
# While Loki seems to be gone, a try costs no more than this.
_PROBE_BYTES = 16 * 1024
# A batch that failed twice is halved; what arrives makes the next one larger by such a part.
_STEPS = 8
_SECOND_NS = 1_000_000_000
_EVER = float("inf")
_AFTER_A_FAULT_S = 1.0
_HELD_S = 0.05


@dataclass(frozen=True, slots=True)
class _Load:
    """A portion, and the request for what of it can be pushed."""

    portion: Portion
    body: Body | None


class Sender:
    """Takes lines from a source until Loki has them; one thread calls `run`.

    Attributes:
        is_busy: Whether it may have lines in its hand.
        is_held: Whether it leaves the source alone while somebody waits: the lock of the queue may
            be held by code that waits itself, interrupted by the signal that ends the process.
        in_hand: How many it has.
    """

    def __init__(
        self,
        settings: LokiPush,
        source: Source,
        encoder: Encoder,
        courier: Courier,
        on_delivery: Callable[[], None],
    ) -> None:
        """Set what it works with.

        Args:
            settings: Size and age of a batch, and the greatest age of a line.
            source: Where the lines are.
            encoder: Makes requests of them.
            courier: Pushes these.
            on_delivery: Called when Loki has taken a batch.
        """
        self._source = source
        self._encoder = encoder
        self._courier = courier
        self._on_delivery = on_delivery
        self._size = self._max_bytes = settings.batch.max_bytes
        self._max_wait_s = settings.batch.max_wait_s
        self._max_age_ns = int(settings.max_age_s * _SECOND_NS)
        self._stopping = self._finishing = False
        self._following: _Load | None = None
        self.is_busy = self.is_held = False
        self.in_hand = 0

    def run(self) -> None:
        """Send until `stop`, or after `finish` until there is nothing left."""
        while not (self._stopping or (self._finishing and self._source.is_empty())):
            try:
                self._source.wait(_IDLE_S)
                if not (self._courier.is_hurried or self._finishing):
                    self._source.wait_for_batch(self._max_wait_s)
                if self._is_held_now():
                    self._courier.rest(_HELD_S)
                else:
                    self.send()
            except Exception as error:  # noqa: BLE001 - nothing must end the thread
                lost, self.in_hand, self._following = self.in_hand, 0, None
                self._courier.lose("failed", lost, _described(error))
                self._courier.rest(_AFTER_A_FAULT_S)
        self._courier.close()

    def finish(self) -> None:
        """End `run` when all has been sent."""
        self._finishing = True
        self._source.wake()

    def stop(self) -> None:
        """End `run` after the push that it is at."""
        self._stopping = True
        self.hurry()

    def hold(self) -> None:
        """Leave the source to somebody else from now on, while somebody waits."""
        self.is_held = True
        self.hurry()

    def hurry(self, is_hurried: bool = True) -> None:
        """Wait for no batch to fill and pause but shortly: somebody waits for the last lines."""
        self._courier.hurry(is_hurried)
        if is_hurried:
            self._source.wake()

    def send(self, until: float = _EVER) -> None:
        """Send a batch, and further ones as long as they are full or somebody waits.

        Args:
            until: Moment of `time.monotonic` at which no further push is begun; when there is
                one, a Loki that seems to be gone ends it too.
        """
        # Before anything is taken: whoever finds the source empty then looks here.
        self.is_busy = True
        try:
            load = self._load()
            while load is not None:
                if self._stopping or self._gives_up(until):
                    self._put_back(self._with_following(load))
                    return
                load = self._push(load)
        finally:
            self.is_busy = False

    def _push(self, load: _Load) -> _Load | None:
        """Push a load; return the next one, if it is time for it."""
        rest = () if load.body is None else self._deliver(load.body)
        self._fit(bool(rest))
        if rest and self._is_held_now():
            self.in_hand -= len(load.portion.records) - len(rest)
            return _Load(Portion(rest), self._encoder.body(rest))
        if not rest:
            self._source.acknowledge(load.portion)
            self.in_hand -= len(load.portion.records)
            self._on_delivery()
        else:
            # What is in the folder comes from there once more as a whole: Loki keeps each once.
            if load.portion.stored is not None and load.body is not None:
                self._courier.uncount(len(load.body.records) - len(rest))
            self.in_hand -= len(load.portion.records) - len(rest)
            left = _Load(Portion(rest, load.portion.stored), None)
            self._put_back(self._with_following(left))
        following, self._following = self._following, None
        if following is None and self._goes_on():
            following = self._load()
        return following

    def _fit(self, has_failed: bool) -> None:
        """Adapt the size of a batch: one that is over a limit of Loki would never arrive."""
        if not has_failed:
            self._size = min(self._max_bytes, self._size + self._max_bytes // _STEPS)
        elif self._courier.breaker.failures > 1:
            self._size = min(self._max_bytes, max(_PROBE_BYTES, self._size // 2))

    def _is_held_now(self) -> bool:
        return self.is_held and self._courier.is_hurried and not self._stopping

    def _goes_on(self) -> bool:
        if self._is_held_now():
            return False
        is_small = self._size < self._max_bytes
        return is_small or self._courier.is_hurried or self._source.has_batch()

    def _deliver(self, body: Body) -> Sequence[Record]:
        """Push a body; return what has to be pushed again."""
        # Not while Loki may refuse: all would have to be put back.
        meanwhile = None if self._courier.breaker.failures else self._prepare
        try:
            return self._courier.push(body, meanwhile)
        except Exception as error:  # noqa: BLE001 - a batch must not hold up all others
            self._courier.close()
            self._fail(body.records, error)
            return ()

    def _with_following(self, load: _Load) -> Sequence[_Load]:
        following, self._following = self._following, None
        return [load] if following is None else [load, following]

    def _put_back(self, loads: Sequence[_Load]) -> None:
        self._source.put_back([load.portion for load in loads])
        self.in_hand -= sum(len(load.portion.records) for load in loads)

    def _gives_up(self, until: float) -> bool:
        if until == _EVER:
            return False
        return self._courier.breaker.is_gone or time.monotonic() >= until

    def _prepare(self) -> None:
        try:
            if self._following is None and self._source.has_batch():
                self._following = self._load()
        except Exception as error:  # noqa: BLE001 - no fault of the push that is under way
            self._courier.lose("failed", 0, _described(error))

    def _load(self) -> _Load | None:
        """Take the next portion and make a request of it."""
        size = _PROBE_BYTES if self._courier.breaker.is_open else self._size
        portion = self._source.take(size)
        if portion is None:
            return None
        self.in_hand += len(portion.records)
        records = self._in_time(self._young(portion.records))
        try:
            return _Load(portion, self._encoder.body(records) if records else None)
        except Exception as error:  # noqa: BLE001 - a line must not end the thread
            self._fail(records, error)
            return _Load(portion, None)

    def _young(self, records: Sequence[Record]) -> Sequence[Record]:
        oldest = time.time_ns() - self._max_age_ns
        if records[0][0] >= oldest:
            return records
        young = [record for record in records if record[0] >= oldest]
        self._courier.lose("too_old", len(records) - len(young), "lines older than max_age_s")
        return young

    def _in_time(self, records: Sequence[Record]) -> Sequence[Record]:
        """Stamp lines anew that have a time that has not come yet, once Loki refused such."""
        if not self._courier.is_ahead:
            return records
        self._source.follow_clock()
        now = time.time_ns()
        latest = now + GRACE_NS
        stamped = [
            (now + number if at > latest else at, rank, line)
            for number, (at, rank, line) in enumerate(records)
        ]
        self._courier.is_ahead = stamped != records
        return stamped

    def _fail(self, records: Sequence[Record], error: Exception) -> None:
        self._courier.lose("failed", len(records), _described(error))


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
