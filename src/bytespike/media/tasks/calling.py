"""One call of a provider of renders, and what is known when it fails: above all, whether the provider may have taken it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import urljoin

from bytespike.errors import GatewayError
from bytespike.media.adapter import RenderAdapter, UpstreamCall
from bytespike.media.tasks.channels import Way
from bytespike.media.tasks.parts import TaskParts
from bytespike.providers.endpoint import typed
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError, told_of
from bytespike.upstream.limits import Timeouts
from bytespike.wire.address import split_url
from bytespike.wire.headers import render_headers
from bytespike.wire.limits import ANSWER_BYTES_MAX, ERROR_BYTES_MAX

T = TypeVar("T")

#: Redirects that are followed when a result is fetched.
REDIRECTS_MAX: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNAVAILABLE: Final = 503
_CONTENT_TYPE: Final = b"content-type"


class CallFailed(Exception):
    """`error`: what the task says if nothing helps. `about`: whose fault it is, "request", "channel" or "upstream". `status`: the provider's, 0 if none
    came. `refused`: the provider has surely not done what was asked: no byte was sent, or it said no."""

    def __init__(
        self, error: GatewayError, *, about: str, refused: bool, status: int = 0, cause: str = ""
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.about = about
        self.refused = refused
        self.status = status
        self.cause = cause

    @property
    def retry_after(self) -> int | None:
        return self.error.retry_after


def failed_transport(error: TransportError) -> CallFailed:
    """A broken exchange."""
    return CallFailed(told_of(error), about="upstream", refused=not error.sent, cause=error.cause)


async def asked(
    parts: TaskParts,
    adapter: RenderAdapter,
    way: Way,
    call: UpstreamCall,
    read: Callable[[bytes], T],
    seconds: float,
    *,
    once: bool = False,
) -> T:
    """Make the call and read its answer, within so many seconds. `once`: no byte of it may be sent twice. Raises
    CallFailed."""
    timeouts = Timeouts(connect=min(10.0, seconds), first_byte=seconds, idle=seconds, total=seconds)
    try:
        async with answered(parts, way, call, timeouts, once=once) as answer:
            if not 200 <= answer.status < 300:
                raise await refusal(adapter, answer)
            body = await answer.read(ANSWER_BYTES_MAX)
    except TransportError as error:
        raise failed_transport(error) from None
    try:
        return read(body)
    except GatewayError as error:
        raise CallFailed(error, about="upstream", refused=False, status=answer.status) from error


async def refusal(adapter: RenderAdapter, answer: Answer) -> CallFailed:
    """An answer that is no success, as an error."""
    status = answer.status
    try:
        body = await answer.read(ERROR_BYTES_MAX)
    except TransportError:
        body = b""
    error = adapter.refused(status, answer.headers, body)
    about = error.about or ("request" if 400 <= status < 500 else "upstream")
    # A server that broke down in the middle may have begun; one that says it is too busy, or that the request is wrong, has not.
    refused = status < 500 or status == _UNAVAILABLE
    return CallFailed(error, about=about, refused=refused, status=error.upstream_status or status)


@asynccontextmanager
async def answered(
    parts: TaskParts, way: Way, call: UpstreamCall, timeouts: Timeouts, *, once: bool = False
) -> AsyncGenerator[Answer]:
    """The answer to a call, of any status; what is not read of it is cut off. A fetch (GET) follows redirects.

    The credential goes to the channel's own origin and nowhere else, and every other origin has to be a public one. Raises
    TransportError; ValueError: a URL that is none.
    """
    endpoint = way.endpoint
    target = endpoint.target + call.target
    origin = endpoint.origin
    url = call.url
    answer: Answer | None = None
    try:
        for _ in range(REDIRECTS_MAX + 1):
            if url:
                origin, target = split_url(url)
            own = origin == endpoint.origin
            client = parts.public
            if own:
                client = parts.submitting if once else parts.upstream
            head = _head(endpoint.head, call) if own and call.with_credential else b""
            answer = await client.request(
                origin,
                call.method,
                target,
                head + render_headers(call.headers),
                call.body,
                timeouts,
                proxy=endpoint.proxy,
            )
            location = answer.headers.get(b"location")
            if call.method != b"GET" or answer.status not in _REDIRECTS or location is None:
                break
            answer.abort()
            base = url or f"{origin.scheme}://{origin.authority}{target.decode('latin-1')}"
            url = urljoin(base, location.decode("latin-1"))
        assert answer is not None
        yield answer
    finally:
        if answer is not None:
            answer.abort()


def _head(head: bytes, call: UpstreamCall) -> bytes:
    """The endpoint's lines, without its content type where the call has one of its own, or no body at all."""
    if not call.body or any(name.lower() == _CONTENT_TYPE for name, _ in call.headers):
        return typed(head, b"")
    return head
