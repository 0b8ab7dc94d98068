"""Where finished records go, each place with a level of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from loglane.entry import LEVEL_NUMBERS, Entry, ExcInfo
from loglane.errors import AuditError
from loglane.fields import LEVELS
from loglane.losses import Losses
from loglane.marks import waiting
from loglane.rendering import render
from loglane.sinks.stdout import StdoutSink

if TYPE_CHECKING:
    from loglane.settings import Settings
    from loglane.sinks.audit import Neglect
    from loglane.sinks.console import ConsoleSink
    from loglane.sinks.file import FileSink
    from loglane.sinks.loki import LokiSink


class LineWriter(Protocol):
    """Where rendered lines go; `StdoutSink`, unless a test puts a list in its place."""

    dropped: int

    def write(self, line: bytes) -> None:
        """Write one line; it ends with its newline."""

    def start_child(self) -> None:
        """Begin anew after a fork."""

    def hurry(self) -> None:
        """Wait for nobody any more, because a signal ends the process."""


class Recorder(Protocol):
    """Where marked lines go; `AuditIntake`, unless a test puts a list in its place."""

    def record(self, line: bytes) -> None:
        """Take a record; returns when it is acknowledged.

        Raises:
            AuditError: It cannot be kept.
        """

    def record_later(self, line: bytes) -> Future[None] | None:
        """Take a record and wait for nothing; None when it is acknowledged already."""

    def start_child(self) -> None:
        """Begin anew after a fork."""

    def hurry(self) -> None:
        """Keep what waits, because a signal ends the process."""

    def end(self) -> None:
        """Keep what waits, because the interpreter is ending."""

    def close(self) -> None:
        """Keep what waits, because nothing will be recorded any more."""

    def losses(self) -> dict[str, int]:
        """Return how many records were lost, by reason."""


class Outputs:
    """The sinks that the settings ask for.

    Attributes:
        levels: The number of the lowest level that each takes; `console` is stdout too.
        losses: What they could not write.
        audit: Takes marked lines; None when there is no audit trail.
    """

    def __init__(
        self,
        settings: Settings,
        in_container: bool,
        stdout: LineWriter | None,
        mask_text: Callable[[str], str],
        on_losses: Callable[[], None],
    ) -> None:
        """Open the sinks.

        Args:
            settings: Say which.
            in_container: Whether lines are JSON on stdout, and there is no file.
            stdout: Takes the place of all sinks.
            mask_text: Masks what the console takes from an exception.
            on_losses: Reports lost lines; called when that can arrive in Loki.
        """
        self._max_line_bytes = settings.max_line_bytes
        self._mask_text = mask_text
        self.levels = {"console": LEVEL_NUMBERS[settings.level.console]}
        self.stdout = stdout
        self.console: ConsoleSink | None = None
        self.file: FileSink | None = None
        self.loki: LokiSink | None = None
        self.audit: Recorder | None = None
        self._neglect: Neglect | None = None
        self._keeps_audit = False
        if settings.audit.enabled:
            from loglane.sinks.audit import Neglect, intake_of

            self.audit = intake = intake_of(settings.audit)
            self._neglect = Neglect(intake)
        if stdout is None:
            self._open(settings, in_container, on_losses)
        sinks = {"stdout": self.stdout, "console": self.console, "file": self.file}
        self._sinks: dict[str, Any] = {
            name: sink for name, sink in sinks.items() if sink is not None
        }
        self.losses = Losses(self._sinks, self._lost_in_background, self._can_push)

    def _open(self, settings: Settings, in_container: bool, on_losses: Callable[[], None]) -> None:
        if settings.line_format("container" if in_container else "local") == "json":
            self.stdout = StdoutSink()
        else:
            from loglane.sinks.console import ConsoleSink

            self.console = ConsoleSink(colors=False if in_container else None)
        local = settings.local
        if not in_container and local.file_enabled:
            from loglane.sinks.file import FileSink

            self.file = FileSink(local.file_path, local.max_bytes, local.backups)
            self.levels["file"] = LEVEL_NUMBERS[settings.level.file]
        if settings.loki.enabled:
            from loglane.sinks.loki import LokiSink

            self.loki = LokiSink(settings.loki, on_losses)
            self.levels["loki"] = LEVEL_NUMBERS[settings.loki.level]

    @property
    def threshold(self) -> int:
        """The lowest level number that any sink takes."""
        return min(self.levels.values())

    @property
    def only_lines(self) -> bool:
        """Tell whether every sink takes what `writer` writes."""
        return self.stdout is not None and self.file is None

    def writer(self, level: str) -> Callable[[bytes], None]:
        """Return what takes a rendered line of a level, with its newline, to stdout and to Loki."""
        number, rank = LEVEL_NUMBERS[level], LEVELS.index(level)
        stdout = self.stdout if number >= self.levels["console"] else None
        loki = self.loki if self.loki is not None and number >= self.levels["loki"] else None
        if loki is None:
            return stdout.write if stdout is not None else _write_nowhere
        push = loki.write
        if stdout is None:
            return lambda line: push(line[:-1], rank)
        write = stdout.write

        def write_both(line: bytes) -> None:
            write(line)
            push(line[:-1], rank)

        return write_both

    def recorder(self, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return what takes a marked line, with its newline, to the audit trail and to `write`."""
        if self.audit is None:
            return write
        # Every call between a log call and its record counts: see `python -m benchmarks audit`.
        record, record_later = self.audit.record, self.audit.record_later

        def record_and_write(line: bytes) -> None:
            try:
                if waiting.futures is None:
                    record(line[:-1])
                elif (future := record_later(line[:-1])) is not None:
                    waiting.futures.append(future)
            except AuditError:
                raise
            except Exception as error:
                raise _not_kept(error) from error
            finally:
                write(line)

        return record_and_write

    def record(self, line: bytes) -> None:
        """Take a marked line, complete and without its newline, to the audit trail.

        Raises:
            AuditError: It cannot be kept.
        """
        self.recorder(_write_nowhere)(line + b"\n")

    def write(self, level: str, record: Mapping[str, Any], exc_info: ExcInfo | None = None) -> None:
        """Write a finished record, masked and made of plain values, to all that take its level."""
        number = LEVEL_NUMBERS[level]
        to_console = number >= self.levels["console"]
        to_file = self.file is not None and number >= self.levels["file"]
        to_loki = self.loki is not None and number >= self.levels["loki"]
        if to_file or to_loki or (to_console and self.stdout is not None):
            line = render(record, self._max_line_bytes)
            if self.stdout is not None and to_console:
                self.stdout.write(line + b"\n")
            if self.file is not None and to_file:
                self.file.write(line)
            if self.loki is not None and to_loki:
                self.loki.write(line, LEVELS.index(level))
        if to_console and self.console is not None:
            self.console.write(record, exc_info, self._mask_text)

    def complaints(self) -> list[Entry]:
        """Return lines about what is wrong with a sink, each once."""
        text = self._neglect.complaint() if self._neglect is not None else ""
        return [Entry("warning", "loglane.audit", text)] if text else []

    def start_child(self) -> None:
        """Begin anew after a fork: free locks, and no counts that the parent reports."""
        for sink in self._sinks.values():
            sink.start_child()
        if self.loki is not None:
            self.loki.start_child()
        if self.audit is not None:
            self.audit.start_child()
        self.losses.tell(self.losses.counts())

    def hurry(self) -> None:
        """Wait for nobody any more, because a signal ends the process."""
        for sink in self._sinks.values():
            sink.hurry()
        if self.loki is not None:
            self.loki.hurry()
        if self.audit is not None:
            self.audit.hurry()

    def flush(self, hurry: bool = False, timeout_s: float | None = None) -> bool:
        """Write what waits, and wait for what is on its way.

        Args:
            hurry: Also what a write below us has begun, which will not go on.
            timeout_s: For how long; by default `loki.timeouts.drain_s`.

        Returns:
            Whether everything has arrived.
        """
        if hurry and self.file is not None:
            self.file.drain()
        return self.loki is None or self.loki.flush(timeout_s)

    def end(self) -> None:
        """Wait for what is on its way, because the interpreter is ending."""
        try:
            # First what logs while it ends.
            if self.audit is not None:
                self.audit.end()
        finally:
            if self.loki is not None:
                self.loki.end()

    def hand_over(self, following: Outputs) -> None:
        """Leave the audit trail open when the outputs that follow use it too."""
        self._keeps_audit = following.audit is self.audit

    def close(self) -> None:
        """Wait for what is on its way, end what goes on in the background, and close the file."""
        with ExitStack() as closing:
            for sink in (self.file, self.loki, None if self._keeps_audit else self.audit):
                if sink is not None:
                    closing.callback(sink.close)

    def _can_push(self) -> bool:
        return self.loki is None or not self.loki.is_away

    def _lost_in_background(self) -> dict[str, int]:
        sinks = {"loki": self.loki, "audit": self.audit}
        return {
            f"{name}.{reason}": count
            for name, sink in sinks.items()
            if sink is not None
            for reason, count in sink.losses().items()
        }


def _write_nowhere(_line: bytes) -> None:
    """Leave out a line that no place takes."""


def _not_kept(error: Exception) -> AuditError:
    return AuditError(f"the record was not kept: {type(error).__name__}: {error}")
