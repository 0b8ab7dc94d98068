"""Imports follow the flows of the design and never turn back."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

# What each part may import of the package; a part may always import itself and what is left of it.
ALLOWED = {
    "errors": set(),
    "fields": {"errors"},
    "resources": {"errors"},
    "container": {"errors", "fields"},
    "settings": {"errors", "fields", "container"},
    "context": {"errors", "fields"},
    "trace": {"context"},
    "credentials": set(),
    "spans": {"credentials"},
    "masking": {"credentials", "spans"},
    "models": set(),
    "scalars": {"models"},
    "bounds": {"scalars"},
    "values": {"credentials", "masking", "models", "scalars", "bounds"},
    "rendering": set(),
    "carry": {"context", "trace", "masking"},
    "flow": {"fields"},
    "sampling": {"fields"},
    "sinks": {"errors", "fields", "settings", "rendering"},
    "entry": {"fields", "masking"},
    "exceptions": set(),
    "record": {"context", "trace", "flow", "entry", "exceptions"},
    "processing": {"record"},
    "losses": set(),
    "outputs": {
        "errors", "fields", "settings", "entry", "rendering", "sinks", "losses", "marks",
    },
    "engine": {
        "fields", "settings", "context", "trace", "masking", "values", "flow", "sampling", "entry",
        "record", "processing", "outputs", "errors", "losses", "marks",
    },
    "fastpath": {"fields", "context", "trace", "entry", "engine", "generation", "marks"},
    "logger": {"fields", "context", "entry", "engine", "fastpath", "generation", "marks"},
    "records": {"entry", "logger"},
    "hooks": {"entry", "logger", "scalars"},
    "bridge": {"hooks", "records"},
    "children": set(),
    "lifecycle": {"logger"},
    "pipeline": {
        "settings", "container", "carry", "children", "entry", "processing", "engine", "logger",
        "bridge", "lifecycle",
    },
    "glog": {"context", "trace", "logger", "pipeline"},
    "testing": {
        "settings", "context", "entry", "processing", "engine", "logger", "pipeline",
        "testing_loki",
    },
    "testing_loki": {"errors", "devserver"},
    "integrations": {
        "errors", "fields", "settings", "context", "trace", "carry", "entry", "logger", "bridge",
        "records", "pipeline", "query", "audit",
    },
    "query": {"errors", "fields", "settings", "context"},
    "event_id": set(),
    "marks": {"event_id"},
    # The engine as a type only.
    "generation": {"context", "entry", "marks", "engine"},
    "audit": {
        "errors", "fields", "settings", "context", "trace", "carry", "masking", "values",
        "event_id", "marks", "scalars", "sinks", "entry", "logger", "pipeline",
    },
    "devserver": {"errors", "fields"},
    "stack": {"errors", "fields", "resources", "query"},
    "demo": {"errors", "fields", "resources", "query", "devserver", "audit"},
    "cli": {
        "errors", "fields", "settings", "sinks", "query", "audit", "stack", "devserver", "demo",
    },
    "__main__": {"cli"},
    "": {"carry", "container", "context", "glog", "logger", "pipeline", "trace"},
}  # fmt: skip


def part_of(module: str) -> str:
    """Return the part that a module of the package belongs to."""
    return module.split(".")[1] if "." in module else ""


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "loglane":
                names = [f"loglane.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{file}: relative import; write it in full")
        found |= {part_of(name) for name in names if name.split(".")[0] == "loglane"}
    return found


def test_imports_follow_the_flow(root):
    """No module imports a part that comes after its own."""
    package = root / "python" / "loglane"
    backward = []
    for file in package.rglob("*.py"):
        relative = file.relative_to(package).with_suffix("")
        part = "" if str(relative) == "__init__" else relative.parts[0]
        backward += [
            f"{relative} imports {other or 'loglane'}"
            for other in imported(file) - ALLOWED[part] - {part}
        ]
    assert [] == backward


EXTRAS = (
    "httpx",
    "requests",
    "aiohttp",
    "celery",
    "flask",
    "django",
    "pydantic",
    "yaml",
    "httpx2",
    "typer",
    "rich",
    "jinja2",
    "docker",
    "starlette",
    "uvicorn",
    "lark",
    "fastapi",
    "cramjam",
    "sqlalchemy",
    "alembic",
    "aiosqlite",
    "aiomysql",
    "pymysql",
    "psycopg",
    "redis",
)


CORE = (
    "", ".settings", ".integrations.asgi", ".integrations.wsgi", ".integrations.httpx",
    ".integrations.requests", ".integrations.aiohttp", ".integrations.celery",
)  # fmt: skip


@pytest.mark.parametrize("module", [f"loglane{name}" for name in CORE])
def test_import_brings_no_extra(module):
    """The core works with the core dependencies alone; structlog itself may bring rich."""
    code = (
        "import sys, structlog\nbefore = set(sys.modules)\n"
        f"import {module}\nprint(sorted((set(sys.modules) - before) & set({EXTRAS!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
