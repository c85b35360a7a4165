"""A turn of a conversation whose answer has pictures in it: gpt-4o-image through POST /v1/chat/completions.

    image_output   {size, quality, n}: how the pictures of this turn shall be, checked against what the model takes

The request goes on as the client wrote it, but for four things. URLs that were signed here are opened and go along inline,
because the provider cannot reach them always: so a client edits a picture by sending the answer back. Pictures of
assistant turns go into the next user turn, for that is where the API takes them. `image_output` is read and written again,
and no stream is asked for: pictures have to be kept before they have a URL.

The answer is the provider's, with its pictures, wherever it put them, as `image_url` parts of `content`, under the gateway's
own URLs. A client that streams gets the words as a delta, then the pictures as `images` of a delta, since the clients that
join deltas take `content` for text.

A turn is billed when it is answered, with pictures or in words: the price is the turn's.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.accounts.records import Channel
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import GatewayError, InvalidRequest, UnsupportedFeature
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters.chat_images import decoded, drawing_of, image_output, messages_of
from bytespike.media.drawing import Asked, Drawing
from bytespike.media.images import answer
from bytespike.media.images.attempt import Site, ask, failed_answer, failed_transport
from bytespike.media.images.call import Client, ImageCall
from bytespike.media.images.keep import Kept, kept, taken
from bytespike.media.images.life import deliver, model_of
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import ImagePlan, choose, worst_cost
from bytespike.media.images.settlement import Settlement, bill
from bytespike.media.images.turns import told_upstream
from bytespike.media.images.work import Work
from bytespike.media.order import Order
from bytespike.media.rules import read_order
from bytespike.routing.values import Candidate
from bytespike.upstream.errors import TransportError
from bytespike.wire.json import encode
from bytespike.wire.sse import frame

DIALECT: Final = "openai_chat"
_OUTPUT: Final = "image_output"
#: Pictures of one turn.
TURN_IMAGES_MAX: Final = 2
_DONE: Final = b"data: [DONE]\n\n"
_JSON_TYPE: Final = (b"content-type", b"application/json")
#: Members that are written anew.
_OWN: Final = frozenset({"model", "messages", "stream", "stream_options", _OUTPUT})


async def serve_turn(parts: ImageParts, call: ImageCall, client: Client) -> None:
    """Carry one turn from its body (`call.params`) to its last byte.

    Raises: any GatewayError while the client has seen nothing of an answer.
    """
    plan = _chatting(choose(parts, call.key, model_of(call.params), only_priced=call.dry_run))
    order = _order(plan, call)
    credits = worst_cost(plan, order, turns=1)
    hold = await parts.ledger.acquire(call.account, call.request_id, credits, plan.model.slug)
    client.held(credits)
    settlement = Settlement(parts, call, plan, order.stream, hold)
    try:
        if call.dry_run:
            client.respond(answer.preview(plan.requested, order.n, credits), order.notices)
            return
        messages = await told_upstream(parts, call.params)
        rest = {name: value for name, value in call.params.items() if name not in _OWN}
        output = image_output(order)
        if order.n > 1:
            output["n"] = order.n

        def prepare(site: Site) -> Asked:
            body: JSONObject = {"model": site.upstream_model, "messages": messages, **rest}
            if output:
                body[_OUTPUT] = output
            return Asked((UpstreamCall(b"POST", b"", (_JSON_TYPE,), encode(body)),))

        await deliver(Work(parts, call, client, plan, order, "url", settlement), prepare, _once)
    finally:
        settlement.close()


def _chatting(plan: ImagePlan) -> ImagePlan:
    """With the channels alone that hold a conversation."""
    if DIALECT not in plan.model.protocols:
        raise InvalidRequest(
            f"{plan.model.slug} draws images and does not chat: POST /v1/images/generations", param="model"
        )
    found = tuple(each for each in plan.candidates if each.endpoint.dialect == DIALECT)
    if not found:
        raise UnsupportedFeature(f"{plan.model.slug} cannot be reached through this endpoint", param="model")
    return structs.replace(plan, candidates=found)


def _order(plan: ImagePlan, call: ImageCall) -> Order:
    """`image_output`, as an order. Raises InvalidRequest, whose `param` is the whole path."""
    asked = call.params.get(_OUTPUT)
    if asked is not None and not isinstance(asked, dict):
        raise InvalidRequest(f"{_OUTPUT} is an object with size, quality and n", param=_OUTPUT)
    stream = call.params.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("stream is true or false", param="stream")
    if call.params.get("n") not in (None, 1):
        raise InvalidRequest(f"there is one answer; {_OUTPUT}.n says how many images", param="n")
    try:
        order = read_order(plan.model, {**(asked or {}), "prompt": _OUTPUT, "stream": bool(stream)}, "image")
    except InvalidRequest as wrong:
        wrong.param = f"{_OUTPUT}.{wrong.param}" if wrong.param else _OUTPUT
        raise
    if order.n > TURN_IMAGES_MAX:
        raise InvalidRequest(
            f"{_OUTPUT}.n: a turn draws 1 to {TURN_IMAGES_MAX} images, not {order.n}", param=f"{_OUTPUT}.n"
        )
    return order


async def _once(work: Work, candidate: Candidate[Channel], asked: Asked) -> None:
    """Raises DrawFailed while the client has seen nothing."""
    site = work.site(candidate)
    upstream = await ask(work.parts, site, asked.calls[0], work.seconds_left)
    try:
        body = await upstream.read(work.parts.limits.answer_bytes_max)
    except TransportError as error:
        raise failed_transport(error, upstream.status) from None
    try:
        said = decoded(body)
        drawing = drawing_of(said)
        if not drawing.images and not drawing.text and not _calls(said):
            # It says why there is nothing.
            site.adapter.read(body)
    except GatewayError as error:
        raise failed_answer(error, site, upstream.status) from None
    work.settlement.first()
    pictures = await taken(work.parts, site, drawing.images, work.seconds_left)
    finished = await kept(work.parts, work.call.key.id, pictures, "url", work.call.base_url)
    owed = bill(work.plan, candidate, work.order, drawing, pictures, 1)
    notices = (*work.order.notices, *map(str, work.plan.notices))
    if work.order.stream:
        frames = _frames(work, said, drawing, finished)
        work.client.begin(notices)
        work.settlement.posted(owed, notices)
        work.client.finish(frames)
        return
    whole = _answer(work, said, drawing, finished)
    work.settlement.posted(owed, notices, gathered=True)
    work.client.respond(whole, notices)


def _calls(said: JSONObject) -> bool:
    return any(message.get("tool_calls") for _, message in messages_of(said))


def _image_parts(finished: list[Kept]) -> list[JSON]:
    return [{"type": "image_url", "image_url": {"url": each.url}} for each in finished]


def _head(work: Work, said: JSONObject, kind: str) -> JSONObject:
    upstream_id, created = said.get("id"), said.get("created")
    return {
        "id": upstream_id if isinstance(upstream_id, str) and upstream_id else work.call.request_id,
        "object": kind,
        "created": created if isinstance(created, int) else work.created,
        "model": work.plan.requested,
    }


def _answer(work: Work, said: JSONObject, drawing: Drawing, finished: list[Kept]) -> bytes:
    choice, message = messages_of(said)[0]
    content: JSON = drawing.text or None
    if finished:
        text: list[JSON] = [{"type": "text", "text": drawing.text}] if drawing.text else []
        content = [*text, *_image_parts(finished)]
    kept_members = {name: value for name, value in message.items() if name not in ("content", "images")}
    entry: JSONObject = {
        **choice,
        "index": 0,
        "message": {"role": "assistant", **kept_members, "content": content},
        "finish_reason": choice.get("finish_reason") or "stop",
    }
    return encode({**_head(work, said, "chat.completion"), "choices": [entry], "usage": _usage(said)})


def _frames(work: Work, said: JSONObject, drawing: Drawing, finished: list[Kept]) -> bytes:
    """The same as the chunks of a stream."""
    choice, message = messages_of(said)[0]
    head = _head(work, said, "chat.completion.chunk")
    deltas: list[JSONObject] = [{"role": "assistant", "content": drawing.text}]
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        deltas.append({"tool_calls": [_numbered(index, each) for index, each in enumerate(calls)]})
    if finished:
        deltas.append({"images": _image_parts(finished)})
    chunks: list[JSONObject] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    ended: JSONObject = {"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
    chunks.append({**head, "choices": [ended]})
    options = work.call.params.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        chunks.append({**head, "choices": [], "usage": _usage(said)})
    return b"".join(frame(encode(chunk)) for chunk in chunks) + _DONE


def _numbered(index: int, call: JSON) -> JSON:
    return {"index": index, **call} if isinstance(call, dict) else call


def _usage(said: JSONObject) -> JSON:
    usage = said.get("usage")
    if isinstance(usage, dict):
        return usage
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
