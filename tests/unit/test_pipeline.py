"""A log call becomes one JSON object on one line."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from datetime import datetime, timezone

import pytest
import structlog

import loglane
from loglane import logger
from loglane.errors import SpecError


def test_line_has_the_contracts_fields_and_the_callers(lines):
    """The own fields come first, then the logger's, the context's, and what the call gives."""
    loglane.configure(service="orders", env="prod")
    loglane.bind_context(trace_id="t1")
    before = datetime.now(timezone.utc)
    loglane.get_logger("shop.orders").bind(user_id=7).info("order_created", total=1.5)
    (line,) = lines()
    at = datetime.strptime(line.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert before <= at <= datetime.now(timezone.utc)
    expected = {
        "level": "info",
        "message": "order_created",
        "logger": "shop.orders",
        "service": "orders",
        "env": "prod",
        "user_id": 7,
        "trace_id": "t1",
        "total": 1.5,
    }
    assert list(expected.items()) == list(line.items())


def test_logger_is_named_after_the_callers_module(lines):
    """Without a name, the logger is the module that asked for it."""
    loglane.configure()
    loglane.get_logger().info("x")
    assert [__name__] == [line["logger"] for line in lines()]


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", "debug"), ("info", "info"), ("warning", "warning"), ("warn", "warning"),
     ("error", "error"), ("exception", "error"), ("critical", "critical"), ("fatal", "critical")],
)  # fmt: skip
def test_level_is_one_of_the_contract(lines, method, level):
    """Each method writes its level by the contract's name."""
    loglane.configure(level="debug")
    getattr(loglane.get_logger("x"), method)("m")
    assert [level] == [line["level"] for line in lines()]


def test_lines_below_the_level_are_not_written(lines):
    """The level is a threshold."""
    loglane.configure(level="WARNING")
    log = loglane.get_logger("x")
    log.info("no")
    log.warning("yes")
    assert ["yes"] == [line["message"] for line in lines()]


def test_exception_is_one_string_without_locals(lines):
    """A traceback is in the line, escaped; local variables are not."""
    loglane.configure()
    password = "hunter2"
    try:
        raise ValueError(f"length {len(password)}")
    except ValueError:
        loglane.get_logger("x").exception("failed")
    (line,) = lines()
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: length 7")
    assert "hunter2" not in line["exception"]


@pytest.mark.parametrize("given", [("a", "b", "c"), (None, None, None), ("a",)], ids=str)
def test_exc_info_that_is_none_is_left_out(lines, given):
    """What is no exception gives no traceback and no error."""
    loglane.configure()
    loglane.get_logger("x").error("failed", exc_info=given)
    assert "exception" not in lines()[0]


def test_a_long_exception_keeps_its_beginning_and_its_end(lines):
    """Where it began and what it was are there; what is cut is counted."""
    loglane.configure(max_line_bytes=262144)
    loglane.get_logger("x").error("failed", exc_info=ValueError("a" + "-" * 200_000 + "z"))
    text = lines()[0]["exception"]
    assert text.startswith("ValueError: a-")
    assert text.endswith("-z")
    assert "[+150014 chars]" in text


def test_exception_given_as_an_object_is_written(lines):
    """`exc_info=error` works outside an except block."""
    loglane.configure()
    loglane.get_logger("x").error("failed", exc_info=KeyError("k"))
    assert "KeyError: 'k'" == lines()[0]["exception"]


def test_a_field_named_like_an_own_one_is_kept_beside_it(lines):
    """A caller's `level` does not change the line's level."""
    loglane.configure(service="orders")
    loglane.get_logger("x").info("m", level="high", service="other")
    (line,) = lines()
    assert ("info", "high", "orders", "other") == (
        line["level"],
        line["level_"],
        line["service"],
        line["service_"],
    )


def test_a_stdout_that_logs_does_not_go_on_for_ever(lines):
    """A stream that logs what is written to it gets the line once."""
    loglane.configure()
    log = loglane.get_logger("x")

    class Logging(io.StringIO):
        def write(self, text):
            log.info("written")
            return super().write(text)

    text = Logging()
    with contextlib.redirect_stdout(text):
        log.info("m")
    assert ["m"] == [json.loads(line)["message"] for line in text.getvalue().splitlines()]


def test_a_text_stream_in_stdouts_place_gets_the_lines(lines):
    """Redirected output is written to what took stdout's place."""
    loglane.configure()
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        loglane.get_logger("x").info("m")
    assert "m" == json.loads(text.getvalue())["message"]


def test_a_closed_stdout_does_not_reach_the_app():
    """Writing to a stdout that is gone drops the line and raises nothing."""
    code = (
        "import loglane, os, sys\nloglane.configure()\nlog = loglane.get_logger('x')\n"
        "sys.stdout.close()\nlog.info('m')\nsys.stdout = None\nlog.info('m')\nos._exit(7)"
    )
    assert 7 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_configure_again_replaces_what_was_before(lines):
    """The second call counts alone, and nothing is written twice."""
    loglane.configure(service="one", level="debug")
    log = loglane.get_logger("x")
    loglane.configure(service="two")
    log.debug("no")
    log.info("yes")
    logging.getLogger("y").warning("once")
    assert [("two", "yes"), ("two", "once")] == [
        (line["service"], line["message"]) for line in lines()
    ]


def test_reset_puts_everything_back(lines):
    """Hooks, handlers, levels, warnings and structlog are what they were."""

    def state():
        root = logging.getLogger()
        return (
            list(root.handlers), root.level, sys.excepthook, threading.excepthook,
            sys.unraisablehook, warnings.showwarning, signal.getsignal(signal.SIGTERM),
            structlog.is_configured(),
        )  # fmt: skip

    before = state()
    loglane.configure()
    assert before != state()
    loglane.reset()
    assert before == state()


def test_a_line_before_configure_is_written_with_defaults(lines):
    """An app that forgot to configure still logs; the environment counts."""
    loglane.reset()
    loglane.get_logger("x").info("m")
    assert [("m", "unknown")] == [(line["message"], line["service"]) for line in lines()]


def test_wrong_settings_can_be_logged_instead_of_raised(lines):
    """on_error='defaults' starts with what is right, and says what is wrong."""
    loglane.configure(on_error="defaults", service="orders", level="loud")
    (line,) = lines()
    assert ("warning", "orders") == (line["level"], line["service"])
    assert "loud" in line["problem"]


def test_wrong_settings_are_reported_together(monkeypatch):
    """Every wrong value is named."""
    monkeypatch.setenv("LOGGING_LEVEL", "loud")
    with pytest.raises(SpecError) as caught:
        loglane.configure(service="")
    assert 2 == len(caught.value.problems)


def test_set_level_reaches_bound_and_cached_loggers(lines):
    """A logger made and used before obeys the new level at once."""
    loglane.configure(level="info")
    log = loglane.get_logger("x").bind(a=1)
    log.debug("no")
    loglane.set_level("DEBUG", "console")
    log.debug("yes")
    logging.getLogger("y").debug("yes too")
    loglane.set_level("error")
    log.warning("no")
    assert ["yes", "yes too"] == [line["message"] for line in lines()]


@pytest.mark.parametrize(("level", "target"), [("loud", None), ("info", "cellar")])
def test_set_level_refuses_what_is_not_there(lines, level, target):
    """A wrong name is an error of the caller."""
    loglane.configure()
    with pytest.raises(ValueError, match="is no"):
        loglane.set_level(level, target)


def test_processors_see_the_whole_line_and_what_they_add_is_masked(lines):
    """They run in order, in structlog's form, before masking."""
    seen = []

    def first(_logger, method, event):
        seen.append((method, event["event"], event["service"], event["password"]))
        return {**event, "app": "ginkgo", "api_key": "k-123"}

    def second(_logger, _method, event):
        event["event"] = event["event"].upper()
        return event

    loglane.configure(service="orders", processors=[first, second])
    loglane.get_logger("x").info("m", password="hunter2")
    (line,) = lines()
    assert [("info", "m", "orders", "hunter2")] == seen
    assert ("M", "ginkgo", "***", "***") == (
        line["message"], line["app"], line["api_key"], line["password"],
    )  # fmt: skip
    assert ["timestamp", "level", "message"] == list(line)[:3]


def test_a_processor_may_drop_a_line(lines):
    """Structlog's DropEvent means the same here."""

    def drop(_logger, _method, event):
        if event["event"] == "no":
            raise structlog.DropEvent
        return event

    loglane.configure(processors=[drop])
    log = loglane.get_logger("x")
    log.info("no")
    log.info("yes")
    assert ["yes"] == [line["message"] for line in lines()]


@pytest.mark.parametrize("wrong", [lambda *_: 1 / 0, lambda *_: None, lambda *_: b"text"])
def test_a_broken_processor_costs_no_line(lines, wrong):
    """The line is there without its change, and says so."""
    loglane.configure(processors=[wrong])
    loglane.get_logger("x").info("m", a=1)
    (line,) = lines()
    assert ("m", 1) == (line["message"], line["a"])
    assert "lambda" in line["processor_error"]


def test_caller_is_the_line_that_logs(lines):
    """Module and line, for each face."""
    loglane.configure(caller=True)
    here = sys._getframe().f_lineno
    loglane.get_logger("x").info("m")
    loglane.get_logger("x").log(20, "m")
    loglane.GLOG.INFO("m")
    logging.getLogger("y").warning("m")
    structlog.get_logger("z").info("m")
    found = [(line["module"].rpartition(".")[2], line["line"]) for line in lines()]
    assert [("test_pipeline", here + number) for number in range(1, 6)] == found


def test_structlogs_own_loggers_write_the_same_lines(lines):
    """An app that uses structlog directly is in the same pipeline."""
    loglane.configure(service="orders", level="debug")
    log = structlog.get_logger("shop", a=1)
    log.debug("m", b=2)
    log.bind(c=3).info("n %s", 4, password="x")
    first, second = lines()
    assert ("debug", "m", "shop", "orders", 1, 2) == tuple(
        first[name] for name in ("level", "message", "logger", "service", "a", "b")
    )
    assert ("n 4", 3, "***") == tuple(second[name] for name in ("message", "c", "password"))


def test_reset_gives_structlog_the_apps_own_configuration_back(lines):
    """An app that had configured structlog finds it as it was."""
    own = [structlog.processors.JSONRenderer()]
    structlog.configure(processors=own)
    try:
        loglane.configure()
        loglane.reset()
        assert own == structlog.get_config()["processors"]
    finally:
        structlog.reset_defaults()


def test_static_fields_are_on_each_line(lines):
    """Version and fields of one's own, under `static`."""
    loglane.configure(service="orders", static={"version": "1.4.2", "region": "eu"})
    loglane.get_logger("x").info("m", region="us")
    (line,) = lines()
    assert ("1.4.2", "eu", "us") == tuple(line[name] for name in ("version", "region", "region_"))


def test_masking_follows_the_settings(lines):
    """Names are added to the built-in ones, and taken away from them."""
    loglane.configure(mask_fields=["iban", "!token"])
    loglane.get_logger("x").info("m", IBAN="DE1", token="t", password="p", deep=[{"iban": 1}])
    (line,) = lines()
    assert ("***", "t", "***", [{"iban": "***"}]) == tuple(
        line[name] for name in ("IBAN", "token", "password", "deep")
    )


def test_a_line_is_at_most_as_long_as_the_settings_say(lines):
    """A long field is cut with a mark, and the line is still JSON."""
    loglane.configure(max_line_bytes=1000)
    loglane.get_logger("x").info("m", text="x" * 5000, a=1)
    (line,) = lines()
    assert len(json.dumps(line)) < 1200
    assert ("m", 1) == (line["message"], line["a"])
    assert len(line["text"]) < 1000


def test_repeated_errors_are_held_back_and_summed_up(lines):
    """First N, every Mth, and one line with the count when the process ends."""
    loglane.configure(flow_control={"first": 2, "every": 5})
    log = loglane.get_logger("x")
    for number in range(12):
        log.error("failed", number=number)
    stats = loglane.get_error_stats()
    loglane.reset()
    found = lines()
    assert [0, 1, 6, 11] == [line["number"] for line in found if line["message"] == "failed"]
    (summary,) = [line for line in found if line["message"] != "failed"]
    assert (8, 12, "failed") == (summary["suppressed"], summary["count"], summary["pattern"])
    assert (1, 12) == (stats["total_error_patterns"], stats["total_error_count"])


def test_sampling_keeps_errors_and_counts_the_rest(lines):
    """Nothing of a level with rate 0 is written; errors always are."""
    loglane.configure(sampling={"levels": {"info": 0.0}})
    log = loglane.get_logger("x")
    log.info("no")
    log.warning("yes")
    log.error("yes")
    assert ["yes", "yes"] == [line["message"] for line in lines()]
    assert 1 == loglane.get_lost_counts()["sampled.info"]


def test_lines_that_stdout_refused_are_counted_and_reported(lines, monkeypatch):
    """When stdout works again, a line says how many were lost."""
    loglane.configure()
    log = loglane.get_logger("x")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        log.info("lost")
        log.error("lost too")
    loglane.reset()
    (line,) = lines()
    assert ("log lines were lost", {"stdout": 2}) == (line["message"], line["lost"])


def test_local_mode_writes_readable_lines_and_a_json_file(capfd, tmp_path):
    """The console is for people, the file for machines; each has its own level."""
    file = tmp_path / "app.log"
    loglane.configure(
        mode="local", service="orders", local={"file_path": str(file)}, level={"file": "debug"}
    )
    log = loglane.get_logger("x")
    log.debug("only in the file")
    log.info("in both", order_id=17)
    console = capfd.readouterr().out
    assert "in both" in console
    assert "order_id=17" in console
    assert "only in the file" not in console
    assert [("debug", "only in the file"), ("info", "in both")] == [
        (line["level"], line["message"]) for line in map(json.loads, file.read_text().splitlines())
    ]
    loglane.set_level("debug", "console")
    loglane.set_level("error", "file")
    log.debug("only on the console")
    assert "only on the console" in capfd.readouterr().out
    assert "only on the console" not in file.read_text()


def test_local_mode_can_write_json_to_the_console(capfd, tmp_path):
    """format: json is for both modes."""
    loglane.configure(mode="local", format="json", local={"file_enabled": False})
    loglane.get_logger("x").info("m")
    assert "m" == json.loads(capfd.readouterr().out)["message"]


def test_a_method_taken_from_a_logger_obeys_later_settings(lines):
    """`info = log.info` at the top of a module, before and after it is on."""
    loglane.configure(level="info")
    log = loglane.get_logger("x")
    info, debug = log.info, log.debug
    loglane.set_level("debug")
    debug("on now")
    loglane.configure(level="error")
    info("off now")
    loglane.configure(mask_fields=["iban"])
    info("m", iban="DE1")
    assert [("on now", None), ("m", "***")] == [
        (line["message"], line.get("iban")) for line in lines()
    ]


def test_names_of_loggers_may_be_anything(lines):
    """A name that is no text becomes one."""
    loglane.configure()
    loglane.get_logger(7).error("m")
    loglane.get_logger("x").log(None, "n")
    assert [("7", "m"), ("x", "n")] == [(line["logger"], line["message"]) for line in lines()]


def test_a_stdout_that_raises_does_not_reach_the_app(lines, monkeypatch):
    """Whatever it raises, the line is counted and the app goes on."""
    loglane.configure()

    class Broken(io.StringIO):
        def write(self, _text):
            raise RuntimeError("no")

    with monkeypatch.context() as patch:
        for out in (Broken(), io.BytesIO(), object()):
            patch.setattr(sys, "stdout", out)
            loglane.get_logger("x").info("m")
            loglane.get_logger("x").error("m", nested=[1])
    assert 6 == loglane.get_lost_counts()["stdout"]


def test_summaries_carry_nobodys_context(lines):
    """The line that sums up errors is not of whoever logs at that moment."""
    loglane.configure(flow_control={"first": 1, "every": 1000})
    log = loglane.get_logger("x")
    for _ in range(3):
        log.error("failed")
    with loglane.bound(user_id="bob", trace_id="t-bob"):
        logger.active_engine().report(everything=True)
    (summary,) = [line for line in lines() if "suppressed" in line]
    assert (2, None, None) == (
        summary["suppressed"], summary.get("user_id"), summary.get("trace_id"),
    )  # fmt: skip


def test_a_processor_that_logs_is_not_called_for_its_own_line(lines):
    """One call is two lines, not a hundred."""

    def noisy(_logger, _level, event):
        loglane.get_logger("processor").info("inside")
        return {**event, "seen": True}

    loglane.configure(processors=[noisy])
    loglane.get_logger("x").info("m")
    assert [("inside", None), ("m", True)] == [
        (line["message"], line.get("seen")) for line in lines()
    ]


def test_hidden_names_in_arguments_are_masked(lines):
    """`%(password)s` says what it is."""
    loglane.configure()
    loglane.get_logger("x").info("%(user)s %(password)s", {"user": "ann", "password": "hunter2"})
    logging.getLogger("y").warning("%(user)s %(password)s", {"user": "ann", "password": "hunter2"})
    assert ["ann ***", "ann ***"] == [line["message"] for line in lines()]


def test_an_own_field_may_be_hidden_too(lines):
    """Whoever hides the message has it hidden, on every way."""
    loglane.configure(mask_fields=["message"])
    loglane.get_logger("x").info("hello")
    loglane.get_logger("x").error("hello")
    assert ["***", "***"] == [line["message"] for line in lines()]


def test_clashing_names_are_all_kept(lines):
    """`level` and `level_` of a call, and fields named like the pipeline's own."""
    loglane.configure()
    loglane.get_logger("x").info("a %d", "b", level=1, level_=2, args=3)
    (line,) = lines()
    assert (1, 2, 3, ["b"]) == tuple(line[name] for name in ("level_", "level__", "args_", "args"))


def test_a_file_that_cannot_be_written_is_reported_with_the_reason(capfd, tmp_path):
    """On the console, while the process runs."""
    folder = tmp_path / "app.log"
    folder.mkdir()
    loglane.configure(mode="local", local={"file_path": str(folder)})
    log = loglane.get_logger("x")
    log.info("one")
    logger.active_engine().report()
    out = capfd.readouterr().out
    assert "log lines were lost" in out
    assert str(folder) in out


def test_a_working_directory_that_is_gone_stops_nobody(tmp_path):
    """Local mode with a relative file, in a folder that was deleted."""
    code = (
        # Imported first: Python 3.13.0 itself cannot import an extension module there.
        "import os, sys, loglane, pydantic\nos.chdir(sys.argv[1])\nos.rmdir(sys.argv[1])\n"
        "loglane.configure(mode='local')\nloglane.get_logger('x').info('m')"
    )
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert " m " in done.stdout


@pytest.mark.skipif(not hasattr(os, "set_blocking"), reason="needs non-blocking pipes")
def test_a_full_pipe_that_nobody_reads_delays_once(tmp_path):
    """Lines that find it full are counted, and one of them alone waits for a reader."""
    code = """
import loglane, os, select, sys
os.set_blocking(1, False)
waits, real = [], select.select
def counting(reading, writing, failing, timeout):
    waits.append(timeout)
    return real(reading, writing, failing, timeout)
select.select = counting
loglane.configure(mode="container")
log = loglane.get_logger("x")
for number in range(200):
    log.info("x" * 5000)
waited = [timeout for timeout in waits if timeout > 0]
print(loglane.get_lost_counts()["stdout"] > 1, len(waited), file=sys.stderr)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert b"True 1\n" == process.stderr.readline()
        process.stdout.read()
