"""OpenAI's Videos API, which Sora is asked in.

    POST /videos               multipart/form-data: model, prompt, seconds, size, input_reference (a file)
    GET  /videos/{id}          status queued, in_progress, completed, failed; progress in percent
    GET  /videos/{id}/content  the MP4, with the credential

A reference image by URL goes into a JSON body instead: `input_reference: {"image_url": ...}`. There is no cancelling: DELETE
is for videos that are completed or failed. The list of videos says nothing that only one submission could have said, so
a submission whose answer was lost cannot be found again; the idempotency key is for servers that look at it. A video that
failed is not charged for.

Source: the types of the openai SDK (`types/video*.py`, `resources/videos.py`); developers.openai.com, "Video generation
with Sora".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from bytespike.errors import (
    ContentPolicyViolation,
    GatewayError,
    InvalidRequest,
    UnsupportedFeature,
    UpstreamError,
)
from bytespike.media.adapter import Made, Render, RenderState, UpstreamCall
from bytespike.media.adapters.answers import FAILED, name_of, number, percent, read, refusal
from bytespike.media.adapters.multipart import FilePart, filename_of, form
from bytespike.media.order import Order, Picture
from bytespike.protocols.openai_chat import errors as openai_errors
from bytespike.wire import json

_API: Final = "OpenAI's Videos API"
_MP4: Final = "video/mp4"
_STATES: Final[Mapping[str, RenderState]] = {
    "queued": "queued",
    "in_progress": "running",
    "completed": "completed",
    "failed": "failed",
}
#: Pixels of landscape pictures, by resolution; portrait ones are turned.
_SIZES: Final[Mapping[str, tuple[int, int]]] = {
    "720p": (1280, 720),
    "1024p": (1792, 1024),
    "1080p": (1920, 1080),
}
_RESOLUTION_DEFAULT: Final = "720p"
#: Of a safety system, besides those that every OpenAI API knows.
_POLICY_CODES: Final = frozenset({"sentinel_block", "moderation_blocked", "content_policy_violation"})


class _Video(Struct):
    """Servers that are compatible write figures as text, and errors in shapes of their own."""

    id: str | None = None
    status: str | None = None
    progress: str | float | None = None
    error: Raw = Raw()
    expires_at: str | float | None = None
    seconds: str | float | None = None


_video = msgspec.json.Decoder(_Video)


class OpenAIVideos:
    """`media.adapter.RenderAdapter` for OpenAI's Videos API."""

    def submit(self, order: Order, upstream_model: str, task_id: str) -> UpstreamCall:
        """Raises `UnsupportedFeature` for more than one picture, for a last frame, and for what the API has no place for."""
        _check_carried(order)
        fields = [("model", upstream_model), ("prompt", order.prompt)]
        if order.seconds:
            fields.append(("seconds", str(order.seconds)))
        size = size_of(order)
        if size:
            fields.append(("size", size))
        picture = _reference(order)
        key = (b"idempotency-key", task_id.encode("ascii"))
        if picture is not None and picture.url:
            body = json.encode({**dict(fields), "input_reference": {"image_url": picture.url}})
            return UpstreamCall(b"POST", b"/videos", ((b"content-type", b"application/json"), key), body)
        files = () if picture is None else (_file(picture),)
        content_type, body = form(fields, files)
        return UpstreamCall(b"POST", b"/videos", ((b"content-type", content_type), key), body)

    def submitted(self, body: bytes) -> Render:
        return _render(read(_video, body, _API))

    def poll(self, upstream_id: str) -> UpstreamCall:
        return UpstreamCall(b"GET", _path(upstream_id))

    def polled(self, body: bytes) -> Render:
        return _render(read(_video, body, _API))

    def cancel(self, upstream_id: str) -> None:
        """There is none."""
        del upstream_id

    def cancelled(self, body: bytes) -> Render:
        del body
        raise UpstreamError(f"{_API} cancels nothing.")

    def find(self, task_id: str) -> None:
        """There is none."""
        del task_id

    def found(self, body: bytes, task_id: str) -> None:
        del body, task_id

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(openai_errors.read_error, status, headers, body)


def size_of(order: Order) -> str:
    """`size` as the API takes it, from pixels or from a ratio and a resolution; "" where the order says neither. Raises
    `UnsupportedFeature` for a ratio or a resolution that leads to none."""
    if order.width and order.height:
        return f"{order.width}x{order.height}"
    if not (order.aspect_ratio or order.resolution):
        return ""
    if order.aspect_ratio not in ("", "16:9", "9:16"):
        raise UnsupportedFeature(
            f"{_API} has no aspect ratio {order.aspect_ratio}: give 16:9, 9:16 or a size in pixels",
            param="aspect_ratio",
        )
    sides = _SIZES.get(order.resolution or _RESOLUTION_DEFAULT)
    if sides is None:
        raise UnsupportedFeature(
            f"{_API} has no resolution {order.resolution}: give {', '.join(_SIZES)} or a size in pixels",
            param="resolution",
        )
    across, down = sides
    # The API's own default is portrait.
    return f"{across}x{down}" if order.aspect_ratio == "16:9" else f"{down}x{across}"


def _check_carried(order: Order) -> None:
    """Models of other vendors are served in this API too, by providers that are compatible."""
    absent = {
        "negative_prompt": order.negative_prompt or None,
        "seed": order.seed,
        "watermark": order.watermark,
        "audio": order.audio,
    }
    for name, value in absent.items():
        if value is not None:
            raise UnsupportedFeature(f"{_API}, in which this model is asked, has no {name}.", param=name)


def _reference(order: Order) -> Picture | None:
    if len(order.pictures) > 1:
        raise UnsupportedFeature("This model takes one reference image at most.", param="reference_images")
    for picture in order.pictures:
        if picture.role not in ("reference", "first_frame"):
            what = picture.role.replace("_", " ")
            raise UnsupportedFeature(f"This model takes no {what}.", param=picture.role)
        return picture
    return None


def _file(picture: Picture) -> FilePart:
    media_type = picture.media_type or "image/png"
    try:
        data = base64.b64decode(picture.data, validate=True)
    except binascii.Error:
        raise InvalidRequest("The reference image is not base64.", param="image_init") from None
    return FilePart("input_reference", filename_of("reference", media_type), media_type, data)


def _path(upstream_id: str) -> bytes:
    return b"/videos/" + name_of(upstream_id, _API).encode("ascii")


def _render(video: _Video) -> Render:
    state = _STATES.get(video.status or "")
    if state is None:
        raise UpstreamError(f"The upstream's answer of {_API} has no known status.")
    upstream_id = name_of(video.id, _API)
    seconds = number(video.seconds)
    if state == "failed":
        return _failed(upstream_id, bytes(video.error))
    made: tuple[Made, ...] = ()
    if state == "completed":
        call = UpstreamCall(b"GET", _path(upstream_id) + b"/content")
        made = (Made(call, media_type=_MP4, expires_at=int(number(video.expires_at) or 0)),)
    return Render(
        state,
        upstream_id,
        progress=percent(number(video.progress)),
        made=made,
        seconds=None if seconds is None else round(seconds),
    )


def _failed(upstream_id: str, error_json: bytes) -> Render:
    said = openai_errors.told(b'{"error":%b}' % (error_json or b"{}"))
    if _POLICY_CODES.intersection(said.words):
        error: GatewayError = ContentPolicyViolation(said.message or "The upstream's safety system refused.")
    else:
        error = openai_errors.told_error(said)
    return Render(
        "failed",
        upstream_id,
        error_code=error.code,
        error_message=error.message if error.about != "upstream" else FAILED,
        billed=False,
    )
