"""Writes of claimed rows: under their fence, many at once, and never given up for a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.media.tasks import claims, rows
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.record import Task, storable
from bytespike.media.tasks.writing import Writer
from bytespike.store.media_tables import tasks
from tests.support.ledger_house import House
from tests.support.render_upstream import RenderUpstream
from tests.support.task_house import Process, live

HOUR_US = 3_600_000_000


def with_claims(
    folder: Path, count: int, life: Callable[[House, Process, list[Claim], Writer], Awaitable[None]]
) -> None:
    """Some tasks, claimed by "one", and a writer of what becomes of them."""

    async def run(house: House, one: Process, provider: RenderUpstream) -> None:
        for number in range(count):
            await one.submit(f"number {number}")
        now_us = one.parts.clock.now_us()
        async with house.engine.begin() as connection:
            claimed = await claims.claim(connection, "one", "quick", count, now_us, now_us + HOUR_US)
        assert len(claimed) == count
        writer = Writer(house.engine, one.parts.clock, "one", lambda ids: None, lambda: None)
        await life(house, one, claimed, writer)

    live(folder, run, working=False)


async def row(house: House, id: str) -> Task:
    async with house.engine.connect() as connection:
        found = await rows.by_id(connection, id)
    assert found is not None
    return found


def test_what_is_claimed_is_due_for_nobody_else_until_its_lease_is_over(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        now_us = one.parts.clock.now_us()
        async with house.engine.begin() as connection:
            assert await claims.claim(connection, "two", "quick", 9, now_us, now_us + HOUR_US) == []
            later = now_us + 2 * HOUR_US
            taken = await claims.claim(connection, "two", "quick", 9, later, later + HOUR_US)
        assert {each.id for each in taken} == {each.id for each in claimed}
        assert all(each.fence == 2 for each in taken)

    with_claims(tmp_path, 3, life)


def test_a_write_under_an_old_fence_does_nothing(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        (claim,) = claimed
        async with house.engine.begin() as connection:
            later = one.parts.clock.now_us() + 2 * HOUR_US
            (newer,) = await claims.claim(connection, "two", "quick", 9, later, later + HOUR_US)
        before = await row(house, claim.id)
        lost = asyncio.create_task(writer.change(claim, state="running", due_at=1))
        writer.reschedule(claim, 1)
        writer.progress(claim, 50, 1)
        await asyncio.sleep(0)
        await writer.flush()
        assert await lost is False
        assert await row(house, claim.id) == before
        async with house.engine.connect() as connection:
            assert len(await rows.events_after(connection, claim.id, 0)) == 1
        held = asyncio.create_task(writer.change(newer, state="running"))
        await asyncio.sleep(0)
        await writer.flush()
        assert await held is True

    with_claims(tmp_path, 1, life)


def test_writes_of_many_are_one_transaction(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        for number, claim in enumerate(claimed):
            if number % 2:
                writer.reschedule(claim, 7, failures=3)
            else:
                writer.progress(claim, 40 + number, 7)
        await writer.flush()
        for number, claim in enumerate(claimed):
            found = await row(house, claim.id)
            assert (found.due_at, found.claimed_until, found.claimed_by) == (7, 0, None)
            assert (found.progress, found.failures, found.seq) == (
                (0, 3, 1) if number % 2 else (40 + number, 0, 2)
            )

    with_claims(tmp_path, 10, life)


def test_a_cancellation_that_came_meanwhile_is_seen_to_at_once(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        async with house.engine.begin() as connection:
            await connection.execute(update(tasks).values(cancel_asked=True))
        first, second, third = claimed
        writer.reschedule(first, HOUR_US * 10**6)
        writer.progress(second, 5, HOUR_US * 10**6)
        changed = asyncio.create_task(writer.change(third, state="running", due_at=HOUR_US * 10**6))
        await asyncio.sleep(0)
        await writer.flush()
        assert await changed
        for claim in claimed:
            assert (await row(house, claim.id)).due_at <= one.parts.clock.now_us()

    with_claims(tmp_path, 3, life)


def test_what_the_database_does_not_take_does_not_keep_the_rest_from_being_written(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        good, wrong = claimed
        asked = [
            asyncio.create_task(writer.change(good, state="running")),
            asyncio.create_task(writer.change(wrong, state=None)),
        ]
        await asyncio.sleep(0)
        await writer.flush()
        assert await asked[0] is True
        with pytest.raises(IntegrityError):
            await asked[1]
        assert (await row(house, good.id)).state == "running"

    with_claims(tmp_path, 2, life)


def test_a_database_that_is_away_is_tried_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        (claim,) = claimed
        write = Writer._write
        away: list[SQLAlchemyError] = [OperationalError("away", {}, Exception())] * 2

        async def failing(self: Writer, connection: AsyncConnection, *given: object) -> list[bool]:
            if away:
                raise away.pop()
            return await write(self, connection, *given)

        monkeypatch.setattr("bytespike.media.tasks.writing.RETRY_S", 0.01)
        monkeypatch.setattr(Writer, "_write", failing)
        asked = asyncio.create_task(writer.change(claim, state="running"))
        await asyncio.sleep(0)
        await writer.flush()
        assert await asked is True

    with_claims(tmp_path, 1, life)


def test_a_restarted_process_takes_up_its_own_claims_and_no_others(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        async with house.engine.begin() as connection:
            await connection.execute(
                update(tasks).where(tasks.c.id == claimed[0].id).values(claimed_by="two")
            )
            now_us = one.parts.clock.now_us()
            await claims.take_over(connection, "one", now_us)
            due = await connection.execute(select(tasks.c.id).where(tasks.c.due_at <= now_us))
            assert set(due.scalars()) == {claim.id for claim in claimed[1:]}

    with_claims(tmp_path, 4, life)


def test_looking_for_what_is_due_uses_the_index(tmp_path: Path) -> None:
    async def life(house: House, one: Process, claimed: list[Claim], writer: Writer) -> None:
        queries = (
            ("SELECT min(due_at) FROM tasks WHERE due_at IS NOT NULL", "ix_tasks_due_at"),
            ("SELECT id FROM tasks WHERE due_at <= 5 ORDER BY due_at LIMIT 5", "ix_tasks_due_at"),
            (
                "SELECT channel_id, count(*) FROM tasks WHERE submit_begun AND step IN ('submit', 'poll') GROUP BY channel_id",
                "ix_tasks_channel_id",
            ),
        )
        async with house.engine.connect() as connection:
            for query, index in queries:
                plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()
                assert any(index in str(step) for step in plan), plan

    with_claims(tmp_path, 1, life)


def test_text_from_elsewhere_is_made_storable() -> None:
    assert storable("a\0b") == "ab"
    assert storable("half \ud83d") == "half ?"
    assert storable("whole \U0001f600") == "whole \U0001f600"
