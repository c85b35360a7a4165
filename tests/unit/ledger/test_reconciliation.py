from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from bytespike.errors import InvalidRequest
from bytespike.ledger import reconciliation
from bytespike.ledger.reconciliation import Charge, ChargeFilter, charges
from bytespike.ledger.rollups import DAY_US
from bytespike.store import tables
from tests.support.ledger_house import House, house

#: 2026-10-30
START = 20_756 * DAY_US
OUTCOMES = ("completed", "client_gone", "failed")


def with_attempts(folder: Path, body: Callable[[House], Awaitable[None]]) -> None:
    """Twelve attempts, one every eight hours over the end of October: of two providers, channels and outcomes in turn;
    the request of the last one had an attempt before, that failed and cost nothing."""

    async def main() -> None:
        async with house(folder) as built:
            rows = [
                {
                    "request_id": f"r{number:02d}",
                    "ordinal": 0,
                    "at": START + number * DAY_US // 3,
                    "channel_id": f"ch_{number % 2}",
                    "upstream_provider": ("anthropic", "openai")[number % 2],
                    "upstream_model": ("claude", "gpt")[number % 2],
                    "status": 200,
                    "outcome": OUTCOMES[number % 3],
                    "error": "",
                    "input_tokens": 100,
                    "output_tokens": number,
                    "cost": 10 * number,
                    "latency_ms": 1,
                    "first_token_ms": 1,
                }
                for number in range(12)
            ]
            again = {
                **rows[-1],
                "ordinal": 1,
                "outcome": "failed",
                "status": 500,
                "input_tokens": 0,
                "cost": 0,
            }
            async with built.engine.begin() as connection:
                await connection.execute(insert(tables.attempts), [*rows, {**again, "output_tokens": 0}])
            await body(built)

    asyncio.run(main())


WHOLE = ChargeFilter(START, START + 30 * DAY_US)


def test_every_attempt_is_added_up_by_provider_and_model(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        assert await charges(built.engine, WHOLE) == [
            Charge("anthropic", "claude", None, None, 6, 2, 2, 2, 600, 30, 300),
            Charge("openai", "gpt", None, None, 7, 2, 2, 3, 600, 36, 360),
        ]

    with_attempts(tmp_path, body)


def test_time_is_divided_into_days_or_months(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        months = await charges(built.engine, WHOLE, by="month")
        assert [(each.provider, each.period, each.attempts, each.cost) for each in months] == [
            ("anthropic", "2026-10", 3, 0 + 20 + 40),
            ("anthropic", "2026-11", 3, 60 + 80 + 100),
            ("openai", "2026-10", 3, 10 + 30 + 50),
            ("openai", "2026-11", 4, 70 + 90 + 110),
        ]
        days = await charges(built.engine, WHOLE, by="day")
        assert [(each.period, each.attempts) for each in days if each.provider == "openai"] == [
            ("2026-10-30", 1),
            ("2026-10-31", 2),
            ("2026-11-01", 1),
            ("2026-11-02", 3),
        ]
        for found in (months, days):
            assert sum(each.cost for each in found) == 660

    with_attempts(tmp_path, body)


def test_only_what_is_asked_for_is_added_up(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        async def count(wanted: ChargeFilter) -> int:
            return sum(each.attempts for each in await charges(built.engine, wanted))

        assert await count(ChargeFilter(START, START + DAY_US)) == 3
        assert await count(ChargeFilter(START + 1, START + DAY_US + 1)) == 3
        assert await count(ChargeFilter(START, START + 30 * DAY_US, provider="openai")) == 7
        assert await count(ChargeFilter(START, START + 30 * DAY_US, channel_id="ch_0")) == 6
        assert await count(ChargeFilter(START, START + 30 * DAY_US, "openai", "ch_0")) == 0
        by_channel = await charges(built.engine, WHOLE, by_channel=True)
        assert [(each.channel_id, each.attempts) for each in by_channel] == [("ch_0", 6), ("ch_1", 7)]

    with_attempts(tmp_path, body)


def test_a_wrong_time_and_too_many_lines_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(built: House) -> None:
        with pytest.raises(InvalidRequest, match="after the beginning"):
            await charges(built.engine, ChargeFilter(START, START))
        with pytest.raises(InvalidRequest, match="366 days"):
            await charges(built.engine, ChargeFilter(START, START + 367 * DAY_US))
        monkeypatch.setattr(reconciliation, "LINES_MAX", 1)
        with pytest.raises(InvalidRequest, match="lines"):
            await charges(built.engine, WHOLE)

    with_attempts(tmp_path, body)
