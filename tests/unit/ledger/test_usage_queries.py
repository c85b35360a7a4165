from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest
from bytespike.ledger import usage_queries
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.usage_queries import (
    UsageFilter,
    attempts_of,
    every_usage,
    is_known,
    list_usage,
    totals,
)
from bytespike.pricing.price import Price
from tests.support.ledger_house import USD, House, attempt_for, house, key_record, receipt_for, running

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def with_receipts(folder: Path, body: Callable[[House], Awaitable[None]]) -> None:
    """Twelve receipts, one every three hours from the start of a day, of two keys and three models in turn."""

    async def main() -> None:
        async with house(folder) as built:
            built.clock.us = 20_000 * DAY_US
            await built.fund(1 * USD)
            for number in (1, 2):
                await built.add_key(key_record(f"key_{number}"))
            async with running(built) as ledger:
                for number in range(12):
                    account = await ledger.open(key_record(f"key_{1 + number % 2}"))
                    hold = ledger.hold(account, f"r{number:02d}", 100)
                    at = built.clock.now_us()
                    receipt = receipt_for(
                        hold,
                        at,
                        number,
                        model=f"m{number % 3}",
                        usage=Usage(number, 1, 2, 3, 4, 5, 6),
                        notices=("a", "b"),
                        org_id="o1" if number == 5 else None,
                    )
                    ledger.post(
                        hold, receipt, (attempt_for(hold, at, 1), attempt_for(hold, at, 0, status=500))
                    )
                    built.clock.forward(3 * 3600)
            await body(built)

    asyncio.run(main())


def test_receipts_are_listed_newest_first_and_whole(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        page = await list_usage(built.engine, UsageFilter())
        assert [row.request_id for row in page.items] == [f"r{number:02d}" for number in range(11, -1, -1)]
        assert (page.total, page.total_is_exact) == (12, True)
        row = page.items[0]
        assert (row.credits, row.held, row.input_tokens, row.web_searches) == (11, 100, 11, 6)
        assert row.price == Price(input=1_000_000, output=2_000_000)
        assert row.notices == ("a", "b")
        assert (row.stream, row.estimated) == (False, False)

    with_receipts(tmp_path, body)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"key_id": "key_2"}, [11, 9, 7, 5, 3, 1]),
        ({"model": "m1"}, [10, 7, 4, 1]),
        ({"model": "m1", "key_id": "key_1"}, [10, 4]),
        ({"request_id": "r03"}, [3]),
        ({"request_id": "r03", "key_id": "key_1"}, []),
        ({"user_id": "u2"}, []),
        ({"org_id": "o1"}, [5]),
        ({"since": 20_000 * DAY_US + 27 * HOUR_US}, [11, 10, 9]),
        ({"until": 20_000 * DAY_US + 6 * HOUR_US}, [1, 0]),
        ({"since": 20_000 * DAY_US + 6 * HOUR_US, "until": 20_000 * DAY_US + 9 * HOUR_US}, [2]),
    ],
)
def test_all_that_is_asked_for_must_hold(
    tmp_path: Path, wanted: dict[str, object], numbers: list[int]
) -> None:
    async def body(built: House) -> None:
        page = await list_usage(built.engine, UsageFilter(**wanted))
        assert [row.request_id for row in page.items] == [f"r{number:02d}" for number in numbers]
        assert page.total == len(numbers)

    with_receipts(tmp_path, body)


def test_pages_add_up_to_the_list(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        pages = [
            await list_usage(built.engine, UsageFilter(), limit=5, offset=offset) for offset in (0, 5, 10, 15)
        ]
        assert [len(page.items) for page in pages] == [5, 5, 2, 0]
        assert {page.total for page in pages} == {12}
        assert [row for page in pages for row in page.items] == list(
            (await list_usage(built.engine, UsageFilter())).items
        )

    with_receipts(tmp_path, body)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"model": "m1"},
        {"key_id": "key_2"},
        {"key_id": "key_2", "model": "m2"},
        {"model": "m0", "since": 20_000 * DAY_US + 9 * HOUR_US, "until": 20_000 * DAY_US + 30 * HOUR_US},
        {"model": "m0", "since": 20_000 * DAY_US + 9 * HOUR_US + 1},
        {"model": "m7"},
        {"key_id": "key_of_nobody"},
    ],
)
def test_pages_that_rollups_lead_to_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, object]
) -> None:
    async def body(built: House) -> None:
        whole = await list_usage(built.engine, UsageFilter(**wanted))
        for located_from in (0, 3, 1000):
            monkeypatch.setattr(usage_queries, "LOCATED_FROM", located_from)
            for limit in (1, 2, 5, 50):
                for offset in range(0, 14):
                    page = await list_usage(
                        built.engine, UsageFilter(user_id="u1", **wanted), limit=limit, offset=offset
                    )
                    assert page.items == whole.items[offset : offset + limit]
                    assert (page.total, page.total_is_exact) == (whole.total, True)
            rows = [
                row
                async for piece in every_usage(built.engine, UsageFilter(user_id="u1", **wanted))
                for row in piece
            ]
            assert tuple(rows) == whole.items
        nobody = await list_usage(built.engine, UsageFilter(user_id="u2", **wanted))
        assert (nobody.items, nobody.total) == ((), 0)

    with_receipts(tmp_path, body)


def test_pages_and_counts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(built: House) -> None:
        monkeypatch.setattr(usage_queries, "COUNT_MAX", 7)
        monkeypatch.setattr(usage_queries, "PAGE_MAX", 3)
        page = await list_usage(built.engine, UsageFilter(), limit=1000)
        assert (len(page.items), page.total, page.total_is_exact) == (3, 7, False)

    with_receipts(tmp_path, body)


def test_the_attempts_of_a_request_come_in_order(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        assert [(row.ordinal, row.status) for row in await attempts_of(built.engine, "r03")] == [
            (0, 500),
            (1, 200),
        ]
        assert await attempts_of(built.engine, "other") == []

    with_receipts(tmp_path, body)


def test_totals_of_everything_are_one_row(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        (row,) = await totals(built.engine, UsageFilter())
        assert (row.requests, row.credits, row.input_tokens) == (12, sum(range(12)), sum(range(12)))
        assert (row.cache_read_tokens, row.cache_write_tokens, row.output_tokens) == (12, 60, 48)
        assert (row.reasoning_tokens, row.web_searches) == (60, 72)
        assert (row.bucket, row.model, row.api_key, row.user, row.provider) == (None,) * 5
        (nothing,) = await totals(built.engine, UsageFilter(user_id="u2"))
        assert (nothing.requests, nothing.credits) == (0, 0)

    with_receipts(tmp_path, body)


def test_totals_by_day_hour_model_and_key(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        by_day = await totals(built.engine, UsageFilter(), ["day"])
        start = 20_000 * DAY_US
        assert [(row.bucket, row.requests, row.credits) for row in by_day] == [
            (start, 8, sum(range(8))),
            (start + DAY_US, 4, 8 + 9 + 10 + 11),
        ]
        by_hour = await totals(built.engine, UsageFilter(key_id="key_1"), ["hour"])
        assert [row.bucket for row in by_hour] == [start + number * 6 * HOUR_US for number in range(6)]
        both = await totals(built.engine, UsageFilter(), ["model", "api_key"])
        assert [(row.model, row.api_key, row.credits) for row in both] == [
            ("m0", "key_1", 6),
            ("m0", "key_2", 12),
            ("m1", "key_1", 14),
            ("m1", "key_2", 8),
            ("m2", "key_1", 10),
            ("m2", "key_2", 16),
        ]
        everything = await totals(
            built.engine, UsageFilter(), ["day", "model", "api_key", "user", "provider"]
        )
        assert sum(row.credits for row in everything) == sum(range(12))
        assert {(row.user, row.provider) for row in everything} == {("u1", "simulator")}

    with_receipts(tmp_path, body)


def test_hours_and_days_are_not_mixed_and_groups_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(built: House) -> None:
        with pytest.raises(InvalidRequest):
            await totals(built.engine, UsageFilter(), ["day", "hour"])
        monkeypatch.setattr(usage_queries, "GROUPS_MAX", 2)
        assert len(await totals(built.engine, UsageFilter(), ["api_key"])) == 2
        with pytest.raises(InvalidRequest, match="shorter"):
            await totals(built.engine, UsageFilter(), ["model"])

    with_receipts(tmp_path, body)


def test_sums_are_integers(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        for row in await totals(built.engine, UsageFilter(), ["day", "model"]):
            assert all(
                type(getattr(row, name)) is int for name in ("requests", "credits", "input_tokens", "bucket")
            )

    with_receipts(tmp_path, body)


def test_a_request_is_known_by_its_receipt_or_by_what_is_set_aside_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record("key_1"))
            async with running(built) as ledger:
                account = await ledger.open(key_record("key_1"))
                built.spend(ledger, account, "req_billed", 100)
                await ledger.flush()
                escrows = Escrows(built.engine, ledger, built.clock)

                async def nothing(_: object) -> None: ...

                hold = ledger.hold(account, "req_task", 300, "sora2")
                await escrows.place(hold, Escrow("task_1", built.clock.now_us()), nothing)
                known = [await is_known(built.engine, id) for id in ("req_billed", "req_task", "req_gone")]
                assert known == [True, True, False]
                await escrows.void("task_1", (), nothing)

    asyncio.run(main())
