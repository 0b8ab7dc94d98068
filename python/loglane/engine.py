"""What happens between a log call and its line, in the order that `Engine.emit` has."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

import orjson

from loglane.context import current_frame
from loglane.entry import LEVEL_NUMBERS, Entry, ExcInfo, exc_info_of
from loglane.errors import AuditError
from loglane.fields import ERROR_LEVELS
from loglane.flow import FlowControl
from loglane.losses import lost_fields
from loglane.marks import MARKS, add_identity, is_marked, is_unmarked, take_mark
from loglane.masking import Masker
from loglane.outputs import LineWriter, Outputs
from loglane.processing import Processor, ProcessorChain
from loglane.record import OWN, begin_record, build_record, summary_entry, trace_fields
from loglane.sampling import Sampler
from loglane.values import Sanitizer

if TYPE_CHECKING:
    from loglane.settings import Settings

# Below the limit of a text in values.py, which keeps the head alone.
_LONG = 50_000
_REPORT_EVERY_S = 1.0
_NO_AUDIT = "a marked line is not recorded: there is no audit trail, see logging.audit"


class Engine:
    """Everything that one `configure` decided; `emit` takes a log call to its sinks."""

    def __init__(
        self,
        settings: Settings,
        in_container: bool,
        processors: Sequence[Processor] = (),
        stdout: LineWriter | None = None,
    ) -> None:
        self.settings = settings
        self.static = settings.static.fields()
        self.own = frozenset((*OWN, *self.static))
        self.processors = tuple(processors)
        self._run_processors = ProcessorChain(self.processors)
        self.masker = Masker(settings.mask_fields)
        self.sanitizer = Sanitizer(self.masker)
        flow, sampling = settings.flow_control, settings.sampling
        self.flow = FlowControl(
            flow.first, flow.every, flow.window_s, flow.max_patterns, suppress=flow.enabled
        )
        levels: dict[str, float] = {level: rate for level, rate in sampling.levels.items()}  # noqa: C416
        self.sampler = Sampler(sampling.rate, levels, sampling.loggers)
        # When it is due, and marked lines whose record was not kept: there is no audit trail.
        self._next_report, self.unrecorded = 0.0, 0
        self.outputs = Outputs(settings, in_container, stdout, self.masker.text, self.tick)
        self.levels = self.outputs.levels
        self.losses = self.outputs.losses

    @property
    def threshold(self) -> int:
        """The lowest level number that any sink takes."""
        return self.outputs.threshold

    @property
    def is_plain(self) -> bool:
        """Tell whether a line needs nothing but to be rendered and written by a sink of lines."""
        extras = self.processors or self.settings.caller or self.sampler.active
        return self.outputs.only_lines and not extras and not any(map(self.masker.hides, self.own))

    def emit(self, entry: Entry) -> bool:
        """Take one log call to the sinks.

        Returns:
            False when a sink could not write it, or a processor dropped it.

        Raises:
            AuditError: It is an audit record that cannot be kept; nothing else is raised.
        """
        try:
            lost = self.losses.total
            entry.marked = self._is_record(entry)
            wanted = self._is_recorded(entry) if entry.marked else self._is_wanted(entry)
            written = not wanted or self._write(entry)
            if time.monotonic() >= self._next_report:
                self.report()
            return written and lost == self.losses.total
        except AuditError:
            raise
        except Exception as error:
            self._give_up(entry, error)
            if entry.marked and self.outputs.audit is not None:
                raise AuditError(f"the record was not kept: {type(error).__name__}") from error
            return False

    def tick(self) -> None:
        """Report what is due; called about once a second while lines are written."""
        try:
            self.report()
        except Exception:  # noqa: BLE001 - a log call must never break the app
            self.losses.fail()

    def report(self, everything: bool = False) -> None:
        """Write a line for each storm of errors that ended, and one for lines that were lost.

        Args:
            everything: Also for storms that go on, because the process ends.
        """
        self._next_report = time.monotonic() + _REPORT_EVERY_S
        # Whoever logs at that moment has nothing to do with these lines.
        Context().run(self._report, everything)

    def _report(self, everything: bool) -> None:
        due = map(summary_entry, self.flow.due(everything=everything))
        for entry in (*due, *self.outputs.complaints()):
            self._write(entry)
        counts, total = self.losses.counts(), self.losses.total
        new = self.losses.untold(everything=everything)
        if not new:
            return
        fields: dict[str, Any] = {**lost_fields(new)}
        file = self.outputs.file
        if file is not None and file.problem:
            fields["problem"] = file.problem
        self._write(Entry("warning", "loglane", "log lines were lost", fields=fields))
        if self.losses.total == total:
            self.losses.tell({name: counts[name] for name in new if name in counts})
        else:
            self.losses.go_back(counts)

    def start_child(self) -> None:
        """Begin anew after a fork: free locks, and no counts that the parent reports."""
        self.flow.reset_lock()
        self.sampler.reset_lock()
        # A processor may have forked: the child is in none.
        self._run_processors = ProcessorChain(self.processors)
        self.outputs.start_child()

    def flush(self, hurry: bool = False, timeout_s: float | None = None) -> bool:
        """Write what is pending, because the process may end; never raises.

        Args:
            hurry: A signal ends it: wait for nobody, and write what a write below us has begun.
            timeout_s: How long to wait for Loki; by default `loki.timeouts.drain_s`.

        Returns:
            Whether all of it has arrived.
        """
        try:
            if hurry:
                self.outputs.hurry()
            self.report(everything=True)
            return self.outputs.flush(hurry, timeout_s)
        except Exception:  # noqa: BLE001 - the end of a process must go on
            self.losses.fail()
            return False

    def end(self) -> None:
        """Write what is pending, because the interpreter is ending; never raises."""
        try:
            self.report(everything=True)
            self.outputs.end()
        except Exception:  # noqa: BLE001 - the end of a process must go on
            self.losses.fail()

    def close(self) -> None:
        """Write what is pending and close the sinks; never raises."""
        try:
            self.report(everything=True)
            self.outputs.close()
        except Exception:  # noqa: BLE001 - the next engine must come into force
            self.losses.fail()

    def _is_record(self, entry: Entry) -> bool:
        """Take the marks from an entry, and tell whether there were any."""
        unmarked = is_unmarked(entry.fields)
        marked = take_mark(entry.fields) or entry.marked
        if marked or (not unmarked and is_marked(entry.bound, current_frame().fields)):
            add_identity(entry.fields)
            return True
        return False

    def _is_recorded(self, entry: Entry) -> bool:
        """Tell whether there is anything to do with a marked line; none of them is held back."""
        if self.outputs.audit is not None:
            return True
        self.unrecorded += 1
        if self.unrecorded == 1:
            Context().run(self._write, Entry("warning", "loglane", _NO_AUDIT))
        return LEVEL_NUMBERS[entry.level] >= self.threshold

    def _is_wanted(self, entry: Entry) -> bool:
        if LEVEL_NUMBERS[entry.level] < self.threshold:
            return False
        if entry.always:
            return True
        if entry.level in ERROR_LEVELS:
            exc_info = exc_info_of(entry.fields.get("exc_info"))
            # Found once: `exc_info=True` means the exception of this moment.
            if exc_info is not None:
                entry.fields["exc_info"] = exc_info
            error = exc_info[1] if exc_info else None
            return self.flow.admit(entry.logger, entry.level, _template(entry.event), error)
        if not self.sampler.active:
            return True
        trace_id = trace_fields().get("trace_id")
        return self.sampler.keep(entry.level, entry.logger, None if not trace_id else str(trace_id))

    def _write(self, entry: Entry) -> bool:
        exc_info = exc_info_of(entry.fields.get("exc_info"))
        record = build_record(
            entry,
            exc_info,
            self.static,
            hides=self.masker.hides,
            wants_place=self.settings.caller,
        )
        for name in MARKS:
            record.pop(name, None)
        text = record.get("exception")
        if self.processors:
            processed = self._run_processors(entry.level, record)
            if processed is None:
                # Whoever drops a line does not decide about the audit trail.
                self._record(entry, self._finished(record))
                return False
            record = processed
        # The console draws the exception anew, unless a processor has had a hand in it.
        if text is None or record.get("exception") is not text:
            exc_info = None
        elif isinstance(text, str) and len(text) > _LONG:
            # Masked before it is cut: half of a credential is not recognised.
            record["exception"] = _middle_cut(self.masker.text(text))
        self._deliver(entry, record, exc_info)
        return True

    def _deliver(
        self, entry: Entry, fields: dict[str, Any], exc_info: ExcInfo | None = None
    ) -> None:
        record = self._finished(fields)
        try:
            self._record(entry, record)
        finally:
            self.outputs.write(entry.level, record, exc_info)

    def _finished(self, fields: dict[str, Any]) -> dict[str, Any]:
        record = self.sanitizer.record(fields)
        if not isinstance(record["message"], str):
            record["message"] = orjson.dumps(record["message"]).decode()
        return record

    def _record(self, entry: Entry, record: dict[str, Any]) -> None:
        # Not cut, as a line is that is too long.
        if entry.marked and self.outputs.audit is not None:
            self.outputs.record(orjson.dumps(record))

    def _give_up(self, entry: Entry, error: Exception) -> None:
        """Write what can be said of a call that failed on its way."""
        self.losses.fail()
        try:
            record = begin_record(entry, entry.event, self.static)
            record["logging_error"] = type(error).__name__
            self.outputs.write(entry.level, self._finished(record))
        except Exception:  # noqa: BLE001, S110 - it is counted, and there is no other way to tell
            pass


def _middle_cut(text: str) -> str:
    """Keep where a traceback begins and what it ends with."""
    cut = len(text) - _LONG
    half = _LONG // 2
    return f"{text[:half]}\n...[+{cut} chars]...\n{text[-half:]}" if cut > 0 else text


def _template(event: Any) -> str:
    return event if type(event) is str else type(event).__name__
