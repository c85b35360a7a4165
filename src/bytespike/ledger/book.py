"""The accounts that are open in this process: found in no time, read from the database once, dropped when unused.

Figures are read under the `books` lock, so that no batch is committed in between (`drain.py` says why). What this
process has posted and not drained is kept apart (`account.py`), so a figure that was read again replaces the old one
and loses nothing.

Windows are the one thing that is not a figure but a sum of rows. They are read when a key has a cap on them that is not
tracked yet, which is when it is opened, or when the control plane sets the cap later; in the second case the spool is
asked too, for what is posted and not in the rows. They are read again when the clock went back to before something that
had left.

Dropped are the accounts that were not asked for the longest, never one with a hold or undrained spend.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.clock import Clock
from bytespike.errors import InternalError
from bytespike.ledger import sql
from bytespike.ledger.account import CappedKey, KeyAccount, Owner, Wallet, limit_of
from bytespike.ledger.drain import Drained
from bytespike.ledger.entries import WALLET_KIND
from bytespike.ledger.records import Receipt
from bytespike.ledger.windows import WINDOWS, RollingWindow, WindowSpec
from bytespike.store.engine import reading

#: Open accounts, unless they are in use.
ACCOUNTS_MAX = 50_000
#: How far to look for one that can be dropped, each time one is opened.
_DROP_SCAN = 32


class _Read(Struct, frozen=True):
    """What the database said. `balance` is None where there is no such wallet."""

    balance: int | None
    spent: int
    windows: dict[str, RollingWindow]


class Book:
    """`receipts_undrained`: every receipt that was posted and is not in the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        books: asyncio.Lock,
        receipts_undrained: Callable[[], Iterable[Receipt]],
        accounts_max: int = ACCOUNTS_MAX,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._books = books
        self._receipts_undrained = receipts_undrained
        self._accounts_max = accounts_max
        self._accounts: OrderedDict[str, KeyAccount] = OrderedDict()  # the longest unused first
        self._wallets: dict[str, Wallet] = {}
        self._owners: dict[str, Owner] = {}
        self._latest_us = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def now_us(self) -> int:
        """The time. Every reading of a window must use this one, so that a clock that went back is noticed."""
        now_us = self._clock.now_us()
        if now_us > self._latest_us:
            self._latest_us = now_us
        return now_us

    def find(self, key: CappedKey) -> KeyAccount | None:
        """The key's account, following `key`'s caps from now on; None if it has to be read first."""
        account = self._accounts.get(key.id)
        if account is None:
            return None
        latest_us = self._latest_us
        now_us = self.now_us()
        if now_us < latest_us and account.missing_windows(key, now_us):
            return None
        if account.record is not key and not self._follow(account, key, now_us):
            return None
        self._accounts.move_to_end(key.id)
        return account

    def _follow(self, account: KeyAccount, key: CappedKey, now_us: int) -> bool:
        """Take over a changed record, if everything that it needs is in memory."""
        if account.missing_windows(key, now_us):
            return False
        if account.wallet.id != key.account_id or account.owner.id != key.user_id:
            wallet = self._wallets.get(key.account_id)
            if wallet is None:
                return False
            account.move(wallet, self._owner(key.user_id))
        account.follow(key)
        return True

    async def open(self, key: CappedKey) -> KeyAccount:
        """The key's account, read from the database if need be. Concurrent callers read it once.

        Raises what the database raises.
        """
        for _ in range(2):
            async with self._books:
                account = self.find(key)
                if account is not None:
                    return account
                found = await self._read(key)
                if found.balance is not None:
                    return self._attach(key, found.balance, found)
            await self._make_wallet(key.account_id)
        raise InternalError(f"the account {key.account_id} cannot be made")

    async def reload(self, kind: str, ref: str) -> None:
        """Something changed in the database: "wallet" and an account id, or "key" and a key's id. Others are no
        concern of the books. Raises what the database raises."""
        async with self._books:
            if kind == "wallet" and (wallet := self._wallets.get(ref)) is not None:
                async with reading(self._engine) as connection:
                    wallet.balance = await _balance(connection, ref) or 0
            elif kind == "key" and (account := self._accounts.get(ref)) is not None:
                async with reading(self._engine) as connection:
                    account.spent = await _spent(connection, ref)

    def has_undrained(self, key_id: str) -> bool:
        """The key has an account here, with spend that is not in the database."""
        account = self._accounts.get(key_id)
        return account is not None and account.undrained > 0

    def drained(self, drained: Drained) -> None:
        """These amounts are in the database now, and no longer only here."""
        for id, amount in drained.by_wallet.items():
            wallet = self._wallets.get(id)
            if wallet is not None:
                wallet.undrained -= amount
                wallet.balance = drained.balances.get(id, wallet.balance)
                self._forget_idle(wallet)
        for id, amount in drained.by_key.items():
            account = self._accounts.get(id)
            if account is not None:
                account.undrained -= amount
                account.spent = drained.spent.get(id, account.spent)

    # --- reading ---------------------------------------------------------------------------------------------------

    async def _read(self, key: CappedKey) -> _Read:
        """What is not in memory of what the key needs."""
        account = self._accounts.get(key.id)
        wallet = self._wallets.get(key.account_id)
        now_us = self.now_us()
        specs = (
            [spec for spec in WINDOWS if limit_of(key, spec)]
            if account is None
            else account.missing_windows(key, now_us)
        )
        async with reading(self._engine) as connection:
            balance = await _balance(connection, key.account_id) if wallet is None else wallet.balance
            spent = await _spent(connection, key.id) if account is None else account.spent
            windows = {spec.name: await _window(connection, key.id, spec, now_us) for spec in specs}
        return _Read(balance, spent, windows)

    def _attach(self, key: CappedKey, balance: int, found: _Read) -> KeyAccount:
        """Put what was read into the meters. Nothing is awaited from here on: what was posted while the database was
        being read is in the meters or in the spool."""
        wallet = self._wallets.get(key.account_id)
        if wallet is None:
            wallet = self._wallets[key.account_id] = Wallet(key.account_id, balance)
        owner = self._owner(key.user_id)
        account = self._accounts.get(key.id)
        if account is None:
            account = self._accounts[key.id] = KeyAccount(key, wallet, owner, found.spent)
        elif account.wallet is not wallet or account.owner is not owner:
            account.move(wallet, owner)
        if found.windows and account.undrained:
            for receipt in self._receipts_undrained():
                if receipt.key_id == key.id:
                    for window in found.windows.values():
                        window.add(receipt.at, receipt.credits)
        account.windows.update(found.windows)
        account.follow(key)
        self._accounts.move_to_end(key.id)
        self._drop_unused()
        return account

    async def _make_wallet(self, account_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                sql.add_accounts_missing(
                    self._engine.dialect, [(account_id, WALLET_KIND)], self._clock.now_us()
                )
            )

    # --- dropping --------------------------------------------------------------------------------------------------

    def _drop_unused(self) -> None:
        excess = len(self._accounts) - self._accounts_max
        if excess <= 0:
            return
        # Not the newest: somebody is about to use it.
        oldest = islice(self._accounts.items(), min(_DROP_SCAN, len(self._accounts) - 1))
        idle = [id for id, account in oldest if account.idle]
        for id in idle[:excess]:
            account = self._accounts.pop(id)
            account.close()
            self._forget_idle(account.wallet)
            if account.owner.idle:
                self._owners.pop(account.owner.id, None)

    def _forget_idle(self, wallet: Wallet) -> None:
        if wallet.idle:
            self._wallets.pop(wallet.id, None)

    def _owner(self, user_id: str) -> Owner:
        owner = self._owners.get(user_id)
        if owner is None:
            owner = self._owners[user_id] = Owner(user_id)
        return owner


async def _balance(connection: AsyncConnection, account_id: str) -> int | None:
    return (await connection.execute(sql.BALANCE, {"id": account_id})).scalar()


async def _spent(connection: AsyncConnection, key_id: str) -> int:
    return (await connection.execute(sql.SPENT, {"id": key_id})).scalar() or 0


async def _window(connection: AsyncConnection, key_id: str, spec: WindowSpec, now_us: int) -> RollingWindow:
    window = RollingWindow(spec.span_us, spec.bucket_us)
    wanted = {"id": key_id, "since": window.since_us(now_us), "bucket_us": spec.bucket_us}
    window.restore((index, amount) for index, amount in await connection.execute(sql.WINDOW_SUMS, wanted))
    return window
