"""Is this store's layout the one this version expects? If not, bring it there, once, whoever opens first.

Alembic runs the numbered steps in `migrations/versions`. All steps run in *one* transaction that holds the write lock
from its start (BEGIN IMMEDIATE; the lock of writers on PostgreSQL), so of two processes that open at once one migrates
and the other finds it done; a kill midway leaves the old layout whole. A store that is up to date is recognised by one
SELECT, without loading Alembic (0.1 s).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from bodega import failpoints
from bodega.adapters.sql.database import Database
from bodega.errors import StoreError

HEAD = "0012"
"""Newest revision in `migrations/versions`; a test compares it with the folder."""

FOLDER = Path(__file__).parent / "migrations"


MOVING = "moving "
"""What stands before the revision of a store that is being filled by `bodega migrate`."""


def migrate(database: Database) -> None:
    """Bring the store to `HEAD`. Does nothing when it is there; refuses a store of a newer Bodega, or half a store."""
    found = revision(database)
    if found == HEAD:
        return
    if found is not None and found.startswith(MOVING):
        raise StoreError(
            "a shop is being moved into this store and has not wholly arrived",
            where=database.name,
            next="run the same `bodega migrate` again: it goes on where it stopped",
        )
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with database.writing(within=None) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
            if failpoints.ON:
                failpoints.reach("store.migrate")
        except CommandError as error:
            raise StoreError(
                "this store was written by a newer version of Bodega",
                where=database.url.render_as_string(hide_password=True),
                allowed=f"layouts up to {HEAD}",
                got=str(error),
                next="upgrade bodega, or open another store",
            ) from error


def revision(database: Database) -> str | None:
    """The layout of the store; None for an empty one."""
    with database.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found
