"""Processes that are killed in the middle of tasks: one submission, one bill, a whole output and a callback all the same.

Each round is a process that takes up what the one before has left, submits a few tasks of its own, and is killed at its
point: by itself, before and after what it writes (`testing/crash_points.py`), or by the provider or the receiver of
callbacks in the middle of a call. The last one is left alone until nothing is to be done any more. Then every task that ever was has
to be as if nobody had died.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import select

from bytespike.ledger.doctor import examine
from bytespike.media.objects.backends import backend_at
from bytespike.media.objects.store import ObjectStore
from bytespike.media.tasks import rows
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks, escrows, tasks
from bytespike.store.tables import transfers
from bytespike.testing.crash_points import POINTS
from bytespike.testing.scripted_upstream import Peer
from tests.support.ledger_house import House
from tests.support.postgres import installed, postgres
from tests.support.render_upstream import Asked, RenderUpstream, content_of
from tests.support.task_house import FEE, PER_SECOND, build
from tests.support.task_process import Orders, start

#: In the middle of calls, where the other side does the killing: as the request arrives, or once it has done its part.
CALLS = ("POST /renders arrives", "POST /renders taken", "GET /renders", "GET /files", "POST /callback")
ALL = (*POINTS, *CALLS)
#: Points of one step are not next to each other, so that no task is hit by the same one again and again.
STRIDE = 7
SUBMITS = 3
COST = FEE + 4 * PER_SECOND
DIES_WITHIN_S = 180.0
ENDS_WITHIN_S = 240.0


class Killer:
    """The provider's side of it: `armed` with a call, it kills the process `pid` at the nth such call."""

    def __init__(self, provider: RenderUpstream) -> None:
        self._provider = provider
        self._call = ""
        self._left = 0
        self.pid = 0
        provider.script = self.script

    def arm(self, call: str, nth: int) -> None:
        self._call, self._left = call, nth

    async def script(self, peer: Peer) -> Asked | None:
        method, _, rest = self._call.partition(" ")
        target, _, when = rest.partition(" ")
        asked = peer.request
        wanted = target == "/renders" and method == "GET" and asked.target.startswith(b"/renders/")
        wanted = wanted or (asked.target.startswith(target.encode()) and target != "/renders")
        wanted = wanted or (asked.target == b"/renders" and target == "/renders" and method == "POST")
        if not (self._call and wanted and asked.method.decode() == method):
            return None
        self._left -= 1
        if self._left != 0:
            return None
        self._call = ""
        if target == "/files":
            size = self._provider.size
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            await peer.send(b"x" * (size // 2))
        os.kill(self.pid, signal.SIGKILL)
        return Asked(cut=True, heed=when == "taken")


def rounds(count: int) -> list[tuple[str, int]]:
    """Each point as often as the others, at its first, second and third task."""
    return [(ALL[number * STRIDE % len(ALL)], number // len(ALL) % SUBMITS + 1) for number in range(count)]


def test_the_rounds_go_through_all_points_alike() -> None:
    assert set(Counter(point for point, _ in rounds(3 * len(ALL))).values()) == {3}
    assert len(set(rounds(3 * len(ALL)))) == 3 * len(ALL) >= 60


def kill_rounds(folder: Path, url: str | None, plan: list[tuple[str, int]]) -> None:
    house, _ = asyncio.run(_built(folder, url))
    with RenderUpstream(polls_needed=2, size=200_000) as provider:
        killer = Killer(provider)
        for number, (point, nth) in enumerate(plan):
            if point in CALLS:
                killer.arm(point, nth)
            orders = Orders(
                str(folder), url, provider.url, point=point, nth=nth, round=number, submits=SUBMITS
            )
            # Its process is killed by a call at the earliest once it has submitted: the pid is known by then.
            process = start(orders)
            killer.pid = process.pid or 0
            ended(process, DIES_WITHIN_S)
            assert process.exitcode == -signal.SIGKILL, f"round {number}, {point}: {process.exitcode}"
        killer.arm("", 0)
        process = start(Orders(str(folder), url, provider.url))
        ended(process, ENDS_WITHIN_S)
        assert process.exitcode == 0
        asyncio.run(_examined(house, provider))


def ended(process: BaseProcess, seconds: float) -> None:
    """Wait for its end; one that lives on is killed, and has no exit code of its own then."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        pytest.fail("the process lived on")


async def _built(folder: Path, url: str | None) -> tuple[House, object]:
    house, key = await build(folder, url, dollars=10_000)
    await house.engine.dispose()
    return house, key


async def _examined(house: House, provider: RenderUpstream) -> None:
    store = ObjectStore(
        house.engine, house.clock, backend_at((house.folder / "objects").absolute().as_uri()), 1
    )
    async with reading(house.engine) as connection:
        ids = (await connection.execute(select(tasks.c.id))).scalars().all()
        found = [await rows.by_id(connection, id) for id in ids]
        billed = await connection.execute(select(transfers.c.request_id).where(transfers.c.kind == "usage"))
        bills = Counter(str(id) for id in billed.scalars())
        states = Counter((await connection.execute(select(escrows.c.state))).scalars())
        took = (
            await connection.execute(select(callbacks.c.task_id).where(callbacks.c.error == ""))
        ).scalars()
        told = set(took)
    delivered = {str(body["task_id"]) for body, _, _ in provider.callbacks}
    assert found
    for task in found:
        assert task is not None
        renders = provider.submissions[task.id]
        assert (task.state, task.error_message, task.credits) == ("completed", "", COST)
        assert len(renders) == 1, f"{task.id} was submitted {len(renders)} times"
        assert bills[task.id] == 1
        assert task.output is not None
        pieces = [piece async for piece in store.read(await store.find(task.output[0].id))]
        assert b"".join(pieces) == content_of(renders[0], provider.size)
        assert task.id in delivered
        assert task.id in told
        assert task.seq == len(await _events(house, task.id))
    assert len(bills) == len(found)
    assert states == {"posted": len(found)}
    start_credits = 10_000 * 1_000_000
    assert await house.balance() == start_credits - COST * len(found)
    report = await examine(house.engine)
    assert not report.findings
    await house.engine.dispose()


async def _events(house: House, task_id: str) -> list[object]:
    async with reading(house.engine) as connection:
        return list(await rows.events_after(connection, task_id, 0))


@pytest.mark.slow
def test_killed_at_every_step_sixty_times(tmp_path: Path) -> None:
    kill_rounds(tmp_path, None, rounds(3 * len(ALL)))


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="PostgreSQL is not installed")
def test_killed_at_every_step_on_postgresql(tmp_path: Path) -> None:
    with postgres() as url:
        kill_rounds(tmp_path, url, rounds(len(ALL)))


@pytest.mark.slow
def test_another_node_takes_over_when_the_lease_runs_out(tmp_path: Path) -> None:
    house, _ = asyncio.run(_built(tmp_path, None))
    with RenderUpstream(polls_needed=2, size=50_000) as provider:
        died = start(
            Orders(
                str(tmp_path), None, provider.url, "one", "submit_answered", 2, submits=SUBMITS, lease_s=1.0
            )
        )
        ended(died, DIES_WITHIN_S)
        assert died.exitcode == -signal.SIGKILL
        other = start(Orders(str(tmp_path), None, provider.url, "two", lease_s=1.0))
        ended(other, ENDS_WITHIN_S)
        assert other.exitcode == 0
        asyncio.run(_examined(house, provider))
