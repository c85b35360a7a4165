"""Several workers, many clients, one cap: they share it to within one request."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bytespike.accounts import members, users
from bytespike.ledger import transfers
from bytespike.providers.simulator.server import Simulator
from bytespike.store.engine import create_engine, reading
from tests.support import postgres
from tests.support.gateway import GPT, RunningGateway
from tests.support.raw_http import Answer
from tests.support.served import Served, chat, crowd, crowd_for, doctor

pytestmark = pytest.mark.slow

WORKERS = 4
CLIENTS = 120
#: Of the large crowds, and the connections that they need, at both ends.
CROWD = 1000
FILES = 8192
USD = 1_000_000
#: About three cents each, held and spent.
BODY = chat(GPT, 1000, "tokens=1000 delay=0.02")


class Spend:
    """What the database says in the end."""

    def __init__(self, url: str) -> None:
        found = asyncio.run(self._read(url))
        self.rows, accounts, self.leases, self.borrowers, self.spans = found
        self.balances = dict(accounts)

    async def _read(self, url: str) -> list[list[tuple[Any, ...]]]:
        engine = create_engine(url)
        try:
            async with reading(engine) as connection:
                return [
                    [tuple(row) for row in await connection.execute(text(query))]
                    for query in (
                        "SELECT request_id, key_id, credits, held FROM usage",
                        "SELECT id, balance FROM accounts",
                        "SELECT cap, borrower FROM leases WHERE until IS NULL",
                        "SELECT id FROM borrowers",
                        "SELECT at - latency_ms * 1000, at FROM attempts",
                    )
                ]
        finally:
            await engine.dispose()

    def of(self, key_ids: set[str] | None = None) -> int:
        return sum(credits for _, key, credits, _ in self.rows if key_ids is None or key in key_ids)

    @property
    def largest_hold(self) -> int:
        return max(held for *_, held in self.rows)

    @property
    def most_at_once(self) -> int:
        """How many requests were with the upstream at the same time."""
        edges = sorted([(start, 1) for start, _ in self.spans] + [(end, -1) for _, end in self.spans])
        most = now = 0
        for _, change in edges:
            now += change
            most = max(most, now)
        return most


@pytest.fixture
def many_files() -> Generator[None]:
    """For us and for those that we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bytespike.db'}"
    elif not postgres.installed():
        pytest.skip("PostgreSQL is not installed")
    else:
        with postgres.postgres() as url:
            yield url


def refused(answer: Answer) -> bool:
    """For good, not to come again because the processes are in each other's way."""
    return answer.status != 200 and b"draw on what is left of a limit; try again" not in answer.body


def spend_with(
    tmp_path: Path,
    database: str,
    keys: list[str],
    statuses: set[int],
    clients: int = CLIENTS,
    until: Callable[[Answer], bool] | None = None,
) -> Spend:
    """Let everybody spend until everybody was refused a few times, then stop. `until`: what is a refusal."""
    served = Served(tmp_path, WORKERS, database)
    try:
        answers = asyncio.run(crowd(served.port, keys, BODY, clients, until_refused=3, refused=until))
    finally:
        code = served.stop()
    assert code == 0, served.log()[-2000:]
    found = {answer.status for answer in answers if until is None or answer.status == 200 or until(answer)}
    assert found == {200} | statuses, served.log()[-2000:]
    doctor(tmp_path, database)
    spend = Spend(database)
    whole = [answer for answer in answers if answer.status == 200]
    assert len(whole) == len(spend.rows)
    assert {answer.headers["request-id"] for answer in whole} == {row[0] for row in spend.rows}
    assert spend.leases == []
    assert spend.borrowers == []
    return spend


def exactly(cap: int, spend: Spend, spent: int) -> None:
    """The cap is not passed, and what is left of it is less than one request."""
    assert spent <= cap
    assert cap - spent < spend.largest_hold, (cap, spent, spend.largest_hold)


@pytest.mark.parametrize("cap", ["quota", "limit_5h"])
def test_one_key_with_a_cap_of_a_dollar(tmp_path: Path, database: str, cap: str) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            key = gateway.new_key(**{cap: 1 * USD})
        spend = spend_with(tmp_path, database, [key], {402 if cap == "quota" else 429})
        exactly(1 * USD, spend, spend.of())


def test_a_wallet_that_fifty_keys_draw_on(tmp_path: Path, database: str) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(2 * USD, concurrency=1000)
            keys = [gateway.new_key(user) for _ in range(50)]
        spend = spend_with(tmp_path, database, keys, {402})
        exactly(2 * USD, spend, spend.of())
        assert spend.balances[f"wallet:user:{user}"] == 2 * USD - spend.of()


def test_a_member_of_an_org_with_two_keys(tmp_path: Path, database: str) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            keys = gateway.run(of_a_member_with_a_dollar(gateway))
        spend = spend_with(tmp_path, database, keys, {402})
        exactly(1 * USD, spend, spend.of())


async def of_a_member_with_a_dollar(gateway: RunningGateway) -> list[str]:
    """Two keys of an org that has more, whose owner may spend a dollar."""
    user = await gateway._new_user(0, concurrency=1000)
    control = gateway.application.control
    async with control.writing("test") as write:
        org = await users.create_org(write, "Acme")
    await transfers.topup(control.engine, f"wallet:org:{org.id}", 100 * USD, actor="test", now_us=1)
    keys = [await gateway._new_key(user, org_id=org.id) for _ in range(2)]
    async with control.writing("test") as write:
        await members.set_caps(write, org.id, user, {"lifetime": 1 * USD})
    return keys


def test_five_requests_in_flight_and_no_more(tmp_path: Path, database: str) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(100 * USD, concurrency=5)
            key = gateway.new_key(user)
        served = Served(tmp_path, WORKERS, database)
        try:
            answers = asyncio.run(crowd_for(served.port, key, chat(GPT, 10, "tokens=5 delay=0.15"), 60, 4.0))
        finally:
            assert served.stop() == 0
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert Spend(database).most_at_once == 5
        # Slots that came back are given again.
        assert statuses.count(200) > 3 * 5
        doctor(tmp_path, database)


# --- a thousand clients at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", ["quota", "limit_5h"])
def test_a_crowd_on_one_key_with_a_cap_of_a_dollar(
    tmp_path: Path, database: str, many_files: None, cap: str
) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            key = gateway.new_key(gateway.new_user(100 * USD, concurrency=10 * CROWD), **{cap: 1 * USD})
        expected = {402 if cap == "quota" else 429}
        spend = spend_with(tmp_path, database, [key], expected, CROWD, refused)
        exactly(1 * USD, spend, spend.of())


def test_a_crowd_on_a_wallet_that_fifty_keys_draw_on(tmp_path: Path, database: str, many_files: None) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(2 * USD, concurrency=10 * CROWD)
            keys = [gateway.new_key(user) for _ in range(50)]
        spend = spend_with(tmp_path, database, keys, {402}, CROWD, refused)
        exactly(2 * USD, spend, spend.of())
        assert spend.balances[f"wallet:user:{user}"] == 2 * USD - spend.of()


def test_five_in_flight_and_no_more_whatever_the_crowd(
    tmp_path: Path, database: str, many_files: None
) -> None:
    """All ask at once, and each again a second after it was refused."""
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(100 * USD, concurrency=5)
            key = gateway.new_key(user)
        served = Served(tmp_path, WORKERS, database)
        body = chat(GPT, 10, "tokens=5 delay=0.15")
        try:
            answers = asyncio.run(crowd_for(served.port, key, body, CROWD, 4.0, pause_s=1.0))
        finally:
            assert served.stop() == 0
        assert {answer.status for answer in answers} == {200, 429}
        assert Spend(database).most_at_once == 5
        doctor(tmp_path, database)
