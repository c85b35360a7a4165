"""Meters as the database has them, with what only this process knows: what it has posted and not drained, what it holds.

Nothing is awaited in here. Callers have read the database's sums under the `books` lock, so that no batch was committed in
between: a receipt is in the sums or in the spool, not in both and not in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bytespike.ledger import metering
from bytespike.ledger.account import LIFETIME, KeyAccount, Member, Meter, member_of
from bytespike.ledger.holds import Hold
from bytespike.ledger.metering import Wanted
from bytespike.ledger.records import Receipt
from bytespike.ledger.windows import WINDOWS, RollingWindow
from bytespike.store.members import member_id


def model_meter(
    account: KeyAccount,
    model: str,
    receipts_undrained: Callable[[], Iterable[Receipt]],
    holds: Callable[[], Iterable[Hold]],
) -> Meter:
    """A key's meter on a model that begins now. Its holds draw on it from now on."""
    meter = Meter(account.key_id, model, 0)
    if account.undrained:
        meter.undrained = sum(each.credits for each in receipts_undrained() if _counts_for(each, meter))
    if account.open_holds:
        for hold in holds():
            if hold.account is account and hold.model == model:
                hold.draw_on(meter)
    return meter


def member_meter(
    id: str, receipts_undrained: Callable[[], Iterable[Receipt]], holds: Callable[[], Iterable[Hold]]
) -> Member:
    """The same over all keys of a member."""
    member = Member(id)
    member.undrained = sum(each.credits for each in receipts_undrained() if _counts_for(each, member))
    for hold in holds():
        if member_of(hold.account.record) == id:
            hold.draw_on_member(member)
    return member


def restore(
    account: KeyAccount,
    sums: metering.Sums,
    now_us: int,
    receipts_undrained: Callable[[], Iterable[Receipt]],
) -> None:
    """Windows and lifetimes as the database sums them, with what is posted and not drained added."""
    meters = account.meters() if account.member is None else (*account.meters(), account.member)
    restore_meters(meters, sums, now_us, receipts_undrained)


def restore_meters(
    meters: Iterable[Meter],
    sums: metering.Sums,
    now_us: int,
    receipts_undrained: Callable[[], Iterable[Receipt]],
) -> None:
    """The same of some meters."""
    undrained: list[Receipt] | None = None
    for meter in meters:
        fresh: list[RollingWindow] = []
        for spec in WINDOWS:
            found = sums.get(Wanted(meter.key_id, meter.model, spec.name).id)
            if found is not None:
                window = meter.windows[spec.name] = metering.window_of(spec, found, now_us)
                fresh.append(window)
        if not isinstance(meter, KeyAccount):
            lifetime = sums.get(Wanted(meter.key_id, meter.model, LIFETIME).id)
            if lifetime is not None:
                meter.spent = sum(amount for _, amount in lifetime)
                meter.summed = True
        if fresh and meter.undrained:
            if undrained is None:
                undrained = list(receipts_undrained())
            for receipt in undrained:
                if _counts_for(receipt, meter):
                    for window in fresh:
                        window.add(receipt.at, receipt.credits)
        # Caps hold on to their windows.
        meter.caps = tuple((limit, meter.windows[spec.name], spec) for limit, _, spec in meter.caps)


def tracked(meters: Iterable[Meter]) -> tuple[Wanted, ...]:
    """The sums that they have been read from."""
    wanted: list[Wanted] = []
    for meter in meters:
        wanted += [Wanted(meter.key_id, meter.model, name) for name in meter.windows]
        if meter.summed and not isinstance(meter, KeyAccount):
            wanted.append(Wanted(meter.key_id, meter.model, LIFETIME))
    return tuple(wanted)


def _counts_for(receipt: Receipt, meter: Meter) -> bool:
    if isinstance(meter, Member):
        return receipt.org_id is not None and member_id(receipt.org_id, receipt.user_id) == meter.cap
    return receipt.key_id == meter.key_id and meter.model in ("", receipt.model)
