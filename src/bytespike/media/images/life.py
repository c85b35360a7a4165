"""One request for images, in order.

    choose     of which model, and which channels can draw it?
    order      what is to be drawn, checked against what the model takes; what can it cost at most?
    hold       that much is set aside; from here on exactly one of post and void follows
    inline     pictures that the client gave by URL are opened, once
    attempt    the best channel is asked; if it fails before the client has seen anything, the next one is
    keep       what was drawn goes to the object store, if URLs were asked for
    settle     what was delivered is posted, durably, before the answer leaves; else the hold is voided

What is billed is what is delivered: of four pictures of which three could be drawn, three. A caller that hangs up cuts the
upstream call wherever it is, and pays for what it was shown of a stream up to then: the finished pictures, and the one that
was being drawn if it has seen a part of it. A whole answer is shown at once or not at all, so who hangs up before it pays
nothing, and what had been stored for it expires.

Errors rise as `errors.GatewayError`; whoever called tells the client. Nothing here knows a status code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from bytespike.accounts.records import Channel
from bytespike.core.json_types import JSON
from bytespike.errors import InternalError, InvalidRequest, NoAvailableChannel, UnsupportedFeature
from bytespike.media.drawing import Asked
from bytespike.media.images import answer
from bytespike.media.images.attempt import DrawFailed, Site, draw
from bytespike.media.images.call import Client, ImageCall
from bytespike.media.images.inputs import inlined
from bytespike.media.images.keep import Form, kept, taken
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import choose, worst_cost
from bytespike.media.images.settlement import Settlement, bill
from bytespike.media.images.stream import relay, tell
from bytespike.media.images.work import Work
from bytespike.media.rules import read_order
from bytespike.routing.values import Candidate
from bytespike.upstream.failures import told

#: With less than this left of a request's time another attempt cannot succeed, and would only cost.
SECONDS_LEFT_MIN = 1.0
#: What a channel is asked. Raises UnsupportedFeature.
Prepare: TypeAlias = Callable[[Site], Asked]
#: One try of one channel, to the client's last byte. Raises DrawFailed while the client has seen nothing.
Once: TypeAlias = Callable[[Work, Candidate[Channel], Asked], Awaitable[None]]
_FORMS: tuple[Form, ...] = ("url", "b64_json")


async def serve_images(parts: ImageParts, call: ImageCall, client: Client) -> None:
    """Carry one request from its parameters to its last byte. A caller that hangs up cancels this, wherever it waits.

    Raises: any GatewayError while the client has seen nothing of an answer.
    """
    plan = choose(parts, call.key, model_of(call.params), only_priced=call.dry_run)
    order = read_order(plan.model, call.params, "image")
    form = form_of(call.params, stream=order.stream)
    if call.edit and not order.pictures:
        raise InvalidRequest("image is required: what is to be changed", param="image")
    credits = worst_cost(plan, order, turns=order.n)
    hold = await parts.ledger.acquire(call.account, call.request_id, credits, plan.model.slug)
    client.held(credits)
    settlement = Settlement(parts, call, plan, order.stream, hold)
    try:
        if call.dry_run:
            client.respond(answer.preview(plan.requested, order.n, credits), order.notices)
        else:
            order = await inlined(parts, order, plan.candidates[0].endpoint.proxy)
            await deliver(
                Work(parts, call, client, plan, order, form, settlement),
                lambda site: site.adapter.ask(order, site.upstream_model),
                _once,
            )
    finally:
        settlement.close()


def form_of(params: Mapping[str, JSON], *, stream: bool) -> Form:
    """How the client wants its pictures. A stream's events have their bytes anyway. Raises InvalidRequest."""
    asked = params.get("response_format")
    if asked is None or asked == "":
        return "b64_json" if stream else "url"
    for form in _FORMS:
        if asked == form:
            return form
    raise InvalidRequest(f"response_format is {' or '.join(_FORMS)}", param="response_format")


def model_of(params: Mapping[str, JSON]) -> str:
    """Raises InvalidRequest."""
    name = params.get("model")
    if not isinstance(name, str) or not name.strip():
        raise InvalidRequest("model is required; GET /v1/models lists what there is", param="model")
    return name


async def deliver(work: Work, prepare: Prepare, once: Once) -> None:
    """Ask the channels in order until one has drawn. `prepare`: what a channel is asked; `once`: one try of one channel.

    Raises GatewayError."""
    last: DrawFailed | None = None
    refused: UnsupportedFeature | None = None
    for candidate in work.plan.candidates[: work.parts.limits.attempts_max]:
        try:
            asked = prepare(work.site(candidate))
        except UnsupportedFeature as error:
            refused = error.with_traceback(None)
            continue
        if last is not None and work.seconds_left < SECONDS_LEFT_MIN:
            break
        if not work.settlement.begin(candidate, len(asked.calls)):
            continue
        try:
            await once(work, candidate, asked)
        except DrawFailed as failed:
            work.settlement.failed(failed)
            if failed.about == "request":
                raise failed.error from None
            last = failed.with_traceback(None)
        except InternalError as error:
            # The channel has drawn; what failed is ours, and another channel would not help.
            work.settlement.failed(DrawFailed(error, "request", 200))
            raise
        else:
            return
    if last is not None:
        raise told(last.error, last.about, last.status, last.retry_after) from None
    if refused is not None:
        raise refused
    raise NoAvailableChannel(
        f"every channel for {work.plan.model.slug} is at its upstream's rate limit; try again shortly",
        retry_after=1,
    )


async def _once(work: Work, candidate: Candidate[Channel], asked: Asked) -> None:
    """As a stream where the client wants one and the provider has one."""
    reader = None
    if work.order.stream and len(asked.calls) == 1:
        reader = work.site(candidate).adapter.reader()
    if reader is None:
        await _whole(work, candidate, asked)
    else:
        await relay(work, candidate, asked, reader)


async def _whole(work: Work, candidate: Candidate[Channel], asked: Asked) -> None:
    """Raises DrawFailed while nothing has been handed over."""
    site = work.site(candidate)
    outcome = await draw(work.parts, site, work.order, asked, work.seconds_left)
    work.settlement.first()
    drawing = outcome.drawing
    pictures = await taken(work.parts, site, drawing.images, work.seconds_left)
    finished = await kept(work.parts, work.call.key.id, pictures, work.form, work.call.base_url)
    owed = bill(work.plan, candidate, work.order, drawing, pictures, outcome.answered)
    notices = (*work.order.notices, *map(str, (*work.plan.notices, *outcome.notices)))
    if work.order.stream:
        frames = tell(work, drawing, finished)
        work.client.begin(notices)
        work.settlement.posted(owed, notices)
        work.client.finish(frames)
        return
    body = answer.whole(work.plan, work.order, drawing, finished, work.form, work.created)
    # The receipt is durable before the first byte of the answer leaves: what a client has whole is on the books.
    work.settlement.posted(owed, notices, gathered=True)
    work.client.respond(body, notices)
