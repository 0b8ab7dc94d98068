"""One push after the other: what Loki says decides what becomes of the lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loglane.settings.loki import LokiPush
from loglane.sinks.loki.bell import Bell
from loglane.sinks.loki.breaker import Breaker
from loglane.sinks.loki.outcome import judge, refused_lines
from loglane.sinks.loki.record import Record
from loglane.sinks.loki.streams import Body, Encoder
from loglane.sinks.loki.tally import Complaints, Tally
from loglane.sinks.loki.transport import Answer, Transport, Unreachable

# Pauses while somebody waits for the last lines.
_LAST_PAUSE_S = 0.25
_WAITING = "waiting"
# Loki may answer otherwise in a moment, as while it starts; a wrong password stays wrong.
_TOO_MUCH, _FAULT = 429, 500
# Loki's default `creation_grace_period` (loki: pkg/validation/limits.go).
GRACE_NS = 600_000_000_000
_TOO_NEW = "has timestamp too new"


class Courier:
    """Pushes requests over one connection, and pauses when Loki is not there.

    Attributes:
        is_hurried: Whether pauses are short, because somebody waits.
        is_ahead: Whether lines may be stamped with a time that has not come yet.
        breaker: Tells whether Loki seems to be gone.
    """

    def __init__(
        self,
        settings: LokiPush,
        encoder: Encoder,
        tally: Tally,
        complaints: Complaints,
        until: float = float("inf"),
    ) -> None:
        """Set what it works with.

        Args:
            settings: Where Loki is, and who pushes.
            encoder: Makes smaller requests of one that is too large.
            tally: Counts what became of the lines.
            complaints: Tells what went wrong.
            until: Moment of `time.monotonic` at which nothing is waited for any more.
        """
        self._encoder = encoder
        self._tally = tally
        self._complaints = complaints
        self._transport = Transport(settings, until)
        self._wake = Bell()
        self.breaker = Breaker()
        self.is_hurried = self.is_ahead = False

    def push(self, body: Body, meanwhile: Callable[[], None] | None = None) -> Sequence[Record]:
        """Push a request.

        Args:
            body: The request.
            meanwhile: Called while Loki is at work.

        Returns:
            Lines that have to be pushed again; the pause before that is over then.
        """
        answer = self._ask(body, meanwhile)
        if answer is None:
            return body.records
        if judge(answer) == "too_large":
            return self._push_halves(body.records)
        return self._settle(answer, body.records)

    def lose(self, reason: str, lines: int, words: str) -> None:
        """Count lines that are given up, and say why."""
        if lines:
            self._tally.lost[reason] += lines
        self._complaints.say(reason, words)

    def uncount(self, lines: int) -> None:
        """Take back that lines were sent, because they are pushed once more."""
        self._tally.sent -= lines

    def hurry(self, is_hurried: bool) -> None:
        """Pause but shortly from now on, or as usual again."""
        self.is_hurried = is_hurried
        if is_hurried:
            self._wake.set()
        else:
            self._wake.clear()

    def rest(self, pause_s: float) -> None:
        """Pause; shortly when somebody waits."""
        if self.is_hurried:
            time.sleep(min(pause_s, _LAST_PAUSE_S))
        else:
            self._wake.wait(pause_s)

    def close(self) -> None:
        """Close the connection; a later push opens another."""
        self._transport.close()

    def abandon(self) -> None:
        """Let go of the connection, in a forked child."""
        self._transport.abandon()

    def _ask(self, body: Body, meanwhile: Callable[[], None] | None) -> Answer | None:
        try:
            self._transport.send(body.data, body.headers)
            if meanwhile is not None:
                meanwhile()
            answer = self._transport.answer()
        except Unreachable as error:
            self.breaker.is_there = False
            self._pause(str(error), None)
            return None
        if judge(answer) == "again":
            self.breaker.is_there = answer.status == _TOO_MUCH or answer.status >= _FAULT
            self._pause(f"it answered {answer.status}: {answer.reason}", answer.retry_after_s)
            return None
        return answer

    def _push_halves(self, records: Sequence[Record]) -> Sequence[Record]:
        if len(records) == 1:
            self.lose("too_large", 1, "it takes no push of the size of this line")
            return ()
        middle = len(records) // 2
        rest = self.push(self._encoder.body(records[:middle]))
        if rest:
            return [*rest, *records[middle:]]
        return self.push(self._encoder.body(records[middle:]))

    def _settle(self, answer: Answer, records: Sequence[Record]) -> Sequence[Record]:
        """Count lines that Loki has stored, or refused for good; return those to push again."""
        tally, lines = self._tally, len(records)
        tally.batches += 1
        tally.last_error = ""
        again: Sequence[Record] = ()
        if judge(answer) == "refused":
            refused = refused_lines(answer.text, lines)
            again = self._stamped_ahead(answer.text, refused, records)
            if not again:
                self.lose("refused", refused, f"it refused {refused} of {lines}: {answer.reason}")
            lines -= refused
        tally.sent += lines
        if self.breaker.succeed():
            self._complaints.forget_later(_WAITING)
        return again

    def _stamped_ahead(
        self, text: str, refused: int, records: Sequence[Record]
    ) -> Sequence[Record]:
        """Return the lines that Loki refused because the clock was ahead and is so no more."""
        if _TOO_NEW not in text:
            return ()
        latest = time.time_ns() + GRACE_NS
        ahead = [record for record in records if record[0] > latest]
        if len(ahead) != refused:
            return ()
        self.is_ahead = True
        words = "the clock was ahead, and was set back: lines get the time of their push"
        self._complaints.say("ahead", words)
        return ahead

    def _pause(self, reason: str, asked_s: float | None) -> None:
        self._tally.retries += 1
        self._tally.last_error = reason
        self._complaints.say(_WAITING, f"{reason}; lines wait until it takes them")
        pause_s = self.breaker.fail(asked_s)
        if self.breaker.is_open:
            self._transport.close()
        self.rest(pause_s)
