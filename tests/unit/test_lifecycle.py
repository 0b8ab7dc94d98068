"""What is pending is written when a process ends, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

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
