"""An audit trail in a SQL database, beside the log lines.

from loglane.audit import AuditEvent, AuditLog

audit = AuditLog("postgresql://app@db/shop")
await audit.create_log(AuditEvent(action="refund", resource="order:17"), session=session)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loglane.audit.decorator import audit_log
    from loglane.audit.event import AuditEvent
    from loglane.audit.lifespan import audit_lifespan
    from loglane.audit.reading import AuditPage
    from loglane.audit.service import AuditLog
    from loglane.audit.sink import AuditSink, Outcome
    from loglane.audit.stats import audit_stats
    from loglane.audit.sync import SyncAuditLog
    from loglane.audit.worker import AuditWorker

__all__ = [
    "AuditEvent",
    "AuditLog",
    "AuditPage",
    "AuditSink",
    "AuditWorker",
    "Outcome",
    "SyncAuditLog",
    "audit_lifespan",
    "audit_log",
    "audit_stats",
]

# Decorating functions needs no SQLAlchemy, and reading no worker.
_MODULES = {
    "AuditEvent": "event",
    "AuditLog": "service",
    "AuditPage": "reading",
    "AuditSink": "sink",
    "AuditWorker": "worker",
    "Outcome": "sink",
    "SyncAuditLog": "sync",
    "audit_lifespan": "lifespan",
    "audit_log": "decorator",
    "audit_stats": "stats",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found = getattr(import_module(f"loglane.audit.{_MODULES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'loglane.audit' has no attribute {name!r}")
