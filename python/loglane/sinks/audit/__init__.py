"""The way in for audit records: a bounded queue, and a file behind it."""

from loglane.sinks.audit.consumer import Consumer
from loglane.sinks.audit.intake import AuditIntake
from loglane.sinks.audit.outbox import DeadLetter, Outbox
from loglane.sinks.audit.process import intake_of, present_intake

__all__ = ["AuditIntake", "Consumer", "DeadLetter", "Outbox", "intake_of", "present_intake"]
