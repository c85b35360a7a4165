"""Several workers, one truth: a ceiling holds over all of them, and a channel that is refused is refused for all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import RunningGateway
from tests.support.raw_http import ask
from tests.support.routing_fronts import asking, said
from tests.support.served import Served

pytestmark = pytest.mark.slow

WORKERS = 3
RPM = 12


@pytest.fixture
def house(tmp_path: Path) -> Generator[tuple[Path, str, Simulator]]:
    """A data directory that is furnished, a key, and the simulator behind its channels."""
    with Simulator(observe=True) as sim:
        with RunningGateway(tmp_path, simulator=sim) as gateway:
            key = gateway.key
        yield tmp_path, key, sim


@contextmanager
def serving(data_dir: Path, workers: int = WORKERS) -> Generator[Served]:
    served = Served(data_dir, workers)
    try:
        yield served
    finally:
        assert served.stop() == 0


async def statuses(served: Served, key: str, count: int) -> list[int]:
    """So many requests, each on a connection of its own: the kernel spreads them over the workers."""
    path, body = asking("openai_chat", said(1, 1))
    places = asyncio.Semaphore(8)

    async def one() -> int:
        async with places:
            return (await ask("127.0.0.1", served.port, path, body, {"x-api-key": key})).status

    return list(await asyncio.gather(*(one() for _ in range(count))))


def test_workers_do_not_each_have_a_ceiling(house: tuple[Path, str, Simulator]) -> None:
    data_dir, key, sim = house
    with closing(sqlite3.connect(data_dir / "bytespike.db")) as database, database:
        database.execute("UPDATE channels SET rpm = ?", (RPM,))
    with serving(data_dir) as served:
        found = asyncio.run(statuses(served, key, RPM * WORKERS * 3))
    assert found.count(200) == RPM
    assert found.count(503) == len(found) - RPM
    assert len(sim.requests) == RPM


def test_all_workers_hear_of_a_refused_credential(house: tuple[Path, str, Simulator]) -> None:
    data_dir, key, sim = house
    path, body = asking("openai_chat", ["[[sim: error=401]] go"])

    def disabled() -> bool:
        with closing(sqlite3.connect(data_dir / "bytespike.db", timeout=30)) as database:
            return database.execute("SELECT count(*) FROM channels WHERE NOT enabled").fetchone()[0] == 1

    async def until_all_refuse(served: Served) -> None:
        for _ in range(200):
            before = len(sim.requests)
            answers = await statuses(served, key, 12 * WORKERS)
            if disabled() and set(answers) == {503} and len(sim.requests) == before:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("a worker goes on asking")

    with serving(data_dir) as served:
        asked = asyncio.run(ask("127.0.0.1", served.port, path, body, {"x-api-key": key}))
        assert asked.status == 503
        asyncio.run(until_all_refuse(served))
    with serving(data_dir, 1) as later:
        assert set(asyncio.run(statuses(later, key, 3))) == {503}, "and those after a restart"
