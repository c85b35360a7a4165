"""How a key stands: the figures of the accounting headers. Micro-dollars, with what is held here taken off.

A process that shares the database knows what others have spent as far as it is drained, as of its own last look."""

from __future__ import annotations

from collections.abc import Iterable

from bytespike.ledger.account import KeyAccount, Meter
from bytespike.ledger.values import Standing, WindowStanding
from bytespike.ledger.windows import SECOND_US, RollingWindow, WindowSpec


def standing_of(account: KeyAccount, now_us: int) -> Standing:
    record = account.record
    wallet_left = account.wallet.left()
    quota_left = account.quota_left() if account.quota else wallet_left
    member = account.member
    if member is None:
        nearest = _nearest((account,), now_us) if account.caps else None
    else:
        nearest = _nearest((account, member), now_us) if account.caps or member.caps else None
        if member.quota:
            quota_left = min(quota_left, member.quota_left()) if account.quota else member.quota_left()
    return Standing(nearest, quota_left, None if record.org_id is None else wallet_left)


def _nearest(meters: Iterable[Meter], now_us: int) -> WindowStanding:
    """Of the window with the least left; there is at least one."""
    least: tuple[int, int, RollingWindow, WindowSpec] | None = None
    for meter in meters:
        for limit, window, spec in meter.caps:
            left = meter.window_left(limit, window, now_us)
            if least is None or left < least[0]:
                least = (left, limit, window, spec)
    assert least is not None, "nobody here has a window"
    left, limit, window, spec = least
    leaves_us = window.oldest_leaves_us(now_us)
    reset_us = now_us if leaves_us is None else leaves_us
    return WindowStanding(spec.name, limit, left, -(-reset_us // SECOND_US))
