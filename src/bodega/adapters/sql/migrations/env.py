"""What Alembic runs: the migrations, on the connection that `migrate.py` hands over, inside its transaction."""

from alembic import context

from bodega.adapters.sql.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite does roll back DDL once nobody guesses where transactions begin: see database.py.
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
