import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from bytespike.store.engine import WrongDatabaseURL, create_engine, migrate, parse_url, reading
from bytespike.store.tables import grants, meta


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/n", "postgresql+asyncpg"),
        ("postgresql://u:p@h/n", "postgresql+asyncpg"),
    ],
)
def test_urls_get_their_driver(given: str, driver: str) -> None:
    assert parse_url(given).drivername == driver


@pytest.mark.parametrize("given", ["mysql://u:hunter2@h/n", "nonsense hunter2", ""])
def test_other_urls_are_refused_without_repeating_their_password(given: str) -> None:
    with pytest.raises(WrongDatabaseURL) as caught:
        create_engine(given)
    assert "hunter2" not in str(caught.value)


def test_without_its_driver_postgresql_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(WrongDatabaseURL, match="asyncpg") as caught:
        create_engine("postgresql://u:hunter2@h/n")
    assert "hunter2" not in str(caught.value)


def test_a_connection_is_in_wal_mode_with_foreign_keys_and_a_timeout(tmp_path: Path) -> None:
    async def run() -> list[object]:
        engine = create_engine(f"sqlite:///{tmp_path}/a.db")
        async with reading(engine) as connection:
            found = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            ]
        await engine.dispose()
        return found

    assert asyncio.run(run()) == ["wal", 1, 10_000, 1]


def test_a_foreign_key_must_exist(tmp_path: Path) -> None:
    async def run() -> None:
        engine = create_engine(f"sqlite:///{tmp_path}/a.db")
        await migrate(engine)
        try:
            async with engine.begin() as connection:
                await connection.execute(insert(grants).values(user_id="nobody", group_id=9, created_at=0))
        finally:
            await engine.dispose()

    with pytest.raises(IntegrityError):
        asyncio.run(run())


def test_writers_that_read_first_all_succeed(tmp_path: Path) -> None:
    """With deferred transactions the second of two that read and then write would fail at once."""

    async def run() -> str:
        engine = create_engine(f"sqlite:///{tmp_path}/a.db")
        await migrate(engine)
        async with engine.begin() as connection:
            await connection.execute(insert(meta).values(name="count", value="0"))

        async def add_one() -> None:
            async with engine.begin() as connection:
                value = (await connection.execute(select(meta.c.value))).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(meta.update().values(value=str(int(value) + 1)))

        await asyncio.gather(*(add_one() for _ in range(20)))
        async with reading(engine) as connection:
            value = (await connection.execute(select(meta.c.value))).scalar_one()
        await engine.dispose()
        return value

    assert asyncio.run(run()) == "20"


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    async def run() -> int:
        engine = create_engine(f"sqlite:///{tmp_path}/a.db")
        await migrate(engine)
        async with engine.begin() as connection:
            await connection.execute(insert(meta).values(name="a", value="b"))
            async with asyncio.timeout(2):
                async with reading(engine) as other:
                    seen = len((await other.execute(select(meta))).all())
        await engine.dispose()
        return seen

    assert asyncio.run(run()) == 0
