"""From a log call to Loki: what the pipeline does with a line that is pushed."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request

import pytest

import loglane
from loglane.errors import SpecError
from tests.unit.sinks.loki.fake_loki import FakeLoki, Reply, wait_for


@pytest.fixture
def loki():
    with FakeLoki() as loki:
        yield loki
        loki.replies.clear()
        loki.always = Reply()
        loglane.reset()


@pytest.fixture
def configure(loki, monkeypatch, tmp_path):
    """Return a function that configures a push to `loki`."""
    monkeypatch.chdir(tmp_path)

    def configure(mode="container", loki=None, url=loki.url, **keys):
        push = {"enabled": True, "url": url, "batch": {"max_wait_s": 0.01}, **(loki or {})}
        loglane.configure(mode=mode, loki=push, service="shop", **keys)
        return loglane.get_logger("app")

    return configure


def flushed(loki):
    loglane.logger.active_engine().flush()
    return loki.stored


def test_flush_returns_when_loki_has_every_line(loki, configure):
    """Long before a batch is full or its time is over, and again and again."""
    log = configure(loki={"batch": {"max_wait_s": 3600}})
    for number in range(3):
        log.info("served", number=number)
        assert loglane.flush() is True
        assert number + 1 == len(loki.messages)
    assert loglane.flush(timeout_s=0) is True


def test_flush_tells_that_loki_does_not_take_lines(loki, configure, capfd):
    """Nothing is lost by it: they arrive when Loki takes them."""
    log = configure()
    loki.always = Reply(503)
    log.info("kept")
    assert loglane.flush(timeout_s=0.05) is False
    assert "1 lines are lost if the process ends now" in capfd.readouterr().err
    loki.always = Reply()
    assert loglane.flush() is True
    assert ["kept"] == loki.messages


def test_flush_has_suppressed_errors_reported(loki, configure):
    """Their summary is not left behind in a process that stands still."""
    log = configure(flow_control={"first": 1, "every": 1000})
    for _ in range(5):
        log.error("boom")
    assert loglane.flush()
    assert ["boom", "repeated errors were suppressed"] == loki.messages
    assert 4 == loki.stored[1]["suppressed"]


def test_flush_without_push_or_configuration_has_nothing_to_wait_for(configure):
    """It configures nothing either."""
    loglane.reset()
    assert loglane.flush() is True
    assert loglane.logger.active_engine() is None
    configure(loki={"enabled": False}).info("to stdout")
    assert loglane.flush(timeout_s=0) is True


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("plain", {}),
        ("plain", {"a": 1, "b": "two", "trace_id": "t"}),
        ("password=hunter2", {"token": "abc", "nested": {"password": "x"}}),
        ("wide é\u2028", {"list": [1, {"a": None}], "text": "x" * 70_000}),
    ],
    ids=["plain", "fields", "masked", "odd"],
)
def test_the_short_and_the_long_path_push_what_stdout_has(loki, configure, capfd, message, fields):
    """Byte by byte the same line, and no secret in it."""
    log = configure()
    log.info(message, **fields)
    # A processor takes every line the long way.
    configure(processors=[lambda _logger, _level, event: event])
    log.info(message, **fields)
    flushed(loki)
    pushed = [line for push in loki.pushes for _, values in push.streams for _, line, _ in values]
    assert capfd.readouterr().out.splitlines() == pushed
    first, second = ({**json.loads(line), "timestamp": None} for line in pushed)
    assert first == second
    assert "hunter2" not in pushed[0]


def test_the_levels_of_the_console_and_of_loki_are_apart(loki, configure, capfd):
    """Each can be the higher one."""
    log = configure(level={"console": "error"}, loki={"level": "info"})
    log.debug("d")
    log.info("i")
    log.error("e")
    flushed(loki)
    assert ["i", "e"] == loki.messages
    assert ["e"] == [json.loads(line)["message"] for line in capfd.readouterr().out.splitlines()]
    loki.pushes.clear()
    configure(level={"console": "debug"}, loki={"level": "warning"})
    log.info("i")
    log.warning("w")
    flushed(loki)
    assert ["w"] == loki.messages


@pytest.mark.parametrize("extra", [{}, {"processors": [lambda _a, _b, event: event]}])
def test_set_level_changes_lokis_alone(loki, configure, capfd, extra):
    """While the process runs; `None` changes all."""
    log = configure(**extra)
    loglane.set_level("debug", "loki")
    log.debug("one")
    logging.getLogger("lib").debug("stdlib")
    loglane.set_level("error")
    log.warning("two")
    flushed(loki)
    assert ["one", "stdlib"] == loki.messages
    assert "" == capfd.readouterr().out


def test_a_local_process_has_a_console_a_file_and_loki(loki, configure, capfd, tmp_path):
    """All three have the line; the file and Loki the same one."""
    log = configure("local", local={"file_path": str(tmp_path / "app.log")})
    log.info("hello", number=7)
    flushed(loki)
    (line,) = [line for push in loki.pushes for _, v in push.streams for _, line, _ in v]
    assert f"{line}\n" == (tmp_path / "app.log").read_text()
    assert "hello" in capfd.readouterr().out


def test_flow_control_and_sampling_hold_for_loki(loki, configure):
    """A storm is summed up, and what is sampled away is away."""
    log = configure(flow_control={"first": 2, "every": 1000}, sampling={"loggers": {"quiet": 0.0}})
    for _ in range(10):
        log.error("failed")
    loglane.get_logger("quiet").info("sampled")
    stored = flushed(loki)
    assert 2 == len(
        [one for one in stored if one["message"] == "failed" and "suppressed" not in one]
    )
    assert [8] == [one["suppressed"] for one in stored if "suppressed" in one]
    assert "sampled" not in loki.messages
    assert {"stdout": 0, "sampled.info": 1} == loglane.get_lost_counts()


def test_what_log_capture_takes_is_not_pushed(loki, configure, log_capture):
    """A test of an app pushes nothing, and says so in the stats."""
    log = configure()
    log.info("captured")
    log_capture.assert_logged("captured")
    assert ({}, []) == (loglane.loki_sink_stats(), loki.pushes)


def test_after_a_capture_lines_are_pushed_again(loki, configure):
    """The engine of before is in force once more."""
    from loglane.testing import capturing

    log = configure()
    with capturing():
        log.info("captured")
    log.info("pushed")
    loki.wait_for(lambda loki: loki.messages == ["pushed"])


def test_losses_are_counted_and_reported_once_loki_is_back(loki, configure, capfd):
    """By reason, in the count of the process, and in a line that arrives; not while it is away."""
    loki.always = Reply(500)
    log = configure(loki={"queue": {"max_items": 10}})
    for number in range(100):
        log.info("a", number=number)
    wait_for(lambda: loglane.loki_sink_stats()["is_away"])
    log.info("a")
    loglane.logger.active_engine().tick()
    lost = loglane.get_lost_counts()
    assert {"stdout": 0, "loki.queue_full.info": lost["loki.queue_full.info"]} == lost
    assert "lines were lost" not in capfd.readouterr().out
    loki.always = Reply()
    loki.wait_for(lambda loki: "log lines were lost" in loki.messages)
    (report,) = [one for one in loki.stored if one["message"] == "log lines were lost"]
    count = 101 - loki.messages.count("a")
    assert ({"loki": count}, {"loki.queue_full.info": count}) == (
        report["lost"],
        report["reasons"],
    )
    flushed(loki)
    assert 1 == loki.messages.count("log lines were lost")


def test_stats_tell_what_became_of_the_lines(loki, configure):
    """The keys that the documentation names."""
    log = configure()
    log.info("a")
    flushed(loki)
    stats = loglane.loki_sink_stats()
    numbers = {name: stats.pop(name) for name in ("queued", "wal_lines", "wal_bytes", "sent")}
    assert {"queued": 0, "wal_lines": 0, "wal_bytes": 0, "sent": 1} == numbers
    assert {
        "queued_bytes": 0, "in_hand": 0, "batches": 1, "retries": 0, "dropped": {},
        "is_away": False, "last_error": "",
    } == stats  # fmt: skip


def test_no_push_has_no_stats(configure):
    """An app may ask in any case."""
    loglane.configure(mode="container")
    assert {} == loglane.loki_sink_stats()


def test_logging_of_everything_does_not_come_back(loki, configure):
    """The root logger at debug, and pushes of the sink's own threads."""
    log = configure(level="debug", loki={"level": "debug"})
    logging.getLogger().setLevel(1)
    for number in range(5):
        log.info("a", number=number)
        flushed(loki)
    assert ["a"] * 5 == loki.messages


def test_configuring_anew_holds_up_no_other_thread(loki, configure):
    """While the old engine delivers, others log."""
    hold = threading.Event()
    loki.replies.append(Reply(hold=hold))
    log = configure()
    log.info("old")
    loki.wait_for(lambda loki: loki.pushes)
    again = threading.Thread(target=configure)
    before = loglane.logger.active_engine()
    again.start()
    wait_for(lambda: loglane.logger.active_engine() is not before)
    assert again.is_alive()
    loglane.get_logger("new").info("new")
    loglane.set_level("info")
    hold.set()
    again.join()
    loki.wait_for(lambda loki: sorted(loki.messages) == ["new", "old"])


def test_lines_are_found_in_the_embedded_server():
    """Pushed as JSON, and asked for as any Loki is."""
    pytest.importorskip("uvicorn")
    from loglane.devserver import running

    with running() as url:
        push = {"enabled": True, "url": url, "batch": {"encoding": "json"}}
        loglane.configure(mode="container", service="shop", loki=push)
        loglane.get_logger("app").info("hello", trace_id="t1")
        loglane.reset()
        query = "%7Bservice%3D%22shop%22%7D%20%7C%20trace_id%3D%22t1%22"
        with urllib.request.urlopen(f"{url}/loki/api/v1/query_range?query={query}") as answer:  # noqa: S310
            (stream,) = json.load(answer)["data"]["result"]
    assert "hello" == json.loads(stream["values"][0][1])["message"]


def test_a_missing_extra_is_named_and_costs_no_line(configure, monkeypatch, capfd):
    """An error where the app configures; without that, everything but the push works."""
    monkeypatch.setattr("loglane.settings.loki.find_spec", lambda _: None)
    with pytest.raises(
        SpecError, match=r"loki.enabled: true needs .* pip install 'loglane\[loki\]'"
    ):
        configure()
    loglane.configure(mode="container", loki={"enabled": True}, on_error="defaults")
    loglane.get_logger("app").info("written")
    found = [json.loads(line)["message"] for line in capfd.readouterr().out.splitlines()]
    assert ["wrong setting, a default is used", "written"] == found
