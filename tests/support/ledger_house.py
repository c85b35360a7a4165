"""A small house with money in it: a database, a wallet, keys, a clock that tests move, and a ledger on top."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from msgspec import structs
from sqlalchemy import create_engine as create_sync_engine
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.records import KeyRecord
from bytespike.core.usage import Usage
from bytespike.ledger import lending, transfers
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.entries import org_wallet, user_wallet
from bytespike.ledger.ledger import Hold, Ledger
from bytespike.ledger.records import Attempt, Receipt
from bytespike.ledger.spool import Spool
from bytespike.pricing.price import Price
from bytespike.store import tables
from bytespike.store.engine import create_engine, reading
from bytespike.store.members import member_id

#: Far enough from zero that whole windows lie before it. Not on a bucket's edge.
START_US = 1_800_000_123_456_789
USD = 1_000_000
DRAIN_NEVER_MS = 3_600_000


class HandClock:
    """A clock that stands still until it is moved. The monotonic one never goes back."""

    def __init__(self, now_us: int = START_US) -> None:
        self.us = now_us
        self.ns = 5_000_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic_ns(self) -> int:
        return self.ns

    def forward(self, seconds: int) -> None:
        self.us += seconds * 1_000_000
        self.ns += seconds * 1_000_000_000

    def jump(self, seconds: int) -> None:
        """Somebody set the clock."""
        self.us += seconds * 1_000_000


def key_record(id: str = "key_1", **fields: object) -> KeyRecord:
    """A key of user u1, who pays for it."""
    base = KeyRecord(
        id=id, name=id, user_id="u1", org_id=None, account_id=user_wallet("u1"), group_id=1, concurrency=1000
    )
    return structs.replace(base, **fields)


def org_key(id: str, user: str = "u1", **fields: object) -> KeyRecord:
    """A key of a member of org o1, which pays for it."""
    return key_record(id, user_id=user, org_id="o1", account_id=org_wallet("o1"), **fields)


def receipt_for(hold: Hold, at: int, credits: int, **fields: object) -> Receipt:
    key = hold.account.record
    base = Receipt(
        request_id=hold.request_id,
        at=at,
        key_id=key.id,
        user_id=key.user_id,
        org_id=key.org_id,
        account_id=hold.wallet.id,
        group_id=1,
        channel_id="ch_1",
        upstream_provider="simulator",
        model="gpt-5-5",
        requested_model="gpt-5.5",
        upstream_model="gpt-5.5-2026",
        protocol="openai_chat",
        upstream_protocol="anthropic_messages",
        stream=False,
        usage=Usage(input=100, cache_read=20, output=50, reasoning=10),
        credits=credits,
        held=hold.amount,
        price=Price(input=1_000_000, output=2_000_000),
        multiplier_ppm=1_000_000,
        end_reason="completed",
        notices=(),
        latency_ms=120,
        first_token_ms=30,
    )
    return structs.replace(base, **fields)


def attempt_for(hold: Hold, at: int, ordinal: int = 0, **fields: object) -> Attempt:
    base = Attempt(
        request_id=hold.request_id,
        ordinal=ordinal,
        at=at,
        channel_id="ch_1",
        upstream_provider="simulator",
        upstream_model="gpt-5.5-2026",
        status=200,
        outcome="completed",
        input_tokens=120,
        output_tokens=50,
        cost=70,
        latency_ms=100,
        first_token_ms=20,
    )
    return structs.replace(base, **fields)


@cache
def empty_database() -> bytes:
    """A database file with every table and no rows: copying it is quicker than making it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        engine = create_sync_engine(f"sqlite:///{path}")
        tables.metadata.create_all(engine)
        engine.dispose()
        return path.read_bytes()


class House:
    """`await build()` makes the tables (anew, in the database `url` if there is one), users u1 and u2, an org o1 of them, a group, and the system's accounts."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.database = folder / "bytespike.db"
        self.spool_dir = folder / "spool"
        self._on_file = url is None
        self.engine: AsyncEngine = create_engine(url or f"sqlite:///{self.database}")

    async def build(self) -> None:
        if self._on_file:
            self.database.write_bytes(empty_database())
        else:
            async with self.engine.begin() as connection:
                await connection.run_sync(tables.metadata.drop_all)
                await connection.run_sync(tables.metadata.create_all)
        async with self.engine.begin() as connection:
            for id in ("u1", "u2"):
                await connection.execute(insert(tables.users).values(id=id, email=id, created_at=0))
            await connection.execute(insert(tables.orgs).values(id="o1", name="o1", created_at=0))
            for user in ("u1", "u2"):
                await connection.execute(
                    insert(tables.members).values(
                        id=member_id("o1", user), org_id="o1", user_id=user, created_at=0
                    )
                )
            await connection.execute(insert(tables.groups).values(id=1, name="default", created_at=0))
            for wallet in (user_wallet("u1"), user_wallet("u2"), org_wallet("o1")):
                await transfers.ensure_account(connection, wallet, self.clock.now_us())

    async def add_key(self, record: KeyRecord) -> KeyRecord:
        async with self.engine.begin() as connection:
            await connection.execute(
                insert(tables.keys).values(
                    id=record.id,
                    hash=record.id,
                    secret=b"",
                    masked="sk",
                    name=record.name,
                    user_id=record.user_id,
                    org_id=record.org_id,
                    group_id=1,
                    quota=record.quota,
                    created_at=0,
                )
            )
        return record

    async def fund(self, micros: int, wallet: str = user_wallet("u1")) -> None:
        await transfers.topup(self.engine, wallet, micros, actor="test", now_us=self.clock.now_us())

    async def take(self, micros: int, wallet: str = user_wallet("u1")) -> None:
        await transfers.admin_debit(self.engine, wallet, micros, actor="test", now_us=self.clock.now_us())

    async def bury(self, borrower: str) -> None:
        async with self.engine.begin() as connection:
            await lending.bury(connection, borrower, self.clock.now_us())

    def spool(self, **options: int) -> Spool:
        return Spool(self.spool_dir, self.clock.monotonic_ns, **options)

    def ledger(self, spool: Spool | None = None, **options: int) -> Ledger:
        options.setdefault("drain_interval_ms", DRAIN_NEVER_MS)
        return Ledger(self.engine, spool or self.spool(), self.clock, **options)

    def process(self, name: str, **options: int) -> Ledger:
        """Another gateway on the same database, with a spool of its own."""
        return self.ledger(Spool(self.folder / f"spool-{name}", self.clock.monotonic_ns), **options)

    def spend(
        self, ledger: Ledger, account: KeyAccount, request_id: str, credits: int, held: int | None = None
    ) -> Hold:
        """Hold and post at once."""
        hold = ledger.hold(account, request_id, credits if held is None else held)
        now_us = self.clock.now_us()
        ledger.post(hold, receipt_for(hold, now_us, credits), (attempt_for(hold, now_us),))
        return hold

    async def balance(self, account_id: str = user_wallet("u1")) -> int:
        return await transfers.balance(self.engine, account_id)

    async def spent(self, key_id: str = "key_1") -> int:
        async with reading(self.engine) as connection:
            return (
                await connection.execute(select(tables.keys.c.spent).where(tables.keys.c.id == key_id))
            ).scalar_one()

    async def usage_ids(self) -> list[str]:
        async with reading(self.engine) as connection:
            found = await connection.execute(
                select(tables.usage.c.request_id).order_by(tables.usage.c.request_id)
            )
            return list(found.scalars())

    async def change_key(self, key_id: str, **fields: object) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(update(tables.keys).where(tables.keys.c.id == key_id).values(**fields))


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A built house; its connections are closed at the end."""
    built = House(folder)
    try:
        await built.build()
        yield built
    finally:
        await built.engine.dispose()


@asynccontextmanager
async def running(built: House, **options: int) -> AsyncIterator[Ledger]:
    """A ledger that serves, and drains only when it is told to (`flush`)."""
    ledger = built.ledger(**options)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()
