"""Whether this process can serve, and if not, why: /readyz.

Asked by whoever spreads requests over several gateways, so it says no only where another one would do better, or nobody
could do anything: what is out of reach for all of them, but does no harm yet, is told beside a yes. No secret is in what it
says: never an address of a database, a message of a driver, or a channel's own name.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.directory import Directory
from bytespike.ledger.ledger import Ledger
from bytespike.store.engine import reading

#: A database that takes longer for one small row does not answer.
DATABASE_SECONDS: Final = 2.0
_VERSION: Final = text("SELECT version_num FROM alembic_version")


class Report(Struct, frozen=True):
    """By part, what is wrong and what to do. `problems`: requests should not come here. `degraded`: they may."""

    problems: dict[str, str]
    degraded: dict[str, str]


class Readiness:
    """`draining` is set when the process has been told to stop. Made when everything else has started."""

    def __init__(self, engine: AsyncEngine, ledger: Ledger, directory: Directory) -> None:
        self._engine = engine
        self._ledger = ledger
        self._directory = directory
        self._version: str | None = None
        self.draining = False

    async def start(self) -> None:
        """Take the schema's version as ours: it has just been migrated. Raises SQLAlchemyError, OSError, TimeoutError."""
        self._version = await self._schema()

    async def look(self) -> Report:
        """Never raises, and answers within `DATABASE_SECONDS`."""
        problems: dict[str, str] = {}
        degraded: dict[str, str] = {}
        if self.draining:
            problems["draining"] = "the gateway has been told to stop"
        if not self._ledger.available:
            problems["spool"] = "usage cannot be recorded: the disk of the data directory is full or broken"
        channels = self._directory.routes.channels
        if not channels:
            # New: whoever sets it up must be able to reach it.
            degraded["channels"] = "there is no channel yet, so no model can be reached"
        elif not any(channel.enabled for channel in channels.values()):
            problems["channels"] = "no channel is enabled, so no model can be reached"
        await self._look_at_database(problems, degraded)
        return Report(problems, degraded)

    async def _look_at_database(self, problems: dict[str, str], degraded: dict[str, str]) -> None:
        try:
            version = await self._schema()
        except (SQLAlchemyError, OSError, TimeoutError):
            if self._ledger.independent:
                degraded["database"] = (
                    "the database does not answer; requests with keys that are known are served from what is in memory"
                )
            else:
                problems["database"] = (
                    "the database has not answered for so long that limits can no longer be kept without it"
                )
            return
        if version is None or (self._version is not None and version < self._version):
            problems["database"] = (
                f"the database's schema is at version {version or 'none'}, and this gateway needs {self._version}"
            )

    async def _schema(self) -> str | None:
        """The version of the database's schema; they are numbered, so that later ones are greater."""
        async with asyncio.timeout(DATABASE_SECONDS), reading(self._engine) as connection:
            found: str | None = (await connection.execute(_VERSION)).scalar()
            return found
