"""A SQLite file that is moved while it is open, or replaced: the database is gone until it is there, and nothing is made up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.store import engine as store_engine
from bytespike.store.tables import meta
from bytespike.store.writer import Writer, writer

# A space and a "?" must not be taken for a part of the URI.
NAME = "a b?c%20.db"


def lived(folder: Path, live: Callable[[AsyncEngine, Writer, Path], Awaitable[None]]) -> None:
    async def main() -> None:
        path = folder / NAME
        engine = store_engine.create_engine(
            f"sqlite:///{str(path).replace('?', '%3F').replace('%20', '%2520')}"
        )
        await store_engine.migrate(engine)
        assert path.is_file()
        one = writer(engine)
        try:
            await live(engine, one, path)
        finally:
            await one.close()
            await engine.dispose()

    asyncio.run(main())


async def names(engine: AsyncEngine) -> list[str]:
    async with store_engine.reading(engine) as connection:
        return sorted((await connection.execute(select(meta.c.name))).scalars())


async def add(one: Writer, name: str) -> None:
    async def body(connection: AsyncConnection) -> None:
        await connection.execute(insert(meta), {"name": name, "value": "x"})

    await one.begin()
    await one.run(body, lambda: None)


async def fails(attempt: Awaitable[object]) -> None:
    with pytest.raises(OperationalError):
        await attempt


def copied(path: Path, elsewhere: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(elsewhere)) as target:
        source.backup(target)


def test_while_the_file_is_away_nothing_is_read_or_written_and_none_is_made(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer, path: Path) -> None:
        await add(one, "before")
        path.rename(tmp_path / "elsewhere.db")
        await fails(names(engine))
        await fails(add(one, "never"))
        await one.close()
        await fails(add(one, "never"))
        await one.close()
        # More at once than connections are kept.
        await asyncio.gather(*(fails(names(engine)) for _ in range(store_engine.POOL_SIZE * 2)))
        assert not path.exists()
        (tmp_path / "elsewhere.db").rename(path)
        assert await names(engine) == ["before"]
        await add(one, "after")
        assert await names(engine) == ["after", "before"]

    lived(tmp_path, live)


def test_a_copy_in_its_place_is_the_database_from_then_on_for_every_connection(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer, path: Path) -> None:
        await add(one, "before")
        copied(path, tmp_path / "copy.db")
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            each.unlink()
        (tmp_path / "copy.db").rename(path)
        assert await names(engine) == ["before"]
        await fails(add(one, "into the one that is gone"))
        await one.close()
        await add(one, "after")
        assert await names(engine) == ["after", "before"]
        with closing(sqlite3.connect(path)) as outside:
            assert outside.execute("SELECT count(*) FROM meta").fetchone() == (2,)

    lived(tmp_path, live)


def test_who_waited_for_the_lock_of_a_copier_does_not_write_into_what_was_copied(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer, path: Path) -> None:
        await add(one, "before")
        copier = sqlite3.connect(path, isolation_level=None)
        copier.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(add(one, "late"))
        # Time for it to come to the lock; where it has not, it sees the copy before, and fails just so.
        await asyncio.sleep(0.3)
        copied(path, tmp_path / "copy.db")
        (tmp_path / "copy.db").rename(path)
        copier.execute("ROLLBACK")
        copier.close()
        await fails(writing)
        await one.close()
        await add(one, "late")

    lived(tmp_path, live)


def test_a_file_that_is_not_there_yet_is_made_by_the_first_connection(tmp_path: Path) -> None:
    async def main() -> None:
        engine = store_engine.create_engine(f"sqlite:///{tmp_path / 'new.db'}")
        await store_engine.migrate(engine)
        assert await names(engine) == []
        await engine.dispose()

    asyncio.run(main())
    assert (tmp_path / "new.db").is_file()
