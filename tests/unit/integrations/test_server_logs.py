"""What servers say about themselves goes through the pipeline too."""

from __future__ import annotations

import json

import pytest

from loglane.integrations.uvicorn import LOG_CONFIG, LOG_CONFIG_FILE
from tests.unit.integrations.test_servers import GUNICORN, UVICORN, running

STARTS = {
    "command": UVICORN,
    # The app has configured logging when uvicorn puts its own in place.
    "configured-first": ["tests.unit.integrations.served_late", "{}", "default"],
    "log-config": ["tests.unit.integrations.served_late", "{}", "LOG_CONFIG"],
}


@pytest.mark.parametrize("start", list(STARTS))
def test_uvicorn_says_everything_as_json(root, start):
    """However it was started: its own lines are JSON on stdout, none is there twice."""
    with running(STARTS[start], root) as server:
        server.ask("/plain")
        server.stop()
        said = server.err.read_text()
        messages = [line["message"] for line in server.lines() if line["logger"] == "uvicorn.error"]
        assert 1 == len([text for text in messages if text.startswith("Application startup")])
        assert "Finished server process" in messages[-1]
        assert 1 == len([line for line in server.lines() if line.get("path") == "/plain"
                         and line["message"] == "request"])  # fmt: skip
    assert "" == said


@pytest.mark.parametrize("extra", [["--workers", "2"], ["--reload"]], ids=["workers", "reload"])
def test_a_parent_of_uvicorns_workers_says_everything_as_json(root, extra, monkeypatch):
    """It never imports the app; the file for the command line gives it a handler."""
    monkeypatch.setenv("LOGGING_MODE", "container")
    # Nothing here changes while it runs, so the reloader has nothing to do.
    watch = ["--reload-dir", "docs/images"] if extra == ["--reload"] else []
    command = [*UVICORN, *extra, *watch, "--log-config", str(LOG_CONFIG_FILE)]
    with running(command, root) as server:
        server.ask("/plain")
        server.stop()
        lines, said = server.lines(), server.err.read_text()
    assert "" == said
    messages = [line["message"] for line in lines if line["logger"] == "uvicorn.error"]
    assert 1 == len([text for text in messages if text.startswith("Uvicorn running on")])
    assert 1 == len([line for line in lines if line.get("path") == "/plain"
                     and line["message"] == "request"])  # fmt: skip


def test_the_config_file_says_what_the_dict_says():
    """The command line takes a file, `uvicorn.run` a dict."""
    assert LOG_CONFIG == json.loads(LOG_CONFIG_FILE.read_text())


@pytest.mark.parametrize("access", [False, True], ids=["middleware", "access-log"])
def test_gunicorn_says_everything_as_json(root, access, monkeypatch):
    """Arbiter and workers; its access line, when asked for, has the fields of ours."""
    monkeypatch.setenv("LOGGING_MODE", "container")
    command = [*GUNICORN, "--logger-class", "loglane.integrations.gunicorn.Logger"]
    with running([*command, "--access-logfile", "-"] if access else command, root) as server:
        server.ask("/items/7")
        server.stop()
        lines, said = server.lines(), server.err.read_text()
    assert "" == said
    messages = [line["message"] for line in lines if line["logger"] == "gunicorn.error"]
    assert 1 == len([text for text in messages if text.startswith("Starting gunicorn")])
    assert 2 == len([text for text in messages if text.startswith("Booting worker")])
    found = [line for line in lines if line["logger"] == "gunicorn.access"]
    assert [("/items/7", 200, "GET")] * access == [
        (line["path"], line["status"], line["method"]) for line in found
    ]
