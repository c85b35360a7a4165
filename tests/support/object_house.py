"""An object store of a test's own: a database and a folder that are there for one block."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.media.objects.backends import Backend, Folder
from bytespike.media.objects.store import ObjectStore, Stored
from bytespike.store.engine import create_engine, migrate
from tests.support.ledger_house import HandClock

RETENTION_S = 24 * 3600


class ObjectHouse:
    def __init__(self, folder: Path, engine: AsyncEngine, backend: Backend) -> None:
        self.folder = folder
        self.engine = engine
        self.backend = backend
        self.clock = HandClock()
        self.store = ObjectStore(engine, self.clock, backend, RETENTION_S)

    def files(self) -> list[str]:
        """What is in the folder, unfinished writes among it."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    async def read(self, stored: Stored, start: int = 0, end: int | None = None) -> bytes:
        return b"".join([piece async for piece in self.store.read(stored, start, end)])


@asynccontextmanager
async def object_house(backend: Backend | None = None) -> AsyncIterator[ObjectHouse]:
    with tempfile.TemporaryDirectory(prefix="bytespike-objects-") as folder:
        root = Path(folder)
        engine = create_engine(f"sqlite:///{root / 'objects.db'}")
        await migrate(engine)
        objects = root / "objects"
        try:
            yield ObjectHouse(objects, engine, backend or Folder(objects))
        finally:
            await engine.dispose()


async def pieces_of(data: bytes, step: int = 65536) -> AsyncIterator[bytes]:
    """As an upstream's answer comes."""
    for at in range(0, len(data), step):
        yield data[at : at + step]
