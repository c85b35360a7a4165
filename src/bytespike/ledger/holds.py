"""A hold: money set aside before an upstream is called, which resolves exactly once.

    open ──► posted    something was delivered: it becomes a transfer of what that costs, more or less than was held
         ──► voided    nothing is owed
         ──► escrowed  it is in the books now, set aside for a task (`escrow.py`); what becomes of it is told there
         ──► doubtful ──► escrowed, open, voided
                       nobody knows yet whether the books have it: it is held for as long as that is so
         ──► expired ──► posted, voided
                       a sweep took back what was set aside, because nobody had said for long that the request lives.
                       Should it end after all, what it delivered is billed, and it is not held for again

But for the doubtful, there is no way back, and no second posting: that is a mistake in the program, and `HoldResolved` says so before
anything has changed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from bytespike.ledger.account import KeyAccount, Meter, Owner, Wallet

HoldState: TypeAlias = Literal["open", "posted", "voided", "expired", "escrowed", "doubtful"]


class HoldResolved(Exception):
    """The hold was posted, voided or escrowed before. Nothing was changed."""


class Hold:
    """`amount` micro-dollars of one request. It keeps the meters that it was taken from: its key may have moved on.

    `on_model`: the meter of its `model`, where there are caps on that, or were; `on_member` likewise. `lives`: somebody said so since the last
    sweep.
    """

    __slots__ = (
        "account",
        "amount",
        "lives",
        "model",
        "on_member",
        "on_model",
        "owner",
        "request_id",
        "since_ns",
        "state",
        "wallet",
    )

    def __init__(
        self,
        account: KeyAccount,
        request_id: str,
        amount: int,
        since_ns: int,
        model: str = "",
    ) -> None:
        self.account = account
        self.wallet: Wallet = account.wallet
        self.owner: Owner = account.owner
        self.model = model
        self.on_model: Meter | None = None
        self.on_member: Meter | None = None
        self.request_id = request_id
        self.amount = amount
        self.since_ns = since_ns
        self.lives = False
        self.state: HoldState = "open"
        account.wallet.held += amount
        account.held += amount
        account.open_holds += 1
        account.owner.slots.in_flight += 1
        if account.models and (meter := account.models.get(model)) is not None:
            self.draw_on(meter)
        if account.member is not None:
            self.draw_on_member(account.member)

    def draw_on(self, meter: Meter) -> None:
        """There are caps on its model: it is held for under them too."""
        self.on_model = meter
        meter.held += self.amount

    def draw_on_member(self, member: Meter) -> None:
        """There are caps on its key's owner in his org: it is held for under them too."""
        self.on_member = member
        member.held += self.amount

    def keep(self) -> None:
        """Its request lives: it does not expire for another maximum age."""
        self.lives = True

    def grow(self, credits: int) -> None:
        """So much more is set aside."""
        self.amount += credits
        self.wallet.held += credits
        self.account.held += credits
        if self.on_model is not None:
            self.on_model.held += credits
        if self.on_member is not None:
            self.on_member.held += credits

    def doubt(self) -> None:
        """Nobody knows whether the books have it: it stays set aside, and can be neither posted nor voided."""
        self.state = "doubtful"

    def know(self) -> None:
        """Somebody knows, and resolves it now, or leaves it open."""
        self.state = "open"

    def check_unresolved(self) -> None:
        """Raises `HoldResolved`."""
        if self.state != "open" and self.state != "expired":
            raise HoldResolved(f"the hold of {self.request_id} is {self.state} already")

    def resolve(self, state: HoldState) -> bool:
        """Give back the money and the slot; True if they were still held. Raises `HoldResolved`."""
        self.check_unresolved()
        before, self.state = self.state, state
        account = self.account
        if before == "expired":
            account.pins -= 1
            self.wallet.keys -= 1
            return False
        if state == "expired":
            # Its meters stay in memory, for what may still be posted.
            account.pins += 1
            self.wallet.keys += 1
        amount = self.amount
        self.wallet.held -= amount
        account.held -= amount
        account.open_holds -= 1
        self.owner.slots.in_flight -= 1
        if self.on_model is not None:
            self.on_model.held -= amount
        if self.on_member is not None:
            self.on_member.held -= amount
        return True
