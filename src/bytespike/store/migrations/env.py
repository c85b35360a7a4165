"""What Alembic runs for each command: our migrations on the connection that the caller opened, in its transaction."""

from __future__ import annotations

from alembic import context

from bytespike.store.media_tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
