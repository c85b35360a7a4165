"""Volcengine Ark's image generation API, which Seedream is asked in.

    POST /images/generations    JSON: model, prompt, image (data: URLs), size ("2K" or "2048x2048"), seed, watermark,
                                sequential_image_generation (disabled | auto) with its options' max_images, response_format

One call draws one picture, or with `sequential_image_generation: auto` a sequence of up to `max_images` that belong
together, as many as the model thinks right. So several independent pictures are several calls. Each member of `data` is a
picture or an error of its own. There is no negative prompt: it is said in the prompt.

Streams are events `image_generation.partial_succeeded` and `.partial_failed`, one for each picture of a sequence, and
`.completed` at the end: pictures come whole, never by and by.

Source: volcengine.com/docs/82379/1541523 (image generation API), 1824137 (its streams).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.notices import Notice
from bytespike.errors import GatewayError, UpstreamError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters import ark_errors
from bytespike.media.adapters.answers import read, refusal
from bytespike.media.adapters.event_steps import EventSteps
from bytespike.media.adapters.seeds import seeds
from bytespike.media.drawing import Asked, Drawing, DrawingReader, Drawn, Step, Tokens
from bytespike.media.order import Order
from bytespike.media.rules import SEQUENCE
from bytespike.media.rules import SEQUENCE_OPTIONS as OPTIONS
from bytespike.wire import json

API: Final = "Ark's image generation API"
_JSON: Final = (b"content-type", b"application/json")
_AVOID: Final = "\n\nAvoid: "


class _Error(Struct):
    code: str | None = None
    message: str | None = None


class _Image(Struct):
    b64_json: str | None = None
    url: str | None = None
    size: str | None = None
    error: _Error | None = None


class _Usage(Struct):
    output_tokens: int = 0


class _Answer(Struct):
    data: list[_Image] | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _Event(Struct):
    type: str = ""
    b64_json: str | None = None
    url: str | None = None
    size: str | None = None
    error: _Error | None = None
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


class ArkImages:
    """`media.drawing.ImageAdapter` for Ark's image generation API."""

    def ask(self, order: Order, upstream_model: str) -> Asked:
        members: JSONObject = {
            "model": upstream_model,
            "prompt": order.prompt,
            "response_format": "b64_json",
            SEQUENCE: "disabled",
        }
        notices: tuple[Notice, ...] = ()
        if order.negative_prompt:
            members["prompt"] = order.prompt + _AVOID + order.negative_prompt
            notices = (Notice("negative_prompt", "approximated", "said in the prompt"),)
        size = f"{order.width}x{order.height}" if order.width else order.size
        if size:
            members["size"] = size
        images: list[JSON] = [f"data:{each.media_type};base64,{each.data}" for each in order.pictures]
        if images:
            members["image"] = images[0] if len(images) == 1 else images
        knobs: JSONObject = {
            "watermark": order.watermark,
            "output_format": order.output_format or None,
        }
        members.update((name, value) for name, value in knobs.items() if value is not None)
        members.update((name, msgspec.to_builtins(value)) for name, value in order.extras.items())
        sequence = in_sequence(order)
        if sequence:
            options = members.get(OPTIONS)
            members[OPTIONS] = {**(options if isinstance(options, dict) else {}), "max_images": order.n}
        else:
            members.pop(OPTIONS, None)
        if order.stream and (sequence or order.n == 1):
            members["stream"] = True
        calls: list[UpstreamCall] = []
        for seed in (order.seed,) if sequence else seeds(order):
            if seed is not None:
                members["seed"] = seed
            calls.append(UpstreamCall(b"POST", b"/images/generations", (_JSON,), json.encode(members)))
        return Asked(tuple(calls), notices)

    def read(self, body: bytes) -> Drawing:
        answer = read(_answer, body, API)
        images: list[Drawn] = []
        failed: GatewayError | None = _told(answer.error)
        size = ""
        for each in answer.data or ():
            if each.b64_json or each.url:
                images.append(Drawn(each.b64_json or "", "" if each.b64_json else each.url or ""))
                size = size or each.size or ""
            else:
                failed = failed or _told(each.error)
        if not images:
            raise failed or UpstreamError("The upstream's answer has no image.")
        tokens = None if answer.usage is None else Tokens(output=answer.usage.output_tokens)
        return Drawing(tuple(images), size=size, tokens=tokens, failed=failed)

    def reader(self) -> DrawingReader:
        return EventSteps(_step)

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(ark_errors.read_error, status, headers, body)


def in_sequence(order: Order) -> bool:
    """Whether the order is for a sequence of pictures that belong together."""
    return order.extras.get(SEQUENCE) == "auto"


def _told(error: _Error | None) -> GatewayError | None:
    return None if error is None else ark_errors.told_error(error.code or "", error.message or "")


def _step(data: JSONObject) -> tuple[Step | None, bool]:
    """One event of a stream. Raises GatewayError."""
    try:
        event = msgspec.convert(data, _Event)
    except msgspec.ValidationError as error:
        raise UpstreamError(f"The upstream's stream is not one of {API}.") from error
    failed = _told(event.error)
    if event.type.endswith(".partial_failed"):
        return (Drawing(failed=failed), False) if failed is not None else (None, False)
    if failed is not None:
        raise failed
    if event.type.endswith(".partial_succeeded") and (event.b64_json or event.url):
        image = Drawn(event.b64_json or "", "" if event.b64_json else event.url or "")
        return Drawing((image,), size=event.size or ""), False
    if event.type.endswith(".completed"):
        tokens = None if event.usage is None else Tokens(output=event.usage.output_tokens)
        return Drawing(tokens=tokens), True
    return None, False
