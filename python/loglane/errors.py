"""Every error that loglane raises.

    LoglaneError
    ├── SpecError            a spec, a settings file or a command line is wrong (exit code 2)
    ├── CheckFailed          a check ran and its answer is no (exit code 1)
    ├── EnvironmentMissing   Docker, a binary or an extra that a command needs is not there
    ├── ServiceUnavailable   Loki or Grafana is down, too slow or answered 5xx
    ├── PushRejected         Loki refused entries for good; resending cannot help
    ├── AuditError           an audit record could not be kept
    │   ├── AuditOverflow    no room for it, neither in the queue nor in the outbox
    │   └── SinkUnavailable  the database cannot be reached now; trying again later may help
    └── QueryError           a LogQL query was refused
        └── TooManyResults   an answer is larger than Loki gives or than fits the memory

A message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LoglaneError(Exception):
    """Base of every error of this package; `exit_code` is what the CLI exits with."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an input file.

    Attributes:
        message: What is wrong and what would be right.
        file: The file as the user named it, or None when there is none.
        line: 1-based line in that file, or None when unknown.
        path: Dotted path of the key inside the file, for example `ports.loki`; may be empty.
    """

    message: str
    file: str | None = None
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [part for part in (place, self.path) if part]
        return ": ".join([*parts, self.message])


class SpecError(LoglaneError):
    """An input file or a command line is wrong; carries every problem found, not just the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("a SpecError needs at least one problem")
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CheckFailed(LoglaneError):
    """A check ran and the answer is no (drifted files, a failed validation, a lost line)."""


class EnvironmentMissing(LoglaneError):
    """Something a command needs is not on this machine; the message says how to get it."""


class ServiceUnavailable(LoglaneError):
    """A server is down, too slow, or answered 5xx; trying again later may help."""


class PushRejected(LoglaneError):
    """Loki refused entries for good (4xx); `status` is the HTTP status it answered."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class QueryError(LoglaneError):
    """Loki refused a query; `query` is the LogQL text as sent, `status` the HTTP status."""

    def __init__(self, message: str, query: str, status: int = 400) -> None:
        super().__init__(message)
        self.query = query
        self.status = status


class TooManyResults(QueryError):
    """An answer has more entries or series than can be read; the message says what to narrow."""


class AuditError(LoglaneError):
    """An audit record could not be kept; the message says why."""


class AuditOverflow(AuditError):
    """There is no room for an audit record, neither in the queue nor in the outbox."""


class SinkUnavailable(AuditError):
    """The database of audit records cannot be reached now; trying again later may help."""
