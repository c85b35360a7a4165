"""Random lives of several ledgers on one database, beside a model that is nothing but lists and sums.

Processes come, stop, die and are succeeded; they hold, post, void, extend and let expire; they set money aside for
tasks, which any of them may end; operators top up and change
limits; the clock moves both ways; the database fails now and then. Whoever asks, and wherever the money lies idle, a
request must be let in if limit - posted - held over all processes covers it, and refused if not. All keys draw on an org's
wallet; two are of one member, whose caps bind both together. While a dead process's
spool lies about, requests may be refused that would fit: what it had borrowed counts as spent.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import structs
from sqlalchemy.exc import OperationalError

from bytespike.accounts.records import KeyRecord, ModelCap
from bytespike.errors import ConcurrencyLimited, GatewayError, InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger.account import KeyAccount, Meter, limits_of, member_limits
from bytespike.ledger.entries import org_wallet
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.ledger import Hold, HoldResolved, Ledger
from bytespike.ledger.windows import WINDOWS
from tests.support import postgres
from tests.support.escrow_house import FATES, Refused, begun, commits, held, post, refuse, void
from tests.support.ledger_house import House, attempt_for, org_key, receipt_for
from tests.support.shared_ledgers import (
    books_are_right,
    borrowers,
    kill,
    leases,
    look_after,
    nothing_lent_beyond_what_is_written,
)

pytestmark = pytest.mark.slow

HOLD_AGE_S = 900
NAMES = ("a", "b", "c")
USER_OF = {"key_1": "u1", "key_2": "u1", "key_3": "u2"}
KEYS = tuple(USER_OF)
MODELS = ("gpt-5-5", "sora2")
WALLET = org_wallet("o1")

amounts = st.integers(min_value=0, max_value=300)
caps = st.sampled_from([0, 0, 100, 400, 1000])
requests = st.tuples(st.integers(0, 2), st.sampled_from(KEYS), st.sampled_from(MODELS), amounts)
seconds = st.sampled_from([1, 30, 61, 300, 1799, 1801, 5 * 3600, 5 * 3600 + 61, 24 * 3600])


@dataclass
class Model:
    """What should be. `posted`: (key, model, at, credits), of what is set aside for tasks too: those are in `escrows`, by id, as
    well. `holds`: request: (process, hold, key, model, amount)."""

    balance: int = 0
    records: dict[str, KeyRecord] = field(default_factory=dict)
    posted: list[tuple[str, str, int, int]] = field(default_factory=list)
    holds: dict[str, tuple[str, Hold, str, str, int]] = field(default_factory=dict)
    escrows: dict[str, tuple[str, str, int, int]] = field(default_factory=dict)
    starts: list[tuple[str, int]] = field(default_factory=list)  # user, monotonic microseconds

    def held_by(self, user: str) -> int:
        return sum(amount for _, _, of, _, amount in self.holds.values() if USER_OF[of] == user)

    def spent_by(self, user: str) -> int:
        return sum(credits for of, _, _, credits in self.posted if USER_OF[of] == user)

    def in_window_by(self, user: str, span_us: int, bucket_us: int, now_us: int) -> int:
        keys = [key for key, of in USER_OF.items() if of == user]
        return sum(self.in_window(key, "", span_us, bucket_us, now_us) for key in keys)

    def held(self, key: str | None = None, model: str = "") -> int:
        return sum(
            amount for _, _, of, on, amount in self.holds.values() if key in (None, of) and model in ("", on)
        )

    def spent(self, key: str, model: str = "") -> int:
        return sum(credits for of, on, _, credits in self.posted if of == key and model in ("", on))

    def in_window(self, key: str, model: str, span_us: int, bucket_us: int, now_us: int) -> int:
        return sum(
            credits
            for of, on, at, credits in self.posted
            if of == key and model in ("", on) and now_us < (at // bucket_us + 1) * bucket_us + span_us
        )

    def refusal(
        self, key: str, model: str, amount: int, now_us: int, mono_us: int
    ) -> type[GatewayError] | None:
        record = self.records[key]
        if amount:
            if amount > self.balance - self.held():
                return InsufficientBalance
            for on in ("", model):
                limits = limits_of(record, on)
                quota = limits.get("lifetime", 0)
                if quota and amount > quota - self.spent(key, on) - self.held(key, on):
                    return QuotaExceeded
                for spec in WINDOWS:
                    limit = limits.get(spec.name, 0)
                    inside = self.in_window(key, on, spec.span_us, spec.bucket_us, now_us)
                    if limit and amount > limit - inside - self.held(key, on):
                        return RateLimited
            limits = member_limits(record)
            user = record.user_id
            quota = limits.get("lifetime", 0)
            if quota and amount > quota - self.spent_by(user) - self.held_by(user):
                return QuotaExceeded
            for spec in WINDOWS:
                limit = limits.get(spec.name, 0)
                inside = self.in_window_by(user, spec.span_us, spec.bucket_us, now_us)
                if limit and amount > limit - inside - self.held_by(user):
                    return RateLimited
        if sum(USER_OF[of] == record.user_id for _, _, of, _, _ in self.holds.values()) >= record.concurrency:
            return ConcurrencyLimited
        second = 1_000_000
        recent = [
            at
            for user, at in self.starts
            if user == record.user_id and mono_us < (at // second + 1) * second + 60 * second
        ]
        return RateLimited if record.rpm is not None and len(recent) >= record.rpm else None


class SharedMachine(RuleBasedStateMachine):
    url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-shared-"))
        self.runner = asyncio.Runner()
        self.built = House(self.folder, self.url)
        self.model = Model()
        self.numbers = 0
        self.alive: dict[str, Ledger] = {}
        self.desks: dict[str, Escrows] = {}
        self.dead: dict[str, str] = {}  # their ids by name
        # What a process that is gone had started counts for a minute by everybody's clock: about a minute, if it is set.
        self.blurred_until_us = 0

    def blur(self) -> None:
        self.blurred_until_us = self.built.clock.monotonic_ns() // 1000 + 70_000_000

    def run(self, awaitable: object) -> object:
        return self.runner.run(awaitable)

    @initialize(
        quota=caps, limit_5h=caps, on_model=caps, on_member=caps, funds=st.sampled_from([300, 1500, 5000])
    )
    def build(self, quota: int, limit_5h: int, on_model: int, on_member: int, funds: int) -> None:
        async def go() -> None:
            await self.built.build()
            for id in KEYS:
                capped = (ModelCap(MODELS[0], "5h", on_model),) if on_model else ()
                shared = (ModelCap("", "lifetime", on_member),) if on_member else ()
                self.model.records[id] = await self.built.add_key(
                    org_key(
                        id,
                        USER_OF[id],
                        quota=quota,
                        limit_5h=limit_5h,
                        caps=capped,
                        member_caps=shared,
                        concurrency=4,
                    )
                )
            if funds:
                await self.built.fund(funds, WALLET)
                self.model.balance += funds

        self.run(go())
        self.start("a")
        self.start("b")

    def start(self, name: str) -> None:
        async def go() -> None:
            ledger = self.built.process(
                name, hold_age_s_max=HOLD_AGE_S, sync_interval_ms=3_600_000, lease_term_s=10**9
            )
            await ledger.start()
            self.alive[name] = ledger
            self.desks[name] = Escrows(self.built.engine, ledger, self.built.clock)

        self.run(go())
        self.dead.pop(name, None)
        self.blur()

    async def account(self, ledger: Ledger, key: str) -> KeyAccount:
        record = self.model.records[key]
        return ledger.account(record) or await ledger.open(record)

    def some(self, data: st.DataObject) -> Ledger:
        return self.alive[data.draw(st.sampled_from(sorted(self.alive)))]

    # --- requests ----------------------------------------------------------------------------------------------

    @rule(wanted=st.lists(requests, min_size=1, max_size=8))
    def hold_some(self, wanted: list[tuple[int, str, str, int]]) -> None:
        """Rules are drawn evenly, and it is these that matter: so there are several at a time."""
        for number, key, model, amount in wanted:
            self.hold(sorted(self.alive)[number % len(self.alive)], key, model, amount)

    @precondition(lambda self: self.model.holds)
    @rule(shares=st.lists(st.sampled_from([None, 0, 1, 2, 3, 4]), min_size=1, max_size=6))
    def resolve_some(self, shares: list[int | None]) -> None:
        """The oldest first; None voids."""
        for share, request in zip(shares, sorted(self.model.holds), strict=False):
            if share is None:
                name, hold, *_ = self.model.holds.pop(request)
                self.alive[name].void(hold)
            else:
                self.post(request, share)

    def hold(self, name: str, key: str, model: str, amount: int) -> None:
        ledger = self.alive[name]
        self.numbers += 1
        request = f"r{self.numbers:04d}"
        # Refusals are remembered for a moment.
        self.built.clock.forward(1)
        now_us, mono_us = self.built.clock.now_us(), self.built.clock.monotonic_ns() // 1000
        expected = {self.model.refusal(key, model, amount, now_us, mono_us)}
        record = self.model.records[key]
        if mono_us < self.blurred_until_us:
            self.model.records[key] = structs.replace(record, rpm=None)
            expected.add(self.model.refusal(key, model, amount, now_us, mono_us))
            self.model.records[key] = record

        async def go() -> Hold:
            return await ledger.acquire(await self.account(ledger, key), request, amount, model)

        try:
            hold = self.run(go())
        except GatewayError as error:
            assert self.dead or type(error) in expected, (error, expected)
        else:
            assert None in expected, "let in, though it does not fit"
            self.model.holds[request] = (name, hold, key, model, amount)
            if record.rpm is not None:
                self.model.starts.append((record.user_id, mono_us))

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), credits=amounts)
    def extend(self, data: st.DataObject, credits: int) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.holds)))
        name, hold, key, model, amount = self.model.holds[request]
        self.built.clock.forward(1)
        # What an extension needs is money alone.
        record = self.model.records[key]
        self.model.records[key] = structs.replace(record, concurrency=10_000, rpm=None)
        fits = not self.model.refusal(key, model, credits, self.built.clock.now_us(), 0)
        self.model.records[key] = record
        ledger = self.alive[name]

        async def go() -> bool:
            await self.account(ledger, key)
            return await ledger.extend_borrowing(hold, credits)

        extended = self.run(go())
        if extended:
            assert fits or not credits
            self.model.holds[request] = (name, hold, key, model, amount + credits)
        else:
            assert not fits or self.dead
        assert hold.amount == self.model.holds[request][4]

    def post(self, request: str, share: int) -> None:
        name, hold, key, model, amount = self.model.holds.pop(request)
        at, credits = self.built.clock.now_us(), amount * share // 4
        ledger = self.alive[name]
        ledger.post(hold, receipt_for(hold, at, credits, model=model), (attempt_for(hold, at),))
        self.model.posted.append((key, model, at, credits))
        self.model.balance -= credits
        with pytest.raises(HoldResolved):
            ledger.void(hold)

    # --- tasks ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.holds)
    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=6))
    def set_aside_some(self, fates: list[str]) -> None:
        """The oldest holds first."""
        for fate, request in zip(fates, sorted(self.model.holds), strict=False):
            name, hold, key, model, amount = self.model.holds[request]
            id, at = f"task_{request}", self.built.clock.now_us()
            write = refuse if fate == "refused" else begun(hold, id, at)
            with commits(fate):
                try:
                    self.run(self.desks[name].place(hold, Escrow(id, at), write))
                except (Refused, OperationalError):
                    assert fate in ("refused", "not done")
                    assert hold.state == "open"
                    continue
            assert hold.state == "escrowed"
            del self.model.holds[request]
            self.model.escrows[id] = (key, model, at, amount)
            self.model.posted.append((key, model, at, amount))
            self.model.balance -= amount
            with pytest.raises(HoldResolved):
                self.alive[name].void(hold)

    @precondition(lambda self: self.model.escrows)
    @rule(
        ends=st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from([None, None, 0, 1, 3, 4]), st.sampled_from(FATES)),
            min_size=1,
            max_size=6,
        )
    )
    def tasks_end(self, ends: list[tuple[int, int | None, str]]) -> None:
        """The oldest first, seen to by any process, also by one that never heard of it; None voids. Then others try too."""
        for (number, share, fate), id in zip(ends, sorted(self.model.escrows), strict=False):
            self.end(id, sorted(self.alive)[number % len(self.alive)], share, fate)

    def end(self, id: str, name: str, share: int | None, fate: str) -> None:
        key, model, at, amount = self.model.escrows[id]
        credits = 0 if share is None else amount * share // 4
        row = self.run(self.desks[name].find(id))
        assert (row.state, row.amount, row.at, row.model) == ("held", amount, at, model)

        async def go(desk: Escrows) -> bool:
            if fate == "refused":
                return await desk.void(id, (), refuse)
            if share is None:
                return await void(self.built, desk, row)
            return await post(self.built, desk, row, credits)

        with commits(fate):
            try:
                assert self.run(go(self.desks[name]))
            except (Refused, OperationalError):
                assert fate in ("refused", "not done")
                return
        for other in self.alive:
            assert not self.run(void(self.built, self.desks[other], row))
        del self.model.escrows[id]
        self.model.posted.remove((key, model, at, amount))
        if share is not None:
            self.model.posted.append((key, model, at, credits))
        self.model.balance += amount - credits

    @rule()
    def expire(self) -> None:
        self.built.clock.forward(HOLD_AGE_S)
        for _, hold, *_ in self.model.holds.values():
            hold.lives = False  # as a sweep in between would have seen to
        for name, ledger in self.alive.items():
            mine = [request for request, (of, *_) in self.model.holds.items() if of == name]
            assert ledger.expire() == len(mine)
        self.model.holds.clear()

    # --- operators ---------------------------------------------------------------------------------------------

    @rule(amount=st.integers(min_value=1, max_value=1500))
    def topup(self, amount: int) -> None:
        async def go() -> None:
            await self.built.fund(amount, WALLET)
            for ledger in self.alive.values():
                await ledger.reload("wallet", WALLET)

        self.run(go())
        self.model.balance += amount

    @rule(
        key=st.sampled_from(KEYS),
        quota=caps,
        five=caps,
        week=caps,
        on_first=caps,
        on_second=caps,
        concurrency=st.integers(0, 5),
        rpm=st.sampled_from([None, None, 2, 5]),
    )
    def change_limits(
        self,
        key: str,
        quota: int,
        five: int,
        week: int,
        on_first: int,
        on_second: int,
        concurrency: int,
        rpm: int | None,
    ) -> None:
        on_model = (ModelCap(MODELS[0], "5h", on_first), ModelCap(MODELS[1], "lifetime", on_second))
        self.model.records[key] = structs.replace(
            self.model.records[key],
            quota=quota,
            limit_5h=five,
            limit_7d=week,
            caps=tuple(cap for cap in on_model if cap.amount),
        )
        for id in KEYS:  # these are the user's
            self.model.records[id] = structs.replace(self.model.records[id], concurrency=concurrency, rpm=rpm)
        self.hear()

    @rule(user=st.sampled_from(["u1", "u2"]), lifetime=caps, five=caps, day=caps)
    def change_a_members_limits(self, user: str, lifetime: int, five: int, day: int) -> None:
        limits = {"lifetime": lifetime, "5h": five, "1d": day}
        shared = tuple(ModelCap("", span, amount) for span, amount in limits.items() if amount)
        for id in KEYS:
            if USER_OF[id] == user:
                self.model.records[id] = structs.replace(self.model.records[id], member_caps=shared)
        self.hear()

    def hear(self) -> None:
        async def go() -> None:
            for ledger in self.alive.values():
                for id in KEYS:
                    await self.account(ledger, id)
            # What is held under caps that are new is written down at once, for the others.
            for ledger in self.alive.values():
                async with asyncio.timeout(60):
                    while not ledger._sharing.alone and any(
                        meter.uncovered(0) for meter in ledger._book.borrowed() if isinstance(meter, Meter)
                    ):
                        await asyncio.sleep(0.002)

        self.run(go())

    # --- time, the database, and death ---------------------------------------------------------------------------

    @rule(by=seconds, back=st.booleans())
    def the_clock_is_set(self, by: int, back: bool) -> None:
        self.built.clock.jump(-by if back else by)
        self.blur()

    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        self.run(self.some(data).flush())

    @rule(data=st.data())
    def idle_leases_are_given_back(self, data: st.DataObject) -> None:
        sharing = self.some(data)._sharing
        if not sharing.alone:
            self.run(sharing.give_back_idle())
            self.run(sharing.give_back_idle())

    @precondition(lambda self: len(self.alive) < len(NAMES))
    @rule()
    def one_comes(self) -> None:
        self.start(next(name for name in NAMES if name not in self.alive))

    @precondition(lambda self: len(self.alive) > 1)
    @rule(data=st.data())
    def one_dies(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        ledger = self.alive.pop(name)
        del self.desks[name]
        self.dead[name] = ledger._sharing.id
        self.run(kill(ledger))
        self.gone(name)

    @precondition(lambda self: len(self.alive) > 1)
    @rule(data=st.data())
    def one_stops(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        self.run(self.alive.pop(name).stop())
        del self.desks[name]
        self.gone(name)

    def gone(self, name: str) -> None:
        self.blur()
        for request in [request for request, (of, *_) in self.model.holds.items() if of == name]:
            del self.model.holds[request]

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def the_dead_are_looked_after(self, data: st.DataObject) -> None:
        self.blur()
        self.run(look_after(self.some(data), self.dead.values()))
        self.dead.clear()

    # --- what must be true -------------------------------------------------------------------------------------

    @rule()
    def look_at_everything(self) -> None:
        async def go() -> None:
            await nothing_lent_beyond_what_is_written(
                [each for each in self.alive.values() if not each._sharing.alone], self.built.engine
            )
            lent: dict[str, int] = {}
            for (cap, _), amount in (await leases(self.built.engine)).items():
                lent[cap] = lent.get(cap, 0) + amount
            assert lent.get(WALLET, 0) <= await self.built.balance(WALLET)
            for ledger in self.alive.values():
                stats = ledger.stats()
                mine = [
                    hold
                    for hold in self.model.holds.values()
                    if hold[1].account in ledger._book.accounts.values()
                ]
                assert stats.open_holds == len(mine)

        self.run(go())
        assert self.model.balance - self.model.held() >= 0

    def teardown(self) -> None:
        try:
            if self.model.records:
                for name in sorted(self.dead):
                    self.start(name)
                for name in sorted(self.alive):
                    self.run(self.alive[name].stop())
                assert self.run(self.built.balance(WALLET)) == self.model.balance
                for key in KEYS:
                    assert self.run(self.built.spent(key)) == self.model.spent(key)
                billed = len(self.model.posted) - len(self.model.escrows)
                assert len(self.run(self.built.usage_ids())) == billed
                assert self.run(held(self.built)) == sum(each[3] for each in self.model.escrows.values())
                self.run(books_are_right(self.built.engine))
                # Nothing is lent, and nobody borrows.
                left = self.run(leases(self.built.engine))
                assert all(cap.startswith("starts:") for cap, _ in left), left
                assert self.run(borrowers(self.built.engine)) == []
        finally:
            self.run(self.built.engine.dispose())
            self.runner.close()
            shutil.rmtree(self.folder)


SharedMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSharedLedgers = SharedMachine.TestCase


@pytest.mark.skipif(not postgres.installed(), reason="PostgreSQL is not installed")
def test_the_same_on_postgresql() -> None:
    with postgres.postgres() as url:

        class OnPostgres(SharedMachine):
            pass

        OnPostgres.url = url
        run_state_machine_as_test(
            OnPostgres,
            settings=settings(
                max_examples=10,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate,),
            ),
        )
