"""Gemini's long-running operations, which Veo is asked in.

    POST /v1beta/models/{model}:predictLongRunning   {"instances": [{"prompt", "image", "lastFrame", "referenceImages"}],
                                                      "parameters": {"aspectRatio", "resolution", "durationSeconds", ...}}
                                                     → {"name": "models/{model}/operations/{id}"}
    GET  /v1beta/{name}                              → {"name", "done", "error" | "response"}

The result is a file of the Files API, fetched with the credential: of its URL only the path is kept, so that the
credential goes nowhere but to the channel's own host. Images go inline. Progress is not documented. Operations cannot be
cancelled, and have no list that says which submission each was of. A video that a filter held back is not charged for, and
comes as a success without samples.

Source: ai.google.dev/gemini-api/docs/video; the converters of the google-genai SDK (`_GenerateVideosOperation_from_mldev`;
`bytesBase64Encoded` and `durationSeconds` as a number as in `_GenerateVideosConfig_to_vertex`, and in recorded traffic).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Raw, Struct

from bytespike.core.dialect import UpstreamFailure
from bytespike.core.json_types import JSONObject
from bytespike.errors import (
    ContentPolicyViolation,
    GatewayError,
    NotFound,
    UnsupportedFeature,
    UpstreamError,
    untaken_url,
)
from bytespike.media.adapter import Made, Render, UpstreamCall
from bytespike.media.adapters.answers import (
    FAILED,
    MESSAGE_CHARS_MAX,
    name_of,
    number,
    percent,
    read,
    refusal,
)
from bytespike.media.adapters.frame_sizes import ratio_of, resolution_of
from bytespike.media.order import Order, Picture
from bytespike.protocols.gemini import errors as gemini_errors
from bytespike.wire import json

_API: Final = "Gemini's long-running operations"
_MP4: Final = "video/mp4"
_VERSION: Final = "/v1beta/"
#: Paths of the Files API: what lies there is fetched from the channel's own host.
_FILES: Final = ("/v1beta/files/", "/v1/files/", "/download/v1beta/files/")
_RATIOS: Final = ("16:9", "9:16")
_RESOLUTIONS: Final = ("720p", "1080p", "4k")
#: google.rpc.Code, as it stands in an operation's error.
_RPC_CODES: Final[Mapping[int, str]] = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    11: "OUT_OF_RANGE",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
#: How refusals of Veo's filters are worded, besides those of Gemini.
_POLICY_PHRASES: Final = (
    "responsible ai",
    "usage guidelines",
    "safety filter",
    "safety setting",
    "sensitive word",
)
_HELD_BACK: Final = "The upstream's safety filters held the video back."
#: Members of `parameters` that an order's `extras` may set.
_EXTRAS: Final[Mapping[str, str]] = {
    "person_generation": "personGeneration",
    "personGeneration": "personGeneration",
}


class _File(Struct, rename="camel"):
    uri: str | None = None
    encoded_video: str | None = None
    encoding: str | None = None


class _Sample(Struct):
    video: _File | None = None


class _Made(Struct, rename="camel"):
    generated_samples: list[_Sample] = []
    rai_media_filtered_count: int = 0
    rai_media_filtered_reasons: list[str] = []


class _Response(Struct, rename="camel"):
    generate_video_response: _Made | None = None


class _Metadata(Struct, rename="camel"):
    progress_percent: str | float | None = None


class _Operation(Struct):
    name: str | None = None
    done: bool = False
    error: Raw = Raw()
    response: _Response | None = None
    metadata: _Metadata | None = None


_operation = msgspec.json.Decoder(_Operation)


class GeminiOperations:
    """`media.adapter.RenderAdapter` for Gemini's long-running operations."""

    def submit(self, order: Order, upstream_model: str, task_id: str) -> UpstreamCall:
        """Raises `UnsupportedFeature`: `by_url` "image" for a picture by URL, which is to be given inline."""
        del task_id
        body = json.encode({"instances": [_instance(order)], "parameters": _parameters(order)})
        target = f"{_VERSION}models/{quote(upstream_model, safe='')}:predictLongRunning"
        return UpstreamCall(b"POST", target.encode("ascii"), ((b"content-type", b"application/json"),), body)

    def submitted(self, body: bytes) -> Render:
        return _render(read(_operation, body, _API))

    def poll(self, upstream_id: str) -> UpstreamCall:
        return UpstreamCall(b"GET", (_VERSION + _name(upstream_id)).encode("ascii"))

    def polled(self, body: bytes) -> Render:
        return _render(read(_operation, body, _API))

    def cancel(self, upstream_id: str) -> None:
        """There is none."""
        del upstream_id

    def cancelled(self, body: bytes) -> Render:
        del body
        raise UpstreamError(f"{_API} cannot be cancelled.")

    def find(self, task_id: str) -> None:
        """There is none."""
        del task_id

    def found(self, body: bytes, task_id: str) -> None:
        del body, task_id

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(_read_error, status, headers, body)


def _instance(order: Order) -> JSONObject:
    instance: JSONObject = {"prompt": order.prompt}
    references: list[JSONObject] = []
    for index, picture in enumerate(order.pictures):
        image = _image(picture, index)
        if picture.role == "first_frame":
            instance["image"] = image
        elif picture.role == "last_frame":
            instance["lastFrame"] = image
        elif picture.role == "reference":
            references.append({"image": image, "referenceType": "asset"})
        else:
            raise UnsupportedFeature("This model takes no mask.", param="mask")
    if references:
        instance["referenceImages"] = [*references]
    return instance


def _image(picture: Picture, index: int) -> JSONObject:
    if picture.url:
        raise untaken_url("This model takes images inline only.", "image", f"pictures[{index}]")
    return {"bytesBase64Encoded": picture.data, "mimeType": picture.media_type or "image/png"}


def _parameters(order: Order) -> JSONObject:
    ratio, resolution = order.aspect_ratio, order.resolution
    if order.width and order.height:
        ratio = ratio_of(order.width, order.height, _RATIOS)
        resolution = resolution_of(order.width, order.height, _RESOLUTIONS)
    parameters: JSONObject = {}
    if ratio:
        parameters["aspectRatio"] = ratio
    if resolution:
        parameters["resolution"] = resolution
    if order.seconds:
        parameters["durationSeconds"] = order.seconds
    if order.negative_prompt:
        parameters["negativePrompt"] = order.negative_prompt
    if order.seed is not None:
        parameters["seed"] = order.seed
    for name, member in _EXTRAS.items():
        value = order.extras.get(name)
        if isinstance(value, str):
            parameters[member] = value
    return parameters


def _name(value: str | None) -> str:
    """An operation's name, "models/{model}/operations/{id}" or "operations/{id}", part by part fit for a path."""
    parts = (value or "").split("/")
    if len(parts) > 8 or "operations" not in parts:
        raise UpstreamError(f"The upstream's answer of {_API} has no usable name.")
    return "/".join(name_of(part, _API) for part in parts)


def _render(operation: _Operation) -> Render:
    name = _name(operation.name)
    metadata = operation.metadata
    if not operation.done:
        return Render(
            "running",
            name,
            progress=percent(number(metadata.progress_percent if metadata is not None else None)),
        )
    if bytes(operation.error) not in (b"", b"null"):
        return _failed(name, _operation_error(bytes(operation.error)))
    made = operation.response.generate_video_response if operation.response is not None else None
    if made is None:
        raise UpstreamError(f"The upstream's answer of {_API} is done, and has no result.")
    files = [sample.video for sample in made.generated_samples if sample.video is not None]
    if files:
        return Render("completed", name, progress=100, made=tuple(_found(file) for file in files))
    if made.rai_media_filtered_count or made.rai_media_filtered_reasons:
        reason = next(iter(made.rai_media_filtered_reasons), "")[:MESSAGE_CHARS_MAX]
        return _failed(name, ContentPolicyViolation(reason or _HELD_BACK))
    return _failed(name, UpstreamError(FAILED))


def _failed(name: str, error: GatewayError) -> Render:
    message = FAILED if error.about == "upstream" else error.message
    return Render("failed", name, error_code=error.code, error_message=message, billed=False)


def _found(file: _File) -> Made:
    media_type = file.encoding or _MP4
    if file.encoded_video:
        return Made(data=file.encoded_video, media_type=media_type)
    if not file.uri:
        raise UpstreamError(f"The upstream's answer of {_API} says not where the video is.")
    try:
        parsed = urlsplit(file.uri)
    except ValueError:
        raise UpstreamError(f"The upstream's answer of {_API} has a URL that is none.") from None
    if parsed.path.startswith(_FILES):
        target = parsed.path + (f"?{parsed.query}" if parsed.query else "")
        call = UpstreamCall(b"GET", quote(target, safe="/:?=&%~.+-_").encode("ascii"))
    else:
        call = UpstreamCall(b"GET", url=file.uri, with_credential=False)
    return Made(call, media_type=media_type)


def _operation_error(error_json: bytes) -> GatewayError:
    try:
        error = json.decode_object(error_json)
    except json.NotJSON:
        return UpstreamError(FAILED)
    code = error.get("code")
    told = dict(error)
    if isinstance(code, int) and code in _RPC_CODES:
        told["status"] = _RPC_CODES[code]
        told.pop("code")
    judged = gemini_errors.stream_error(told)
    message = error.get("message")
    message = message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else ""
    if judged.about == "request" and _is_policy(message):
        return ContentPolicyViolation(message)
    return judged


def _is_policy(message: str) -> bool:
    lowered = message.lower()
    return any(phrase in lowered for phrase in _POLICY_PHRASES)


def _read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    failure = gemini_errors.read_error(status, headers, body)
    told = gemini_errors.read_told(body)
    if failure.about == "request" and _is_policy(told.message):
        return UpstreamFailure(ContentPolicyViolation(told.message), "request")
    if status == 404 and "operation" in told.message.lower():
        # Its name has a model in it, which is not what was not found.
        return UpstreamFailure(NotFound(told.message), "request")
    return failure
