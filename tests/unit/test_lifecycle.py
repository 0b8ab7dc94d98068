"""What is pending is written when a process ends, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import loglane

STORM = """
import loglane, os, signal, sys
loglane.configure(mode="container", service="s", flow_control={"first": 1, "every": 1000})
log = loglane.get_logger("x")
for number in range(10):
    log.error("failed")
"""


def run(code: str) -> tuple[int, list[dict[str, object]], str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def suppressed(found: list[dict[str, object]]) -> list[object]:
    return [line["suppressed"] for line in found if "suppressed" in line]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
    ids=["end", "exit", "sigterm"],
)
def test_pending_summaries_are_written_at_the_end(ending, code):
    """At exit and on SIGTERM, once; the exit code is what it would have been."""
    returned, found, stderr = run(STORM + ending)
    assert (code, [9], "") == (returned, suppressed(found), stderr)


def test_sigterm_calls_the_apps_handler_too():
    """The app's handler decides how the process ends."""
    app = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
    returned, found, _ = run(app + STORM + "os.kill(os.getpid(), signal.SIGTERM)")
    assert (5, [9]) == (returned, suppressed(found))


def test_an_ignored_sigterm_stays_ignored():
    """Loglane does not make a process mortal."""
    app = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    returned, found, _ = run(app + STORM + "os.kill(os.getpid(), signal.SIGTERM)")
    assert (0, [9]) == (returned, suppressed(found))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_report_for_its_parent():
    """The summary of the parent's errors is written by the parent alone."""
    code = STORM + "pid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: log.info('child')"
    _, found, _ = run(code)
    assert [9] == suppressed(found)
    assert 1 == len([line for line in found if line["message"] == "child"])


def test_a_signal_handler_may_log_at_any_moment():
    """100 alarms that log, while the main program logs: every line is whole."""
    code = """
import loglane, signal
loglane.configure(mode="container")
log = loglane.get_logger("x")
left = [100]
def on_alarm(*_):
    log.warning("alarm")
    left[0] -= 1
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while left[0] > 0:
    log.info("main", a=1)
    log.error("main", nested={"a": [1]})
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    returned, found, stderr = run(code)
    assert (0, "") == (returned, stderr)
    assert 100 <= len([line for line in found if line["message"] == "alarm"])


def test_importing_does_not_touch_the_process():
    """Hooks and handlers are for `configure`, not for `import`."""
    code = (
        "import pytest, signal, sys, logging\n"
        "before = signal.getsignal(signal.SIGTERM), sys.excepthook, list(logging.root.handlers)\n"
        "import loglane, loglane.testing\n"
        "after = signal.getsignal(signal.SIGTERM), sys.excepthook, list(logging.root.handlers)\n"
        "sys.exit(before != after)"
    )
    assert 0 == run(code)[0]


def test_sigterm_is_given_back(lines):
    """Reset leaves the handler that was there."""
    before = signal.getsignal(signal.SIGTERM)
    loglane.configure()
    during = signal.getsignal(signal.SIGTERM)
    loglane.reset()
    assert before == signal.getsignal(signal.SIGTERM)
    assert before != during


def test_an_app_that_calls_the_handler_before_it_still_ends():
    """Handlers that chain, and a second configure above them: no circle."""
    code = """
import signal, os, loglane
loglane.configure(mode="container")
before = signal.getsignal(signal.SIGTERM)
def own(number, frame):
    loglane.get_logger("x").info("own")
    before(number, frame)
signal.signal(signal.SIGTERM, own)
loglane.configure(mode="container")
os.kill(os.getpid(), signal.SIGTERM)
"""
    returned, found, stderr = run(code)
    assert (-signal.SIGTERM, ["own"], "") == (
        returned,
        [line["message"] for line in found],
        stderr,
    )


def test_sigterm_does_not_wait_for_a_reader_that_has_stopped():
    """A thread is stuck in a write to a full pipe; the process ends all the same."""
    program = (
        STORM
        + """
import threading
def fill():
    while True:
        log.info("x" * 10_000)
threading.Thread(target=fill, daemon=True).start()
print("ready", file=sys.stderr, flush=True)
signal.pause()
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        process.stderr.readline()
        # A pipe holds 64 KiB here, so the thread is about to be stuck, or is.
        deadline = time.monotonic() + 30
        while _unread_bytes(process.stdout) < 60_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert -signal.SIGTERM == process.wait(30)


def _unread_bytes(pipe) -> int:
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_may_ask_for_counts_and_change_levels():
    """Locks that a thread of the parent held do not stop the child."""
    code = """
import loglane, os, threading
loglane.configure(mode="container")
stop = threading.Event()
def poll():
    while not stop.is_set():
        loglane.get_error_stats()
        loglane.set_level("info")
threads = [threading.Thread(target=poll) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(20):
    pid = os.fork()
    if not pid:
        loglane.get_error_stats(); loglane.set_level("debug"); loglane.get_lost_counts()
        os._exit(0)
    os.waitpid(pid, 0)
stop.set()
for thread in threads: thread.join()
"""
    assert 0 == run("import warnings; warnings.simplefilter('ignore')" + code)[0]


def test_an_error_in_a_destructor_at_the_very_end_is_seen():
    """When the interpreter goes down only its own hook is called, and that is put back."""
    code = """
import loglane, sys
loglane.configure(mode="container")
class Late:
    def __del__(self):
        raise ValueError("late")
late = Late()
"""
    _, found, stderr = run(code)
    assert "ValueError: late" in stderr + str(found)


def test_a_crash_without_a_stdout_is_seen_on_stderr():
    """When the line cannot be written, Python's traceback is."""
    code = (
        "import loglane, sys\nloglane.configure(mode='container')\n"
        "sys.stdout.close()\nraise ValueError('crash')"
    )
    returned, _, stderr = run(code)
    assert 1 == returned
    assert "ValueError: crash" in stderr
