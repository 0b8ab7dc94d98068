"""A decorated function makes a record of each call, and is otherwise what it was."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import threading
import traceback
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Annotated

import httpx2
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

import loglane
from loglane import logger
from loglane.audit import audit_log
from loglane.errors import AuditOverflow


class Recorder:
    """Keeps the records of marked lines in a list, in place of an audit trail."""

    def __init__(self) -> None:
        self.records: list[dict] = []
        self.error: Exception | None = None
        self.later: Future[None] | None = None

    def record(self, line: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.records.append(json.loads(line))

    def record_later(self, line: bytes) -> Future[None] | None:
        self.record(line)
        return self.later

    def losses(self) -> dict[str, int]:
        return {}

    def __getattr__(self, name: str):
        return lambda *_args: None


@pytest.fixture
def recorder(log_capture):
    """Return the audit trail of the engine in force."""
    found = Recorder()
    logger.active_engine().outputs.audit = found
    logger.refresh()
    return found


@pytest.fixture
def records(recorder):
    """Return the records so far, with those fields alone that this module decides."""
    return recorder.records


def shown(records, *names):
    return [tuple(record.get(name) for name in names) for record in records]


def run(result):
    """Return what a function returned, whether it is asynchronous or not."""
    if not inspect.isawaitable(result):
        return result

    async def wait():
        return await result

    return asyncio.run(wait())


KINDS = ["sync", "async"]


def make(kind, body, **options):
    """Decorate a function of an order's id, of a kind, that does what `body` does."""
    if kind == "sync":

        @audit_log("delete_order", **options)
        def delete_order(order_id, *, reason="none"):
            return body(order_id)
    else:

        @audit_log("delete_order", **options)
        async def delete_order(order_id, *, reason="none"):
            await asyncio.sleep(0)
            return body(order_id)

    return delete_order


@pytest.mark.parametrize("kind", KINDS)
def test_a_success_is_recorded(records, log_capture, kind):
    """With what was found among the arguments, how long it took, and an id; it is a line too."""
    delete = make(kind, lambda n: n * 2, resource="order:{order_id}", extra=["reason"])
    with loglane.with_trace_id("t1"):
        assert 14 == run(delete(7, reason="old"))
    (record,) = records
    expected = {
        "level": "info", "message": "delete_order", "logger": __name__, "status": "success",
        "resource": "order:7", "reason": "old", "trace_id": "t1", "log_category": "audit",
    }  # fmt: skip
    assert expected == {name: record[name] for name in expected}
    assert record["duration_ms"] >= 0
    assert [record] == log_capture.entries


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error_type", [ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit]
)
def test_an_exception_is_recorded_and_passes_unchanged(records, kind, error_type):
    """It is the same object; its traceback has the wrapper's frames more, and no cause."""
    error = error_type("text")

    def fail(_order_id):
        raise error

    delete = make(kind, fail, resource="order_id")

    async def catch():
        try:
            result = delete(7)
            await result
        except error_type as caught:
            return caught

    caught = asyncio.run(catch())
    assert caught is error
    assert (None, None) == (caught.__cause__, caught.__context__)
    names = [frame.name for frame in traceback.extract_tb(caught.__traceback__)]
    wrapper = {"sync": ["call_sync"], "async": ["call_async", "_finish"]}[kind]
    assert ["catch", *wrapper, "delete_order", "fail"] == names
    text = f"{error_type.__name__}: text"
    assert [("error", "failure", "7", text, None)] == shown(
        records, "level", "status", "resource", "error", "exception"
    )


def test_a_traceback_is_written_when_it_is_wanted(records):
    """On the line of a failure."""
    with pytest.raises(ZeroDivisionError):
        make("sync", lambda n: n / 0, traceback=True)(7)
    assert "ZeroDivisionError" in records[0]["exception"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [("both", ["success", "failure"]), ("success", ["success"]), ("failure", ["failure"])],
)
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_wanted_outcomes_are_recorded(records, kind, record, expected):
    """`record` says which."""
    divide = make(kind, lambda n: 1 / n, record=record)
    run(divide(1))
    with pytest.raises(ZeroDivisionError):
        run(divide(0))
    assert expected == [one["status"] for one in records]


ORDER = SimpleNamespace(id=17, owner=SimpleNamespace(name="ann"), _secret="x")


@pytest.mark.parametrize(
    ("finder", "expected"),
    [
        ("order", "text"),
        ("{order.id}", "17"),
        ("order:{order.id:05d}/{order.owner.name!r}", "order:00017/'ann'"),
        ("{{{count}}}", "{2}"),
        ("{more}", "(3, 4)"),
        (lambda order: order.id, "17"),
        (lambda count, unit="kg": f"{count}{unit}", "2kg"),
        (lambda result: result, "done"),
        (lambda order, *, result: f"{order.id}-{result}", "17-done"),
        (lambda: "settings", "settings"),
        (lambda: None, None),
        ("note", "n"),
        ("{options}", "{'size': 1}"),
        (lambda size: size, "1"),
    ],
    ids=str,
)
def test_values_are_found_by_name_or_callable(records, finder, expected):
    """However the argument was given; defaults count."""

    class Text(SimpleNamespace):
        def __str__(self):
            return "text"

    order = Text(**vars(ORDER))

    @audit_log("a", resource=finder)
    def work(order, count=2, *more, note, **options):
        return "done"

    calls = [lambda: work(order, 2, 3, 4, note="n", size=1)]
    if finder != "{more}":
        calls.append(lambda: work(note="n", size=1, order=order))
    for call in calls:
        call()
    assert [expected] * len(calls) == [record["resource"] for record in records]


def test_positional_only_parameters_are_found(records):
    """Where another of their name is among those by name."""

    @audit_log("a", resource="{order_id}-{others}")
    def work(order_id=0, /, **others):
        return None

    work(1, order_id=2)
    work(order_id=2)
    expected = ["1-{'order_id': 2}", "0-{'order_id': 2}"]
    assert expected == [record["resource"] for record in records]


def test_self_is_a_parameter(records):
    """Methods take values from their object too."""

    class Shop:
        name = "north"

        @audit_log("a", actor="{self.name}")
        def work(self):
            return None

    Shop().work()
    assert ["north"] == [record["actor"] for record in records]


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        ("order", "'order', which is no parameter; there are: order_id, reason"),
        ("order:{order}", "'order', which is no parameter"),
        (lambda order: order, "'order', which is no parameter"),
        (lambda *order_id: order_id, "by name"),
        ("{order_id._secret}", "public attributes"),
        ("{order_id.__class__}", "public attributes"),
        ("{order_id[0]}", "public attributes"),
        ("{}", "public attributes"),
        ("{0}", "'0', which is no parameter"),
        ("{order_id:{reason}}", "public attributes"),
        ("{order_id", "is no template"),
    ],
    ids=str,
)
def test_what_names_no_parameter_fails_at_decoration(finder, message):
    """Not when the function is called."""
    with pytest.raises(ValueError, match=message):
        make("sync", str, resource=finder)
    with pytest.raises(ValueError, match=message):
        make("sync", str, extra={"what": finder})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resource": 5}, "a parameter's name, a template or a callable, not int"),
        ({"extra": "reason"}, "list of parameters"),
    ],
    ids=str,
)
def test_other_types_are_refused(options, message):
    """With what would be right."""
    with pytest.raises(TypeError, match=message):
        make("sync", str, **options)


@pytest.mark.parametrize(
    "options",
    [{"extra": {"status": "reason"}}, {"extra": {"exc_info": "reason"}}, {"record": "all"}],
    ids=str,
)
def test_names_that_are_taken_are_refused(options):
    """An extra field must not stand in the place of a record's own."""
    with pytest.raises(ValueError, match=r"uses itself|both, success or failure"):
        make("sync", str, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_is_not_found_disturbs_nobody(records, kind):
    """The function runs, and the record says what went wrong; the rest is there."""

    def broken(order_id):
        raise LookupError(order_id)

    delete = make(
        kind, lambda n: n, resource=broken, actor="{order_id.name}", extra={"why": "reason"},
        user_id=lambda result: result.missing,
    )  # fmt: skip
    assert 7 == run(delete(7))
    (record,) = records
    assert ("success", "none") == (record["status"], record["why"])
    assert ("resource" in record, "actor" in record, "user_id" in record) == (False, False, False)
    for name in ("resource: LookupError: 7", "actor: AttributeError", "user_id: AttributeError"):
        assert name in record["lookup_error"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_not_asked_for_after_a_failure(records, kind):
    """There is none."""
    divide = make(kind, lambda n: 1 / n, resource=lambda result: result, actor="order_id")
    with pytest.raises(ZeroDivisionError):
        run(divide(0))
    assert [(None, "0", None)] == shown(records, "resource", "actor", "lookup_error")


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_arguments_are_the_function_s_own_error(records, kind):
    """As without the decorator; the call is a failure, and the next one is recorded again."""
    delete = make(kind, str, resource="order_id")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'order_id'"):
        run(delete())
    run(delete(1))
    assert ["failure", "success"] == [record["status"] for record in records]


def generate():
    yield 1


async def generate_async():
    yield 1


class Thing:
    """Can be called, and is no function."""

    def __call__(self):
        return None


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (generate, "generate is a generator"),
        (generate_async, "generate_async is a generator"),
        (functools.partial(int, "1"), "functions and methods, not partial"),
        (Thing, "functions and methods, not Thing"),
        (Thing(), "functions and methods, not Thing"),
        (property(len), "functions and methods, not property"),
        (classmethod(generate), "generate is a generator"),
    ],
    ids=["generator", "async generator", "partial", "class", "object", "property", "inside"],
)
def test_what_is_no_function_is_refused(function, message):
    """When it is decorated, and clearly."""
    with pytest.raises(TypeError, match=message):
        audit_log("a")(function)


def test_parentheses_must_not_be_forgotten():
    """`@audit_log` alone says so."""
    with pytest.raises(TypeError, match="with parentheses"):
        audit_log(generate)
    with pytest.raises(ValueError, match="1 to 128"):
        audit_log("")


@pytest.mark.parametrize("outer", [True, False], ids=["above", "below"])
def test_class_and_static_methods_are_decorated_either_way(records, outer):
    """Above `@classmethod` or below it."""
    audited = audit_log("a", resource="number")

    def cls_method(cls, number):
        return cls, number

    def static(number):
        return number

    class Shop:
        one = audited(classmethod(cls_method)) if outer else classmethod(audited(cls_method))
        two = audited(staticmethod(static)) if outer else staticmethod(audited(static))

    assert ((Shop, 1), (Shop, 2), 3, 4) == (Shop.one(1), Shop().one(2), Shop.two(3), Shop().two(4))
    assert ["1", "2", "3", "4"] == [record["resource"] for record in records]


@pytest.mark.parametrize("kind", KINDS)
def test_a_decorated_function_looks_as_it_did(kind):
    """Name, doc, signature, and whether it is a coroutine function."""

    def plain(order_id: int, *, note: str = "") -> str:
        """Work."""
        return note

    async def coroutine(order_id: int, *, note: str = "") -> str:
        """Work."""
        return note

    function = coroutine if kind == "async" else plain
    decorated = audit_log("a")(function)
    assert function is decorated.__wrapped__
    assert (function.__name__, "Work.", __name__) == (
        decorated.__name__, decorated.__doc__, decorated.__module__
    )  # fmt: skip
    assert (kind == "async") == inspect.iscoroutinefunction(decorated)
    # Texts of annotations mean something in the module of the function alone.
    assert inspect.signature(function, eval_str=True) == inspect.signature(decorated)


def test_annotations_that_cannot_be_resolved_do_no_harm():
    """A name for type checkers only."""

    @audit_log("a", resource="order")
    def work(order: Missing) -> None:  # noqa: F821
        return None

    assert "(order: 'Missing') -> 'None'" == str(inspect.signature(work))


@pytest.mark.parametrize("kind", KINDS)
def test_stacked_decorators_record_once(records, kind):
    """The outermost of the same action and resource."""
    inner = make(kind, lambda n: n, resource="order_id", extra=["reason"])
    outer = audit_log("delete_order", resource="order_id")(inner)
    run(outer(1))
    run(outer(2))
    assert [("1", None), ("2", None)] == shown(records, "resource", "reason")


def test_an_overridden_method_and_its_parent_record_once(records):
    """`super()` within a decorated method is the same call."""

    class Base:
        @audit_log("close", resource="number")
        def close(self, number):
            return number

    class Child(Base):
        @audit_log("close", resource="number")
        def close(self, number):
            return super().close(number)

    Child().close(1)
    Base().close(2)
    assert ["1", "2"] == [record["resource"] for record in records]


def test_another_action_or_resource_within_a_call_records_too(records):
    """A bulk operation and each of its parts, for example."""

    @audit_log("delete", resource="number")
    def delete(number):
        return None

    @audit_log("delete", resource=lambda: "all")
    def delete_all():
        delete(1)
        delete(2)
        check(1)

    @audit_log("check", resource="number")
    def check(number):
        return None

    delete_all()
    expected = [("delete", "1"), ("delete", "2"), ("check", "1"), ("delete", "all")]
    assert expected == shown(records, "message", "resource")


def test_the_same_call_twice_is_two_records(records):
    """One after the other; also after a failure."""
    divide = make("sync", lambda n: 1 / n, resource="order_id")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            divide(0)
    assert ["failure", "failure"] == [record["status"] for record in records]


def test_what_the_outer_call_leaves_out_is_not_lost(records):
    """It must record the outcome that the inner one would have recorded."""
    inner = make("sync", lambda n: 1 / n, record="failure")
    outer = audit_log("delete_order", record="success")(inner)
    with pytest.raises(ZeroDivisionError):
        outer(0)
    outer(1)
    assert ["failure", "success"] == [record["status"] for record in records]


@pytest.mark.parametrize("how", ["task", "thread"])
def test_calls_of_another_task_or_thread_are_their_own(records, how):
    """It may outlive the call that began it, so nothing of it is left to that one."""
    inner = make("sync", lambda n: n, resource="order_id")

    @audit_log("delete_order", resource="order_id")
    async def outer(order_id):
        if how == "thread":
            await asyncio.to_thread(inner, order_id)
        else:

            async def later():
                inner(order_id)

            await asyncio.create_task(later())

    asyncio.run(outer(1))
    assert ["1", "1"] == [record["resource"] for record in records]


def test_a_call_that_is_over_is_not_around_another(records):
    """Its context may live on, and be entered in the same thread again."""
    inner = make("sync", str, resource="order_id")

    @audit_log("delete_order", resource="order_id")
    def outer(order_id):
        return loglane.carry(inner)

    outer(1)(1)
    assert ["1", "1"] == [record["resource"] for record in records]


def test_calls_side_by_side_are_their_own(records):
    """In tasks of one loop, and in threads."""
    delete = make("async", lambda n: n, resource="order_id")

    async def together():
        await asyncio.gather(*(delete(1) for _ in range(3)))

    asyncio.run(together())
    work = make("sync", lambda _n: barrier.wait(timeout=30), resource="order_id")
    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=(2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["1", "1", "1", "2", "2"] == [record["resource"] for record in records]


def test_a_cancelled_call_is_a_failure(records):
    """The one who cancelled sees it cancelled, within the time-out that it set."""

    @audit_log("wait")
    async def wait():
        await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(cancel())
    assert [("failure", "CancelledError: ")] == shown(records, "status", "error")


def test_a_coroutine_that_is_thrown_away_is_a_failure(recorder, records):
    """It waits for nothing any more, and another context is left alone."""
    recorder.later = Future()

    @audit_log("wait")
    async def wait():
        await asyncio.sleep(0)

    coroutine = wait()
    loglane.carry(coroutine.send)(None)
    coroutine.close()
    gc.collect()
    assert [("failure", "GeneratorExit: ")] == shown(records, "status", "error")
    make("sync", str)(1)
    assert 2 == len(records)


def test_a_hidden_coroutine_function_is_recorded_when_it_is_done(records):
    """Another decorator may return a plain function that returns a coroutine."""

    async def fail(order_id):
        await asyncio.sleep(0)
        raise ValueError(order_id)

    @audit_log("a", resource="order_id")
    @functools.wraps(fail)
    def hidden(order_id):
        return fail(order_id)

    coroutine = hidden(7)
    assert [] == records
    with pytest.raises(ValueError, match="7"):
        run(coroutine)
    assert [("failure", "7", "ValueError: 7")] == shown(records, "status", "resource", "error")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_cannot_be_kept_raises_after_a_success(recorder, log_capture, kind):
    """Never silently: the caller learns that the business has happened without its record."""
    recorder.error = AuditOverflow("full")
    with pytest.raises(AuditOverflow):
        run(make(kind, str)(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_cannot_be_kept_hides_no_failure(recorder, log_capture, kind):
    """The function's own exception is raised, and a line says that there is no record."""
    recorder.error = AuditOverflow("full")
    with pytest.raises(ZeroDivisionError):
        run(make(kind, lambda n: n / 0, resource="order_id")(1))
    log_capture.assert_logged(
        "an audit record could not be kept", times=1, level="error", action="delete_order",
        resource="1", error=lambda text: "full" in text,
    )  # fmt: skip


def test_a_coroutine_waits_for_its_record_without_blocking(recorder):
    """Other tasks run until the record is acknowledged."""
    recorder.later = Future()
    delete = make("async", lambda n: n)

    async def both():
        task = asyncio.create_task(delete(1))
        for _ in range(10):
            await asyncio.sleep(0)
        waited = not task.done()
        recorder.later.set_result(None)
        return waited, await task

    assert (True, 1) == asyncio.run(both())


def test_a_second_cancellation_passes_the_first_one(recorder):
    """While a cancelled call waits for its record it may be cancelled again."""
    recorder.later = Future()

    @audit_log("wait")
    async def wait():
        await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(wait())
        for _ in range(2):
            for _ in range(10):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=30)
        return task.cancelled()

    assert asyncio.run(cancel())


def test_without_an_audit_trail_it_is_a_line(log_capture):
    """Decorating needs nothing to be configured."""
    make("sync", str, resource="order_id")(1)
    log_capture.assert_logged("delete_order", times=1, resource="1", status="success")


class NewOrder(BaseModel):
    """What is posted."""

    name: str


def current_user() -> SimpleNamespace:
    return SimpleNamespace(id=7)


User = Annotated[SimpleNamespace, Depends(current_user)]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.post("/shops/{shop}/orders")
    @audit_log("create_order", resource="{shop}/{order.name}", user_id="{user.id}")
    async def create(shop: str, order: NewOrder, user: User):
        return {"name": order.name, "user": user.id}

    @app.get("/orders/{number}")
    @audit_log("read_order", resource="order:{number}")
    def read(number: int, verbose: bool = False):
        return {"number": number, "verbose": verbose}

    return app


def test_endpoints_of_fastapi_keep_working(records):
    """Path, query, body and dependencies come by the signature; wrong ones are still refused."""

    async def ask():
        transport = httpx2.ASGITransport(app=make_app())
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as client:
            return [
                await client.post("/shops/north/orders", json={"name": "tea"}),
                await client.get("/orders/17?verbose=1"),
                await client.get("/orders/x"),
            ]

    first, second, third = asyncio.run(ask())
    assert (200, {"name": "tea", "user": 7}) == (first.status_code, first.json())
    assert (200, {"number": 17, "verbose": True}) == (second.status_code, second.json())
    assert 422 == third.status_code
    expected = [("create_order", "north/tea", "7"), ("read_order", "order:17", None)]
    assert expected == shown(records, "message", "resource", "user_id")
