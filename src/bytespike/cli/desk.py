"""What a command works with: the settings, the open database, the master key, the catalog."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.accounts.control import Control, Write
from bytespike.accounts.master_key import open_box
from bytespike.accounts.models import catalog_of
from bytespike.catalog.resolve import Catalog, load_catalog
from bytespike.clock import SystemClock
from bytespike.errors import GatewayError
from bytespike.settings import Settings, load
from bytespike.store.engine import create_engine, migrate

#: Who the audit log says it was.
ACTOR = "cli"


class NotInitialised(GatewayError):
    """There is no database where the settings point."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Open for the time of one command. `shipped`: the package's catalog, without what is the operator's."""

    settings: Settings
    control: Control
    shipped: Catalog

    @property
    def engine(self) -> AsyncEngine:
        return self.control.engine

    async def catalog(self, connection: AsyncConnection) -> Catalog:
        """The catalog with the operator's models and aliases."""
        return await catalog_of(connection, self.shipped)

    async def slug(self, connection: AsyncConnection, name: str) -> str:
        """The catalog's slug for any name of a model. Raises `ModelNotFound`."""
        return (await self.catalog(connection)).resolve(name).model.slug

    @asynccontextmanager
    async def writing(self, actor: str | None = None) -> AsyncGenerator[Write]:
        """`actor`: who the audit log says it was, if not the command line."""
        async with self.control.writing(actor or ACTOR) as write:
            yield write

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        async with self.control.reading() as connection:
            yield connection


@asynccontextmanager
async def open_desk(given: Mapping[str, object], *, first_run: bool = False) -> AsyncGenerator[Desk]:
    """Settings, database and master key. The schema is brought up to date.

    `first_run`: make what is missing; otherwise a missing SQLite file is `NotInitialised`, so that a mistyped path does
    not make an empty database. Raises SettingsError, WrongDatabaseURL, MasterKeyError.
    """
    settings = load(given)
    if first_run:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    else:
        _check_there(settings)
    engine = create_engine(settings.database_url)
    try:
        await migrate(engine)
        box = await open_box(engine, settings)
        yield Desk(settings, Control(engine, box, SystemClock()), load_catalog())
    finally:
        await engine.dispose()


def _check_there(settings: Settings) -> None:
    url = make_url(settings.database_url)
    if url.drivername.startswith("sqlite") and url.database and not Path(url.database).is_file():
        raise NotInitialised(
            f"there is no database at {url.database}; run `bytespike init`, or point --data-dir at the right folder"
        )
