"""What the adapter of a provider of long renders is: sans-IO, an order in, HTTP calls out, what the answers mean.

The worker (`media/tasks/`) makes the calls, with the channel's credential and base URL, and keeps what they mean. An
adapter keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from bytespike.errors import GatewayError
from bytespike.media.order import Order

RenderState: TypeAlias = Literal["queued", "running", "completed", "failed", "cancelled"]


class UpstreamCall(Struct, frozen=True):
    """`target`: path with query, below the channel's base URL for this surface, unless `url` is given: then that, whole.
    `with_credential`: whether the channel's credential goes along (never to a foreign `url`)."""

    method: bytes
    target: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    url: str = ""
    with_credential: bool = True


class Made(Struct, frozen=True):
    """One thing that was made: where it is fetched from, or its bytes (`data`, base64 text) where the answer held them.
    `expires_at` Unix seconds, 0: not said."""

    call: UpstreamCall | None = None
    data: str = ""
    media_type: str = ""
    expires_at: int = 0


class Render(Struct, frozen=True):
    """What an answer says of a render. `progress` percent, None: not reported. `error_code`, `error_message`: of one that
    failed, fit for the client. `billed` False: the provider charges nothing (its refund policy). `retry_after` seconds that the provider asks to wait before the next question.
    """

    state: RenderState
    upstream_id: str = ""
    progress: int | None = None
    made: tuple[Made, ...] = ()
    error_code: str = ""
    error_message: str = ""
    billed: bool = True
    seconds: int | None = None
    retry_after: int | None = None


class RenderAdapter(Protocol):
    """One provider's API for renders that take long.

    `submit` the call that begins one; `task_id` is the gateway's, for providers that can carry it (metadata, idempotency key). `submitted`, `polled`, `cancelled`
    read answers with a 2xx status; `refused` reads any other. `find` is the call with which an ambiguous submission is
    looked for at the provider, None where it keeps no list; `found` its answer: the render, or None: it never arrived.
    `cancel` None: the provider cannot cancel. All raise UpstreamError for an answer that makes no sense.
    """

    def submit(self, order: Order, upstream_model: str, task_id: str) -> UpstreamCall: ...
    def submitted(self, body: bytes) -> Render: ...
    def poll(self, upstream_id: str) -> UpstreamCall: ...
    def polled(self, body: bytes) -> Render: ...
    def cancel(self, upstream_id: str) -> UpstreamCall | None: ...
    def cancelled(self, body: bytes) -> Render: ...
    def find(self, task_id: str) -> UpstreamCall | None: ...
    def found(self, body: bytes, task_id: str) -> Render | None: ...
    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError: ...
