"""`@audit_log`: each call of a function is a record of what became of it and how long it took."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from loglane.audit.arguments import Finder, make_lookup, signature_of
from loglane.audit.calls import COLUMNS, TAKEN, Call, Plan
from loglane.errors import AuditError

Decorated = TypeVar("Decorated")


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
    taken = sorted(TAKEN & finders.keys())
    if taken:
        raise ValueError(f"extra has names that a record uses itself: {', '.join(taken)}")
    columns = dict(zip(COLUMNS, (resource, actor, user_id), strict=True))
    finders |= {name: finder for name, finder in columns.items() if finder is not None}

    def decorate(function: Decorated) -> Decorated:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(decorate(function.__func__))
        _check(function)
        called = cast("Callable[..., Any]", function)
        signature = signature_of(called)
        lookups = {name: make_lookup(name, one, signature) for name, one in finders.items()}
        plan = Plan(action, called.__module__, lookups, record, traceback)
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


def _wrap(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
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

    Older releases of FastAPI look them up in the wrapper's.
    """
    if any(type(one) is str for one in getattr(function, "__annotations__", {}).values()):
        # A name that is not there at run time stays a text.
        with contextlib.suppress(Exception):
            signature = inspect.signature(function, eval_str=True)
            wrapper.__signature__ = signature  # type: ignore[attr-defined]
    return wrapper


async def _finish(call: Call, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
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
            except asyncio.CancelledError:
                # Cancelled once more: the first time goes on.
                if not isinstance(error, asyncio.CancelledError):
                    raise
        raise
    call.leave()
    fields = call.success(result)
    if fields is not None:
        await log.ainfo(action, **fields)
    return result


def _record_failure(call: Call, error: BaseException) -> None:
    fields = call.failure(error)
    if fields is not None:
        try:
            call.plan.log.error(call.plan.action, **fields)
        except AuditError as lost:
            call.tell_lost(lost)
