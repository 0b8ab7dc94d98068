"""An environment with the handlers of PyPI, thrown away afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HANDLERS = ("python-logging-loki==0.3.1", "loki-logger-handler==1.1.2")


@contextlib.contextmanager
def handlers_python() -> Iterator[Path | None]:
    """Return a Python that has the handlers; None when they cannot be installed."""
    with tempfile.TemporaryDirectory(prefix="loglane-handlers-") as name:
        python = Path(name) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*command, *HANDLERS], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"the handlers cannot be installed: {done.stderr.strip()}", file=sys.stderr)
        yield None if done.returncode else python
