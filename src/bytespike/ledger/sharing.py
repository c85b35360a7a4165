"""This process as one of several that spend: joining them, borrowing, giving back. `leases.py` has the theory.

Each change of what is borrowed is one transaction, made while the `books` are locked, so that no batch of our own is
committed in between, and the meters follow when it is known to be committed. Where a lease becomes smaller the meters
follow first: between the two, nothing may be held against what is about to be given away.

A transaction whose commit was not confirmed leaves the meters with less than the database says, or the same; the next
one says how much it is in all, and they agree again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.clock import Clock
from bytespike.ledger import lending
from bytespike.ledger.account import KeyAccount, Meter
from bytespike.ledger.adoption import adopt
from bytespike.ledger.book import Book
from bytespike.ledger.drain import Drain
from bytespike.ledger.leases import Borrowed, slice_of
from bytespike.ledger.lending import Borrower, Facts
from bytespike.ledger.spool import spool_id
from bytespike.ledger.wake import Wake
from bytespike.store.engine import reading

log = structlog.get_logger("bytespike.ledger")

#: How long a process is believed to live without having said so; how often it says so.
TERM_S = 900
RENEW_S = 10
#: A newcomer waits for one that is alone: how long between two looks.
JOIN_POLL_S = 0.05
#: Leases given back, or written down, by one statement.
AT_ONCE = 500
#: A clock's idea of never.
NEVER_NS = 1 << 62

_NS_PER_S = 1_000_000_000
_US_PER_S = 1_000_000
_NS_PER_US = 1_000


Asked: TypeAlias = Mapping[tuple[str, str], int]


class Outcome(Struct, frozen=True):
    """`short`: there was too little to borrow. `asked`: who has been asked for more and has not answered yet; by cap and
    borrower, the version of the lease from before."""

    short: bool
    asked: Asked


class Sharing:
    """`alone`: no other process spends here. `valid_until_ns`: the monotonic time up to which others count on this
    process; past it, it must not hold (where others may take over by the clock alone)."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        books: asyncio.Lock,
        book: Book,
        drain: Drain,
        term_s: int = TERM_S,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._books = books
        self._book = book
        self._drain = drain
        self._term_s = term_s
        # On SQLite everybody is on one host, where a spool's lock tells who is dead.
        self._by_the_clock = engine.dialect.name != "sqlite"
        self._me = Borrower("", "", "", alone=True, wanted=False, expires_at=0)
        self._others: tuple[str, ...] = ()
        self._lent: dict[str, Borrowed] = {}
        self._one_at_a_time = asyncio.Lock()
        self._written = clock.now_us()  # not the versions of an earlier life
        self._agreed = True  # our row says what `alone` says
        self.alone = True
        self.valid_until_ns = NEVER_NS
        self.wake = Wake("")
        self.borrowings = 0

    # --- life ------------------------------------------------------------------------------------------------------

    async def join(self, id: str, spool: str) -> None:
        """Become a borrower: alone, or once those that were alone share. `spool`: its folder; what an earlier life left
        in it has been drained. Raises what the database raises."""
        self._me = Borrower(id, socket.gethostname(), spool, False, False, 0)
        self.wake = Wake(id)
        self.wake.open()
        await self.adopt_dead()
        began_ns = self._clock.monotonic_ns()
        async with self._engine.begin() as connection:
            row = await lending.join(connection, self._renewed(), self._clock.now_us())
        self._count_on_us(began_ns)
        self.alone = row.alone
        self._drain.borrower = None if row.alone else id
        waited = False
        while not row.alone and (alone := [each for each in await self._look_around() if each.alone]):
            if not waited:
                log.info("ledger.waits_to_share", borrower=alone[0].id, host=alone[0].host)
                waited = True
            self.wake.tap(each.id for each in alone)
            await asyncio.sleep(JOIN_POLL_S)
            await self.adopt_dead()

    async def leave(self, drained: bool) -> None:
        """Give everything back, if everything is drained: else leases must go on covering what is in the spool."""
        try:
            if drained and self._me.id:
                async with self._engine.begin() as connection:
                    await lending.bury(connection, self._me.id, self._clock.now_us())
        finally:
            self.wake.close()

    async def renew(self) -> None:
        """Say that this process lives, and begin to share when somebody else wants to."""
        began_ns = self._clock.monotonic_ns()
        me = self._renewed()
        async with self._engine.begin() as connection:
            found = await lending.renew(connection, me.id, me.expires_at)
        await self._heard(found)
        self._count_on_us(began_ns)
        await self._look_around()

    async def look(self) -> None:
        """See whether somebody wants in, or wants something back."""
        if self.alone or not self._agreed:
            async with reading(self._engine) as connection:
                rows = {row.id: row for row in await lending.borrowers(connection)}
            mine = rows.get(self._me.id)
            await self._heard(None if mine is None else (mine.alone, mine.wanted))
        else:
            await self.answer()

    async def _heard(self, row: tuple[bool, bool] | None) -> None:
        """What our row says, alone and wanted, or that there is none any more."""
        if row is None or row[0] != self.alone or (self.alone and row[1]):
            await self._share()

    async def _share(self) -> None:
        """Write down what is in use, and borrow like everybody from now on."""
        began_ns = self._clock.monotonic_ns()
        async with self._writing() as connection:
            self._agreed = False
            self.alone = False
            self._drain.borrower = self._me.id
            monotonic_us = began_ns // _NS_PER_US
            amounts: dict[str, int] = {}
            for each in self._book.borrowed():
                used = each.shed(monotonic_us)
                if used and not (isinstance(each, Meter) and not each.capped):
                    amounts[each.cap] = used
            await lending.share(connection, self._renewed(), self._clock.now_us())
            for some in _pieces(amounts):
                await lending.put(connection, self._me.id, some, self._version())
            await connection.commit()
            for cap, amount in amounts.items():
                meter = self._book.find_borrowed(cap)
                if meter is not None:
                    # Whether it is more than a limit leaves is seen when somebody asks for more.
                    self._grant(meter, amount, meter.others, amount, 0)
        self._agreed = True
        self._count_on_us(began_ns)
        others = await self._look_around()
        self.wake.tap(each.id for each in others)
        log.info("ledger.shares", borrowers=len(others), leases=len(amounts))

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that the block commits, and the books locked inside it, as the drain does: whoever waited for the
        database's own lock with the books locked would keep those waiting who have it. One at a time: a crowd of them
        would take every connection of the pool, and who has the books may need one."""
        async with self._one_at_a_time, self._engine.connect() as connection:
            await connection.begin()
            async with self._books:
                yield connection

    async def adopt_dead(self) -> None:
        """Drain what dead processes of this host left, and give back what they had borrowed. Of other hosts, note who is
        overdue."""
        now_us = self._clock.now_us()
        for each in await self._look_around():
            if each.id == self._me.id:
                continue
            if each.host == self._me.host and await self._adopt(each):
                continue
            if self._by_the_clock and 0 < each.expires_at < now_us:
                async with self._engine.begin() as connection:
                    await lending.overdue(connection, each.id)
                log.error("ledger.borrower_overdue", borrower=each.id, host=each.host, spool=each.spool)

    async def _adopt(self, other: Borrower) -> bool:
        spool = Path(other.spool)
        if spool_id(spool) == other.id:
            return await adopt(
                self._engine,
                other,
                spool,
                self._books,
                self._clock.now_us,
                self._clock.monotonic_ns,
                self._drain.low_balance,
            )
        if self._by_the_clock:
            return False  # another machine may have a folder of this name, and our name
        # On one host: the folder is gone, and whatever was in it.
        async with self._engine.begin() as connection:
            await lending.bury(connection, other.id, now_us=self._clock.now_us())
        log.error("ledger.spool_gone", borrower=other.id, spool=other.spool)
        return True

    async def _look_around(self) -> list[Borrower]:
        async with reading(self._engine) as connection:
            found = await lending.borrowers(connection)
        self._others = tuple(each.id for each in found if each.id != self._me.id)
        return found

    def _version(self) -> int:
        """For rows that are written now."""
        self._written += 1
        return self._written

    def _renewed(self) -> Borrower:
        return self._me._replace(expires_at=self._clock.now_us() + self._term_s * _US_PER_S)

    def _count_on_us(self, began_ns: int) -> None:
        if self._by_the_clock:
            self.valid_until_ns = began_ns + self._term_s * _NS_PER_S

    # --- borrowing -------------------------------------------------------------------------------------------------

    async def borrow(
        self,
        account: KeyAccount,
        on_model: Meter | None,
        amount: int,
        places: int,
        asked: Asked | None = None,
    ) -> Outcome:
        """Borrow what one request of `amount` micro-dollars, `places` slots and starts still needs, and some more. With
        neither: only the more.

        Where there is too little nothing is taken, and others are asked for what they have idle; where they were asked
        before (`asked`, an earlier outcome's), that is all. Raises what the database raises.
        """
        async with self._writing() as connection:
            ask = self._book.ask(account, on_model)
            facts = await lending.look(connection, self._me.id, ask, self._clock.now_us())
            self._book.take_in(account, on_model, facts)
            plan = self._plan(account, on_model, amount, places, facts)
            limits = {cap: meter.limits for cap, meter in plan.meters.items()}
            if plan.short and asked is None:
                await lending.recall(connection, self._me.id, plan.short)
            changed = {cap: new for cap, (new, _) in plan.amounts.items() if new != facts.mine.get(cap, 0)}
            if changed:
                await lending.put(connection, self._me.id, changed, self._version())
            await connection.commit()
            for cap, (new, needed) in plan.amounts.items():
                self._grant(plan.meters[cap], new, facts.others.get(cap, 0), needed, plan.rooms[cap])
            for cap, meter in plan.meters.items():
                if meter.limits != limits[cap]:
                    # It changed while we asked: what was lent under the old one is not held against.
                    meter.limited_anew()
        self.borrowings += 1
        short = frozenset(plan.short)
        theirs = {place: version for place, version in facts.theirs.items() if place[0] in short}
        if asked is None:
            if theirs:
                self.wake.tap(self._others)
            return Outcome(bool(short), theirs)
        return Outcome(
            bool(short), {place: version for place, version in theirs.items() if asked.get(place) == version}
        )

    def _plan(
        self, account: KeyAccount, on_model: Meter | None, amount: int, places: int, facts: Facts
    ) -> _Plan:
        """How much to have of each cap. Nothing is awaited in here."""
        monotonic_us = self._clock.monotonic_ns() // _NS_PER_US
        meters: dict[str, Borrowed] = {}
        needs: dict[str, tuple[int, int]] = {}
        short: list[str] = []
        for meter, limit, more in self._limits(account, on_model, amount, places):
            cap = meter.cap
            room = limit - facts.others.get(cap, 0)
            needed = meter.used(monotonic_us) + more
            meters[cap] = meter
            needs[cap] = (room, needed)
            if needed > room and more:
                short.append(cap)
        amounts: dict[str, tuple[int, int]] = {}
        for cap, (room, needed) in needs.items():
            meter = meters[cap]
            if facts.wanted or meter.granted > max(room, needed):
                # Somebody needs what is idle, or a limit became lower. Before we wait again, nothing may be held
                # against what is given up.
                meter.shed(monotonic_us)
            if short or needed > room:
                amount_kept = max(meter.granted, meter.used(monotonic_us))
                amounts[cap] = (amount_kept, amount_kept)
            elif facts.wanted:
                amounts[cap] = (needed, needed)
            else:
                amounts[cap] = (max(slice_of(room, needed, facts.borrowers), meter.granted), needed)
        return _Plan(amounts, {cap: room for cap, (room, _) in needs.items()}, meters, short)

    def _limits(
        self, account: KeyAccount, on_model: Meter | None, amount: int, places: int
    ) -> Iterable[tuple[Borrowed, int, int]]:
        """(what is shared, how much of it there is beside what is posted, how much more is needed)."""
        record = account.record
        now_us = self._book.now_us()
        yield account.wallet, account.wallet.balance, amount
        for meter in (account, on_model, account.member):
            if meter is not None and meter.capped:
                left = [limit - window.total(now_us) + meter.undrained for limit, window, _ in meter.caps]
                if meter.quota:
                    left.append(meter.quota - meter.spent)
                yield meter, min(left), amount
        yield account.owner.slots, record.concurrency, places
        if record.rpm is not None:
            yield account.owner.starts, record.rpm, places

    def _grant(self, meter: Borrowed, amount: int, others: int, needed: int, room: int) -> None:
        meter.grant(amount, others, needed, room)
        if amount:
            meter.busy = True
            self._lent[meter.cap] = meter
        else:
            self._lent.pop(meter.cap, None)

    # --- giving back -----------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Give back what is idle of what others want."""
        async with reading(self._engine) as connection:
            caps = await lending.recalled(connection, self._me.id)
        for start in range(0, len(caps), AT_ONCE):
            await self._give_back(caps[start : start + AT_ONCE])
        if caps:
            self.wake.tap(self._others)

    async def give_back_idle(self) -> None:
        """Give back what nobody has drawn on since the last call."""
        idle: list[str] = []
        for cap, meter in self._lent.items():
            if meter.busy:
                meter.busy = False
            elif len(idle) < AT_ONCE:
                idle.append(cap)
        monotonic_us = self._clock.monotonic_ns() // _NS_PER_US
        wanted = [cap for cap in idle if self._lent[cap].granted > self._lent[cap].used(monotonic_us)]
        if wanted:
            await self._give_back(wanted)

    async def _give_back(self, caps: Sequence[str]) -> None:
        """Keep of these only what is in use."""
        async with self._writing() as connection:
            monotonic_us = self._clock.monotonic_ns() // _NS_PER_US
            amounts: dict[str, int] = {}
            for cap in caps:
                meter = self._lent.get(cap) or self._book.find_borrowed(cap)
                amounts[cap] = 0 if meter is None else meter.shed(monotonic_us)
            await lending.put(connection, self._me.id, amounts, self._version())
            await connection.commit()
            for cap, amount in amounts.items():
                if not amount and (meter := self._lent.pop(cap, None)) is not None:
                    self._book.forget(meter)

    @property
    def id(self) -> str:
        """By which others know this process."""
        return self._me.id


class _Plan(Struct, frozen=True):
    """By cap: `amounts`, what to have and how much of that is needed, and `rooms`, the most that it may be. `short`: the caps
    of which there is too little."""

    amounts: dict[str, tuple[int, int]]
    rooms: dict[str, int]
    meters: dict[str, Borrowed]
    short: list[str]


def _pieces(amounts: Mapping[str, int]) -> Iterable[dict[str, int]]:
    items = list(amounts.items())
    for start in range(0, len(items), AT_ONCE):
        yield dict(items[start : start + AT_ONCE])
