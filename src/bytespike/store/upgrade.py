"""The schema brought from any version to the newest, by Alembic. `engine.migrate` loads this where it is needed: a process
that finds the newest schema, as all but the first do, is spared Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"


def migration_config(connection: Connection) -> Config:
    """Alembic's configuration for our migrations, working on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Run every migration that has not run, in the transaction of the connection."""
    command.upgrade(migration_config(connection), "head")
