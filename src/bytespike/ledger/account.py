"""What this process knows of a key's money: meters in memory, so that admission asks no database.

Three things are metered, each shared by whoever draws on it: a `Wallet` by its keys, an `Owner` (concurrency, requests
per minute) by the user's keys, and the key itself. Each keeps apart

    what the database said    a wallet's balance, a key's lifetime spend, the rows in a window
    undrained                 posted by this process, not yet in what the database said
    held                      set aside for requests in flight

and `free()` is the answer to the one question that admission asks: how much may I still hold? Here the process owns all
that there is. A node that shares a wallet with others borrows a slice of it, and then `balance` is what it borrowed and
`free()` means the same; nothing that asks need know.

`undrained` and the database's figure change in one step, when a drained batch is known to be committed: neither counts
twice, and nothing is missing in between.
"""

from __future__ import annotations

from typing import Protocol

from bytespike.ledger.windows import RPM_BUCKET_US, RPM_SPAN_US, WINDOWS, RollingWindow, WindowSpec


class CappedKey(Protocol):
    """What the ledger has to know of a key: who pays, and the caps (`accounts.records.KeyRecord` is one).

    Micro-dollars, 0 for no cap. `concurrency` and `rpm` are the user's. It never changes: another object means that
    something has.
    """

    @property
    def id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def org_id(self) -> str | None: ...
    @property
    def account_id(self) -> str: ...
    @property
    def quota(self) -> int: ...
    @property
    def limit_5h(self) -> int: ...
    @property
    def limit_1d(self) -> int: ...
    @property
    def limit_7d(self) -> int: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def rpm(self) -> int | None: ...


class Wallet:
    """An account that pays. Micro-dollars."""

    __slots__ = ("balance", "held", "id", "keys", "undrained")

    def __init__(self, id: str, balance: int) -> None:
        self.id = id
        self.balance = balance
        self.undrained = 0
        self.held = 0
        self.keys = 0  # open KeyAccounts that draw on it

    def free(self) -> int:
        """What may still be held; negative when more was delivered than was held for it."""
        return self.balance - self.undrained - self.held

    @property
    def idle(self) -> bool:
        return not (self.keys or self.held or self.undrained)


class Owner:
    """A user: requests in flight and requests in the last minute, over all of the user's keys.

    The minute runs on the monotonic clock: a clock that was set back must not keep anybody waiting.
    """

    __slots__ = ("id", "in_flight", "keys", "recent")

    def __init__(self, id: str) -> None:
        self.id = id
        self.in_flight = 0
        self.keys = 0
        self.recent = RollingWindow(RPM_SPAN_US, RPM_BUCKET_US)

    @property
    def idle(self) -> bool:
        return not (self.keys or self.in_flight)


class KeyAccount:
    """A key's money, and whom it shares it with. `record` holds the caps, and follows the control plane.

    `windows` are tracked: everything posted is added to them. `caps` are those of them that have a limit now. A closed
    account was dropped from memory: it takes no holds.
    """

    __slots__ = (
        "caps",
        "closed",
        "held",
        "open_holds",
        "owner",
        "record",
        "spent",
        "undrained",
        "wallet",
        "windows",
    )

    def __init__(self, record: CappedKey, wallet: Wallet, owner: Owner, spent: int) -> None:
        self.record = record
        self.wallet = wallet
        self.owner = owner
        self.spent = spent
        self.undrained = 0
        self.held = 0
        self.open_holds = 0
        self.windows: dict[str, RollingWindow] = {}
        self.caps: tuple[tuple[int, RollingWindow, WindowSpec], ...] = ()
        self.closed = False
        wallet.keys += 1
        owner.keys += 1

    def quota_free(self) -> int:
        """What the lifetime quota still allows to be held. Only where there is a quota."""
        return self.record.quota - self.spent - self.undrained - self.held

    def window_free(self, limit: int, window: RollingWindow, now_us: int) -> int:
        """What a window still allows to be held."""
        return limit - window.total(now_us) - self.held

    @property
    def idle(self) -> bool:
        """Nothing would be lost by forgetting it."""
        return not (self.open_holds or self.undrained)

    def missing_windows(self, record: CappedKey, now_us: int) -> list[WindowSpec]:
        """The windows that `record` caps and that have to be read from the database: never tracked until now, or
        forgotten before the clock went back."""
        missing: list[WindowSpec] = []
        for spec in WINDOWS:
            if limit_of(record, spec):
                window = self.windows.get(spec.name)
                if window is None or window.forgot(now_us):
                    missing.append(spec)
        return missing

    def follow(self, record: CappedKey) -> None:
        """Take over new caps. Every window that they need is tracked already."""
        self.record = record
        self.caps = tuple(
            (limit, self.windows[spec.name], spec) for spec in WINDOWS if (limit := limit_of(record, spec))
        )

    def move(self, wallet: Wallet, owner: Owner) -> None:
        """Draw on another wallet, or belong to another user, from the next hold on."""
        self.wallet.keys -= 1
        self.owner.keys -= 1
        self.wallet = wallet
        self.owner = owner
        wallet.keys += 1
        owner.keys += 1

    def close(self) -> None:
        """It is dropped from memory."""
        self.closed = True
        self.wallet.keys -= 1
        self.owner.keys -= 1


def limit_of(record: CappedKey, spec: WindowSpec) -> int:
    """The cap of one window, micro-dollars; 0 for none."""
    limit: int = getattr(record, spec.limit_field)
    return limit
