"""`@audit_log`: each call of a function is a record of what became of it and how long it took."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, TypeVar, cast

from loglane.audit.arguments import Finder, Lookup, make_lookup, signature_of
from loglane.errors import AuditError
from loglane.logger import Logger

Decorated = TypeVar("Decorated")
Fields = dict[str, Any]

_COLUMNS = ("resource", "actor", "user_id")
# Names that a record or a log call has a use for already.
_TAKEN = frozenset((
    *_COLUMNS, "action", "status", "error", "duration_ms", "event_id", "occurred_at", "trace_id",
    "service", "env", "extra", "log_category", "exc_info", "stack_info", "persist_db", "to_db",
    "lookup_error",
))  # fmt: skip
_LATER = object()


def audit_log(
    action: str,
    *,
    resource: Finder | None = None,
    actor: Finder | None = None,
    user_id: Finder | None = None,
    extra: Mapping[str, Finder] | Sequence[str] = (),
    record: Literal["both", "success", "failure"] = "both",
    traceback: bool = False,
) -> Callable[[Decorated], Decorated]:
    """Make each call of a function a record: a log line that is marked to be kept.

    A call within a call of the same action and resource, in the same task or thread, is part of
    that one and makes no record of its own.

    Args:
        action: What the function does, such as `delete_order`.
        resource: What it is done to. A parameter's name; a text with parameters and their public
            attributes in braces, `"order:{order.id}"`; or a callable that takes parameters by
            their names, and the function's `result` by this name.
        actor: Who does it; found likewise.
        user_id: On whose behalf; found likewise.
        extra: Further fields, each found likewise; or names of parameters.
        record: Which calls.
        traceback: Whether the line of a failure has its traceback.

    Returns:
        A decorator for functions and methods, coroutine functions among them; also above
        `@classmethod` and `@staticmethod`. What is decorated returns and raises what it did.

    Raises:
        TypeError: When decorating: it is a generator, a class or no function.
        ValueError: When decorating: something names what is no parameter, or a name is taken.
        AuditError: When calling, after a success: the record could not be kept. After a failure
            the function's own exception is raised, and a line says that there is no record.
    """
    if not isinstance(action, str):
        raise TypeError('write @audit_log(action="..."), with parentheses and a text')
    if not 1 <= len(action) <= 128:
        raise ValueError("action should have 1 to 128 characters")
    if record not in ("both", "success", "failure"):
        raise ValueError(f"record should be both, success or failure, not {record!r}")
    if isinstance(extra, str):
        raise TypeError("extra should be a mapping, or a list of parameters' names")
    finders = dict(extra) if isinstance(extra, Mapping) else {name: name for name in extra}
    taken = sorted(_TAKEN & finders.keys())
    if taken:
        raise ValueError(f"extra has names that a record uses itself: {', '.join(taken)}")
    columns = dict(zip(_COLUMNS, (resource, actor, user_id), strict=True))
    finders |= {name: finder for name, finder in columns.items() if finder is not None}

    def decorate(function: Decorated) -> Decorated:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(decorate(function.__func__))
        _check(function)
        called = cast("Callable[..., Any]", function)
        signature = signature_of(called)
        lookups = {name: make_lookup(name, one, signature) for name, one in finders.items()}
        plan = _Plan(action, called.__module__, lookups, record, traceback)
        return cast("Decorated", _wrap(called, plan))

    return decorate


def _check(function: object) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{_name(function)} is a generator: it has begun when it is called, and nobody knows "
            "whether it ends; decorate the function that consumes it"
        )
    if not inspect.isroutine(function):
        raise TypeError(f"audit_log decorates functions and methods, not {_name(function)}")


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


class _Plan:
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

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call | None:
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
            if around.owner == owner and around.is_open and around.key == key:
                return None
        call = _Call(self, key, owner, fields, problems)
        call.later = [(name, args, kwargs) for name in later]
        return call


class _Call:
    """One call that is under way."""

    __slots__ = ("fields", "is_open", "key", "later", "owner", "plan", "problems", "start", "token")

    def __init__(
        self, plan: _Plan, key: tuple[str, Any], owner: int, fields: Fields, problems: list[str]
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
        about = {name: self.fields[name] for name in _COLUMNS if name in self.fields}
        self.plan.log.error(
            "an audit record could not be kept", action=self.plan.action, error=error, **about
        )


_under_way: ContextVar[tuple[_Call, ...]] = ContextVar("loglane_audited_calls", default=())


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
        if name in _COLUMNS and value is not None and type(value) is not str:
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


def _wrap(function: Callable[..., Any], plan: _Plan) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            call = plan.begin(args, kwargs)
            if call is None:
                return await function(*args, **kwargs)
            return await _finish(call, functools.partial(function, *args, **kwargs))

        return _resolved(call_async, function)

    @functools.wraps(function)
    def call_sync(*args: Any, **kwargs: Any) -> Any:
        call = plan.begin(args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        call.enter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.leave()
            _record_failure(call, error)
            raise
        call.leave()
        if inspect.iscoroutine(result):
            # Another decorator hides a coroutine function, whose work is still to come.
            return _finish(call, lambda: result)
        fields = call.success(result)
        if fields is not None:
            plan.log.info(plan.action, **fields)
        return result

    return _resolved(call_sync, function)


def _resolved(wrapper: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep annotations that are texts meaningful: they are names of the function's module.

    FastAPI before 0.118 looks them up in the wrapper's.
    """
    if any(type(one) is str for one in getattr(function, "__annotations__", {}).values()):
        # A name that is not there at run time stays a text.
        with contextlib.suppress(Exception):
            signature = inspect.signature(function, eval_str=True)
            wrapper.__signature__ = signature  # type: ignore[attr-defined]
    return wrapper


async def _finish(call: _Call, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    log, action = call.plan.log, call.plan.action
    call.enter()
    try:
        result = await start()
    except GeneratorExit as error:
        # The coroutine is thrown away: it must not wait for anything now.
        call.leave()
        _record_failure(call, error)
        raise
    except BaseException as error:
        call.leave()
        fields = call.failure(error)
        if fields is not None:
            try:
                await log.aerror(action, **fields)
            except AuditError as lost:
                call.tell_lost(lost)
        raise
    call.leave()
    fields = call.success(result)
    if fields is not None:
        await log.ainfo(action, **fields)
    return result


def _record_failure(call: _Call, error: BaseException) -> None:
    fields = call.failure(error)
    if fields is not None:
        try:
            call.plan.log.error(call.plan.action, **fields)
        except AuditError as lost:
            call.tell_lost(lost)
