"""What /usage, /me/usage and /me/billing/transactions answer, for the OpenAPI document. The answers are written from the
rows themselves, thousands at a time; a test holds that they are of these shapes."""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from bytespike.http.management.views import ImagePriceView, SecondPriceView, TierView


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReceiptPriceView(Shape):
    """USD per million tokens; per 1,000 uses for `web_search`, per request for `submit_fee`."""

    id: str
    input: str
    output: str
    cache_read: str
    cache_write_5m: str
    cache_write_1h: str
    web_search: str
    submit_fee: str
    tiers: list[TierView]
    images: list[ImagePriceView]
    seconds: list[SecondPriceView]


class ReceiptView(Shape):
    """A billed request. `credits` USD; `at` when it was billed; `end_reason` completed, client_gone or out_of_funds."""

    request_id: str
    at: str
    api_key_id: str
    model: str
    requested_model: str
    upstream_provider: str
    protocol: str
    upstream_protocol: str
    stream: bool
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    web_searches: int
    images: int
    seconds: int
    credits: str
    price_per_million: ReceiptPriceView
    multiplier_ppm: int
    estimated: bool
    end_reason: str
    notices: list[str]
    latency_ms: int
    first_token_ms: int


class ReceiptsView(Shape):
    """`total`: of all pages; at least so many where `total_is_exact` is false."""

    items: list[ReceiptView]
    total: int
    total_is_exact: bool
    page: int
    page_size: int


class SumsView(Shape):
    """`credits` USD."""

    requests: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    web_searches: int
    credits: str
    images: int
    seconds: int


class GroupView(SumsView):
    """What was not grouped by is missing. `hour`: when it begins; `day`: its date; both UTC."""

    hour: str | None = None
    day: str | None = None
    model: str | None = None
    api_key_id: str | None = None
    protocol: str | None = None


class RollupView(Shape):
    """`since` and `until`: the full hours that were counted."""

    items: list[GroupView]
    total: int
    sum: SumsView
    group_by: list[str]
    since: str
    until: str
    time_zone: str
    currency: str


class TransactionView(Shape):
    """`amount` USD, negative where money left the wallet."""

    id: str
    created_at: str
    kind: str
    amount: str
    request_id: str | None
    note: str


class TransactionsView(Shape):
    items: list[TransactionView]
    total: int
    total_is_exact: bool
    page: int
    page_size: int


Responses: TypeAlias = dict[int | str, dict[str, Any]]


def answers(shape: type[BaseModel]) -> Responses:
    """The JSON of that shape, or CSV."""
    return {200: {"model": shape, "content": {"text/csv": {"schema": {"type": "string"}}}}}
