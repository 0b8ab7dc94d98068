"""What the package offers is what its docs list, and types as an app uses it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import loglane

APP = """
import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from concurrent.futures import Future
from typing import Any

import loglane
from loglane import GLOG, Logger
from loglane.integrations.asgi import RequestLogMiddleware
from loglane.settings import Settings
from loglane.testing import LogCapture, assert_logged


def add_region(_logger: Any, _level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    event["region"] = "eu"
    return event


settings: Settings = loglane.configure(
    service="orders", env="prod", level={"console": "info"}, processors=[add_region]
)
log: Logger = loglane.get_logger(__name__)
child: Logger = log.bind(a=1).new(b=2).try_unbind("b")
child.info("%s", "m", c=[1, {"d": None}])
child.log(20, "m")
level: str = settings.level.console


@loglane.bound(job="x")
def work(number: int) -> str:
    return str(number)


@loglane.with_trace_id("t")
async def work_async(number: int) -> str:
    return str(number)


@loglane.bound(job="y")
def generate() -> Iterator[int]:
    yield 1


@loglane.bound(job="z")
async def generate_async() -> AsyncIterator[int]:
    yield 1


text: str = work(1) + asyncio.run(work_async(2))
numbers: list[int] = list(generate())
with loglane.ContextThreadPoolExecutor(2) as pool:
    future: Future[str] = pool.submit(work, 3)
    text = future.result()
tied: str = loglane.carry(work)(4)
with loglane.use_carrier(loglane.context_carrier()), loglane.bound(a=1):
    context: Mapping[str, Any] = loglane.get_context()
token = loglane.set_trace_id("t")
found: str | None = loglane.get_trace_id()
loglane.clear_trace_id(token)
GLOG.INFO("m", a=1)
GLOG.clear_trace_id(GLOG.set_trace_id("t"))
count: int = GLOG.get_error_stats()["total_error_count"]
loglane.set_level("debug", "file")


def test(log_capture: LogCapture) -> None:
    entry: dict[str, Any] = assert_logged(log_capture, "m", times=1, a=1)
"""

WRONG = """
import loglane


@loglane.bound(job="x")
def work(number: int) -> str:
    return str(number)


work("text")
loglane.set_level("debug", "cellar")
loglane.get_logger("x").inof("m")
"""


def mypy(folder, code: str) -> tuple[int, str]:
    file = folder / "app.py"
    file.write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder)], cwd=folder, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_an_app_type_checks_strictly(tmp_path):
    """Mypy --strict has nothing to say about an ordinary user of the public names."""
    assert (0, "") == mypy(tmp_path, APP)


def test_wrong_use_does_not_type_check(tmp_path):
    """Types of decorated functions, targets and methods are known."""
    _, output = mypy(tmp_path, WRONG)
    assert ["arg-type", "arg-type", "attr-defined"] == re.findall(r"\[([a-z-]+)\]", output)


def test_documented_names_are_the_public_ones(root):
    """docs/logging.md lists exactly what the package exports."""
    text = (root / "docs" / "logging.md").read_text()
    listed = re.findall(r"`([A-Za-z_]+)`", text.partition("## All names")[2])
    assert sorted(loglane.__all__) == sorted(listed)
    assert [] == [name for name in loglane.__all__ if not hasattr(loglane, name)]


def snippets(root) -> list[str]:
    text = (root / "docs" / "logging.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("number", range(8))
def test_snippets_of_the_docs_run(root, tmp_path, number):
    """Each of them is a program that works, or a test that passes."""
    code = snippets(root)[number]
    file = tmp_path / "test_snippet.py"
    file.write_text(code)
    is_test = "def test_" in code
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if is_test else []
    done = subprocess.run(
        [sys.executable, *command, str(file)], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done.stdout


def test_every_snippet_is_run(root):
    """The test above knows how many there are."""
    assert 8 == len(snippets(root))
