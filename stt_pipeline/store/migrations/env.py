"""Entry point of Alembic: runs the migrations on the connection that ``upgrade`` passes."""

from alembic import context

from stt_pipeline.store.migrations import VERSION_TABLE
from stt_pipeline.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
