"""What alembic runs for each command, with the connection that ``upgrade`` was given."""

from alembic import context

from nbflow.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
