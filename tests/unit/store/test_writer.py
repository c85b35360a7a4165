"""One connection that writes one transaction after the other, each handed over whole."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.store import engine as store_engine
from bytespike.store.tables import meta
from bytespike.store.writer import Writer, writer


def _lived(folder: Path, live: Callable[[AsyncEngine, Writer], Awaitable[None]]) -> None:
    async def main() -> None:
        engine = store_engine.create_engine(f"sqlite:///{folder}/w.db")
        await store_engine.migrate(engine)
        one = writer(engine)
        try:
            await live(engine, one)
        finally:
            await one.close()
            await engine.dispose()

    asyncio.run(main())


async def _names(engine: AsyncEngine) -> list[str]:
    async with store_engine.reading(engine) as connection:
        return sorted((await connection.execute(select(meta.c.name))).scalars())


def _add(name: str) -> Callable[[AsyncConnection], Awaitable[str]]:
    async def body(connection: AsyncConnection) -> str:
        await connection.execute(insert(meta), {"name": name, "value": "x"})
        return name

    return body


def _nothing() -> None:
    pass


def test_a_body_is_committed_and_what_it_gives_is_given(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        for name in ("a", "b"):
            await one.begin()
            assert await one.run(_add(name), _nothing) == name
        assert await _names(engine) == ["a", "b"]

    _lived(tmp_path, live)


def test_a_body_that_raises_is_rolled_back_whole_and_the_next_one_works(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        committing: list[int] = []

        async def body(connection: AsyncConnection) -> None:
            await _add("a")(connection)
            await _add("a")(connection)

        await one.begin()
        with pytest.raises(IntegrityError):
            await one.run(body, lambda: committing.append(1))
        assert committing == []
        await one.begin()
        await one.run(_add("b"), _nothing)
        assert await _names(engine) == ["b"]

    _lived(tmp_path, live)


def test_nobody_else_writes_once_it_has_begun(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        await one.begin()

        async def other() -> None:
            async with engine.begin() as connection:
                await _add("other")(connection)

        waiting = asyncio.create_task(other())
        seen = await one.run(lambda connection: _count(connection), _nothing)
        await waiting
        assert seen == 0
        assert await _names(engine) == ["other"]

    async def _count(connection: AsyncConnection) -> int:
        return len(list((await connection.execute(select(meta.c.name))).scalars()))

    _lived(tmp_path, live)


def test_cancelled_in_the_middle_it_ends_when_the_transaction_has(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        entered, go_on = threading.Event(), threading.Event()

        async def body(connection: AsyncConnection) -> None:
            await _add("a")(connection)
            entered.set()
            assert go_on.wait(60)

        await one.begin()
        running = asyncio.create_task(one.run(body, _nothing))
        assert await asyncio.to_thread(entered.wait, 60)
        running.cancel()
        await asyncio.sleep(0)
        assert not running.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await _names(engine) == ["a"]

    _lived(tmp_path, live)


def test_a_body_may_wait_for_its_connection_alone(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        async def body(connection: AsyncConnection) -> None:
            await _add("a")(connection)
            await asyncio.sleep(0)

        await one.begin()
        with pytest.raises(RuntimeError, match="something else"):
            await one.run(body, _nothing)
        assert await _names(engine) == []

    _lived(tmp_path, live)


def test_closed_it_opens_again_when_it_is_needed(tmp_path: Path) -> None:
    async def live(engine: AsyncEngine, one: Writer) -> None:
        await one.close()
        await one.begin()
        await one.run(_add("a"), _nothing)
        await one.close()
        await one.begin()
        await one.close()  # a transaction that was begun and not run is rolled back
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM meta"))
        await one.begin()
        await one.run(_add("b"), _nothing)
        assert await _names(engine) == ["b"]

    _lived(tmp_path, live)
