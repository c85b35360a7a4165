import asyncio
from pathlib import Path

from bytespike.store import changes
from bytespike.store.engine import create_engine, migrate, reading


def test_changes_come_in_order_and_old_ones_go_but_never_the_newest(tmp_path: Path) -> None:
    async def run() -> None:
        engine = create_engine(f"sqlite:///{tmp_path}/a.db")
        await migrate(engine)
        async with engine.begin() as connection:
            assert await changes.newest(connection) == 0
            for number in range(3):
                await changes.announce(connection, "key", f"k{number}", now_us=number)
        async with reading(engine) as connection:
            assert [each.ref for each in await changes.since(connection, 1)] == ["k1", "k2"]
        async with engine.begin() as connection:
            await changes.announce(connection, "user", "u", now_us=changes.KEPT_US * 2)
        async with reading(engine) as connection:
            # The newest of the old ones stayed until another came, so that its number was not given out again.
            assert [(each.id, each.ref) for each in await changes.since(connection, 0)] == [
                (3, "k2"),
                (4, "u"),
            ]
            assert await changes.newest(connection) == 4
        await engine.dispose()

    asyncio.run(run())
