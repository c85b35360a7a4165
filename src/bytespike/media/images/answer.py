"""OpenAI's images on the wire, towards clients: the whole answer, the events of a stream, the preview of a dry run.

As the types of the openai SDK have them (`images_response`, `image_gen_*_event`, `image_edit_*_event`). Two members that
OpenAI's answers lack for some models are always there: `model`, the client's own name for it, and the events' `usage`.
"""

from __future__ import annotations

import base64
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import GatewayError
from bytespike.ledger.amounts import format_usd
from bytespike.media.drawing import Drawing, Tokens
from bytespike.media.images.keep import Form, Kept
from bytespike.media.images.plan import ImagePlan
from bytespike.media.order import Order
from bytespike.media.sizes import AUTO
from bytespike.protocols.openai_errors import error_object
from bytespike.wire.json import encode
from bytespike.wire.sse import frame

_FORMATS: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/gif": "gif",
}


def whole(
    plan: ImagePlan, order: Order, drawing: Drawing, pictures: list[Kept], form: Form, created: int
) -> bytes:
    """The body of an answer."""
    data: list[JSON] = []
    for each in pictures:
        entry: JSONObject = {"url": each.url} if form == "url" else {"b64_json": _base64(each)}
        if each.picture.revised_prompt:
            entry["revised_prompt"] = each.picture.revised_prompt
        data.append(entry)
    body: JSONObject = {"created": created, "model": plan.requested, "data": data}
    described = _described(order, drawing, pictures[0])
    body.update((name, value) for name, value in described.items() if value != "")
    if drawing.tokens is not None:
        body["usage"] = _usage(drawing.tokens)
    return encode(body)


def partial(order: Order, *, edit: bool, index: int, data: str, created: int) -> bytes:
    """The event of a picture that is not finished."""
    return _event(
        _name(edit=edit, what="partial_image"),
        {
            "b64_json": data,
            "partial_image_index": index,
            "created_at": created,
            "size": order.size or AUTO,
            "quality": order.quality or AUTO,
            "background": order.background or AUTO,
            "output_format": order.output_format or "png",
        },
    )


def completed(
    order: Order, drawing: Drawing, each: Kept, *, edit: bool, created: int, tokens: Tokens | None
) -> bytes:
    """The event of a finished picture: always with its bytes, and with its URL where it was asked for."""
    described = _described(order, drawing, each)
    members: JSONObject = {
        "b64_json": _base64(each),
        "created_at": created,
        "size": described["size"] or AUTO,
        "quality": described["quality"] or AUTO,
        "background": described["background"] or AUTO,
        "output_format": described["output_format"],
        "usage": _usage(tokens or Tokens()),
    }
    if each.url:
        members["url"] = each.url
    return _event(_name(edit=edit, what="completed"), members)


def failed(error: GatewayError) -> bytes:
    """The event that ends a stream which failed."""
    return _event("error", {"error": error_object(error)})


def preview(requested: str, count: int, credits: int) -> bytes:
    """The answer to a dry run: what the request may cost at most."""
    return encode(
        {
            "object": "dry_run",
            "model": requested,
            "estimated_credits": format_usd(credits),
            "estimated_images": count,
        }
    )


def _described(order: Order, drawing: Drawing, each: Kept) -> dict[str, JSON]:
    """What the pictures are, by what their bytes say, else the provider, else the order."""
    facts = each.picture.facts
    size = f"{facts.width}x{facts.height}" if facts.width else drawing.size or order.size
    quality = drawing.quality or order.quality
    background = drawing.background or order.background
    return {
        "size": size,
        "quality": "" if quality == AUTO else quality,
        "background": "" if background == AUTO else background,
        "output_format": _FORMATS.get(facts.content_type, ""),
    }


def _base64(each: Kept) -> str:
    return base64.b64encode(each.picture.data).decode("ascii")


def _usage(tokens: Tokens) -> JSONObject:
    return {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "input_tokens_details": {"text_tokens": tokens.input_text, "image_tokens": tokens.input_image},
    }


def _name(*, edit: bool, what: str) -> str:
    return f"image_edit.{what}" if edit else f"image_generation.{what}"


def _event(name: str, members: JSONObject) -> bytes:
    return frame(encode({"type": name, **members}), name)
