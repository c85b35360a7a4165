"""A settlement as rows: what each column of `usage`, `transfers` and `attempts` holds.

Tuples in the order of the tables' columns, for statements that take many rows at once.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bytespike.ledger.entries import REVENUE, input_hash, usage_key
from bytespike.ledger.records import Attempt, Receipt

#: A value as both drivers take it. JSON columns hold text here.
Value: TypeAlias = "str | int | bool | None"
Row: TypeAlias = "tuple[Value, ...]"

_encode_json = msgspec.json.Encoder().encode
_NO_NOTICES = "[]"


def usage_row(receipt: Receipt) -> Row:
    usage = receipt.usage
    return (
        receipt.request_id,
        receipt.at,
        receipt.key_id,
        receipt.user_id,
        receipt.org_id,
        receipt.account_id,
        receipt.group_id,
        receipt.channel_id,
        receipt.upstream_provider,
        receipt.model,
        _text(receipt.requested_model),
        receipt.upstream_model,
        receipt.protocol,
        receipt.upstream_protocol,
        receipt.stream,
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.web_searches,
        receipt.credits,
        receipt.held,
        _encode_json(receipt.price).decode(),
        receipt.multiplier_ppm,
        not usage.exact,
        receipt.end_reason,
        _encode_json([_text(notice) for notice in receipt.notices]).decode()
        if receipt.notices
        else _NO_NOTICES,
        receipt.latency_ms,
        receipt.first_token_ms,
        usage.images,
        usage.seconds,
    )


def receipt_hash(receipt: Receipt) -> str:
    """The input hash of the transfer that a receipt becomes."""
    return input_hash("usage", receipt.account_id, REVENUE, receipt.credits, receipt.request_id, "")


def receipt_key(receipt: Receipt) -> str:
    """The idempotency key, and the id, of that transfer."""
    return usage_key(receipt.request_id)


def transfer_row(receipt: Receipt) -> Row:
    key = receipt_key(receipt)
    return (
        key,
        receipt.account_id,
        REVENUE,
        receipt.credits,
        "usage",
        key,
        receipt_hash(receipt),
        receipt.request_id,
        "",
        receipt.at,
    )


def attempt_row(attempt: Attempt) -> Row:
    return (
        attempt.request_id,
        attempt.ordinal,
        attempt.at,
        attempt.channel_id,
        attempt.upstream_provider,
        attempt.upstream_model,
        attempt.status,
        attempt.outcome,
        attempt.error,
        attempt.input_tokens,
        attempt.output_tokens,
        attempt.cost,
        attempt.latency_ms,
        attempt.first_token_ms,
        attempt.images,
        attempt.seconds,
        attempt.reason,
        attempt.passed_over,
    )


def _text(text: str) -> str:
    """PostgreSQL's text holds no NUL, and this one came from the caller."""
    return text.replace("\0", "") if "\0" in text else text
