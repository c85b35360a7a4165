"""May this request be held for? Every cap is checked against limit - posted - held, the permanent ones first.

A request that costs nothing at worst needs no money, so only the caps on requests bind it.
"""

from __future__ import annotations

from bytespike.errors import ConcurrencyLimited, InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.windows import SECOND_US, RollingWindow, WindowSpec

#: What a caller over its concurrency is told to wait, seconds.
CONCURRENCY_RETRY_S = 1


def admit(account: KeyAccount, amount: int, now_us: int, monotonic_us: int) -> None:
    """Return if `amount` micro-dollars may be held now; change nothing.

    Raises: InsufficientBalance, QuotaExceeded, RateLimited, ConcurrencyLimited.
    """
    record = account.record
    if amount:
        if amount > account.wallet.free():
            raise InsufficientBalance(_short("the wallet has", account.wallet.free(), amount))
        if record.quota and amount > account.quota_free():
            raise QuotaExceeded(
                _short(f"this key's quota of ${format_usd(record.quota)} has", account.quota_free(), amount)
            )
        for limit, window, spec in account.caps:
            if amount > account.window_free(limit, window, now_us):
                raise _over_window(account, amount, limit, window, spec, now_us)
    owner = account.owner
    if owner.in_flight >= record.concurrency:
        raise ConcurrencyLimited(
            f"{owner.in_flight} requests are in flight, of {record.concurrency} that this account may have",
            retry_after=CONCURRENCY_RETRY_S,
        )
    if record.rpm is not None and (made := owner.recent.total(monotonic_us)) >= record.rpm:
        frees_us = owner.recent.frees_us(made - record.rpm + 1, monotonic_us)
        raise RateLimited(
            f"this account may make {record.rpm} requests per minute",
            retry_after=None if frees_us is None else seconds_until(frees_us, monotonic_us),
        )


def seconds_until(at_us: int, now_us: int) -> int:
    """Whole seconds, rounded up, at least one."""
    return max(1, -((now_us - at_us) // SECOND_US))


def _short(what: str, free: int, amount: int) -> str:
    return f"{what} ${format_usd(max(0, free))} left, and this request may cost ${format_usd(amount)}"


def _over_window(
    account: KeyAccount, amount: int, limit: int, window: RollingWindow, spec: WindowSpec, now_us: int
) -> RateLimited:
    free = account.window_free(limit, window, now_us)
    message = _short(f"this key's {spec.name} limit of ${format_usd(limit)} has", free, amount)
    if amount > limit:
        return RateLimited(f"{message}: more than the whole limit. Ask for fewer output tokens")
    frees_us = window.frees_us(amount - free, now_us)
    if frees_us is None:
        # Holds are in the way, and nobody knows when they resolve. Without them it would fit when this much has left:
        spent_free = free + account.held
        frees_us = now_us if amount <= spent_free else window.frees_us(amount - spent_free, now_us)
    return RateLimited(message, retry_after=seconds_until(now_us if frees_us is None else frees_us, now_us))
