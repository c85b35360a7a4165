"""May this request be held for? Every cap is checked against limit - posted - held, the permanent ones first.

`admit` compares with the limits themselves, less what other processes have borrowed: it is the whole answer in a process
that is alone, and the reason for a refusal in one that is not. `covered` compares with what this process has borrowed.

A request that costs nothing at worst needs no money, so only the caps on requests bind it.
"""

from __future__ import annotations

from bytespike.errors import ConcurrencyLimited, InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger.account import KeyAccount, Member, Meter, Wallet
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.windows import SECOND_US, RollingWindow, WindowSpec

#: What a caller over its concurrency is told to wait, seconds.
CONCURRENCY_RETRY_S = 1
#: What helps where a worst case is more than there can ever be. It is mostly the length that an answer may have.
ASK_FOR_LESS = "Ask for less (lower max_tokens, fewer images or seconds)"


def admit(account: KeyAccount, on_model: Meter | None, amount: int, now_us: int, monotonic_us: int) -> None:
    """Return if `amount` micro-dollars may be held now; change nothing. `on_model`: the meter of the request's model,
    where there are caps on it, or were.

    Raises: InsufficientBalance, QuotaExceeded, RateLimited, ConcurrencyLimited.
    """
    record = account.record
    if amount:
        if amount > account.wallet.free():
            raise _over_wallet(account.wallet, amount)
        if account.quota and amount > account.quota_free():
            raise _over_quota(account, amount)
        for limit, window, spec in account.caps:
            if amount > account.window_free(limit, window, now_us):
                raise _over_window(account, amount, limit, window, spec, now_us)
        if on_model is not None:
            _admit_on(on_model, amount, now_us)
        if account.member is not None:
            _admit_on(account.member, amount, now_us)
    owner = account.owner
    slots = owner.slots
    if slots.in_flight + slots.others >= record.concurrency:
        raise ConcurrencyLimited(
            f"{slots.in_flight + slots.others} requests are in flight, of {record.concurrency} that this account may have",
            retry_after=CONCURRENCY_RETRY_S,
        )
    if record.rpm is not None:
        starts = owner.starts
        made = starts.recent.total(monotonic_us)
        if made + starts.others >= record.rpm:
            frees_us = starts.recent.frees_us(made + starts.others - record.rpm + 1, monotonic_us)
            raise RateLimited(
                f"this account may make {record.rpm} requests per minute",
                retry_after=None if frees_us is None else seconds_until(frees_us, monotonic_us),
            )


def covered(account: KeyAccount, on_model: Meter | None, amount: int, monotonic_us: int) -> bool:
    """Whether what this process has borrowed covers one request more, of `amount` micro-dollars."""
    record = account.record
    if amount and not money_covered(account, on_model, amount):
        return False
    slots = account.owner.slots
    if slots.over or slots.in_flight >= slots.granted or slots.in_flight >= record.concurrency:
        return False
    if record.rpm is None:
        return True
    starts = account.owner.starts
    return not starts.over and starts.recent.total(monotonic_us) < min(starts.granted, record.rpm)


def money_covered(account: KeyAccount, on_model: Meter | None, amount: int) -> bool:
    """The same for the amount alone."""
    wallet = account.wallet
    if wallet.over or amount > wallet.granted - wallet.undrained - wallet.held:
        return False
    return (
        _meter_covers(account, amount)
        and (account.member is None or _meter_covers(account.member, amount))
        and (on_model is None or _meter_covers(on_model, amount))
    )


def _meter_covers(meter: Meter, amount: int) -> bool:
    if not meter.capped:
        return True
    return not meter.over and amount <= meter.granted - meter.undrained - meter.held


def fits(account: KeyAccount, on_model: Meter | None, amount: int, now_us: int) -> bool:
    """Whether `admit` would let that much money be held. Nobody is told why not."""
    if amount > account.wallet.free():
        return False
    for meter in (account, on_model, account.member):
        if meter is not None:
            if meter.quota and amount > meter.quota_free():
                return False
            for limit, window, _ in meter.caps:
                if amount > meter.window_free(limit, window, now_us):
                    return False
    return True


def _admit_on(meter: Meter, amount: int, now_us: int) -> None:
    if meter.quota and amount > meter.quota_free():
        raise _over_quota(meter, amount)
    for limit, window, spec in meter.caps:
        if amount > meter.window_free(limit, window, now_us):
            raise _over_window(meter, amount, limit, window, spec, now_us)


def seconds_until(at_us: int, now_us: int) -> int:
    """Whole seconds, rounded up, at least one."""
    return max(1, -((now_us - at_us) // SECOND_US))


def _short(what: str, free: int, amount: int) -> str:
    return f"{what} ${format_usd(max(0, free))} left, and this request may cost ${format_usd(amount)}"


def _whose(meter: Meter) -> str:
    return "your" if isinstance(meter, Member) else "this key's"


def _of_what(meter: Meter) -> str:
    if meter.model:
        return f" for {meter.model}"
    return " in the organisation" if isinstance(meter, Member) else ""


def _over_wallet(wallet: Wallet, amount: int) -> InsufficientBalance:
    message = _short("the wallet has", wallet.free(), amount)
    whole = wallet.balance - wallet.undrained
    if amount > whole > 0:
        message = f"{message}: more than all that is in it. {ASK_FOR_LESS}, or top up the wallet"
    return InsufficientBalance(message)


def _over_quota(meter: Meter, amount: int) -> QuotaExceeded:
    what = f"{_whose(meter)} quota of ${format_usd(meter.quota)}{_of_what(meter)} has"
    message = _short(what, meter.quota_free(), amount)
    if amount > meter.quota:
        message = f"{message}: more than the whole quota. {ASK_FOR_LESS}, or have the quota raised"
    return QuotaExceeded(message)


def _over_window(
    meter: Meter, amount: int, limit: int, window: RollingWindow, spec: WindowSpec, now_us: int
) -> RateLimited:
    free = meter.window_free(limit, window, now_us)
    what = f"{_whose(meter)} {spec.name} limit of ${format_usd(limit)}{_of_what(meter)} has"
    message = _short(what, free, amount)
    if amount > limit:
        return RateLimited(f"{message}: more than the whole limit. {ASK_FOR_LESS}, or have the limit raised")
    frees_us = window.frees_us(amount - free, now_us)
    if frees_us is None:
        # Holds are in the way, and nobody knows when they resolve. Without them it would fit when this much has left:
        spent_free = free + meter.held + meter.others
        frees_us = now_us if amount <= spent_free else window.frees_us(amount - spent_free, now_us)
    return RateLimited(message, retry_after=seconds_until(now_us if frees_us is None else frees_us, now_us))
