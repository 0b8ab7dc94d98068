"""The fixture `loki` gives each test a Loki of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

import loglane
from loglane.errors import LoglaneError

pytest_plugins = ["pytester"]


def test_pushed_lines_are_found(loki):
    """Lines come back in order, with labels, metadata, and the keys of their JSON."""
    loki.push('{"message": "one", "n": 1}', "plain", metadata={"trace_id": "t"}, service="api")
    first, second = loki.entries()
    assert ["plain", "api", "t"] == [second.line, *map(second.labels.get, ("service", "trace_id"))]
    assert {"message": "one", "n": 1, "service": "api"}.items() <= first.fields.items()
    assert [second] == loki.query('{service="api"} |= "plain"')
    assert first.timestamp_ns < second.timestamp_ns <= time.time_ns() + 10**9


def test_line_that_comes_later_is_waited_for(loki):
    """The helper polls until the line is there."""
    thread = threading.Timer(0.2, loki.push, ['{"message": "late", "n": 2}'])
    thread.start()
    assert 2 == loki.assert_logged("late", n=lambda value: value > 1).fields["n"]
    thread.join()


def test_lines_are_counted(loki):
    """So many lines there are, no more; none is a number, too."""
    loki.push("a", "a b")
    assert "a" == loki.assert_logged(contains="a", times=2, service="test").line
    loki.assert_logged(contains="c", times=0)
    with pytest.raises(AssertionError, match=r"expected 1 lines .* found 2"):
        loki.assert_logged(contains="a", times=1, timeout_s=0.05)


@pytest.mark.parametrize("wanted", [{"message": "m2"}, {"n": 2}, {"contains": "no"}], ids=str)
def test_missing_line_is_reported_with_what_there_is(loki, wanted):
    """The failure names what was wanted and lists what is stored."""
    loki.push('{"message": "m", "n": 1}')
    with pytest.raises(AssertionError, match=r'stored:\n.*"message": "m"') as failed:
        loki.assert_logged(**wanted, timeout_s=0.05)
    assert repr(wanted) in str(failed.value)


def test_missing_line_among_too_many_is_said(loki):
    """The failure says that lines after the first 5,000 are not looked at."""
    loki.push(*map(str, range(5000)), "last")
    with pytest.raises(AssertionError, match="only the oldest 5000 lines are looked at"):
        loki.assert_logged(contains="last", timeout_s=0)


def test_metric_query_is_refused(loki):
    """A query that returns no lines is a mistake of the test, and not an empty answer."""
    loki.push("one", service="api")
    for query in ('count_over_time({service="api"}[1h])', 'rate({service="none"}[1h])'):
        with pytest.raises(LoglaneError, match="a metric query returns no lines"):
            loki.query(query)


def test_nothing_stored_is_said(loki):
    """A failure on an empty Loki says so."""
    with pytest.raises(AssertionError, match=r"stored:\n  nothing"):
        loki.assert_logged("m", timeout_s=0)


def test_refusal_has_the_text_of_the_server(loki):
    """A bad query raises with what Loki says to it."""
    with pytest.raises(LoglaneError, match="parse error at line 1"):
        loki.query("{")
    with pytest.raises(LoglaneError, match="max entry size"):
        loki.push("x" * 300_000)


def test_lines_of_the_app_reach_it(loki, log_capture):
    """What the app logged can be pushed and asked for as it is."""
    loglane.get_logger("shop").info("order_created", order_id=17)
    loki.push(*(line.decode() for line in log_capture.lines))
    assert 17 == loki.assert_logged("order_created").fields["order_id"]


def test_tests_do_not_see_each_other(pytester):
    """Each test has a tenant of its own, on one server for the session."""
    pytester.makepyfile(
        """
        seen = set()

        def test_one(loki):
            seen.add((loki.url, loki.tenant))
            loki.push("one")
            assert ["one"] == [entry.line for entry in loki.entries()]

        def test_other(loki):
            seen.add((loki.url, loki.tenant))
            assert [] == loki.entries()
            assert (1, 2) == (len({url for url, _ in seen}), len({tenant for _, tenant in seen}))
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_workers_have_servers_of_their_own(pytester):
    """Processes that run at once, as pytest-xdist's workers do, do not share a server."""
    pytester.makepyfile("def test_url(loki):\n    print('', loki.url)")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    running = [
        subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in running]
    assert [0, 0] == [process.returncode for process in running], outputs
    urls = {line for output in outputs for line in output.split() if line.startswith("http")}
    assert 2 == len(urls)


def test_missing_extra_is_named(pytester):
    """Without the extra only tests that use the fixture fail, and they say how to get it."""
    pytester.makeconftest("import sys\nsys.modules['lark'] = None")
    pytester.makepyfile("def test_with(loki): ...\n\ndef test_without(log_capture): ...")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*the fixture `loki` needs*lark*pip install 'loglane?dev-server?'*"]
    )


def test_plugin_imports_nothing_of_the_extra(pytester):
    """Tests that do not use the fixture do not pay for it."""
    pytester.makepyfile(
        """
        import sys

        def test_modules(log_capture):
            assert not {"lark", "uvicorn", "starlette", "re2"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_stored_line_without_json_has_its_labels(loki):
    """A line that is no JSON object has the fields of its labels only."""
    loki.push(json.dumps([1]), service="api")
    assert {"service": "api", "service_name": "api"} == loki.entries()[0].fields
