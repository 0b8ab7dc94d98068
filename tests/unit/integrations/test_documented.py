"""The snippets of docs/integrations.md work as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from loglane.devserver import running
from loglane.query import LokiClient
from tests.unit.integrations.log_apps import messages, push, served
from tests.unit.integrations.wsgi_apps import make_django

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "integrations.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def name_of(snippet: str) -> str:
    """Return the first framework that a snippet imports."""
    found = re.search(r"^(?:from|import) (?!loglane)(\w+)", snippet, re.MULTILINE)
    return found[1] if found else "none"


@pytest.mark.parametrize("snippet", SNIPPETS, ids=name_of)
def test_a_snippet_of_the_document_runs(lines, monkeypatch, tmp_path, snippet):
    """Each snippet can be copied into a file and started."""
    if name_of(snippet) == "django":
        make_django()
    monkeypatch.setenv("LOGGING_MODE", "container")
    file = tmp_path / "snippet.py"
    file.write_text(snippet)
    runpy.run_path(str(file))


def test_the_documented_log_pages_show_a_team_its_own_lines(monkeypatch, tmp_path):
    """Whoever copies the app has what its text promises."""
    [snippet] = [text for text in SNIPPETS if "logs_router(" in text]
    file = tmp_path / "snippet.py"
    file.write_text(snippet)
    with running() as url, LokiClient(url) as loki:
        push(loki, {"message": "ours", "service": "pay"}, {"message": "secret", "service": "bank"})
        monkeypatch.setenv("LOKI_URL", url)
        with served(runpy.run_path(str(file))["app"]) as client:
            team = {"Authorization": "Bearer token of the shop's team"}
            assert ["ours"] == messages(client.get("/logs", headers=team))
            assert [] == messages(client.get("/logs?service=bank", headers=team))
            other = {"Authorization": "Bearer x"}
            statuses = [client.get("/logs", headers=given).status_code for given in ({}, other)]
            assert [401, 403] == statuses


@pytest.mark.parametrize(
    "name",
    ["asgi", "fastapi", "wsgi", "httpx", "requests", "aiohttp", "taskiq", "celery", "prometheus"],
)
def test_every_integration_is_in_a_snippet(name):
    """What an app imports is shown."""
    forms = (f"from loglane.integrations.{name} import", f"from loglane.integrations import {name}")
    assert any(form in snippet for snippet in SNIPPETS for form in forms)
