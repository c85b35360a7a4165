"""Settlements of the spool as what a batch writes: rows, and what they come to.

It is done once for every request, so nothing here waits, and all of it is plain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bytespike.ledger.frames import decode_payload
from bytespike.ledger.records import Receipt
from bytespike.ledger.rows import Row, attempt_row, transfer_row, usage_row
from bytespike.ledger.stored import Frame
from bytespike.store.members import member_id

#: Records prepared in one go, before other work of the process gets a turn.
_SLICE_RECORDS = 64


class Sums(NamedTuple):
    """What some receipts come to, micro-dollars."""

    by_wallet: dict[str, int]
    by_key: dict[str, int]
    by_model: dict[tuple[str, str], int]
    by_member: dict[str, int]
    total: int


class Batch(NamedTuple):
    """Some records as rows. `receipts`, `usage` and `transfers` run in parallel."""

    receipts: list[Receipt]
    usage: list[Row]
    transfers: list[Row]
    attempts: list[Row]


async def batch_of(frames: Sequence[Frame]) -> Batch:
    """Decode records and make their rows. Raises `UnreadableRecord`."""
    batch = Batch([], [], [], [])
    for number, frame in enumerate(frames, 1):
        settled = frame.settled or decode_payload(frame.payload)
        receipt = settled.receipt
        if receipt is not None:
            batch.receipts.append(receipt)
            batch.usage.append(usage_row(receipt))
            batch.transfers.append(transfer_row(receipt))
        for attempt in settled.attempts:
            batch.attempts.append(attempt_row(attempt))
        if number % _SLICE_RECORDS == 0:
            await asyncio.sleep(0)
    return batch


def newest(receipts: Sequence[Receipt]) -> int:
    """When the newest was posted, Unix microseconds; 0 if there is none."""
    return max((receipt.at for receipt in receipts), default=0)


def sums_of(receipts: Iterable[Receipt]) -> Sums:
    by_wallet: dict[str, int] = {}
    by_key: dict[str, int] = {}
    by_model: dict[tuple[str, str], int] = {}
    by_member: dict[str, int] = {}
    total = 0
    for receipt in receipts:
        credits = receipt.credits
        by_wallet[receipt.account_id] = by_wallet.get(receipt.account_id, 0) + credits
        by_key[receipt.key_id] = by_key.get(receipt.key_id, 0) + credits
        on_model = (receipt.key_id, receipt.model)
        by_model[on_model] = by_model.get(on_model, 0) + credits
        if receipt.org_id is not None:
            member = member_id(receipt.org_id, receipt.user_id)
            by_member[member] = by_member.get(member, 0) + credits
        total += credits
    return Sums(by_wallet, by_key, by_model, by_member, total)
