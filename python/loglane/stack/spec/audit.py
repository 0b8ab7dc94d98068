"""The audit trail's database: which one the dashboard *Audit and logs* reads."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from loglane.stack.kinds import HostPort, Identifier
from loglane.stack.spec.model import Found, Model, value_unless

# The compose service of the bundled database, and what it listens on in its container.
BUNDLED = "mariadb"
BUNDLED_PORT = 3306
# Its user that apps write with; its password is the secret `audit_writer_password`.
WRITER = "audit_writer"


class AuditDatabase(Model):
    """The database with the table `audit_records`, as Grafana reads it."""

    # A MariaDB for development, in a container of the stack.
    bundled: bool = False
    type: Literal["mariadb", "mysql", "postgresql"] = "mariadb"
    # host:port as the Grafana container reaches it; the bundled one's is known.
    address: HostPort | None = None
    database: Identifier = "audit"
    # A user that may only read; its password is the secret `audit_reader_password`.
    user: Identifier = "audit_reader"

    @model_validator(mode="after")
    def _keys_agree(self) -> AuditDatabase:
        found: Found = []
        if self.bundled and self.type != "mariadb":
            found.append((("type",), f"{self.type!r}: the bundled database is a MariaDB"))
        if self.bundled and self.address is not None:
            found.append((("address",), "the bundled database has its own; leave it out"))
        if self.bundled and self.user == WRITER:
            found.append((("user",), f"{WRITER!r} is who writes; Grafana needs one that may not"))
        if not self.bundled and self.address is None:
            found.append((("address",), "is missing; write host:port, or `bundled: true`"))
        return value_unless(found, self)

    @property
    def reached_at(self) -> str:
        """The address that Grafana reaches it at."""
        return self.address or f"{BUNDLED}:{BUNDLED_PORT}"


class Audit(Model):
    """The audit trail beside the log lines."""

    database: AuditDatabase | None = None

    @property
    def bundled(self) -> AuditDatabase | None:
        """The database, when it runs in this stack."""
        return self.database if self.database is not None and self.database.bundled else None
