"""What users ask: lines by id, level, text and time, counts, and pages; both faces alike."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from datetime import datetime, timedelta

import pytest

from loglane.devserver import running
from loglane.query import AsyncLogService, LogService, LokiClient, Page, Stream, Volume

PORTFOLIO = "550e8400-e29b-41d4-a716-446655440000"
SECOND = 10**9
LEVELS = ("info", "info", "error", "critical")


@pytest.fixture(scope="module")
def now_ns():
    return time.time_ns()


@pytest.fixture(scope="module")
def url(now_ns):
    """Return a server with 40 lines, one a second, the newest of this moment."""
    with running() as found, LokiClient(found) as client:
        for number in range(40):
            level = LEVELS[number % 4]
            service = "api" if number < 30 else "worker"
            record = {
                "level": level, "message": f"step {number}", "portfolio_id": PORTFOLIO,
                "strategy_id": f"s{number % 2}", "symbol": {"name": f"X{number}"}, "n": number,
            }  # fmt: skip
            if number % 10 == 9:
                record["portfolio_id"] = "other"
            entry = (
                now_ns - (39 - number) * SECOND, json.dumps(record),
                {"trace_id": f"t{number // 4}"},
            )  # fmt: skip
            labels = {"service": service, "level": level, "log_category": "backtest"}
            client.push([Stream(labels, [entry])])
        yield found


@pytest.fixture(params=[LogService, AsyncLogService], ids=["blocking", "async"])
def ask(request, url):
    """Return a function that calls a method of either face, and reads all that it iterates."""

    def blocking(method, *arguments, **options):
        with LogService(url, page_size=7) as service:
            found = getattr(service, method)(*arguments, **options)
            return list(found) if method.startswith("iter_") else found

    def awaited(method, *arguments, **options):
        async def asking():
            async with AsyncLogService(url, page_size=7) as service:
                found = getattr(service, method)(*arguments, **options)
                if method.startswith("iter_"):
                    return [entry async for entry in found]
                return await found

        return asyncio.run(asking())

    return blocking if request.param is LogService else awaited


def numbers(entries) -> list[int]:
    return [entry.fields["n"] for entry in entries]


def test_query_logs_gives_the_newest_first(ask):
    """By default the newest of the last hour."""
    assert list(range(39, -1, -1)) == numbers(ask("query_logs"))
    assert [39, 38, 37] == numbers(ask("query_logs", limit=3))
    assert [0, 1] == numbers(ask("query_logs", limit=2, direction="forward"))


def test_query_by_portfolio_pages_by_offset(ask):
    """As callers of a database would."""
    first = ask("query_by_portfolio", portfolio_id=PORTFOLIO, limit=10)
    second = ask("query_by_portfolio", portfolio_id=PORTFOLIO, limit=10, offset=10)
    wanted = [number for number in range(39, -1, -1) if number % 10 != 9]
    assert (wanted[:10], wanted[10:20]) == (numbers(first), numbers(second))


def test_filters_narrow_together(ask):
    """Labels, ids, fields, text and time."""
    found = ask(
        "query_logs", portfolio_id=PORTFOLIO, level="error", service="api", contains="step",
        matches="step [12]", strategy_id="s0", log_category="backtest",
    )  # fmt: skip
    assert [26, 22, 18, 14, 10, 2] == numbers(found)


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("query_by_trace_id", ["t3"], [15, 14, 13, 12]),
        ("query_by_strategy", ["s1"], [39, 37, 35]),
        ("query_by", ["symbol.name", "X8"], [8]),
        ("query_by", ["n", [3, 5]], [5, 3]),
        ("query_by", ["level", "error"], [38, 34, 30]),
        ("query_errors", [], [39, 38, 35]),
    ],
    ids=["trace", "strategy", "nested", "numbers", "label", "errors"],
)
def test_questions_by_one_field(ask, method, arguments, expected):
    """Each finds the field in its place."""
    assert (
        expected == numbers(ask(method, *arguments, limit=max(3, len(expected))))[: len(expected)]
    )


def test_time_range_is_start_inclusive_and_end_exclusive(ask, now_ns):
    """To the nanosecond, and as datetimes."""
    found = ask("query_logs", start_time=now_ns - 3 * SECOND, end_time=now_ns)
    assert [38, 37, 36] == numbers(found)
    moment = datetime.fromtimestamp(now_ns / SECOND)
    found = ask(
        "query_logs", start_time=moment - timedelta(seconds=2.5), end_time=moment + timedelta(1)
    )
    assert [39, 38, 37] == numbers(found)


def test_counts(ask, now_ns):
    """All, of a level, by label, by id, by field, and lines and bytes by service and level."""
    assert (40, 10) == (ask("get_log_count"), ask("get_log_count", level="error"))
    assert 3 == ask("get_log_count", start_time=now_ns - 3 * SECOND + 1, end_time=now_ns + 1)
    assert 3 == ask("get_log_count", start_time=now_ns - 3 * SECOND, end_time=now_ns)
    assert {"info": 20, "critical": 10, "error": 10} == ask("count_by", "level")
    assert {PORTFOLIO: 36, "other": 4} == ask("count_by", "portfolio_id")
    assert {f"t{number}": 4 for number in range(10)} == ask("count_by", "trace_id")
    volumes = ask("stats", service="worker")
    assert [("worker", "info", 4), ("worker", "critical", 3), ("worker", "error", 3)] == [
        (volume.service, volume.level, volume.lines) for volume in volumes
    ]
    sizes = [len(entry.raw) for entry in ask("query_logs", service="worker", level="info")]
    assert Volume("worker", "info", 4, sum(sizes)) == volumes[0]


def test_lines_that_are_no_json_are_counted_without_the_field(url):
    """They end no count, and their field is neither null nor empty."""
    name, at_ns = "mixed", time.time_ns() - SECOND
    lines = [
        '{"user":{"name":"ann"}}', '{"user.name":"ann"}', '{"user.name":null}', "plain",
        'plain "user.name": null', '{"broken', "[1]", "",
    ]  # fmt: skip
    with LokiClient(url, tenant=name) as client, LogService(url, tenant=name) as service:
        client.push([Stream({"service": name}, [(at_ns + n, x, {}) for n, x in enumerate(lines)])])
        assert {"ann": 2, "": 6} == service.count_by("user.name")
        asked = {"start_time": at_ns, "end_time": at_ns + 8}
        assert {"ann": 2, "": 6} == service.count_by("user.name", **asked)
        assert (1, 2) == (
            len(service.query_by("user.name", None)), len(service.query_by("user.name", "ann"))
        )  # fmt: skip
        assert 1 == service.get_log_count(**{"user.name": None})


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 3000), (1, 3000), (0, 2999), (1000, 1001), (999, 2_000_001), (1, 3_000_000), (5, 5)],
)
def test_count_has_the_bounds_of_a_query(url, now_ns, start, end):
    """To the nanosecond, though a range of LogQL has whole milliseconds."""
    offsets = [0, 1, 999, 1000, 2998, 2999, 3000, 999_999, 1_000_000, 2_000_000, 2_999_999]
    base_ns, name = now_ns - 50 * SECOND, f"counted-{start}-{end}"
    # A tenant of its own: the other tests count all there is.
    with LokiClient(url, tenant=name) as client, LogService(url, tenant=name) as service:
        client.push([Stream({"service": name}, [(base_ns + at, str(at), {}) for at in offsets])])
        around = {"service": name, "start_time": base_ns + start, "end_time": base_ns + end}
        expected = [at for at in offsets if start <= at < end]
        assert len(expected) == service.get_log_count(**around)
        volumes = service.stats(**around)
    assert sum(len(str(at)) for at in expected) == sum(volume.bytes for volume in volumes)


def test_iter_logs_gives_all_oldest_first(ask):
    """Without a limit, over many pages."""
    assert list(range(40)) == numbers(ask("iter_logs"))
    assert list(range(9, -1, -1)) == numbers(ask("iter_logs", direction="backward", limit=40))[30:]


def test_page_goes_on(ask):
    """Each page has its cursor, the last has none."""
    sizes, found, cursor = [], [], None
    for _ in range(4):
        page: Page = ask("page", limit=15, cursor=cursor)
        sizes.append(len(page.entries))
        found += numbers(page.entries)
        cursor = page.cursor
        if cursor is None:
            break
    assert ([15, 15, 10], list(range(39, -1, -1))) == (sizes, found)


def test_cursor_of_an_entry_goes_on_after_it(ask):
    """Work on an entry, keep its cursor, go on tomorrow."""
    entries = ask("iter_logs", level="info")
    rest = ask("iter_logs", level="info", cursor=entries[4].cursor)
    assert numbers(entries[5:]) == numbers(rest)


def test_raw_logql(ask):
    """Lines and numbers as the query says."""
    assert [39, 38] == numbers(ask("raw", '{service=~".+"} | json | n > 37', limit=9))
    series = ask("raw_instant", 'sum by (level) (count_over_time({service=~".+"}[5m]))')
    assert ({"level": "info"}, 20.0) == (series[0].labels, series[0].value)
    matrix = ask("raw", 'sum(count_over_time({service=~".+"}[1h]))', start_time="10s", step_s=5)
    assert all(isinstance(value, float) for _, value in matrix[0].points)
    assert 40 == len(ask("iter_raw", '{service=~".+"} # all'))


def test_labels_and_values(ask):
    """Sorted names and values."""
    assert {"service", "level", "log_category"} <= set(ask("labels"))
    assert ["api", "worker"] == ask("label_values", "service")


def test_selector_holds_for_every_question(url):
    """A service may be bound to what it may see."""
    with LogService(url, selector={"service": "worker"}) as service:
        assert 10 == len(service.query_logs())
        assert 10 == service.get_log_count()
        assert ["worker"] == service.label_values("service")
    with LogService(url, selector={"service": "nobody"}) as service:
        assert [] == service.labels()


def test_names_of_years_are_asked_for_in_parts(ask):
    """Loki refuses to list those of more than 30 days at once."""
    assert "service" in ask("labels", start_time="52w")
    assert ["api", "worker"] == ask("label_values", "service", start_time="52w")


def test_more_labels_and_metadata_than_the_contract(url):
    """Names that a stack adds are asked for in their place."""
    with LogService(url, labels=["team"], metadata=["order_id"]) as service:
        query = service._plan.search({"team": "web", "order_id": "7"}).query
    assert '{team="web"} | order_id="7"' == str(query)


@pytest.mark.parametrize(
    ("method", "options", "error"),
    [
        ("query_logs", {"limit": -1}, ValueError),
        ("query_logs", {"offset": -1}, ValueError),
        ("query_logs", {"limit": True}, ValueError),
        ("query_logs", {"direction": "up"}, ValueError),
        ("query_logs", {"start_time": "1h", "end_time": "2h"}, ValueError),
        ("get_log_count", {"limit": 5}, TypeError),
        ("page", {"offset": 5}, TypeError),
        ("iter_logs", {"offset": 5}, TypeError),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(ask, method, options, error):
    """Before anything is sent."""
    with pytest.raises(error):
        ask(method, **options)


def test_limit_of_nothing_is_nothing(ask):
    """Zero is a number of entries too."""
    assert ([], Page([], None)) == (ask("query_logs", limit=0), ask("page", limit=0))


def test_both_faces_take_the_same():
    """Names and signatures of the methods are equal."""

    def taken(face) -> dict[str, list[str]]:
        return {
            name.replace("aclose", "close"): list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(face, inspect.isfunction)
            if not name.startswith("_")
        }

    assert taken(LogService) == taken(AsyncLogService)
    assert list(inspect.signature(LogService).parameters) == list(
        inspect.signature(AsyncLogService).parameters
    )
