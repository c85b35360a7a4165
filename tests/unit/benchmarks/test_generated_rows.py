from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.generated_rows import DAYS, OTHERS, RARE_MODEL, generate
from bytespike.ledger.rollups import DAY_US, Wanted, summed, total, wrong_rollups
from bytespike.ledger.usage_queries import UsageFilter, list_usage
from bytespike.store.engine import create_engine, migrate, reading

ROWS = 5_000
UNTIL_US = 20_500 * DAY_US + DAY_US // 2 + 1


def test_generated_receipts_are_as_the_gateway_would_have_written_them(tmp_path: Path) -> None:
    async def main() -> None:
        engine = create_engine(f"sqlite:///{tmp_path / 'b.db'}")
        await migrate(engine)
        await engine.dispose()
        generate(tmp_path / "b.db", ROWS, "u1", ["k1", "k2"], UNTIL_US)
        whole = await list_usage(engine, UsageFilter())
        own = await list_usage(engine, UsageFilter(user_id="u1"), limit=200)
        assert whole.total == ROWS
        assert ROWS * 4 // 10 < own.total < ROWS * 6 // 10
        assert {row.key_id for row in own.items} == {"k1", "k2"}
        assert (await list_usage(engine, UsageFilter(model=RARE_MODEL))).total == ROWS // 50
        assert {row.user_id for row in whole.items} > {"u1"}
        assert len({row.user_id for row in whole.items}) <= OTHERS + 1
        # The newest is of the last moment, give or take what division leaves.
        assert UNTIL_US - ROWS <= whole.items[0].at <= UNTIL_US
        since = UNTIL_US // DAY_US * DAY_US - (DAYS - 1) * DAY_US
        days = await summed(engine, Wanted("u1", since, since + DAYS * DAY_US), ("day",))
        assert len(days) == DAYS
        assert total(days).requests > own.total * 9 // 10
        async with reading(engine) as connection:
            assert (await connection.execute(wrong_rollups(5))).all() == []
        await engine.dispose()

    asyncio.run(main())
