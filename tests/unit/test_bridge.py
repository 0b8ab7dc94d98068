"""Whatever else writes in the process goes through the same pipeline."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import logging.config
import subprocess
import sys
import threading
import warnings

import pytest
import sqlalchemy
from rich.logging import RichHandler

import loglane
from loglane import hooks


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "debug"), (10, "debug"), (20, "info"), (25, "info"), (30, "warning"), (40, "error"),
     (50, "critical"), (90, "critical")],
)  # fmt: skip
def test_stdlib_levels_become_the_contracts(lines, number, level):
    """Numbers in between belong to the level below them."""
    loglane.configure(level="debug")
    logging.getLogger().setLevel(1)
    logging.getLogger("lib").log(number, "m")
    assert [level] == [line["level"] for line in lines()]


def test_stdlib_records_have_the_same_fields(lines):
    """Message with its arguments, logger, context, extras, exception."""
    loglane.configure(service="orders")
    log = logging.getLogger("lib.part")
    with loglane.bound(trace_id="t1"):
        try:
            raise LookupError("gone")
        except LookupError:
            log.exception("failed %s of %d", "one", 3, extra={"order_id": 17, "password": "p"})
    (line,) = lines()
    assert ("error", "failed one of 3", "lib.part", "orders", "t1", 17, "***") == tuple(
        line[name]
        for name in ("level", "message", "logger", "service", "trace_id", "order_id", "password")
    )
    assert line["exception"].endswith("LookupError: gone")


def test_stdlib_mapping_arguments_fill_named_places(lines):
    """`%(name)s` with one dict, as stdlib logging has it."""
    loglane.configure()
    logging.getLogger("lib").warning("%(a)s-%(b)s", {"a": 1, "b": 2})
    assert ["1-2"] == [line["message"] for line in lines()]


def test_console_handlers_are_taken_off_and_others_stay(lines, tmp_path):
    """No line is there twice; a file of the app's own still gets its lines."""
    root, own = logging.getLogger(), logging.getLogger("app.own")
    console, quiet = logging.StreamHandler(sys.stderr), logging.StreamHandler(sys.stdout)
    file = logging.FileHandler(tmp_path / "x.log")
    root.addHandler(console)
    root.addHandler(file)
    own.addHandler(quiet)
    own.propagate = False
    try:
        loglane.configure()
        own.warning("m")
        logging.getLogger("app.other").warning("n")
        assert ["m", "n"] == [line["message"] for line in lines()]
        assert "n\n" == (tmp_path / "x.log").read_text()
        loglane.reset()
        assert console in root.handlers
        assert ([quiet], False) == (own.handlers, own.propagate)
    finally:
        root.removeHandler(console)
        root.removeHandler(file)
        own.removeHandler(quiet)
        own.propagate = True
        file.close()


def test_a_console_handler_that_comes_later_is_replaced_too(lines, capfd):
    """By a library, by basicConfig or by dictConfig: JSON, once, and given back on reset."""
    loglane.configure()
    log = logging.getLogger("lib.late")
    late = logging.StreamHandler(sys.stderr)
    log.addHandler(late)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"h": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
            "loggers": {"lib.other": {"handlers": ["h"], "propagate": False}},
        }
    )
    log.warning("one")
    logging.getLogger("lib.other").warning("two")
    assert ["one", "two"] == [line["message"] for line in lines()]
    assert "" == capfd.readouterr().err
    loglane.reset()
    assert [late] == log.handlers
    log.removeHandler(late)
    logging.getLogger("lib.other").handlers.clear()
    logging.getLogger("lib.other").propagate = True


def test_sqlalchemy_says_what_it_does_once(lines):
    """`echo=True` puts a handler of its own on stdout, after `configure`."""
    loglane.configure(service="orders")
    engine = sqlalchemy.create_engine("sqlite://", echo=True)
    with engine.connect() as connection, loglane.bound(trace_id="t1"):
        connection.execute(sqlalchemy.text("SELECT 7"))
    engine.dispose()
    found = [line for line in lines() if line["message"] == "SELECT 7"]
    assert [("sqlalchemy.engine.Engine", "info", "t1")] == [
        (line["logger"], line["level"], line["trace_id"]) for line in found
    ]


def test_a_stream_of_the_apps_own_is_no_console(lines):
    """A handler that writes into memory stays."""
    memory = io.StringIO()
    handler = logging.StreamHandler(memory)
    logging.getLogger().addHandler(handler)
    try:
        loglane.configure()
        logging.getLogger("lib").warning("m")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "m\n" == memory.getvalue()


def test_loggers_have_their_own_levels(lines):
    """`loggers:` quiets a library."""
    loglane.configure(level="debug", loggers={"noisy": "error"})
    logging.getLogger("noisy.part").warning("no")
    logging.getLogger("noisy.part").error("yes")
    assert ["yes"] == [line["message"] for line in lines()]


def test_uvicorns_access_records_become_fields(lines, monkeypatch):
    """Its access lines have the fields of ours."""
    # Other tests run uvicorn in this process, without its access log.
    for logger in ("uvicorn", "uvicorn.access"):
        for name, value in (("disabled", False), ("propagate", True), ("level", 0)):
            monkeypatch.setattr(logging.getLogger(logger), name, value)
    loglane.configure()
    args = ("127.0.0.1:9", "GET", "/a", "1.1", 404)
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *args)
    (line,) = lines()
    assert ("request", "access", "GET", "/a", 404) == tuple(
        line[name] for name in ("message", "log_category", "method", "path", "status")
    )


def test_warnings_are_lines(lines):
    """Message, category and place, as fields."""
    loglane.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hooks.show_warning
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert ("warning", "py.warnings", "old", "DeprecationWarning") == tuple(
        line[name] for name in ("level", "logger", "message", "category")
    )


def test_an_exception_in_a_thread_is_a_line(lines, capfd):
    """With the thread's name, and nothing on stderr."""
    loglane.configure()
    # pytest's own hook would take the exception for a failure.
    hook = hooks.thread_hook(threading.__excepthook__, lambda: True)

    def work():
        try:
            raise LookupError("gone")
        except LookupError as error:
            hook(threading.ExceptHookArgs((LookupError, error, error.__traceback__,
                                           threading.current_thread())))  # fmt: skip

    thread = threading.Thread(target=work, name="worker-7")
    thread.start()
    thread.join()
    (line,) = lines()
    assert ("critical", hooks.UNCAUGHT, "worker-7") == tuple(
        line[name] for name in ("level", "message", "thread")
    )
    assert line["exception"].endswith("LookupError: gone")


def run(code: str) -> tuple[int, list[dict[str, object]], str]:
    """Run a program with loglane configured; return its code, lines and stderr."""
    start = "import loglane\nloglane.configure(mode='container', service='s')\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    ("code", "level", "ending"),
    [
        ("1 / 0", "critical", "ZeroDivisionError: division by zero"),
        ("import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
         "critical", "ZeroDivisionError: division by zero"),
        ("class C:\n    def __del__(self): 1 / 0\nC()",
         "error", "ZeroDivisionError: division by zero"),
        ("import asyncio\nasync def f(): 1 / 0\n"
         "async def main():\n    asyncio.create_task(f()); await asyncio.sleep(0)\n"
         "asyncio.run(main())", "error", "ZeroDivisionError: division by zero"),
    ],
    ids=["main", "thread", "unraisable", "asyncio"],
)  # fmt: skip
def test_what_nobody_caught_is_one_line_and_not_on_stderr(code, level, ending):
    """In the main thread, a thread, a destructor and a task."""
    _, found, stderr = run(code)
    (line,) = found
    assert (level, "") == (line["level"], stderr)
    assert line["exception"].endswith(ending)


def test_an_uncaught_exception_still_fails_the_process():
    """The exit code is Python's."""
    assert 1 == run("raise ValueError('x')")[0]


def test_stdlib_arguments_that_do_not_fit_are_kept():
    """A wrong template is no reason to lose a line, or to print a traceback to stderr."""
    _, found, stderr = run("import logging; logging.getLogger('lib').warning('a %d b', 'text')")
    (line,) = found
    assert ("a %d b", ["text"], "") == (line["message"], line["args"], stderr)


def test_ctrl_c_is_no_error():
    """KeyboardInterrupt ends the process as always, without a line."""
    _, found, stderr = run("raise KeyboardInterrupt")
    assert [] == found
    assert "KeyboardInterrupt" in stderr


def test_a_hook_of_the_apps_own_is_called_too():
    """An error tracker's hook still sees the exception."""
    code = (
        "loglane.reset()\nimport sys\n"
        "sys.excepthook = lambda *a: print('tracked', file=sys.stderr)\n"
        "loglane.configure(mode='container')\n1 / 0"
    )
    _, found, stderr = run(code)
    assert (1, "tracked\n") == (len(found), stderr)


def test_captures_can_be_turned_off():
    """`capture:` leaves each of the three alone."""
    code = (
        "loglane.configure(mode='container', capture={'logging': False, 'warnings': False,"
        " 'exceptions': False})\nimport logging, warnings\n"
        "logging.getLogger('x').warning('m')\nwarnings.warn('w')\n1 / 0"
    )
    _, found, stderr = run(code)
    assert [] == found
    assert "UserWarning: w" in stderr
    assert "ZeroDivisionError" in stderr


def test_asyncios_exception_handler_is_a_line(lines):
    """A task that failed unseen is reported by asyncio through stdlib logging."""
    loglane.configure()

    async def fail():
        raise LookupError("gone")

    async def main():
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(main())
    (line,) = lines()
    assert ("error", "asyncio") == (line["level"], line["logger"])
    assert line["exception"].endswith("LookupError: gone")


def test_objects_made_to_be_messages_are_their_text(lines):
    """Stdlib logging writes `str(msg)`."""

    class Brace:
        def __init__(self, template, *args):
            self.text = template.format(*args)

        def __str__(self):
            return self.text

    loglane.configure()
    logging.getLogger("lib").warning(Brace("hello {}", 1))
    logging.getLogger("lib").warning({"a": 1})
    assert ["hello 1", '{"a":1}'] == [line["message"] for line in lines()]


def test_a_stdout_that_logs_through_stdlib_does_not_block(lines):
    """Two threads, one stdout that logs what is written to it: neither waits for ever."""
    code = """
import logging, sys, threading, loglane
loglane.configure(mode="container")
log = logging.getLogger("redirected")
class Redirect:
    def write(self, text):
        log.warning(text)
    def flush(self): pass
sys.stdout = Redirect()
def work():
    for _ in range(200):
        loglane.get_logger("x").info("m")
        logging.getLogger("y").warning("n")
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert 1600 == len(done.stdout.splitlines())


def test_richs_handler_is_a_console_handler(lines):
    """Its line would be there twice."""
    loglane.configure()
    log = logging.getLogger("lib.rich")
    log.addHandler(RichHandler())
    log.warning("once")
    loglane.reset()
    log.handlers.clear()
    assert ["once"] == [line["message"] for line in lines()]


def test_a_hook_that_somebody_kept_does_nothing_twice():
    """An error tracker wraps our hook, and configure is called again above it."""
    code = """
import sys
kept = sys.excepthook
sys.excepthook = lambda *a: kept(*a)
loglane.configure(mode="container")
1 / 0
"""
    _, found, _ = run(code)
    assert 1 == len(found)


def test_a_logger_that_neither_propagates_nor_has_handlers_is_masked_too(lines, capfd):
    """Stdlib's last resort would write the text as it is to stderr."""
    loglane.configure()
    log = logging.getLogger("island")
    log.propagate = False
    try:
        log.error("password=hunter2")
    finally:
        log.propagate = True
    assert ["password=***"] == [line["message"] for line in lines()]
    assert "" == capfd.readouterr().err


def test_colours_and_line_ends_stay_out_of_messages(lines):
    """Flask's banner is made for a terminal."""
    loglane.configure()
    logging.getLogger("werkzeug").info("\x1b[33mPress %s to quit\x1b[0m\n", "CTRL+C")
    assert ["Press CTRL+C to quit"] == [line["message"] for line in lines()]
