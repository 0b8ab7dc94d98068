"""Processes that end, fork and are interrupted: each line arrives exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.unit.sinks.loki.fake_loki import FakeLoki, Reply, free_port

BEGIN = """
import atexit, asyncio, multiprocessing, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import loglane
def configure(**keys):
    loki = {{"enabled": True, "url": "{url}", **keys.pop("loki", {{}})}}
    loglane.configure(mode="container", service="s", loki=loki, **keys)
"""
CONFIGURE = "configure()\nlog = loglane.get_logger('x')\n"
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def loki():
    with FakeLoki() as loki:
        yield loki


@pytest.fixture
def run(loki, tmp_path):
    """Return a function that runs a program to its end; stdout has nothing to do with it."""

    def run(code, url=None, timeout_s=60):
        file = tmp_path / "program.py"
        file.write_text(BEGIN.format(url=url or loki.url) + code)
        return subprocess.run(
            [sys.executable, str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=tmp_path,
        )

    return run


def test_lines_of_the_last_moment_arrive(loki, run):
    """At the end of the program, of its exit hooks, and of what is destroyed last."""
    done = run(
        """
atexit.register(lambda: log.info("hook"))
"""
        + CONFIGURE
        + """
atexit.register(lambda: log.info("later hook"))
class Last:
    def __del__(self):
        log.info("destructor")
last = Last()
log.info("main")
threading.Thread(target=lambda: (time.sleep(0.05), log.info("thread"))).start()
"""
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert ["main", "thread", "later hook", "hook", "destructor"] == loki.messages


def test_a_dead_loki_delays_the_end_but_a_moment(run):
    """It says what is lost; hooks and destructors cost nothing more."""
    code = CONFIGURE + "atexit.register(lambda: log.info('hook'))\nlog.info('a')\n"
    done = run(code.replace("configure()", "configure(loki={'timeouts': {'drain_s': 50}})"),
               url=f"http://127.0.0.1:{free_port()}", timeout_s=40)  # fmt: skip
    assert 0 == done.returncode
    assert "2 lines are lost if the process ends now: Connection refused" in done.stderr


@pytest.mark.parametrize("dead", [False, True], ids=["alive", "dead"])
def test_sigterm_within_a_log_call_ends_the_process(loki, run, dead):
    """Wherever it comes; what the call before it wrote arrives."""
    code = CONFIGURE + (
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "log.info('first')\n"
        "while True: log.info('more')\n"
    )
    url = f"http://127.0.0.1:{free_port()}" if dead else None
    done = run(code, url=url, timeout_s=40)
    assert -signal.SIGTERM == done.returncode
    if not dead:
        assert "first" == loki.messages[0]
        assert "lines are lost" not in done.stderr


def test_ctrl_c_within_a_log_call_ends_the_process_at_once(loki, run):
    """The queue's numbers are right, so that nobody waits for lines that are not there."""
    code = CONFIGURE + (
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "try:\n    while True: log.info('more')\n"
        "except KeyboardInterrupt: log.info('last')\n"
    )
    done = run(code)
    assert (0, "") == (done.returncode, done.stderr)
    assert "last" == loki.messages[-1]


def test_a_signal_handler_may_log_at_any_moment(loki, run):
    """Each of its lines arrives, beside those of the program."""
    done = run(
        CONFIGURE
        + """
count = [0, 0]
def on_alarm(*_):
    count[0] += 1
    log.warning(f"alarm {count[0]}")
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while count[0] < 300:
    count[1] += 1
    log.info(f"main {count[1]}")
signal.setitimer(signal.ITIMER_REAL, 0)
loglane.get_logger("x").info("%d %d", *count)
"""
    )
    assert (0, "") == (done.returncode, done.stderr)
    alarms, mains = map(int, loki.messages[-1].split())
    expected = {
        *(f"alarm {n + 1}" for n in range(alarms)),
        *(f"main {n + 1}" for n in range(mains)),
    }
    assert expected == set(loki.messages[:-1])
    assert alarms + mains + 1 == len(loki.messages)


@needs_fork
@pytest.mark.parametrize("wal", [False, True], ids=["memory", "folder"])
def test_forks_send_their_own_lines_and_no_others(loki, run, wal):
    """With a full queue, and while the parent's thread is in the middle of a push."""
    keys = "loki={'wal': {'dir': 'wal'}}" if wal else ""
    loki.replies.append(Reply(500))
    done = run(
        f"configure({keys})\nlog = loglane.get_logger('x')\n"
        + """
for number in range(200):
    log.info(f"parent {number}")
for child in range(10):
    pid = os.fork()
    if not pid:
        for number in range(20):
            log.info(f"child {child} {number}")
        sys.exit(0)
    log.info(f"parent {200 + child}")
    os.waitpid(pid, 0)
"""
    )
    assert 0 == done.returncode
    expected = [f"child {child} {number}" for child in range(10) for number in range(20)]
    expected += [f"parent {number}" for number in range(210)]
    assert sorted(expected) == sorted(loki.messages)


@needs_fork
def test_a_child_that_execs_leaves_the_parents_lines_alone(loki, run):
    """`subprocess` and friends; the other program knows nothing of it."""
    done = run(
        CONFIGURE
        + """
log.info("before")
pid = os.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, "-c", "print(1)"])
os.waitpid(pid, 0)
log.info("after")
"""
    )
    assert (0, ["before", "after"]) == (done.returncode, loki.messages)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_their_lines(loki, run, method):
    """However they are started, and they end without exit hooks."""
    if method not in __import__("multiprocessing").get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    done = run(
        f"""
def work(number):
    loglane.get_logger("x").info(f"child {{number}}")
if __name__ == "__main__":
    configure()
    loglane.get_logger("x").info("parent")
    context = multiprocessing.get_context("{method}")
    children = [context.Process(target=work, args=(number,)) for number in range(2)]
    for child in children: child.start()
    for child in children: child.join()
"""
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert ["child 0", "child 1", "parent"] == sorted(loki.messages)


def test_configuring_anew_under_load_loses_nothing(loki, run):
    """Threads log while the app configures again and again; no thread is left over."""
    done = run(
        CONFIGURE
        + """
stop, counts = threading.Event(), {}
def work(name):
    number = 0
    while not stop.is_set():
        log.info(f"{name} {number}")
        number += 1
    counts[name] = number
workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
for worker in workers: worker.start()
for _ in range(6):
    time.sleep(0.05)
    configure(loki={"batch": {"max_wait_s": 0.01}})
stop.set()
for worker in workers: worker.join()
log.info("end", counts=counts)
loglane.reset()
deadline = time.monotonic() + 10
while any(t.name.startswith("loglane") for t in threading.enumerate()):
    assert time.monotonic() < deadline
    time.sleep(0.01)
"""
    )
    assert (0, "") == (done.returncode, done.stderr)
    (counts,) = [record["counts"] for record in loki.stored if record["message"] == "end"]
    expected = {f"{name} {number}" for name, count in counts.items() for number in range(count)}
    found = [message for message in loki.messages if message != "end"]
    assert (expected, len(expected)) == (set(found), len(found))


def test_an_event_loop_is_never_blocked(loki, run):
    """While Loki says nothing, a thousand lines cost the loop less than one push would."""
    import threading

    hold = threading.Event()
    loki.always = Reply(hold=hold)
    done = run(
        "configure(loki={'timeouts': {'read_s': 20, 'drain_s': 0.1}})\n"
        """
log = loglane.get_logger("x")
async def main():
    longest = 0.0
    for number in range(1000):
        before = time.perf_counter()
        log.info("a", number=number)
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - before)
    print(longest, file=sys.stderr)
    assert longest < 5
asyncio.run(main())
"""
    )
    hold.set()
    assert 0 == done.returncode, done.stderr
