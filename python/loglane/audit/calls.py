"""One decorated call: what is looked up before it, what is recorded after it.

A call is part of another one, and no record of its own, when that one has the same action and
resource and is still under way in the same task or thread. A task or thread that it has started
inherits its context, but is not it: its calls are its own, because they may well outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from contextvars import ContextVar
from typing import Any

from loglane.audit.arguments import Lookup
from loglane.errors import AuditError
from loglane.logger import Logger

Fields = dict[str, Any]

COLUMNS = ("resource", "actor", "user_id")
# Names that a record or a log call has a use for already.
TAKEN = frozenset((
    *COLUMNS, "action", "status", "error", "duration_ms", "event_id", "occurred_at", "trace_id",
    "service", "env", "extra", "log_category", "exc_info", "stack_info", "persist_db", "to_db",
    "lookup_error", "level",
))  # fmt: skip
_LATER = object()


class Plan:
    """What is recorded of one decorated function."""

    __slots__ = ("action", "log", "lookups", "record", "traceback")

    def __init__(
        self,
        action: str,
        module: str,
        lookups: dict[str, Lookup],
        record: str,
        traceback: bool,
    ) -> None:
        self.action = action
        self.log = Logger(module)
        self.lookups = lookups
        self.record = record
        self.traceback = traceback

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Return the record of a call; None when it is part of one under way."""
        fields: Fields = {}
        problems: list[str] = []
        later = []
        for name, lookup in self.lookups.items():
            if lookup.needs_result:
                later.append(name)
                fields[name] = _LATER
            else:
                _find(name, lookup, (args, kwargs, None), fields, problems)
        key = (self.action, fields.get("resource"))
        owner = _owner()
        for around in _under_way.get():
            covers = around.plan.record in ("both", self.record)
            if around.owner == owner and around.is_open and around.key == key and covers:
                return None
        call = Call(self, key, owner, fields, problems)
        call.later = [(name, args, kwargs) for name in later]
        return call


class Call:
    """One call that is under way."""

    __slots__ = ("fields", "is_open", "key", "later", "owner", "plan", "problems", "start", "token")

    def __init__(
        self, plan: Plan, key: tuple[str, Any], owner: int, fields: Fields, problems: list[str]
    ) -> None:
        self.plan, self.key, self.owner = plan, key, owner
        self.fields, self.problems = fields, problems
        self.later: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.token: Any = None
        self.is_open = False
        self.start = time.perf_counter_ns()

    def enter(self) -> None:
        """Let calls within this one know of it."""
        self.is_open = True
        self.token = _under_way.set((*_under_way.get(), self))

    def leave(self) -> None:
        """Note that the function is done."""
        self.fields["duration_ms"] = (time.perf_counter_ns() - self.start) / 1e6
        self.is_open = False
        # A coroutine that nobody awaits any more is closed in another context.
        with contextlib.suppress(ValueError):
            _under_way.reset(self.token)

    def success(self, result: Any) -> Fields | None:
        """Return the fields of the line; None for no line."""
        if self.plan.record == "failure":
            return None
        for name, args, kwargs in self.later:
            lookup = self.plan.lookups[name]
            _find(name, lookup, (args, kwargs, result), self.fields, self.problems)
        return self._marked("success")

    def failure(self, error: BaseException) -> Fields | None:
        """Return the fields of the line; None for no line."""
        if self.plan.record == "success":
            return None
        for name, *_ in self.later:
            del self.fields[name]
        fields = self._marked("failure")
        fields["error"] = _text_of(error)
        if self.plan.traceback:
            fields["exc_info"] = error
        return fields

    def _marked(self, status: str) -> Fields:
        if self.problems:
            self.fields["lookup_error"] = "; ".join(self.problems)
        return {**self.fields, "status": status, "persist_db": True}

    def tell_lost(self, error: AuditError) -> None:
        """Say that a failure has no record: its own exception goes on."""
        about = {name: self.fields[name] for name in COLUMNS if name in self.fields}
        self.plan.log.error(
            "an audit record could not be kept", action=self.plan.action, error=error, **about
        )


_under_way: ContextVar[tuple[Call, ...]] = ContextVar("loglane_audited_calls", default=())


def _owner() -> int:
    """Return who runs: the task, or the thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else id(task)


def _find(
    name: str,
    lookup: Lookup,
    given: tuple[tuple[Any, ...], dict[str, Any], Any],
    fields: Fields,
    problems: list[str],
) -> None:
    """Put a value among the fields; whatever goes wrong is noted, and the function runs."""
    try:
        value = lookup.find(*given)
        if name in COLUMNS and value is not None and type(value) is not str:
            value = str(value)
        fields[name] = value
    except Exception as error:  # noqa: BLE001 - looking for a value must never disturb the app
        fields.pop(name, None)
        problems.append(f"{name}: {_text_of(error)}")


def _text_of(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception's own bug
        return type(error).__name__
