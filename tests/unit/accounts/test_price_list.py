from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import UNSET, structs

from bytespike.accounts import prices
from bytespike.accounts.price_list import Imported, import_prices, written
from bytespike.accounts.prices import Rates, put_price
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.catalog.resolve import load_catalog
from bytespike.errors import InvalidRequest
from bytespike.pricing.defaults import default_prices
from bytespike.pricing.price import Price
from bytespike.pricing.price_file import PriceFileError, read_prices, write_prices
from bytespike.store import prices as stored
from bytespike.store.prices import PriceRow
from tests.support.control_plane import Plane, plane

CATALOG = load_catalog()
DEFAULT = default_prices(CATALOG.models)
HOUR_US = 3_600_000_000
TIER = TokenTier(200_000, 6_000_000, 22_500_000, 600_000, 7_500_000, 12_000_000)


def with_plane(folder: Path, body: Callable[[Plane], Awaitable[None]]) -> None:
    async def run() -> None:
        async with plane(folder) as p:
            await body(p)

    asyncio.run(run())


async def rows(p: Plane) -> list[PriceRow]:
    async with p.control.reading() as connection:
        return await stored.listing(connection)


async def exported(p: Plane, *, history: bool = False, **names: str) -> str:
    found = written(await rows(p), names, p.clock.now_us(), history=history)
    return write_prices(found)


async def imported(p: Plane, text: str) -> Imported:
    async with p.control.writing("test") as write:
        return await import_prices(write, read_prices("p.toml", text), CATALOG)


async def set_price(
    p: Plane, model: str, ahead_us: int = 0, channel_id: str | None = None, **rates: object
) -> Price:
    async with p.control.writing("test") as write:
        return await prices.set_price(
            write, model, Rates(**rates), DEFAULT, channel_id=channel_id, effective_at=write.now_us + ahead_us
        )


def test_an_export_imported_again_changes_nothing(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        channel = (await p.channel(await p.group(), "main")).channel.id
        await set_price(p, "gpt-5-5", input=4_000_000)
        await set_price(p, "gpt-5-5", channel_id=channel, output=9_000_000, tiers=(TIER,))
        await set_price(p, "gpt-5-5", HOUR_US, channel_id=channel, output=8_000_000)
        await set_price(p, "gpt-image-2", images=(ImageRate(7, "high", 9, "image"),))
        await set_price(p, "sora2", 2 * HOUR_US, seconds=(VideoRate(5, "720p"),), submit_fee=0)
        text = await exported(p, **{channel: "main"})
        assert await imported(p, text) == Imported((), 5)
        assert await exported(p, **{channel: "main"}) == text
        assert await imported(p, await exported(p, history=True, **{channel: "main"})) == Imported((), 5)

    with_plane(tmp_path, body)


def test_an_export_makes_another_gateway_charge_the_same(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
        async with plane(tmp_path / "a") as a, plane(tmp_path / "b") as b:
            await set_price(a, "gpt-5-5", input=4_000_000, tiers=(TIER,))
            await set_price(a, "gpt-5-5", HOUR_US, input=3_000_000)
            assert len((await imported(b, await exported(a))).added) == 2
            for ahead_us in (0, 2 * HOUR_US):
                a.clock.ahead_us = b.clock.ahead_us = ahead_us
                found = []
                for each in (a, b):
                    async with each.control.reading() as connection:
                        price = await prices.current(connection, "gpt-5-5", DEFAULT, each.clock.now_us())
                    assert price is not None
                    found.append(structs.replace(price, id=""))
                assert found[0] == found[1]
                assert found[0].tiers == (TIER,)

    with_plane(tmp_path, body)


def test_only_prices_that_hold_or_will_are_exported_unless_history_is_asked_for(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        for rate in (1, 2, 3):
            await set_price(p, "gpt-5-5", input=rate)
        await set_price(p, "gpt-5-5", HOUR_US, input=4)
        assert [each.rates["input"] for each in read_prices("p", await exported(p))] == [3, 4]
        whole = read_prices("p", await exported(p, history=True))
        assert [each.rates["input"] for each in whole] == [1, 2, 3, 4]

    with_plane(tmp_path, body)


def test_what_a_file_does_not_name_stays_and_the_past_means_now(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        before = DEFAULT("gpt-5-5")
        assert before is not None
        text = """
            [[prices]]
            model = "gpt-5.5"
            from = 2020-01-01
            input = "99"
            [[prices]]
            model = "gpt-5.5"
            from = 2020-01-02
            output = "0.5"
            tiers = [{ above = 100, input = "9" }]
        """
        assert len((await imported(p, text)).added) == 1
        (row,) = await rows(p)
        assert (row.rates["output"], row.rates["input"]) == (500_000, before.input)
        assert row.effective_at == row.created_at
        assert row.rates["tiers"] == [
            {
                "above": 100,
                "input": 9_000_000,
                "output": 500_000,
                "cache_read": before.cache_read,
                "cache_write_5m": before.cache_write_5m,
                "cache_write_1h": before.cache_write_1h,
            }
        ]
        assert (await imported(p, '[[prices]]\nmodel = "gpt-5-5"\ntiers = []\n')).unchanged == 0
        assert "tiers" not in (await rows(p))[0].rates

    with_plane(tmp_path, body)


def test_a_channels_price_takes_from_the_file_what_it_does_not_name(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        await p.channel(await p.group(), "main")
        text = """
            [[prices]]
            model = "gpt-5-5"
            channel = "main"
            output = "2"
            [[prices]]
            model = "gpt-5-5"
            input = "1"
        """
        await imported(p, text)
        own = next(row for row in await rows(p) if row.channel_id is not None)
        assert (own.rates["input"], own.rates["output"]) == (1_000_000, 2_000_000)
        assert (await imported(p, text)) == Imported((), 2)

    with_plane(tmp_path, body)


def test_a_file_with_a_fault_sets_nothing_and_tells_every_fault(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        text = """
            [[prices]]
            model = "gpt-5-5"
            input = "1"
            [[prices]]
            model = "no-such-model"
            input = "1"
            [[prices]]
            model = "gpt-5-5"
            channel = "nowhere"
            input = "1"
            [[prices]]
            model = "gpt-4o"
            tiers = [{ above = 0 }]
            [[prices]]
            model = "gpt-4o-mini"
            from = 2090-01-01
            input = "1"
        """
        with pytest.raises(PriceFileError) as caught:
            await imported(p, text)
        told = caught.value.problems
        assert len(told) == 4
        for word in ("no-such-model", "nowhere", "tiers", "year to come"):
            assert sum(word in problem for problem in told) == 1, (word, told)
        assert await rows(p) == []

    with_plane(tmp_path, body)


WRONG: list[tuple[Price, str]] = [
    (Price(input=-1), "input"),
    (Price(submit_fee=10**16), "submit_fee"),
    (Price(tiers=(structs.replace(TIER, above=0),)), "tiers"),
    (Price(tiers=(TIER, TIER)), "tiers"),
    (Price(tiers=(structs.replace(TIER, above=300_000), TIER)), "tiers"),
    (Price(tiers=(structs.replace(TIER, cache_read=-1),)), "tiers.cache_read"),
    (Price(images=(ImageRate(-1),)), "images.price"),
    (Price(images=(ImageRate(1, "high", -1),)), "images"),
    (Price(images=(ImageRate(1, "x" * 300),)), "images"),
    (Price(images=(ImageRate(1),) * 65), "images"),
    (Price(seconds=(VideoRate(-1),)), "seconds.per_second"),
    (Price(seconds=(VideoRate(1, "x" * 300),)), "seconds"),
    (Price(seconds=(VideoRate(1),) * 65), "seconds"),
]


def test_a_price_that_cannot_be_billed_by_is_refused_by_the_rate(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        for price, param in WRONG:
            with pytest.raises(InvalidRequest) as caught:
                async with p.control.writing("test") as write:
                    await put_price(write, "gpt-5-5", price, write.now_us)
            assert caught.value.param == param
        assert await rows(p) == []

    with_plane(tmp_path, body)


def test_tables_are_kept_and_taken_away(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        first = await set_price(p, "sora2", submit_fee=1)
        assert first.seconds == (VideoRate(300_000),)
        second = await set_price(p, "sora2", seconds=())
        assert (second.submit_fee, second.seconds) == (1, UNSET)
        assert "seconds" not in (await rows(p))[0].rates

    with_plane(tmp_path, body)
