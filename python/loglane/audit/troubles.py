"""What a worker says of a database that is away, a sink that fails, an outbox that is unusable."""

from __future__ import annotations

from time import monotonic

from loglane.errors import AuditError, SinkUnavailable
from loglane.logger import Logger
from loglane.sinks.audit import Outbox
from loglane.sinks.audit.tally import Tally

_log = Logger("loglane.audit")
# How often the same trouble with the outbox is said.
_SAY_EVERY_S = 60.0


class Troubles:
    """Logs each trouble when it begins, and the database's end of it; every task finds it out."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        # Whether it was said that the database is away, and not yet that it is back.
        self._is_away = False
        # Why the outbox could not be used, and when that is said again.
        self._unwritable = ("", 0.0)

    def away(self, error: SinkUnavailable, outbox: Outbox | None) -> None:
        """Say that the database is away, and where records wait."""
        if not self._is_away:
            self._is_away = True
            where = "in memory" if outbox is None else f"in {outbox.path}"
            _log.error(f"the audit database is away; records wait {where}", error=str(error))

    def back(self) -> None:
        """Say that the database is back, if it was away."""
        if self._is_away:
            self._is_away = False
            _log.warning("the audit database is back; what waits is written now")

    def sink_failed(self, error: Exception, count: int) -> None:
        """Say that the sink raised what it is not to raise."""
        self._tally.last_error = f"{type(error).__name__}: {error}"
        _log.error("the sink of audit records failed", exc_info=error, count=count)

    def unwritable(self, error: AuditError) -> None:
        """Say that the outbox cannot be used; the same again only now and then."""
        self._tally.last_error = text = str(error)
        now = monotonic()
        if text == self._unwritable[0] and now < self._unwritable[1]:
            return
        self._unwritable = (text, now + _SAY_EVERY_S)
        _log.error("the outbox of audit records cannot be used", error=str(error))
