"""OpenAI's Images API, which GPT Image is asked in, and which compatible servers offer for other models.

    POST /images/generations    JSON
    POST /images/edits          multipart/form-data: `image[]` files, a `mask` file

Answers have `data: [{b64_json | url, revised_prompt?}]`, and of GPT Image also background, output_format, quality, size and
usage. Streams are events `image_generation.partial_image` and `.completed`, of edits `image_edit.…`. GPT Image takes no
`response_format`: it always answers in base64. A picture that its safety system refuses is 400 `moderation_blocked`.

Source: the types of the openai SDK (`types/image*.py`); recorded traffic.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.errors import GatewayError, InvalidRequest, UpstreamError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters.answers import read, refusal
from bytespike.media.adapters.event_steps import EventSteps
from bytespike.media.adapters.multipart import FilePart, filename_of, form
from bytespike.media.drawing import Asked, Drawing, DrawingReader, Drawn, Partial, Step, Tokens
from bytespike.media.order import Order
from bytespike.protocols.openai_chat import errors as openai_errors
from bytespike.wire import json

API: Final = "OpenAI's Images API"
_JSON: Final = (b"content-type", b"application/json")
#: Of an edit only, and of a generation only.
_EDIT_EXTRAS: Final = frozenset({"input_fidelity"})
_GENERATION_EXTRAS: Final = frozenset({"moderation"})


class Details(Struct):
    text_tokens: int = 0
    image_tokens: int = 0


class Usage(Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: Details | None = None

    def tokens(self) -> Tokens:
        details = self.input_tokens_details or Details()
        return Tokens(self.input_tokens, self.output_tokens, details.text_tokens, details.image_tokens)


class _Image(Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(Struct):
    data: list[_Image] | None = None
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    usage: Usage | None = None
    error: dict[str, object] | None = None


class _Event(Struct):
    type: str = ""
    b64_json: str | None = None
    url: str | None = None
    partial_image_index: int = 0
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    usage: Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


class OpenAIImages:
    """`media.drawing.ImageAdapter` for OpenAI's Images API."""

    def ask(self, order: Order, upstream_model: str) -> Asked:
        """Raises InvalidRequest for a picture that is not base64."""
        if not order.pictures:
            body = json.encode(_members(order, upstream_model, _EDIT_EXTRAS))
            return Asked((UpstreamCall(b"POST", b"/images/generations", (_JSON,), body),))
        fields = [
            (name, _text(value))
            for name, value in _members(order, upstream_model, _GENERATION_EXTRAS).items()
        ]
        content_type, body = form(fields, _files(order))
        return Asked((UpstreamCall(b"POST", b"/images/edits", ((b"content-type", content_type),), body),))

    def read(self, body: bytes) -> Drawing:
        answer = read(_answer, body, API)
        images = tuple(
            Drawn(each.b64_json or "", "" if each.b64_json else each.url or "", each.revised_prompt or "")
            for each in answer.data or ()
            if each.b64_json or each.url
        )
        if not images:
            if answer.error is not None:
                raise openai_errors.told_error(openai_errors.told(body))
            raise UpstreamError("The upstream's answer has no image.")
        return Drawing(
            images,
            answer.quality or "",
            answer.size or "",
            answer.background or "",
            answer.output_format or "",
            tokens=None if answer.usage is None else answer.usage.tokens(),
        )

    def reader(self) -> DrawingReader:
        return EventSteps(_step)

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(openai_errors.read_error, status, headers, body)


def size_of(order: Order) -> str:
    """The size as an OpenAI body has it, "" where the order says none."""
    return f"{order.width}x{order.height}" if order.width else order.size


def _members(order: Order, upstream_model: str, left_out: frozenset[str]) -> JSONObject:
    members: JSONObject = {"model": upstream_model, "prompt": order.prompt, "n": order.n}
    spoken: JSONObject = {
        "size": size_of(order) or order.resolution,
        "quality": order.quality,
        "style": order.style,
        "background": order.background,
        "output_format": order.output_format,
        "output_compression": order.output_compression,
        # Compatible servers' own: set for models that take them only.
        "aspect_ratio": "" if order.width else order.aspect_ratio,
        "negative_prompt": order.negative_prompt,
        "seed": order.seed,
        "watermark": order.watermark,
        "user": order.user,
    }
    members.update((name, value) for name, value in spoken.items() if value is not None and value != "")
    for name, value in order.extras.items():
        if name not in left_out:
            members[name] = msgspec.to_builtins(value)
    if order.stream:
        members["stream"] = True
        members["partial_images"] = order.partial_images
    return members


def _text(value: object) -> str:
    """A form's field."""
    if isinstance(value, str):
        return value
    return json.encode(value).decode()


def _files(order: Order) -> list[FilePart]:
    files: list[FilePart] = []
    for index, picture in enumerate(order.pictures):
        name = "mask" if picture.role == "mask" else "image[]"
        try:
            data = base64.b64decode(picture.data, validate=True)
        except binascii.Error:
            raise InvalidRequest("An image is not base64.", param="image") from None
        stem = "mask" if picture.role == "mask" else f"image{index}"
        files.append(FilePart(name, filename_of(stem, picture.media_type), picture.media_type, data))
    return files


def _step(data: JSONObject) -> tuple[Step | None, bool]:
    """One event of a stream. Raises GatewayError."""
    if data.get("error") is not None or data.get("type") == "error":
        raise openai_errors.told_error(openai_errors.told_in(data))
    try:
        event = msgspec.convert(data, _Event)
    except msgspec.ValidationError as error:
        raise UpstreamError(f"The upstream's stream is not one of {API}.") from error
    if event.type.endswith(".partial_image") and event.b64_json:
        return Partial(event.partial_image_index, event.b64_json), False
    if event.type.endswith(".completed") and (event.b64_json or event.url):
        image = Drawn(event.b64_json or "", "" if event.b64_json else event.url or "")
        return (
            Drawing(
                (image,),
                event.quality or "",
                event.size or "",
                event.background or "",
                event.output_format or "",
                tokens=None if event.usage is None else event.usage.tokens(),
            ),
            True,
        )
    return None, False
