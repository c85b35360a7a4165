"""What the ledger tells of a key. Pure data."""

from __future__ import annotations

from msgspec import Struct


class WindowStanding(Struct, frozen=True):
    """`reset`: Unix seconds at which the oldest spend leaves; now, if nothing is in the window."""

    name: str
    limit: int
    remaining: int
    reset: int


class Standing(Struct, frozen=True):
    """`window`: the one with the least left, of the key's and of its owner's in his org; None where neither has a window.
    `quota_remaining`: likewise of the lifetime quotas, of the wallet where there is none. `org_remaining`: of the org's wallet, None for a key of no org.

    A remainder is negative when more was delivered than was held for it."""

    window: WindowStanding | None
    quota_remaining: int
    org_remaining: int | None
