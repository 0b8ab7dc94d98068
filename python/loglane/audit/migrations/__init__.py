"""Migrations of the tables of the audit trail, by Alembic; `loglane.audit.schema` runs them."""
