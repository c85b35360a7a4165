"""The accounts that are open in this process: found in no time, read from the database once, dropped when unused.

Figures are read under the `books` lock, so that no batch is committed in between (`drain.py` says why). What this
process has posted and not drained is kept apart (`account.py`), so a figure that was read again replaces the old one
and loses nothing.

Windows, and what was spent on one model or by a member of an org, are sums (`metering.py`). They are read when a key has a cap on them that is
not tracked yet, which is when it is opened, or when the control plane sets the cap later; in the second case the spool
is asked too, for what is posted and not in the sums. They are read again when the clock went back to before something
that had left, and, by a process that shares the database, whenever it borrows.

Dropped are the accounts that were not asked for the longest, never one with a hold or undrained spend.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.clock import Clock
from bytespike.errors import InternalError
from bytespike.ledger import metering, sql
from bytespike.ledger.account import (
    LIFETIME,
    CappedKey,
    KeyAccount,
    Member,
    Meter,
    Owner,
    Slots,
    Starts,
    Wallet,
    capped_models,
    limits_of,
    member_limits,
    member_of,
)
from bytespike.ledger.drain import Drained
from bytespike.ledger.entries import WALLET_KIND
from bytespike.ledger.holds import Hold
from bytespike.ledger.leases import Borrowed
from bytespike.ledger.lending import Ask, Facts
from bytespike.ledger.metering import Wanted
from bytespike.ledger.records import Receipt
from bytespike.ledger.restoring import member_meter, model_meter, restore, restore_meters
from bytespike.store.engine import reading

#: Open accounts, unless they are in use.
ACCOUNTS_MAX = 50_000
#: How far to look for one that can be dropped, each time one is opened.
_DROP_SCAN = 32


class _Read(NamedTuple):
    """What the database said. `balance` is None where there is no such wallet."""

    balance: int | None
    spent: int
    sums: metering.Sums


class Book:
    """`receipts_undrained`: every receipt that was posted and is not in the database. `holds`: every hold that is open."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        books: asyncio.Lock,
        receipts_undrained: Callable[[], Iterable[Receipt]],
        holds: Callable[[], Iterable[Hold]],
        accounts_max: int = ACCOUNTS_MAX,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._making = asyncio.Lock()
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._books = books
        self._receipts_undrained = receipts_undrained
        self._holds = holds
        self._accounts_max = accounts_max
        self.accounts: OrderedDict[str, KeyAccount] = OrderedDict()  # the longest unused first
        self.wallets: dict[str, Wallet] = {}
        self.owners: dict[str, Owner] = {}
        self.members: dict[str, Member] = {}
        self.followed: list[KeyAccount] = []  # they have taken over other caps
        self._latest_us = 0

    def __len__(self) -> int:
        return len(self.accounts)

    def now_us(self) -> int:
        """The time. Every reading of a window must use this one, so that a clock that went back is noticed."""
        now_us = self._clock.now_us()
        if now_us > self._latest_us:
            self._latest_us = now_us
        return now_us

    def find(self, key: CappedKey) -> KeyAccount | None:
        """The key's account, following `key`'s caps from now on; None if it has to be read first."""
        account = self.accounts.get(key.id)
        if account is None:
            return None
        latest_us = self._latest_us
        now_us = self.now_us()
        if now_us < latest_us and account.missing_windows(key, now_us):
            return None
        if account.record is not key and not self._follow(account, key, now_us):
            return None
        self.accounts.move_to_end(key.id)
        return account

    def _follow(self, account: KeyAccount, key: CappedKey, now_us: int) -> bool:
        """Take over a changed record, if everything that it needs is in memory."""
        if account.missing_windows(key, now_us):
            return False
        if account.wallet.id != key.account_id or account.owner.id != key.user_id:
            wallet = self.wallets.get(key.account_id)
            if wallet is None:
                return False
            account.move(wallet, self._owner(key.user_id))
        account.follow(key)
        self.followed.append(account)
        return True

    async def open(self, key: CappedKey) -> KeyAccount:
        """The key's account, read from the database if need be. Concurrent callers read it once.

        Raises what the database raises.
        """
        async with self._opening.setdefault(key.id, asyncio.Lock()):
            for _ in range(3):
                async with self._books:
                    account = self.find(key)
                    if account is not None:
                        return account
                    found = await self._read(key)
                    missing = [each for each in self._wanted(key) if each.id not in found.sums]
                    if found.balance is not None and not missing:
                        return self._attach(key, found.balance, found)
                # One at a time: a crowd of writers would take every connection of the pool while they wait for the
                # database's write lock; who has that waits for the books, and who has those may need a connection.
                async with self._making:
                    await self._make(key.account_id, missing)
        raise InternalError(f"the account {key.account_id} cannot be made")

    async def reload(self, kind: str, ref: str) -> None:
        """Something changed in the database: "wallet" and an account id, or "key" and a key's id. Others are no
        concern of the books. Raises what the database raises."""
        async with self._books:
            if kind == "wallet" and (wallet := self.wallets.get(ref)) is not None:
                async with reading(self._engine) as connection:
                    wallet.balance = await _balance(connection, ref) or 0
                # There may be less than was borrowed: ask again before holding against it.
                wallet.limited_anew()
            elif kind == "key" and (account := self.accounts.get(ref)) is not None:
                async with reading(self._engine) as connection:
                    account.spent = await _spent(connection, ref)

    def has_undrained(self, key_id: str) -> bool:
        """The key has an account here, with spend that is not in the database."""
        account = self.accounts.get(key_id)
        return account is not None and account.undrained > 0

    def drained(self, drained: Drained) -> None:
        """These amounts are in the database now, and no longer only here."""
        for id, amount in drained.by_wallet.items():
            wallet = self.wallets.get(id)
            if wallet is not None:
                wallet.undrained -= amount
                wallet.drained(amount)
                wallet.balance = drained.balances.get(id, wallet.balance)
                self._forget_idle(wallet)
        for id, amount in drained.by_key.items():
            account = self.accounts.get(id)
            if account is not None:
                account.undrained -= amount
                account.drained(amount)
                account.spent = drained.spent.get(id, account.spent)
        for (id, model), amount in drained.by_model.items():
            account = self.accounts.get(id)
            meter = None if account is None else account.models.get(model)
            if meter is not None:
                meter.undrained -= amount
                meter.drained(amount)
                meter.spent += amount
        for id, amount in drained.by_member.items():
            member = self.members.get(id)
            if member is not None:
                member.undrained -= amount
                member.drained(amount)
                member.spent += amount
                self._forget_member(member)

    # --- borrowing -------------------------------------------------------------------------------------------------

    def ask(self, account: KeyAccount, on_model: Meter | None) -> Ask:
        """What one request of this account draws on."""
        owner = account.owner
        caps = [account.wallet.cap, owner.slots.cap]
        if account.capped:
            caps.append(account.cap)
        if on_model is not None and on_model.capped:
            caps.append(on_model.cap)
        member = account.member
        if member is not None and member.capped:
            caps.append(member.cap)
        if account.record.rpm is not None:
            caps.append(owner.starts.cap)
        models = ("",) if on_model is None else ("", on_model.model)
        wanted = tuple(each for each in self._wanted(account.record) if each.model in models)
        return Ask(
            account.wallet.id,
            account.key_id,
            member.cap if member is not None and member.capped else None,
            owner.id,
            wanted,
            tuple(caps),
        )

    def take_in(self, account: KeyAccount, on_model: Meter | None, facts: Facts) -> None:
        """The database's figures, as they are now, into the meters. Under the lock, as all reading is."""
        account.wallet.balance = facts.balance
        account.spent = facts.spent
        self._restore(account, facts.sums)
        owner = account.owner
        for meter in (account.wallet, account, on_model, account.member, owner.slots, owner.starts):
            if meter is not None:
                meter.others = facts.others.get(meter.cap, 0)

    def borrowed(self) -> Iterator[Borrowed]:
        """Everything of which something may be borrowed."""
        yield from self.wallets.values()
        for account in self.accounts.values():
            yield from account.meters()
        yield from self.members.values()
        for owner in self.owners.values():
            yield owner.slots
            yield owner.starts

    def find_borrowed(self, cap: str) -> Borrowed | None:
        """The meter of a cap, if it is in memory."""
        kind, _, rest = cap.partition(":")
        match kind:
            case "wallet":
                return self.wallets.get(cap)
            case "key":
                key_id, _, model = rest.partition("/")
                account = self.accounts.get(key_id)
                return account if account is None or not model else account.models.get(model)
            case "member":
                return self.members.get(cap)
            case "slots":
                owner = self.owners.get(rest)
                return None if owner is None else owner.slots
            case _:
                owner = self.owners.get(rest)
                return None if owner is None else owner.starts

    # --- reading ---------------------------------------------------------------------------------------------------

    def _wanted(self, key: CappedKey) -> tuple[Wanted, ...]:
        """The sums that a key's caps are compared with."""
        wanted = [Wanted(key.id, "", span) for span in limits_of(key, "") if span != LIFETIME]
        for model in capped_models(key):
            wanted += [Wanted(key.id, model, span) for span in limits_of(key, model)]
        member = member_of(key)
        if member is not None:
            wanted += [Wanted(member, "", span) for span in member_limits(key)]
        return tuple(wanted)

    async def _read(self, key: CappedKey) -> _Read:
        """What the key needs, or what of it is not in memory."""
        account = self.accounts.get(key.id)
        wallet = self.wallets.get(key.account_id)
        async with reading(self._engine) as connection:
            balance = await _balance(connection, key.account_id) if wallet is None else wallet.balance
            spent = await _spent(connection, key.id) if account is None else account.spent
            sums = await metering.read(connection, self._wanted(key))
        return _Read(balance, spent, sums)

    def _attach(self, key: CappedKey, balance: int, found: _Read) -> KeyAccount:
        """Put what was read into the meters. Nothing is awaited from here on: what was posted while the database was
        being read is in the meters or in the spool."""
        wallet = self.wallets.get(key.account_id)
        if wallet is None:
            wallet = self.wallets[key.account_id] = Wallet(key.account_id, balance)
        owner = self._owner(key.user_id)
        account = self.accounts.get(key.id)
        if account is None:
            account = self.accounts[key.id] = KeyAccount(key, wallet, owner, found.spent)
        elif account.wallet is not wallet or account.owner is not owner:
            account.move(wallet, owner)
        for model in capped_models(key):
            if model not in account.models:
                account.models[model] = model_meter(account, model, self._receipts_undrained, self._holds)
        self._join_member(account, key)
        self._restore(account, found.sums)
        account.follow(key)
        self.followed.append(account)
        self.accounts.move_to_end(key.id)
        self._drop_unused()
        return account

    def _join_member(self, account: KeyAccount, key: CappedKey) -> None:
        """One meter for all keys of a member, if he has caps: the first that brings them begins it for all."""
        id = member_of(key)
        if id is None or account.member is not None:
            return
        member = self.members.get(id)
        if member is not None:
            account.join(member)
        elif key.member_caps:
            member = self.members[id] = member_meter(id, self._receipts_undrained, self._holds)
            for each in self.accounts.values():
                if member_of(each.record) == id:
                    each.join(member)

    def restore(self, meters: Iterable[Meter], sums: metering.Sums) -> None:
        """These meters as the database has them now. Under the lock, as all reading is."""
        restore_meters(meters, sums, self.now_us(), self._receipts_undrained)

    def _restore(self, account: KeyAccount, sums: metering.Sums) -> None:
        restore(account, sums, self.now_us(), self._receipts_undrained)

    async def _make(self, account_id: str, meters: Iterable[Wanted]) -> None:
        """A wallet and meters that are missing."""
        now_us = self._clock.now_us()
        async with self._engine.begin() as connection:
            await connection.execute(
                sql.add_accounts_missing(self._engine.dialect, [(account_id, WALLET_KIND)], now_us)
            )
            await metering.begin(connection, meters, now_us)

    # --- dropping --------------------------------------------------------------------------------------------------

    def _drop_unused(self) -> None:
        excess = len(self.accounts) - self._accounts_max
        if excess <= 0:
            return
        # Not the newest: somebody is about to use it.
        oldest = islice(self.accounts.items(), min(_DROP_SCAN, len(self.accounts) - 1))
        idle = [id for id, account in oldest if account.idle]
        for id in idle[:excess]:
            account = self.accounts.pop(id)
            account.close()
            self._forget_idle(account.wallet)
            self._forget_owner(account.owner.id)
            if account.member is not None:
                self._forget_member(account.member)

    def forget(self, meter: Borrowed) -> None:
        """Nothing is borrowed of it any more: drop it, if it was kept for that alone."""
        if isinstance(meter, Wallet):
            self._forget_idle(meter)
        elif isinstance(meter, Member):
            self._forget_member(meter)
        elif isinstance(meter, Slots | Starts):
            self._forget_owner(meter.user_id)

    def _forget_owner(self, user_id: str) -> None:
        owner = self.owners.get(user_id)
        if owner is not None and owner.idle:
            del self.owners[user_id]

    def _forget_member(self, member: Member) -> None:
        if member.idle:
            self.members.pop(member.cap, None)

    def _forget_idle(self, wallet: Wallet) -> None:
        if wallet.idle:
            self.wallets.pop(wallet.id, None)

    def _owner(self, user_id: str) -> Owner:
        owner = self.owners.get(user_id)
        if owner is None:
            owner = self.owners[user_id] = Owner(user_id)
        return owner


async def _balance(connection: AsyncConnection, account_id: str) -> int | None:
    return (await connection.execute(sql.BALANCE, {"id": account_id})).scalar()


async def _spent(connection: AsyncConnection, key_id: str) -> int:
    return (await connection.execute(sql.SPENT, {"id": key_id})).scalar() or 0
