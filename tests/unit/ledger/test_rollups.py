from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest
from bytespike.ledger import doctor, rollups
from bytespike.ledger.rollups import DAY_US, Grouping, Sums, Wanted, pieces, summed, total
from bytespike.ledger.usage_queries import UsageFilter, totals
from bytespike.ledger.windows import HOUR_US
from tests.support.ledger_house import USD, House, attempt_for, house, key_record, receipt_for, running

START = 20_000 * DAY_US


def with_receipts(folder: Path, body: Callable[[House], Awaitable[None]]) -> None:
    """Sixty receipts, one every 70 minutes from the start of a day, of two keys, three models, two protocols in turn;
    drained in batches of seven."""

    async def main() -> None:
        async with house(folder) as built:
            built.clock.us = START
            await built.fund(1 * USD)
            for number in (1, 2):
                await built.add_key(key_record(f"key_{number}"))
            async with running(built) as ledger:
                for number in range(60):
                    account = await ledger.open(key_record(f"key_{1 + number % 2}"))
                    hold = ledger.hold(account, f"r{number:02d}", 100)
                    at = built.clock.now_us()
                    receipt = receipt_for(
                        hold,
                        at,
                        number,
                        model=f"m{number % 3}",
                        protocol=("gemini", "openai_chat")[number % 4 // 2],
                        usage=Usage(number, 1, 2, 3, 4, 5, 6),
                    )
                    ledger.post(hold, receipt, (attempt_for(hold, at),))
                    if number % 7 == 0:
                        await ledger.flush()
                    built.clock.forward(70 * 60)
            await body(built)

    asyncio.run(main())


def everything(since: int = START, until: int = START + 4 * DAY_US, **fields: str) -> Wanted:
    return Wanted("u1", since, until, **fields)


@pytest.mark.parametrize(
    "group_by",
    [(), ("day",), ("hour",), ("model",), ("api_key",), ("day", "model"), ("hour", "api_key", "model")],
)
def test_rollups_are_what_the_rows_add_up_to(tmp_path: Path, group_by: tuple[Grouping, ...]) -> None:
    async def body(built: House) -> None:
        found = await summed(built.engine, everything(), group_by)
        rows = await totals(built.engine, UsageFilter(user_id="u1"), group_by)
        # The other one puts times last.
        rows.sort(key=lambda row: (row.bucket or 0, row.model or "", row.api_key or ""))
        assert [(each.start, each.model, each.api_key, each.sums.requests) for each in found] == [
            (row.bucket, row.model, row.api_key, row.requests) for row in rows
        ]
        for each, row in zip(found, rows, strict=True):
            sums = each.sums
            assert sums.credits == row.credits
            assert sums.input_tokens == row.input_tokens
            assert sums.cache_write_5m_tokens + sums.cache_write_1h_tokens == row.cache_write_tokens
            assert (sums.cache_read_tokens, sums.output_tokens) == (row.cache_read_tokens, row.output_tokens)
            assert (sums.reasoning_tokens, sums.web_searches) == (row.reasoning_tokens, row.web_searches)
        assert total(found) == Sums(60, sum(range(60)), 60, 120, 180, 240, 300, 360, sum(range(60)))

    with_receipts(tmp_path, body)


@pytest.mark.parametrize("begin", [0, 5, 24, 30])
@pytest.mark.parametrize("hours", [1, 19, 24, 43, 48, 61])
def test_a_time_may_begin_and_end_at_any_hour(tmp_path: Path, begin: int, hours: int) -> None:
    async def body(built: House) -> None:
        since = START + begin * HOUR_US
        until = since + hours * HOUR_US
        numbers = [number for number in range(60) if since <= START + number * 70 * 60_000_000 < until]
        for group_by in ((), ("day",), ("hour",)):
            found = await summed(built.engine, everything(since, until), group_by)
            assert total(found).requests == len(numbers)
            assert total(found).credits == sum(numbers)
            assert all(each.start is None or START <= each.start < until for each in found)

    with_receipts(tmp_path, body)


def test_only_what_is_asked_for_is_added_up(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        async def requests(**fields: str) -> int:
            return total(await summed(built.engine, everything(**fields))).requests

        assert await requests(model="m1") == 20
        assert await requests(key_id="key_2") == 30
        assert await requests(protocol="gemini") == 30
        assert await requests(model="m1", key_id="key_2", protocol="gemini") == 5
        assert await requests(model="m9") == 0
        assert await summed(built.engine, Wanted("u2", START, START + DAY_US), ("day",)) == []
        by_protocol = await summed(built.engine, everything(), ("protocol",))
        assert [(each.protocol, each.sums.requests) for each in by_protocol] == [
            ("gemini", 30),
            ("openai_chat", 30),
        ]

    with_receipts(tmp_path, body)


def test_whole_days_are_read_as_days_and_their_ends_as_hours() -> None:
    day, hour = DAY_US, HOUR_US
    assert pieces(0, 3 * day, by_hour=False) == [(day, 0, 3 * day)]
    assert pieces(5 * hour, 2 * day + hour, by_hour=False) == [
        (hour, 5 * hour, day),
        (day, day, 2 * day),
        (hour, 2 * day, 2 * day + hour),
    ]
    assert pieces(5 * hour, 30 * hour, by_hour=False) == [(hour, 5 * hour, 30 * hour)]
    assert pieces(5 * hour, day + 5 * hour, by_hour=False) == [(hour, 5 * hour, day + 5 * hour)]
    assert pieces(0, 3 * day, by_hour=True) == [(hour, 0, 3 * day)]


def test_a_time_too_long_or_empty_and_too_many_groups_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(built: House) -> None:
        with pytest.raises(InvalidRequest, match="after since"):
            await summed(built.engine, everything(START, START))
        with pytest.raises(InvalidRequest, match="90 days"):
            await summed(built.engine, everything(START, START + 91 * DAY_US))
        with pytest.raises(InvalidRequest, match="not by both"):
            await summed(built.engine, everything(), ("hour", "day"))
        monkeypatch.setattr(rollups, "GROUPS_MAX", 2)
        assert len(await summed(built.engine, everything(), ("api_key",))) == 2
        with pytest.raises(InvalidRequest, match="groups"):
            await summed(built.engine, everything(), ("model",))

    with_receipts(tmp_path, body)


def test_ninety_days_may_begin_in_the_middle_of_an_hour(tmp_path: Path) -> None:
    """Both ends are rounded outwards by those who ask, which makes it an hour more."""

    async def body(built: House) -> None:
        await summed(built.engine, everything(START, START + 90 * DAY_US + HOUR_US), ("day",))

    with_receipts(tmp_path, body)


def test_what_was_drained_before_is_not_added_again(tmp_path: Path) -> None:
    """A gateway that died between the commit and its note of it drains the same records once more."""

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            key = await built.add_key(key_record())
            async with running(built) as ledger:
                account = await ledger.open(key)
                for number in range(5):
                    built.spend(ledger, account, f"r{number}", 10)
                spooled = {path: path.read_bytes() for path in built.spool_dir.iterdir() if path.is_file()}
                await ledger.flush()
            for path, data in spooled.items():
                path.write_bytes(data)
            async with running(built) as ledger:
                await ledger.flush()
            since = built.clock.now_us() // HOUR_US * HOUR_US
            found = await summed(built.engine, Wanted("u1", since, since + HOUR_US))
            assert [(each.sums.requests, each.sums.credits) for each in found] == [(5, 50)]
            assert (await doctor.examine(built.engine, built.spool_dir)).ok

    asyncio.run(main())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rollups SET credits = credits + 1 WHERE span_us = 3600000000",
        "UPDATE rollups SET requests = requests - 1 WHERE span_us = 86400000000",
        "UPDATE rollups SET output_tokens = 0",
        "UPDATE rollups SET images = images + 1",
        "UPDATE rollups SET seconds = 1 WHERE span_us = 3600000000",
        "DELETE FROM rollups WHERE model = 'm1'",
        "INSERT INTO rollups SELECT 'u2', span_us, start, model, key_id, protocol, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 "
        "FROM rollups LIMIT 1",
    ],
)
def test_the_doctor_finds_a_rollup_that_is_not_its_rows(tmp_path: Path, statement: str) -> None:

    async def body(built: House) -> None:
        assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()
        with sqlite3.connect(built.database) as connection:
            assert connection.execute(statement).rowcount > 0
        connection.close()
        report = await doctor.examine(built.engine, built.spool_dir)
        assert not report.ok
        assert {finding.check for finding in report.findings} == {"rollups"}

    with_receipts(tmp_path, body)
