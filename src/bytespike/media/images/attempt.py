"""One channel is asked for the pictures of an order: one call, or several at once where a provider draws one per call."""

from __future__ import annotations

import asyncio

from msgspec import Struct, structs

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.core.notices import Notice
from bytespike.errors import GatewayError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.drawing import Asked, Drawing, Drawn, ImageAdapter, Tokens
from bytespike.media.images.parts import DRAWERS, ImageParts
from bytespike.media.order import Order
from bytespike.providers.choice import filled
from bytespike.providers.endpoint import Endpoint, typed
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError, told_of
from bytespike.upstream.failures import about_of
from bytespike.upstream.limits import Timeouts
from bytespike.wire.headers import render_headers
from bytespike.wire.limits import ERROR_BYTES_MAX

_CONTENT_TYPE = b"content-type"


class DrawFailed(Exception):
    """A channel that has drawn nothing. `error`: what the client is told if no other channel helps. `about`: whose fault it
    is, "request", "channel" or "upstream": only the first is told at once. `status`: the provider's, 0 if none came.
    `refused`: it has surely drawn nothing. `cause`: for the operator, what broke where no answer came."""

    def __init__(
        self, error: GatewayError, about: str, status: int = 0, *, refused: bool = True, cause: str = ""
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.about = about
        self.status = status
        self.refused = refused
        self.cause = cause

    @property
    def retry_after(self) -> int | None:
        return self.error.retry_after


class Site(Struct, frozen=True):
    """Where a model is asked."""

    channel: Channel
    endpoint: Endpoint
    model: Model

    @property
    def adapter(self) -> ImageAdapter:
        return DRAWERS[self.endpoint.dialect]

    @property
    def upstream_model(self) -> str:
        return self.channel.models[self.model.slug].upstream_model


class Outcome(Struct, frozen=True):
    """`drawing`: of all calls together. `answered`: calls that brought a picture."""

    drawing: Drawing
    answered: int
    notices: tuple[Notice, ...] = ()


async def draw(parts: ImageParts, site: Site, order: Order, asked: Asked, seconds_left: float) -> Outcome:
    """Make the calls and read their answers whole. Some may fail: what the others bring is the outcome.

    Raises DrawFailed: none brought a picture. Cancelled, all calls are cut.
    """
    found: list[Drawing] = []
    failures: list[DrawFailed] = []

    async def one(call: UpstreamCall) -> None:
        try:
            found.append(await _drawn(parts, site, call, seconds_left))
        except DrawFailed as failed:
            failures.append(failed)

    async with asyncio.TaskGroup() as group:
        for call in asked.calls:
            group.create_task(one(call))
    if not found:
        # What is wrong with the request is more telling than what is wrong with a call.
        raise min(failures, key=lambda failed: failed.about != "request")
    drawing = together(found, order.n, by_call=len(asked.calls) > 1)
    missing = order.n - len(drawing.images)
    notices = asked.notices
    if missing > 0:
        notices = (*notices, Notice("n", "approximated", f"{len(drawing.images)} of {order.n} were drawn"))
    return Outcome(drawing, len(found), notices)


def together(found: list[Drawing], n: int, *, by_call: bool) -> Drawing:
    """Several answers as one. `by_call`: each was asked for one picture; else all of them are what one call brought. No more
    than `n` are given, since no more were paid for."""
    images: list[Drawn] = []
    tokens: Tokens | None = None
    for drawing in found:
        images += drawing.images[:1] if by_call else drawing.images
        if drawing.tokens is not None:
            tokens = drawing.tokens if tokens is None else tokens.plus(drawing.tokens)
    first = found[0]
    return structs.replace(first, images=tuple(images[:n]), tokens=tokens)


async def _drawn(parts: ImageParts, site: Site, call: UpstreamCall, seconds_left: float) -> Drawing:
    answer = await ask(parts, site, call, seconds_left)
    try:
        body = await answer.read(parts.limits.answer_bytes_max)
    except TransportError as error:
        raise failed_transport(error, answer.status) from None
    try:
        return site.adapter.read(body)
    except GatewayError as error:
        raise failed_answer(error, site, answer.status) from None


async def ask(parts: ImageParts, site: Site, call: UpstreamCall, seconds_left: float) -> Answer:
    """The answer, once its head says success; its body is still to be read. Raises DrawFailed."""
    endpoint = site.endpoint
    content_type = dict(call.headers).get(_CONTENT_TYPE, b"")
    head = typed(endpoint.head, content_type) + b"".join(line for _, line in endpoint.default_headers)
    others = [pair for pair in call.headers if pair[0] != _CONTENT_TYPE]
    try:
        answer = await parts.upstream.request(
            endpoint.origin,
            call.method,
            filled(endpoint.target, site.upstream_model) + call.target,
            head + render_headers(others) if others else head,
            call.body,
            timeouts_of(parts.timeouts, site, seconds_left),
            proxy=endpoint.proxy,
        )
    except TransportError as error:
        raise failed_transport(error) from None
    if answer.status == 200:
        return answer
    status = answer.status
    try:
        body = await answer.read(ERROR_BYTES_MAX)
    except TransportError:
        body = b""
    error = site.adapter.refused(status, answer.headers, body)
    raise failed_answer(error, site, status)


def failed_answer(error: GatewayError, site: Site, status: int) -> DrawFailed:
    """An answer, or a stream, that is an error."""
    private = site.upstream_model
    if private != site.model.slug and private in error.message:
        error.message = error.message.replace(private, site.model.slug)
    return DrawFailed(error, about_of(error), error.upstream_status or status, refused=status != 200)


def failed_transport(error: TransportError, status: int = 0) -> DrawFailed:
    """A broken exchange."""
    return DrawFailed(told_of(error), "upstream", status, refused=not error.sent, cause=error.cause)


def timeouts_of(default: Timeouts, site: Site, seconds_left: float) -> Timeouts:
    """The channel's own deadlines where it has any, within what is left of the request's time."""
    own = {**site.endpoint.timeouts, **site.channel.timeouts}
    timeouts = structs.replace(default, **own) if own else default
    return structs.replace(timeouts, total=max(0.1, min(timeouts.total, seconds_left)))
