"""Make the table of records and the table of seals.

What is there already is left alone: MySQL commits each table by itself, so that an attempt that
broke off has to go on where it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MYSQL = {
    "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_bin", "mariadb_engine": "InnoDB",
}  # fmt: skip
_INDEXES = {
    "ix_audit_records_occurred_at": ["occurred_at", "id"],
    "ix_audit_records_actor": ["actor", "occurred_at"],
    "ix_audit_records_user_id": ["user_id", "occurred_at"],
    "ix_audit_records_action": ["action", "occurred_at"],
    "ix_audit_records_resource": ["resource", "occurred_at"],
    "ix_audit_records_status": ["status", "occurred_at"],
    "ix_audit_records_trace_id": ["trace_id"],
}


def upgrade() -> None:
    """Make both tables."""
    moment = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    op.create_table(
        "audit_records",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("event_id", sa.String(36), nullable=False, unique=True),
        sa.Column("occurred_at", moment, nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("actor", sa.String(255)),
        sa.Column("user_id", sa.String(255)),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("resource", sa.String(512)),
        sa.Column("status", sa.String(7), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("trace_id", sa.String(128)),
        sa.Column("service", sa.String(128)),
        sa.Column("env", sa.String(64)),
        sa.Column("duration_ms", sa.Double),
        sa.Column("extra", sa.JSON, nullable=False),
        if_not_exists=True,
        **_MYSQL,
    )
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("audit_records")}
    for name, columns in _INDEXES.items():
        if name not in there:
            op.create_index(name, "audit_records", columns)
    op.create_table(
        "audit_seals",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String(36), nullable=False, unique=True),
        sa.Column("hash", sa.String(64), nullable=False),
        if_not_exists=True,
        **_MYSQL,
    )


def downgrade() -> None:
    """Refuse: an audit trail is not thrown away by a command.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("an audit trail is not dropped by a migration; drop its tables by hand")
