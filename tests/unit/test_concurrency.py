"""Each line carries its own context, and none carries another's."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import loglane

LINES = 20


def write_lines(owner: str) -> None:
    """Write lines that say whose they are, in the context and in the message."""
    log = loglane.get_logger("worker")
    loglane.bind_context(owner=owner)
    for number in range(LINES):
        log.info("mine", said_by=owner, number=number)


async def write_lines_async(owner: str) -> None:
    log = loglane.get_logger("task")
    with loglane.bound(owner=owner):
        for number in range(LINES):
            log.info("mine", said_by=owner, number=number)
            await asyncio.sleep(0)
            if number == LINES // 2:
                await asyncio.to_thread(log.info, "mine", said_by=owner, number=LINES)


def check(found: list[dict[str, object]], owners: list[str], each: int = LINES) -> None:
    wrong = [line for line in found if line["owner"] != line["said_by"]]
    assert [] == wrong
    expected = {(owner, number) for owner in owners for number in range(each)}
    assert len(expected) == len(found)
    assert expected == {(line["said_by"], line["number"]) for line in found}


@pytest.fixture(autouse=True)
def _configured(lines):
    loglane.configure(service="s")


def test_threads(lines):
    """50 threads at once."""
    owners = [f"t{number}" for number in range(50)]
    threads = [threading.Thread(target=write_lines, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(lines(), owners)


def test_pool_threads_are_reused_and_stay_clean(lines):
    """200 tasks on 8 threads, none of which unbinds what it bound."""
    owners = [f"p{number}" for number in range(200)]
    with loglane.ContextThreadPoolExecutor(8) as pool:
        list(pool.map(write_lines, owners))
        left = pool.submit(loglane.get_context).result()
    check(lines(), owners)
    assert {} == left


def test_a_thousand_tasks(lines):
    """Asyncio with 1,000 tasks, each also using to_thread."""
    owners = [f"a{number}" for number in range(1000)]

    async def main():
        await asyncio.gather(*(write_lines_async(owner) for owner in owners))

    asyncio.run(main())
    check(lines(), owners, LINES + 1)


def test_threads_with_loops_of_their_own(lines):
    """8 threads, each with an event loop of 25 tasks, and a pool beside them."""
    loops = [[f"l{loop}-{number}" for number in range(25)] for loop in range(8)]
    pooled = [f"x{number}" for number in range(50)]

    def run(owners):
        async def main():
            await asyncio.gather(*(write_lines_async(owner) for owner in owners))

        asyncio.run(main())

    threads = [threading.Thread(target=run, args=(owners,)) for owners in loops]
    for thread in threads:
        thread.start()
    with loglane.ContextThreadPoolExecutor(4) as pool:
        list(pool.map(write_lines, pooled))
    for thread in threads:
        thread.join()
    found = lines()
    check([line for line in found if line["logger"] == "worker"], pooled)
    check(
        [line for line in found if line["logger"] == "task"],
        [owner for owners in loops for owner in owners],
        LINES + 1,
    )


def test_levels_and_settings_may_change_meanwhile(lines):
    """Lines of four threads are whole while another thread configures again and again."""
    done = threading.Event()

    def change():
        while not done.is_set():
            loglane.set_level("debug")
            loglane.configure(service="s")

    changer = threading.Thread(target=change)
    changer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write_lines, [f"c{number}" for number in range(20)]))
    finally:
        done.set()
        changer.join()
    assert 20 * LINES == len(lines())


FORKS = """
import os, sys, threading, warnings
import loglane

# Python 3.12 warns that a fork with threads may deadlock: that is what is tested.
warnings.simplefilter("ignore", DeprecationWarning)
loglane.configure(mode="container")
stop = threading.Event()

def busy():
    log = loglane.get_logger("busy")
    while not stop.is_set():
        log.info("parent")
        log.error("parent", nested=[1])

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for number in range(20):
    pid = os.fork()
    if not pid:
        loglane.bind_context(owner=f"f{{number}}")
        for line in range({lines}):
            loglane.get_logger("worker").info("mine", said_by=f"f{{number}}", number=line)
        os._exit(0)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
stop.set()
for thread in threads:
    thread.join()
sys.exit(any(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_children_write_their_own_lines():
    """20 children forked while threads of the parent write: all lines, none twice, no deadlock."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS.format(lines=LINES)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    check([line for line in found if line["logger"] == "worker"], [f"f{n}" for n in range(20)])


PROGRAM = """
import multiprocessing, sys
import loglane

def work(owner):
    loglane.bind_context(owner=owner)
    log = loglane.get_logger("worker")
    for number in range({lines}):
        log.info("mine", said_by=owner, number=number)

if __name__ == "__main__":
    loglane.configure(mode="container", service="parent", static={{"version": "7"}})
    loglane.bind_context(owner="parent")
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(f"m{{n}}",)) for n in range(3)]
    for child in children:
        child.start()
    work("parent")
    for child in children:
        child.join()
    sys.exit(sum(child.exitcode for child in children))
"""


NESTED = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import loglane

def say(number):
    loglane.get_logger("worker").info("mine", number=number, iban="DE1")
    for _ in range(3):
        loglane.get_logger("worker").error("failed")

def spawn_again():
    child = multiprocessing.get_context("spawn").Process(target=say, args=(1,))
    child.start()
    child.join()

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.Process(target=int).start()
    loglane.configure(mode="container", service="parent", mask_fields={{"iban"}},
                      local={{"file_path": Path("x")}}, processors=[lambda *a: a[2]],
                      flow_control={{"first": 1, "every": 1000}})
    child = context.Process(target=spawn_again)
    child.start()
    child.join()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(say, 2).result()
    child = multiprocessing.get_context("fork").Process(target=say, args=(3,))
    child.start()
    child.join()
"""


def test_children_of_children_and_pools_have_the_settings_too(tmp_path):
    """What is no JSON, a fork server from before, a spawn in a spawn; and their summaries."""
    program = tmp_path / "program.py"
    program.write_text(NESTED.replace("{{", "{").replace("}}", "}"))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    lines = [line for line in found if line["message"] == "mine"]
    assert [1, 2, 3] == [line["number"] for line in lines]
    assert {("parent", "***")} == {(line["service"], line["iban"]) for line in lines}
    assert [2, 2, 2] == [line["suppressed"] for line in found if "suppressed" in line]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_children_of_multiprocessing_have_the_parents_settings(tmp_path, method):
    """Fork, spawn and forkserver: the child did not configure, and its lines are the service's."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(lines=LINES))
    done = subprocess.run(
        [sys.executable, str(program), method],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert (0, "") == (done.returncode, done.stderr)
    check(found, ["m0", "m1", "m2", "parent"])
    assert {("parent", "7")} == {(line["service"], line["version"]) for line in found}
