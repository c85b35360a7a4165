"""What is special about PostgreSQL: the schema, the change feed under concurrent commits, the whole control plane, the
lease term."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from bytespike.errors import ConcurrencyLimited, InternalError
from bytespike.ledger.entries import user_wallet
from bytespike.store import changes
from bytespike.store.engine import create_engine, migrate, reading
from bytespike.store.tables import metadata
from tests.support import postgres
from tests.support.command_line import CommandLine
from tests.support.ledger_house import USD, House, key_record
from tests.support.served import doctor
from tests.support.shared_ledgers import borrowers, leases

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not postgres.installed(), reason="PostgreSQL is not installed"),
]


@pytest.fixture
def url() -> Generator[str]:
    with postgres.postgres() as found:
        yield found


def test_all_migrations_together_make_the_tables(url: str) -> None:
    def compared(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        # PostgreSQL makes no second unique index where there is a primary key of the same columns.
        return [
            each
            for each in compare_metadata(context, metadata)
            if not (
                each[0] == "add_constraint"
                and {column.name for column in each[1].columns}
                == {column.name for column in metadata.tables[each[1].table.name].primary_key.columns}
            )
        ]

    async def main() -> list[object]:
        engines = [create_engine(url) for _ in range(3)]
        await asyncio.gather(*(migrate(engine) for engine in engines))
        async with engines[0].connect() as connection:
            found = await connection.run_sync(compared)
        for engine in engines:
            await engine.dispose()
        return found

    assert asyncio.run(main()) == []


def test_no_change_is_missed_however_commits_overlap(url: str) -> None:
    """A transaction that begins first and commits last must not be announced behind the back of who follows."""

    async def main() -> None:
        engine = create_engine(url)
        await migrate(engine)
        seen: list[str] = []
        done = asyncio.Event()

        async def write(number: int) -> None:
            async with engine.begin() as connection:
                await changes.announce(connection, "key", f"k{number}", 1_000_000_000_000_000)
                await asyncio.sleep(0.001 * (number * 7 % 5))

        async def follow() -> None:
            last = 0
            while True:
                over = done.is_set()
                async with reading(engine) as connection:
                    found = await changes.since(connection, last)
                seen.extend(change.ref for change in found)
                if found:
                    last = found[-1].id
                elif over:
                    return

        following = asyncio.create_task(follow())
        await asyncio.gather(*(write(number) for number in range(120)))
        done.set()
        await following
        await engine.dispose()
        assert len(seen) == 120
        assert set(seen) == {f"k{number}" for number in range(120)}

    asyncio.run(main())


def test_the_command_line_does_everything(url: str, tmp_path: Path) -> None:
    line = CommandLine(tmp_path)

    def bytespike(*words: str) -> dict[str, Any]:
        return line.answer(*words, "--database-url", url)

    bytespike("init", "--admin", "ada@example.com")
    bytespike("users", "create", "--email", "bob@example.com")
    key = bytespike("keys", "create", "--name", "laptop", "--user", "bob@example.com", "--quota", "20")
    key_id = str(key["id"])
    bytespike("keys", "update", key_id, "--limit-5h", "3")
    capped = bytespike("keys", "cap", key_id, "--model", "claude-opus-4-8", "--limit-1d", "5", "--quota", "9")
    assert capped["items"] == [
        {"model": "claude-opus-4-8", "span": "1d", "amount": "5.00"},
        {"model": "claude-opus-4-8", "span": "lifetime", "amount": "9.00"},
    ]
    bytespike("keys", "rotate", key_id)
    bytespike("wallet", "topup", "25", "--user", "bob@example.com", "--idempotency-key", "i1")
    bytespike("wallet", "topup", "25", "--user", "bob@example.com", "--idempotency-key", "i1")
    bytespike("wallet", "debit", "5", "--user", "bob@example.com")
    assert bytespike("wallet", "balance", "--user", "bob@example.com")["balance"] == "20.00"
    assert len(bytespike("keys", "list")["items"]) == 1
    assert bytespike("usage", "list")["items"] == []
    assert bytespike("borrowers", "list")["items"] == []
    assert bytespike("doctor")["ok"] is True
    assert doctor(tmp_path, url)["ok"] is True, "and as a process of its own"


def test_a_gateway_that_is_lost_with_its_machine_keeps_its_money_and_loses_its_slots(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        built = House(tmp_path, url)
        await built.build()
        await built.fund(10 * USD)
        key = await built.add_key(key_record(concurrency=2))
        there, here = built.process("there", lease_term_s=60), built.process("here", lease_term_s=60)
        monkeypatch.setattr("bytespike.ledger.sharing.socket.gethostname", lambda: "elsewhere")
        await there.start()
        monkeypatch.setattr("bytespike.ledger.sharing.socket.gethostname", lambda: "here")
        await here.start()
        far, near = await there.open(key), await here.open(key)
        for number in range(2):
            await there.acquire(far, f"a{number}", 1 * USD)
        lost = there._sharing.id
        lent = (await leases(built.engine))[user_wallet("u1"), lost]
        # It is not heard of any more; what it still believes does not matter to the others, but it must not hold.
        for task in there._upkeep.tasks:
            task.cancel()
        built.clock.forward(30)
        await here._sharing.adopt_dead()
        with pytest.raises(ConcurrencyLimited):
            await here.acquire(near, "b", 1)
        built.clock.forward(31)
        with pytest.raises(InternalError, match="lost touch"):
            there.hold(far, "a2", 0)
        await here._sharing.renew()
        await here._sharing.adopt_dead()
        await here.acquire(near, "c", 1)
        assert (await leases(built.engine))[user_wallet("u1"), lost] == lent
        await built.bury(lost)
        assert await borrowers(built.engine) == [here._sharing.id]
        here.void(here._holds["c"])
        await here.stop()
        there._sharing.wake.close()
        await there._drain.close()
        there._spool.close()
        await built.engine.dispose()

    asyncio.run(main())
