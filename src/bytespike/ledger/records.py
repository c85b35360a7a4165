"""What a finished request leaves behind: a receipt and its attempts. Written to the spool first, to the database after."""

from __future__ import annotations

from msgspec import Struct

from bytespike.core.usage import Usage
from bytespike.pricing.price import Price


class Receipt(Struct, frozen=True, array_like=True):
    """One billed request. Becomes one usage row and one posted transfer of `credits` micro-dollars, once.

    `at` Unix microseconds of settlement. `end_reason`: "completed", "client_gone", or "out_of_funds" (nothing more could
    be held, and the stream was ended). `held`: at the end, what a stream asked for more as it went included.
    """

    request_id: str
    at: int
    key_id: str
    user_id: str
    org_id: str | None
    account_id: str
    group_id: int
    channel_id: str
    upstream_provider: str
    model: str
    requested_model: str
    upstream_model: str
    protocol: str
    upstream_protocol: str
    stream: bool
    usage: Usage
    credits: int
    held: int
    price: Price
    multiplier_ppm: int
    end_reason: str
    notices: tuple[str, ...]
    latency_ms: int
    first_token_ms: int


class Attempt(Struct, frozen=True, array_like=True):
    """One call of an upstream, whatever came of it. `cost`: what the provider will charge, micro-dollars.

    `outcome`: "completed", "client_gone", "out_of_funds" or "failed"; `error` an error code, never an upstream's message.
    `reason`: why this channel was asked ("load", "affinity", "failover", ...); `passed_over`: who was not, "chn_1:resting
    chn_2:ceiling" (docs/explain/routing.md has the words).
    """

    request_id: str
    ordinal: int
    at: int
    channel_id: str
    upstream_provider: str
    upstream_model: str
    status: int
    outcome: str
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    latency_ms: int = 0
    first_token_ms: int = 0
    images: int = 0
    seconds: int = 0
    reason: str = ""
    passed_over: str = ""


class Settled(Struct, frozen=True, array_like=True):
    """One record of the spool. A request that failed has no receipt: only its attempts are kept."""

    receipt: Receipt | None
    attempts: tuple[Attempt, ...]
