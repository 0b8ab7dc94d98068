"""The snippets of docs/integrations.md work as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "name",
    ["asgi", "fastapi", "wsgi", "httpx", "requests", "aiohttp", "taskiq", "celery", "prometheus"],
)
def test_every_integration_is_in_a_snippet(name):
    """What an app imports is shown."""
    forms = (f"from loglane.integrations.{name} import", f"from loglane.integrations import {name}")
    assert any(form in snippet for snippet in SNIPPETS for form in forms)
