"""How Alembic runs the migrations: over the connection that it is given."""

from __future__ import annotations

from alembic import context

from loglane.audit.schema import VERSION_TABLE
from loglane.audit.table import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
