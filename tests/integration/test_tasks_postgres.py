"""Tasks on PostgreSQL, where several workers claim at the same time without waiting for each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bytespike.errors import Conflict
from bytespike.ledger.doctor import examine
from bytespike.media.tasks.parts import Limits
from bytespike.store.engine import reading
from bytespike.store.media_tables import task_events, tasks
from bytespike.testing.scripted_upstream import Peer
from tests.support.ledger_house import House
from tests.support.postgres import installed, postgres
from tests.support.render_upstream import Asked, RenderUpstream
from tests.support.task_house import FEE, PER_SECOND, Process, build, channel, process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed"),
]

WORKERS = 3
COST = FEE + 4 * PER_SECOND


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as found:
        yield found


def share(
    folder: Path,
    url: str,
    provider: RenderUpstream,
    life: Callable[[House, list[Process]], Awaitable[None]],
    limits: Limits | None = None,
) -> None:
    """Several processes on one database; the books are looked at in the end."""

    async def run() -> None:
        house, key = await build(folder, url)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(house.engine.dispose)
            processes = [
                await stack.enter_async_context(
                    process(house, key, channel(provider.url), name=f"node-{number}", limits=limits)
                )
                for number in range(WORKERS)
            ]
            await life(house, processes)
            report = await examine(house.engine)
            assert not report.findings

    asyncio.run(run())


def test_workers_share_tasks_and_each_is_done_once(tmp_path: Path, url: str) -> None:
    with RenderUpstream(polls_needed=3, size=20_000) as provider:

        async def life(house: House, nodes: list[Process]) -> None:
            before = await house.balance()
            found = await asyncio.gather(
                *(nodes[number % WORKERS].submit(f"number {number}") for number in range(60))
            )
            over = await nodes[0].over(*(each.task.id for each in found))
            assert Counter(task.state for task in over) == {"completed": 60}
            assert all(len(provider.submissions[task.id]) == 1 for task in over)
            assert before - await house.balance() == 60 * COST
            async with reading(house.engine) as connection:
                numbered = select(task_events.c.task_id, func.count(), func.max(task_events.c.seq))
                rows = await connection.execute(numbered.group_by(task_events.c.task_id))
                assert all(count == newest for _, count, newest in rows)

        share(tmp_path, url, provider, life)


def test_fifty_submissions_under_one_name_are_one_task_for_all_nodes(tmp_path: Path, url: str) -> None:
    with RenderUpstream() as provider:

        async def life(house: House, nodes: list[Process]) -> None:
            found = await asyncio.gather(
                *(
                    nodes[number % WORKERS].submit("a cat" if number % 5 else "a dog", out_task_id="mine")
                    for number in range(50)
                ),
                return_exceptions=True,
            )
            made = [each for each in found if not isinstance(each, BaseException)]
            refused = [each for each in found if isinstance(each, BaseException)]
            assert len({each.task.id for each in made}) == 1
            assert sum(not each.repeated for each in made) == 1
            assert len(refused) in (10, 40)
            assert all(isinstance(each, Conflict) for each in refused)
            await nodes[0].over(made[0].task.id)
            assert [len(renders) for renders in provider.submissions.values()] == [1]

        share(tmp_path, url, provider, life)


def test_a_channels_room_holds_for_all_nodes_together(tmp_path: Path, url: str) -> None:
    with RenderUpstream(polls_needed=4) as provider:
        under_way: set[str] = set()
        most = 0

        async def script(peer: Peer) -> Asked | None:
            nonlocal most
            asked = peer.request
            if asked.method == b"POST" and asked.target == b"/renders":
                under_way.add(asked.body.decode())
                most = max(most, len(provider.submissions) + 1 - done())
            return None

        def done() -> int:
            return sum(count >= provider.polls_needed for count in provider.polls.values())

        provider.script = script

        async def life(house: House, nodes: list[Process]) -> None:
            found = await asyncio.gather(
                *(nodes[number % WORKERS].submit(f"number {number}") for number in range(18))
            )
            over = await nodes[0].over(*(each.task.id for each in found))
            assert all(task.state == "completed" for task in over)

        share(tmp_path, url, provider, life, Limits(renders_per_channel_max=2))
        assert len(under_way) == 18
        assert most <= 2


def test_cancelling_from_any_node_has_one_outcome(tmp_path: Path, url: str) -> None:
    with RenderUpstream(polls_needed=2) as provider:

        async def life(house: House, nodes: list[Process]) -> None:
            before = await house.balance()
            found = await asyncio.gather(
                *(nodes[number % WORKERS].submit(f"number {number}") for number in range(24))
            )
            ids = [each.task.id for each in found]

            async def cancel(number: int, id: str) -> None:
                await asyncio.sleep(number * 0.01)
                node = nodes[(number + 1) % WORKERS]
                await node.desk.cancel(node.key.id, task_id=id)

            await asyncio.gather(*(cancel(number, id) for number, id in enumerate(ids)))
            over = await nodes[0].over(*ids)
            for task in over:
                assert task.state in ("completed", "cancelled")
                assert task.credits == (COST if task.state == "completed" else 0)
            assert before - await house.balance() == sum(task.credits for task in over)
            async with reading(house.engine) as connection:
                left = await connection.execute(select(func.count()).where(tasks.c.due_at.is_not(None)))
                assert left.scalar_one() == 0

        share(tmp_path, url, provider, life)
