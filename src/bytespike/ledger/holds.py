"""A hold: money set aside before an upstream is called, which resolves exactly once.

    open ──► posted    something was delivered: it becomes a transfer of what that costs, more or less than was held
         ──► voided    nothing is owed
         ──► expired   its request is gone and never said so; a sweep voided it

There is no way back and no second resolution: that is a mistake in the program, and `HoldResolved` says so before
anything has changed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from bytespike.ledger.account import KeyAccount, Owner, Wallet

HoldState: TypeAlias = Literal["open", "posted", "voided", "expired"]


class HoldResolved(RuntimeError):
    """The hold was posted, voided or expired before. Nothing was changed."""


class Hold:
    """`amount` micro-dollars of one request. It keeps the meters that it was taken from: its key may have moved on."""

    __slots__ = ("account", "amount", "owner", "request_id", "since_ns", "state", "wallet")

    def __init__(self, account: KeyAccount, request_id: str, amount: int, since_ns: int) -> None:
        self.account = account
        self.wallet: Wallet = account.wallet
        self.owner: Owner = account.owner
        self.request_id = request_id
        self.amount = amount
        self.since_ns = since_ns
        self.state: HoldState = "open"
        account.wallet.held += amount
        account.held += amount
        account.open_holds += 1
        account.owner.in_flight += 1

    def check_open(self) -> None:
        """Raises `HoldResolved`."""
        if self.state != "open":
            raise HoldResolved(f"the hold of {self.request_id} is {self.state} already")

    def resolve(self, state: HoldState) -> None:
        """Give back the money and the slot. Raises `HoldResolved`."""
        self.check_open()
        self.state = state
        amount = self.amount
        account = self.account
        self.wallet.held -= amount
        account.held -= amount
        account.open_holds -= 1
        self.owner.in_flight -= 1
