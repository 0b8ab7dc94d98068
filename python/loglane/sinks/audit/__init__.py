"""The way in for audit records: a bounded queue, and a file behind it."""

from loglane.sinks.audit.consumer import Consumer
from loglane.sinks.audit.intake import AuditIntake
from loglane.sinks.audit.neglect import Neglect
from loglane.sinks.audit.outbox import DeadLetter, Outbox, event_id_of
from loglane.sinks.audit.process import intake_of, present_intake
from loglane.sinks.audit.waiting import Record, Row

__all__ = [
    "AuditIntake",
    "Consumer",
    "DeadLetter",
    "Neglect",
    "Outbox",
    "Record",
    "Row",
    "event_id_of",
    "intake_of",
    "present_intake",
]
