"""What receipts add to sums that are kept: the meters of caps, and the rollups of usage. Pure, and done for every request."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add

from bytespike.ledger.metering import Known
from bytespike.ledger.records import Receipt
from bytespike.ledger.windows import HOUR_US
from bytespike.store.members import member_id

DAY_US = 24 * HOUR_US
#: The columns of a rollup that are summed.
SUMMED = (
    "requests",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "web_searches",
    "credits",
    "images",
    "seconds",
)


def to_meters(receipts: Iterable[Receipt], meters: Iterable[Known]) -> list[tuple[str, int, int]]:
    """What receipts add to the meters of their keys and members: (meter, bucket, micro-dollars)."""
    by_key: dict[str, list[Known]] = {}
    for meter in meters:
        by_key.setdefault(meter.key_id, []).append(meter)
    if not by_key:
        return []
    sums: dict[tuple[str, int], int] = {}
    for receipt in receipts:
        subjects: tuple[str, ...] = (receipt.key_id,)
        if receipt.org_id is not None:
            subjects = (receipt.key_id, member_id(receipt.org_id, receipt.user_id))
        for subject in subjects:
            for meter in by_key.get(subject, ()):
                if meter.model in ("", receipt.model):
                    place = (meter.id, receipt.at // meter.bucket_us if meter.bucket_us else 0)
                    sums[place] = sums.get(place, 0) + receipt.credits
    return [(id, bucket, amount) for (id, bucket), amount in sums.items()]


def to_rollups(receipts: Iterable[Receipt]) -> list[tuple[str | int, ...]]:
    """What receipts add, as rows of the table, each rollup once and in order (so that no two writers wait for each
    other)."""
    hours: dict[tuple[str, int, str, str, str], list[int]] = {}
    for receipt in receipts:
        at = receipt.at
        key = (receipt.user_id, at - at % HOUR_US, receipt.model, receipt.key_id, receipt.protocol)
        sums = hours.get(key)
        if sums is None:
            sums = hours[key] = [0] * len(SUMMED)
        used = receipt.usage
        sums[0] += 1
        sums[1] += used.input
        sums[2] += used.cache_read
        sums[3] += used.cache_write_5m
        sums[4] += used.cache_write_1h
        sums[5] += used.output
        sums[6] += used.reasoning
        sums[7] += used.web_searches
        sums[8] += receipt.credits
        sums[9] += used.images
        sums[10] += used.seconds
    days: dict[tuple[str, int, str, str, str], list[int]] = {}
    for (user_id, start, model, key_id, protocol), sums in hours.items():
        key = (user_id, start - start % DAY_US, model, key_id, protocol)
        before = days.get(key)
        days[key] = sums if before is None else list(map(add, before, sums))
    return sorted(
        (user_id, span_us, start, model, key_id, protocol, *sums)
        for span_us, found in ((HOUR_US, hours), (DAY_US, days))
        for (user_id, start, model, key_id, protocol), sums in found.items()
    )
