"""The development server: Loki's HTTP API over SQLite, for development and tests only.

It is to Loki what fakeredis is to Redis. A request that it does not know is refused with a text
that says so, never answered wrongly; `tests/contract` compares its answers with those of Loki.

    with loglane.devserver.running() as url:
        ...  # push to and query url as any Loki
"""

from __future__ import annotations

from loglane.devserver.api import create_app
from loglane.devserver.server import running, serve

__all__ = ["create_app", "running", "serve"]
