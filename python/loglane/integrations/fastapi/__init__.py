"""Log pages in a FastAPI app: entries by filters, one trace, and a live tail.

app.include_router(logs_router(AsyncLogService(url), authorize=require_admin))
"""

from __future__ import annotations

from loglane.integrations.fastapi.access import allow_all
from loglane.integrations.fastapi.models import LogLine, LogPage, Problem
from loglane.integrations.fastapi.router import logs_router
from loglane.integrations.fastapi.tail import TailRules

__all__ = ["LogLine", "LogPage", "Problem", "TailRules", "allow_all", "logs_router"]
