"""Alembic's entry: runs the migrations on the connection that `store.migration` hands over."""

from alembic import context

from tork_celery.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
