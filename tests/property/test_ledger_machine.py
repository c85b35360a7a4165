"""Random lives of a ledger, beside a model that is nothing but lists and sums.

The machine holds, posts, voids, lets holds expire, sets money aside for tasks and has them end, tops up, debits, changes
limits, moves the clock both ways, drains a little or all, has the database fail in the middle of a transaction, and kills
the process and starts another on what is left on disk. After every step the ledger must say what the model says; the model decides each admission too. Both keys
are a member's, of an org whose wallet pays: his caps bind both together.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from bytespike.accounts.records import KeyRecord, ModelCap
from bytespike.errors import ConcurrencyLimited, GatewayError, InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger import doctor, transfers
from bytespike.ledger import drain as drain_module
from bytespike.ledger.account import member_limits
from bytespike.ledger.entries import org_wallet
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.ledger import Hold, HoldResolved, KeyAccount, Ledger
from bytespike.ledger.windows import WINDOWS
from tests.support.escrow_house import begun, held, post, void
from tests.support.ledger_house import House, attempt_for, org_key, receipt_for

pytestmark = pytest.mark.slow

HOLD_AGE_S = 900
KEYS = ("key_1", "key_2")
WALLET = org_wallet("o1")
T = TypeVar("T")

amounts = st.integers(min_value=0, max_value=300)
caps = st.sampled_from([0, 0, 100, 400, 1000])
#: The statement of an escrow's transaction at which the database fails; mostly it does not.
failures = st.one_of(st.none(), st.none(), st.integers(min_value=0, max_value=16))
seconds = st.sampled_from([1, 30, 61, 300, 1799, 1801, 5 * 3600, 5 * 3600 + 61, 24 * 3600, 7 * 24 * 3600])


@dataclass
class Model:
    """What should be: `posted` is (key, at, credits) of everything ever posted, and of what is set aside for tasks: those
    are in `escrows`, by id, too."""

    balance: int = 0
    records: dict[str, KeyRecord] = field(default_factory=dict)
    posted: list[tuple[str, int, int]] = field(default_factory=list)
    holds: dict[str, tuple[Hold, str, int]] = field(default_factory=dict)  # request: hold, key, amount
    escrows: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    over: int = 0

    def held(self, key: str | None = None) -> int:
        return sum(amount for _, of, amount in self.holds.values() if key in (None, of))

    def spent(self, key: str) -> int:
        return sum(credits for of, _, credits in self.posted if of == key)

    def in_window(self, key: str, span_us: int, bucket_us: int, now_us: int) -> int:
        return sum(
            credits
            for of, at, credits in self.posted
            if of == key and now_us < (at // bucket_us + 1) * bucket_us + span_us
        )

    def refusal(self, key: str, amount: int, now_us: int) -> type[GatewayError] | None:
        record = self.records[key]
        if amount:
            if amount > self.balance - self.held():
                return InsufficientBalance
            if record.quota and amount > record.quota - self.spent(key) - self.held(key):
                return QuotaExceeded
            for spec in WINDOWS:
                limit = getattr(record, spec.limit_field)
                inside = self.in_window(key, spec.span_us, spec.bucket_us, now_us)
                if limit and amount > limit - inside - self.held(key):
                    return RateLimited
            limits = member_limits(record)
            quota = limits.get("lifetime", 0)
            if quota and amount > quota - sum(map(self.spent, KEYS)) - self.held():
                return QuotaExceeded
            for spec in WINDOWS:
                limit = limits.get(spec.name, 0)
                inside = sum(self.in_window(each, spec.span_us, spec.bucket_us, now_us) for each in KEYS)
                if limit and amount > limit - inside - self.held():
                    return RateLimited
        return ConcurrencyLimited if len(self.holds) >= record.concurrency else None


class FailingDatabase:
    """Breaks the nth statement of a transaction from now on, once; 0 breaks the commit before it is done."""

    def __init__(self, built: House) -> None:
        self._countdown = -1
        event.listen(built.engine.sync_engine, "before_cursor_execute", self._statement)
        event.listen(built.engine.sync_engine, "commit", self._commit)

    def arm(self, statement: int) -> None:
        self._countdown = statement

    def disarm(self) -> None:
        self._countdown = -1

    def _statement(self, *_: object) -> None:
        if self._countdown > 0:
            self._countdown -= 1
            if self._countdown == 0:
                self._countdown = -1
                raise sqlite3.OperationalError("disk I/O error")

    def _commit(self, *_: object) -> None:
        if self._countdown == 0:
            self._countdown = -1
            raise sqlite3.OperationalError("disk I/O error")


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
        self.runner = asyncio.Runner()
        self.built = House(self.folder)
        self.model = Model()
        self.numbers = 0
        self.lives = 0
        self.batch_records = drain_module.BATCH_RECORDS
        drain_module.BATCH_RECORDS = 4  # so that a few records are several batches
        self.failing = FailingDatabase(self.built)
        self.ledger: Ledger

    def run(self, awaitable: object) -> object:
        return self.runner.run(awaitable)

    @initialize(quota=caps, limit_5h=caps)
    def build(self, quota: int, limit_5h: int) -> None:
        async def go() -> None:
            await self.built.build()
            for id in KEYS:
                self.model.records[id] = await self.built.add_key(
                    org_key(id, quota=quota, limit_5h=limit_5h, concurrency=4)
                )

        self.run(go())
        self.start()

    def start(self) -> None:
        async def go() -> None:
            self.ledger = self.built.ledger(hold_age_s_max=HOLD_AGE_S, sync_interval_ms=3_600_000)
            await self.ledger.start()
            self.desk = Escrows(self.built.engine, self.ledger, self.built.clock)

        self.run(go())

    def account(self, key: str) -> KeyAccount:
        record = self.model.records[key]
        found = self.ledger.account(record)
        return found if found is not None else self.run(self.ledger.open(record))

    # --- requests ----------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), amount=amounts)
    def hold(self, key: str, amount: int) -> None:
        self.numbers += 1
        request = f"r{self.numbers:04d}"
        account = self.account(key)
        expected = self.model.refusal(key, amount, self.built.clock.now_us())
        if expected is not None:
            with pytest.raises(expected):
                self.ledger.hold(account, request, amount)
            return
        self.model.holds[request] = (self.ledger.hold(account, request, amount), key, amount)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), credits=amounts, exactly=st.booleans())
    def post(self, data: st.DataObject, credits: int, exactly: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.holds)))
        hold, key, amount = self.model.holds.pop(request)
        credits = amount if exactly else credits
        at = self.built.clock.now_us()
        self.ledger.post(hold, receipt_for(hold, at, credits), (attempt_for(hold, at),))
        self.model.posted.append((key, at, credits))
        self.model.balance -= credits
        self.model.over += max(0, credits - amount)
        self.resolves_no_more(hold)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), attempts=st.booleans())
    def void(self, data: st.DataObject, attempts: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.holds)))
        hold, _, _ = self.model.holds.pop(request)
        failed = attempt_for(hold, self.built.clock.now_us(), outcome="failed", status=500)
        self.ledger.void(hold, (failed,) if attempts else ())
        self.resolves_no_more(hold)

    @rule(late=st.booleans(), credits=amounts)
    def expire(self, late: bool, credits: int) -> None:
        """`late`: the requests come back after all, and what they delivered is billed though nothing is held for it."""
        self.built.clock.forward(HOLD_AGE_S)
        gone = [(hold, key) for hold, key, _ in self.model.holds.values()]
        assert self.ledger.expire() == len(gone)
        self.model.holds.clear()
        for hold, key in gone:
            if late:
                at = self.built.clock.now_us()
                self.ledger.post(hold, receipt_for(hold, at, credits), (attempt_for(hold, at),))
                self.model.posted.append((key, at, credits))
                self.model.balance -= credits
                self.model.over += credits
            else:
                self.ledger.void(hold)
            self.resolves_no_more(hold)

    def resolves_no_more(self, hold: Hold) -> None:
        before = self.ledger.stats()
        with pytest.raises(HoldResolved):
            self.ledger.void(hold)
        with pytest.raises(HoldResolved):
            self.ledger.post(hold, receipt_for(hold, 1, 1), ())
        assert self.ledger.stats() == before

    # --- tasks ---------------------------------------------------------------------------------------------------

    def tried(self, what: Coroutine[Any, Any, T], statement: int | None) -> tuple[bool, T | None]:
        """Whether it was done, with the database failing at a statement of it (0: at the commit), and what it gave."""
        if statement is not None:
            self.failing.arm(statement)
        try:
            return True, self.run(what)
        except (sqlite3.OperationalError, DBAPIError):
            assert statement is not None
            return False, None
        finally:
            self.failing.disarm()

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), statement=failures)
    def set_aside(self, data: st.DataObject, statement: int | None) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.holds)))
        hold, key, amount = self.model.holds[request]
        id, at = f"task_{request}", self.built.clock.now_us()
        done, _ = self.tried(self.desk.place(hold, Escrow(id, at), begun(hold, id, at)), statement)
        assert hold.state == ("escrowed" if done else "open")
        if done:
            del self.model.holds[request]
            self.model.escrows[id] = (key, at, amount)
            self.model.posted.append((key, at, amount))
            self.model.balance -= amount
            self.resolves_no_more(hold)

    @precondition(lambda self: self.model.escrows)
    @rule(data=st.data(), share=st.sampled_from([None, 0, 1, 3, 4]), statement=failures)
    def end(self, data: st.DataObject, share: int | None, statement: int | None) -> None:
        """A task is over: some of what is set aside is billed (a quarter of it, say), or nothing is owed."""
        id = data.draw(st.sampled_from(sorted(self.model.escrows)))
        key, at, amount = self.model.escrows[id]
        row = self.run(self.desk.find(id))
        assert (row.state, row.amount) == ("held", amount)
        credits = 0 if share is None else amount * share // 4
        for attempt in range(2):
            again = (
                void(self.built, self.desk, row)
                if share is None
                else post(self.built, self.desk, row, credits)
            )
            done, first = self.tried(again, statement if attempt == 0 else None)
            assert first is not False
            if done:
                break
        again = void(self.built, self.desk, row) if share == 4 else post(self.built, self.desk, row, 0)
        assert self.run(again) is False
        del self.model.escrows[id]
        self.model.posted.remove((key, at, amount))
        if share is not None:
            self.model.posted.append((key, at, credits))
        self.model.balance += amount - credits

    # --- operators ---------------------------------------------------------------------------------------------

    @rule(amount=st.integers(min_value=1, max_value=1500))
    def topup(self, amount: int) -> None:
        self.run(self.built.fund(amount, WALLET))
        self.run(self.ledger.reload("wallet", WALLET))
        self.model.balance += amount

    @rule(amount=st.integers(min_value=1, max_value=300))
    def debit(self, amount: int) -> None:
        if amount > self.model.balance - self.model.held():
            return
        now_us = self.built.clock.now_us()
        self.run(transfers.admin_debit(self.built.engine, WALLET, amount, actor="test", now_us=now_us))
        self.run(self.ledger.reload("wallet", WALLET))
        self.model.balance -= amount

    @rule(
        key=st.sampled_from(KEYS), quota=caps, five=caps, day=caps, week=caps, concurrency=st.integers(0, 5)
    )
    def change_limits(self, key: str, quota: int, five: int, day: int, week: int, concurrency: int) -> None:
        self.model.records[key] = structs.replace(
            self.model.records[key],
            quota=quota,
            limit_5h=five,
            limit_1d=day,
            limit_7d=week,
            concurrency=concurrency,
        )

    @rule(lifetime=caps, five=caps, day=caps, week=caps)
    def change_the_members_limits(self, lifetime: int, five: int, day: int, week: int) -> None:
        limits = {"lifetime": lifetime, "5h": five, "1d": day, "7d": week}
        shared = tuple(ModelCap("", span, amount) for span, amount in limits.items() if amount)
        for key in KEYS:
            self.model.records[key] = structs.replace(self.model.records[key], member_caps=shared)

    @rule(key=st.sampled_from(KEYS))
    def reload_key(self, key: str) -> None:
        self.run(self.ledger.reload("key", key))

    # --- time --------------------------------------------------------------------------------------------------

    @rule(by=seconds)
    def time_passes(self, by: int) -> None:
        self.built.clock.forward(by)
        self.expired_by_now()

    @rule(by=seconds, back=st.booleans())
    def the_clock_is_set(self, by: int, back: bool) -> None:
        self.built.clock.jump(-by if back else by)

    def expired_by_now(self) -> None:
        """Nothing expires before somebody sweeps; sweep here, so that the model is simple."""
        oldest_ns = self.built.clock.monotonic_ns() - HOLD_AGE_S * 1_000_000_000
        gone = [request for request, (hold, _, _) in self.model.holds.items() if hold.since_ns <= oldest_ns]
        assert self.ledger.expire() == len(gone)
        for request in gone:
            del self.model.holds[request]

    # --- the database, and death ---------------------------------------------------------------------------------

    @rule()
    def drain_a_little(self) -> None:
        self.run(self.ledger._drain.once())

    @rule()
    def drain_everything(self) -> None:
        self.run(self.ledger.flush())
        self.books_say_what_the_model_says()

    @precondition(lambda self: self.ledger.stats().spool_records > 0)
    @rule(statement=st.integers(min_value=0, max_value=9))
    def the_database_fails(self, statement: int) -> None:
        self.failing.arm(statement)
        try:
            self.run(self.ledger.flush())
        except (sqlite3.OperationalError, DBAPIError):
            pass
        self.failing.disarm()

    @rule()
    def kill(self) -> None:
        """What the next process finds is the database and the spool's files as they are now."""
        self.lives += 1
        left = self.folder / f"spool-{self.lives}"
        shutil.copytree(self.built.spool_dir, left)
        self.bury()
        self.built.spool_dir = left
        self.model.holds.clear()
        self.start()
        self.books_say_what_the_model_says()

    @rule()
    def stop_and_start(self) -> None:
        self.run(self.ledger.stop())
        self.books_say_what_the_model_says()
        self.model.holds.clear()
        self.start()

    def bury(self) -> None:
        async def go() -> None:
            for task in self.ledger._upkeep.tasks:
                task.cancel()
            self.ledger._sharing.wake.close()
            await self.ledger._drain.close()
            self.ledger._spool.close()

        self.run(go())

    # --- what must be true -------------------------------------------------------------------------------------

    def books_say_what_the_model_says(self) -> None:
        assert self.run(self.built.balance(WALLET)) == self.model.balance
        for key in KEYS:
            assert self.run(self.built.spent(key)) == self.model.spent(key)
        assert len(self.run(self.built.usage_ids())) == len(self.model.posted) - len(self.model.escrows)
        assert self.run(held(self.built)) == sum(amount for _, _, amount in self.model.escrows.values())

    @invariant()
    def meters_say_what_the_model_says(self) -> None:
        if not self.model.records:
            return
        now_us = self.built.clock.now_us()
        stats = self.ledger.stats()
        assert (stats.open_holds, stats.held) == (len(self.model.holds), self.model.held())
        for key in KEYS:
            account = self.account(key)
            record = self.model.records[key]
            assert account.wallet.free() == self.model.balance - self.model.held()
            assert account.owner.in_flight == len(self.model.holds)
            assert account.spent + account.undrained == self.model.spent(key)
            assert account.held == self.model.held(key)
            for limit, window, spec in account.caps:
                assert limit == getattr(record, spec.limit_field)
                inside = self.model.in_window(key, spec.span_us, spec.bucket_us, now_us)
                assert window.total(now_us) == inside
            member = account.member
            assert member is not None or not record.member_caps
            if member is not None:
                assert member is self.account(KEYS[0]).member
                assert member.held == self.model.held()
                if member.quota:
                    assert member.spent + member.undrained == sum(map(self.model.spent, KEYS))
                for limit, window, spec in member.caps:
                    assert limit == member_limits(record)[spec.name]
                    inside = [
                        self.model.in_window(each, spec.span_us, spec.bucket_us, now_us) for each in KEYS
                    ]
                    assert window.total(now_us) == sum(inside)

    @invariant()
    def the_wallet_is_below_zero_by_no_more_than_was_underestimated(self) -> None:
        assert self.model.balance - self.model.held() >= -self.model.over

    def teardown(self) -> None:
        try:
            if self.model.records:
                self.run(self.ledger.stop())
                self.books_say_what_the_model_says()
                report = self.run(doctor.examine(self.built.engine, self.built.spool_dir))
                assert report.ok, report.findings
                assert {finding.check for finding in report.findings} <= {"wallets"}
        finally:
            drain_module.BATCH_RECORDS = self.batch_records
            self.run(self.built.engine.dispose())
            self.runner.close()
            shutil.rmtree(self.folder)


LedgerMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgerMachine = LedgerMachine.TestCase
