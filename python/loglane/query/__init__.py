"""Ask Loki from Python: `LogService`, or `AsyncLogService` with asyncio."""

from loglane.query.async_service import AsyncLogService
from loglane.query.client import Entry, LokiClient, Sample, Stream
from loglane.query.entry import LogEntry
from loglane.query.logql import Query
from loglane.query.planner import Page, Volume
from loglane.query.retry import Retry
from loglane.query.series import Series
from loglane.query.service import LogService

__all__ = [
    "AsyncLogService",
    "Entry",
    "LogEntry",
    "LogService",
    "LokiClient",
    "Page",
    "Query",
    "Retry",
    "Sample",
    "Series",
    "Stream",
    "Volume",
]
