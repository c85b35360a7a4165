"""What lists say of keys' windows is what admission compares with, whether or not a gateway has met the cap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.window_spend import window_spend
from bytespike.ledger.windows import WINDOWS
from bytespike.store.engine import reading
from tests.support.ledger_house import USD, House, house, key_record, running

NAMES = tuple(spec.name for spec in WINDOWS)
CAPPED = {"limit_5h": 5 * USD, "limit_1d": 5 * USD, "limit_7d": 5 * USD}


def with_house(folder: Path, body: Callable[[House, Ledger], Awaitable[None]]) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD)
            for name in ("key_1", "key_2"):
                await built.add_key(key_record(name))
            async with running(built) as ledger:
                await body(built, ledger)

    asyncio.run(main())


async def told(built: House, *keys: str, names: tuple[str, ...] = NAMES) -> dict[tuple[str, str], int]:
    async with reading(built.engine) as connection:
        return dict(await window_spend(connection, [(key, names) for key in keys], built.clock.now_us()))


@pytest.mark.parametrize("caps", [CAPPED, {}], ids=["met", "not met yet"])
def test_spend_leaves_each_window_when_its_time_is_over(tmp_path: Path, caps: dict[str, int]) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(key_record("key_1", **caps))
        other = await ledger.open(key_record("key_2", **caps))
        built.spend(ledger, account, "old", 1_000)
        built.spend(ledger, other, "another's", 77)
        built.clock.forward(6 * 3600)
        built.spend(ledger, account, "new", 20)
        await ledger.flush()
        assert await told(built, "key_1") == {
            ("key_1", "5h"): 20,
            ("key_1", "1d"): 1_020,
            ("key_1", "7d"): 1_020,
        }
        assert (await told(built, "key_1", "key_2", names=("5h", "7d")))["key_2", "7d"] == 77
        built.clock.forward(25 * 3600)
        assert await told(built, "key_1") == {("key_1", "5h"): 0, ("key_1", "1d"): 0, ("key_1", "7d"): 1_020}
        if caps:
            now = built.clock.now_us()
            assert {name: window.total(now) for name, window in account.windows.items()} == {
                "5h": 0,
                "1d": 0,
                "7d": 1_020,
            }

    with_house(tmp_path, body)


@pytest.mark.parametrize("caps", [CAPPED, {}], ids=["met", "not met yet"])
def test_what_is_set_aside_for_a_task_counts_as_spent(tmp_path: Path, caps: dict[str, int]) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(key_record("key_1", **caps))
        escrows = Escrows(built.engine, ledger, built.clock)
        hold = ledger.hold(account, "req_task", 300, "sora2")

        async def nothing(_: object) -> None: ...

        await escrows.place(hold, Escrow("task_1", built.clock.now_us()), nothing)
        assert (await told(built, "key_1"))["key_1", "5h"] == 300
        await escrows.void("task_1", (), nothing)
        assert (await told(built, "key_1"))["key_1", "5h"] == 0

    with_house(tmp_path, body)


def test_nobody_asked_for_is_nobody_told_of(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        del ledger
        assert await told(built) == {}
        assert await told(built, "key_1", names=()) == {}

    with_house(tmp_path, body)
