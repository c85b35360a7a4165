"""What this process knows of a key's money: meters in memory, so that admission asks no database.

Metered are a `Wallet` by its keys, an `Owner` (concurrency, requests per minute) by the user's keys, and spend under
caps: all of a key's (`KeyAccount`), a key's on one model (`Meter`, where there is a cap on it), and what a member of an org
spends with all keys of that org (`Member`, likewise). Each keeps apart

    what the database said    a wallet's balance, lifetime spend, the sums in a window
    undrained                 posted by this process, not yet in what the database said
    held                      set aside for requests in flight
    others                    what other processes had borrowed when the database was last asked; 0 for a process alone

and `free()` is the answer to the one question that admission asks: how much may I still hold? `undrained` and the
database's figure change in one step, when a drained batch is known to be committed: neither counts twice, and nothing is
missing in between.

A process that shares the database holds against what it has borrowed besides: `leases.py` has that side of each meter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from bytespike.ledger.leases import Borrowed
from bytespike.ledger.windows import RPM_BUCKET_US, RPM_SPAN_US, WINDOWS, RollingWindow, WindowSpec
from bytespike.store.members import member_id

#: The span of a cap that is no window: a key's whole life.
LIFETIME = "lifetime"
_SPECS = {spec.name: spec for spec in WINDOWS}


class Cap(Protocol):
    """A limit, micro-dollars, on what a key spends on one model in a span: "lifetime" or a window's name."""

    @property
    def model(self) -> str: ...
    @property
    def span(self) -> str: ...
    @property
    def amount(self) -> int: ...


class CappedKey(Protocol):
    """What the ledger has to know of a key: who pays, and the caps (`accounts.records.KeyRecord` is one).

    Micro-dollars, 0 for no cap. `caps`: those on single models. `member_caps`: those of its user in its org, over all of his
    keys there (of these caps the model is ""). `concurrency` and `rpm` are the user's. It never
    changes: another object means that something has.
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
    def caps(self) -> Sequence[Cap]: ...
    @property
    def member_caps(self) -> Sequence[Cap]: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def rpm(self) -> int | None: ...


class Wallet(Borrowed):
    """An account that pays. Micro-dollars."""

    __slots__ = ("balance", "held", "id", "keys", "undrained")

    def __init__(self, id: str, balance: int) -> None:
        super().__init__(id)
        self.id = id
        self.balance = balance
        self.undrained = 0
        self.held = 0
        self.keys = 0  # open KeyAccounts that draw on it

    def left(self) -> int:
        """What is neither spent nor held here; negative when more was delivered than was held for it."""
        return self.balance - self.undrained - self.held

    def free(self) -> int:
        """What may still be held, all that others have borrowed taken off."""
        return self.balance - self.undrained - self.held - self.others

    def used(self, monotonic_us: int) -> int:
        return self.undrained + self.held

    @property
    def idle(self) -> bool:
        return not (self.keys or self.held or self.undrained or self.granted)


class Slots(Borrowed):
    """A user's requests in flight, as something that can be borrowed."""

    __slots__ = ("in_flight", "user_id")

    def __init__(self, user_id: str) -> None:
        super().__init__(f"slots:{user_id}")
        self.user_id = user_id
        self.in_flight = 0

    def used(self, monotonic_us: int) -> int:
        return self.in_flight


class Starts(Borrowed):
    """A user's requests of the last minute, likewise: each takes its place for a minute, and then gives it back.

    The minute runs on the monotonic clock: a clock that was set back must not keep anybody waiting.
    """

    __slots__ = ("recent", "user_id")

    def __init__(self, user_id: str) -> None:
        super().__init__(f"starts:{user_id}")
        self.user_id = user_id
        self.recent = RollingWindow(RPM_SPAN_US, RPM_BUCKET_US)

    def used(self, monotonic_us: int) -> int:
        return self.recent.total(monotonic_us)


class Owner:
    """A user: requests in flight and requests in the last minute, over all of the user's keys."""

    __slots__ = ("id", "keys", "slots", "starts")

    def __init__(self, id: str) -> None:
        self.id = id
        self.keys = 0
        self.slots = Slots(id)
        self.starts = Starts(id)

    @property
    def in_flight(self) -> int:
        return self.slots.in_flight

    @property
    def recent(self) -> RollingWindow:
        return self.starts.recent

    @property
    def idle(self) -> bool:
        return not (self.keys or self.slots.in_flight or self.slots.granted or self.starts.granted)


class Meter(Borrowed):
    """Spend that caps bind: of one key, on one model or ("") on all of them together.

    `windows` are tracked: everything posted is added to them. `caps` are those of them that have a limit now, `quota` is
    the lifetime's, 0 for none.
    """

    __slots__ = ("caps", "held", "key_id", "model", "quota", "spent", "summed", "undrained", "windows")

    def __init__(self, key_id: str, model: str, spent: int) -> None:
        super().__init__(f"key:{key_id}/{model}" if model else f"key:{key_id}")
        self.key_id = key_id
        self.model = model
        self.spent = spent
        self.summed = not model  # whether `spent` was ever read
        self.undrained = 0
        self.held = 0
        self.quota = 0
        self.windows: dict[str, RollingWindow] = {}
        self.caps: tuple[tuple[int, RollingWindow, WindowSpec], ...] = ()

    @property
    def capped(self) -> bool:
        return bool(self.quota or self.caps)

    def used(self, monotonic_us: int) -> int:
        return self.undrained + self.held

    def uncovered(self, monotonic_us: int) -> bool:
        """More is spent or held here than was borrowed: there was no cap when that began."""
        return self.capped and self.used(monotonic_us) > self.granted

    def quota_left(self) -> int:
        """What the lifetime quota has beside what is spent or held here. Only where there is one."""
        return self.quota - self.spent - self.undrained - self.held

    def quota_free(self) -> int:
        """What the lifetime quota still allows to be held. Only where there is one."""
        return self.quota - self.spent - self.undrained - self.held - self.others

    def window_left(self, limit: int, window: RollingWindow, now_us: int) -> int:
        """What a window has beside what is spent or held here."""
        return limit - window.total(now_us) - self.held

    def window_free(self, limit: int, window: RollingWindow, now_us: int) -> int:
        """What a window still allows to be held."""
        return limit - window.total(now_us) - self.held - self.others

    def posted(self, at_us: int, credits: int) -> None:
        """A receipt is in the spool."""
        self.undrained += credits
        for window in self.windows.values():
            window.add(at_us, credits)

    def missing(self, limits: Mapping[str, int], now_us: int) -> bool:
        """Something of what these limits, by span, are compared with has to be read from the database: never tracked
        until now, or forgotten before the clock went back."""
        for name in limits:
            if name == LIFETIME:
                if not self.summed:
                    return True
            else:
                window = self.windows.get(name)
                if window is None or window.forgot(now_us):
                    return True
        return False

    def limit(self, limits: Mapping[str, int]) -> None:
        """Take over limits by span. Every window that they need is tracked already. What was borrowed under other
        limits is not held against any more."""
        quota = limits.get(LIFETIME, 0)
        caps = tuple(
            (limit, self.windows[name], _SPECS[name]) for name, limit in limits.items() if name != LIFETIME
        )
        if quota != self.quota or [cap[0] for cap in caps] != [cap[0] for cap in self.caps]:
            self.limited_anew()
        self.quota = quota
        self.caps = caps


class Member(Meter):
    """Spend of a member of an org, of all his keys of that org together. Where there is one, all those that are open have
    it. `key_id` is the member's own id."""

    __slots__ = ("keys",)

    def __init__(self, id: str) -> None:
        super().__init__(id, "", 0)
        self.cap = id
        self.summed = False
        self.keys = 0  # open KeyAccounts of his

    @property
    def idle(self) -> bool:
        return not (self.keys or self.held or self.undrained or self.granted)


class KeyAccount(Meter):
    """A key's money, and whom it shares it with. `record` holds the caps, and follows the control plane.

    `models`: the meters of the models that have caps of their own. `member`: where the key's owner has caps in its org,
    or had, or another key of his brought them. `pins`: requests that wait for a lease, and holds
    that expired. `turn`: they borrow one after the other. `refusals` in a row have ended borrowing until
    `refused_until_ns`. A closed account was dropped from memory: it takes no holds.
    """

    __slots__ = (
        "closed",
        "member",
        "models",
        "open_holds",
        "owner",
        "pins",
        "record",
        "refusals",
        "refused_until_ns",
        "turn",
        "wallet",
    )

    def __init__(self, record: CappedKey, wallet: Wallet, owner: Owner, spent: int) -> None:
        super().__init__(record.id, "", spent)
        self.record = record
        self.wallet = wallet
        self.owner = owner
        self.open_holds = 0
        self.pins = 0
        self.models: dict[str, Meter] = {}
        self.member: Member | None = None
        self.refusals = 0
        self.refused_until_ns = 0
        self.turn = asyncio.Lock()
        self.closed = False
        wallet.keys += 1
        owner.keys += 1

    @property
    def idle(self) -> bool:
        """Nothing would be lost by forgetting it."""
        return not (
            self.open_holds
            or self.pins
            or self.undrained
            or self.granted
            or (self.models and any(meter.granted for meter in self.models.values()))
        )

    def meters(self) -> tuple[Meter, ...]:
        """Everything that is metered of this key alone."""
        return (self, *self.models.values())

    def missing_windows(self, record: CappedKey, now_us: int) -> bool:
        """Something that `record` caps has to be read from the database first."""
        if self.missing(limits_of(record, ""), now_us):
            return True
        for model in capped_models(record):
            meter = self.models.get(model)
            if meter is None or meter.missing(limits_of(record, model), now_us):
                return True
        if record.member_caps:
            return self.member is None or self.member.missing(member_limits(record), now_us)
        return False

    def follow(self, record: CappedKey) -> None:
        """Take over new caps. Everything that they need is tracked already."""
        if record.concurrency != self.record.concurrency:
            self.owner.slots.limited_anew()
        if record.rpm != self.record.rpm:
            self.owner.starts.limited_anew()
        self.record = record
        self.refused_until_ns = 0
        for meter in self.meters():
            meter.limit(limits_of(record, meter.model))
        if self.member is not None:
            self.member.limit(member_limits(record))

    def join(self, member: Member) -> None:
        """Spend as one of a member's keys."""
        self.member = member
        member.keys += 1

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
        if self.member is not None:
            self.member.keys -= 1


def limits_of(record: CappedKey, model: str) -> dict[str, int]:
    """The limits by span on what a key spends on one model, or ("") on all of them together; micro-dollars."""
    if model:
        return {cap.span: cap.amount for cap in record.caps if cap.model == model}
    limits: dict[str, int] = {LIFETIME: record.quota} if record.quota else {}
    for spec in WINDOWS:
        limit: int = getattr(record, spec.limit_field)
        if limit:
            limits[spec.name] = limit
    return limits


def capped_models(record: CappedKey) -> tuple[str, ...]:
    """The models on which a key has caps of their own."""
    return tuple(dict.fromkeys(cap.model for cap in record.caps)) if record.caps else ()


def member_limits(record: CappedKey) -> dict[str, int]:
    """The limits by span on what the key's owner spends with all of his keys of its org; micro-dollars."""
    return {cap.span: cap.amount for cap in record.member_caps}


def member_of(record: CappedKey) -> str | None:
    """The member whose money a key spends; None for a key of no org."""
    return None if record.org_id is None else member_id(record.org_id, record.user_id)
