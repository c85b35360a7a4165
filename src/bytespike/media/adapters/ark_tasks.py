"""Volcengine Ark's content generation tasks, which Seedance is asked in.

    POST   /contents/generations/tasks       {"model", "content": [{"type": "text", "text"}, {"type": "image_url",
                                              "image_url": {"url"}, "role"}], "resolution", "ratio", "duration", "seed",
                                              "watermark", "generate_audio", ...} → {"id": "cgt-..."}
    GET    /contents/generations/tasks/{id}  status queued, running, succeeded, failed, cancelled, expired
    GET    /contents/generations/tasks       ?page_num&page_size&filter.status&filter.task_ids&filter.model, of 7 days
    DELETE /contents/generations/tasks/{id}  cancels what is queued, refuses what runs, forgets what is over

Parameters stand in the body, where Ark checks them. Older models take them behind the prompt too (`--dur 12`), and which of both
counts is not documented: a prompt with any of them is refused, for what is made is what was paid for. Images go by URL or as data URIs. The result's URL is signed, foreign, and good for 24 hours.
Progress is not reported. Only what succeeded is charged for.

A submission whose answer was lost is found in the list by its `safety_identifier`, which Ark gives back as it was sent. It
is meant to name the end user; here each task has its own, since being charged for a video that nobody gets is worse. That
a task is not in the list means that it never arrived only where the list is whole, or goes back to before the task: the
order of the list is not documented, so it is looked at.

Source: volcengine.com/docs/82379/1520757 (create), 1521309 (retrieve), 1521675 (list), 1521720 (cancel).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from math import ceil
from typing import Final

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.errors import GatewayError, InvalidRequest, UnsupportedFeature, UpstreamError
from bytespike.ids import ulid_ms
from bytespike.media.adapter import Made, Render, RenderState, UpstreamCall
from bytespike.media.adapters import ark_errors
from bytespike.media.adapters.answers import FAILED, name_of, read, refusal
from bytespike.media.adapters.frame_sizes import ratio_of, resolution_of
from bytespike.media.order import Order, Picture

_API: Final = "Ark's content generation tasks"
_PATH: Final = b"/contents/generations/tasks"
_MP4: Final = "video/mp4"
#: How long a result's URL is good for, after the task was last changed.
_URL_S: Final = 24 * 3600
#: The newest page of the list, as long as pages get.
_PAGE: Final = b"?page_num=1&page_size=500"
#: By so much the provider's clock and ours may differ.
_CLOCKS_S: Final = 300
_ROLES: Final[Mapping[str, str]] = {
    "reference": "reference_image",
    "first_frame": "first_frame",
    "last_frame": "last_frame",
}
_RATIOS: Final = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
_RESOLUTIONS: Final = ("480p", "720p", "1080p", "4k")
#: Members of the body that an order's `extras` may set.
_EXTRAS: Final = ("camera_fixed",)
_STATES: Final[Mapping[str, RenderState]] = {
    "queued": "queued",
    "running": "running",
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "failed",
}
#: What older models read as a parameter, in long and in short.
_COMMAND: Final = re.compile(
    r"--(resolution|rs|ratio|rt|duration|dur|frames|framespersecond|fps|seed|camerafixed|cf|watermark|wm)\b",
    re.IGNORECASE,
)
_EXPIRED: Final = "The upstream did not make it in time."
_REQUEST_ID: Final = re.compile(r"\s*Request id: \S+\s*$", re.IGNORECASE)


class _Error(Struct):
    code: str | None = None
    message: str | None = None


class _Content(Struct):
    video_url: str | None = None


class _Task(Struct):
    id: str | None = None
    status: str | None = None
    error: _Error | None = None
    content: _Content | None = None
    created_at: float | None = None
    updated_at: float | None = None
    duration: float | None = None
    frames: float | None = None
    framespersecond: float | None = None
    safety_identifier: str | None = None


class _List(Struct):
    items: list[_Task] | None = None
    total: int | None = None


_task = msgspec.json.Decoder(_Task)
_list = msgspec.json.Decoder(_List)
_encode = msgspec.json.encode


class ArkTasks:
    """`media.adapter.RenderAdapter` for Ark's content generation tasks."""

    def submit(self, order: Order, upstream_model: str, task_id: str) -> UpstreamCall:
        """Raises `UnsupportedFeature` for a mask, and for frames beside references, which Ark does not mix; `InvalidRequest`
        for parameters in the prompt."""
        body: JSONObject = {"model": upstream_model, "content": [*_content(order)], **_parameters(order)}
        body["safety_identifier"] = task_id
        return UpstreamCall(b"POST", _PATH, ((b"content-type", b"application/json"),), _encode(body))

    def submitted(self, body: bytes) -> Render:
        return Render("queued", name_of(read(_task, body, _API).id, _API))

    def poll(self, upstream_id: str) -> UpstreamCall:
        return UpstreamCall(b"GET", _of(upstream_id))

    def polled(self, body: bytes) -> Render:
        return _render(read(_task, body, _API))

    def cancel(self, upstream_id: str) -> UpstreamCall:
        """To be made of what was not over when it was last asked: of what is, Ark would forget the result."""
        return UpstreamCall(b"DELETE", _of(upstream_id))

    def cancelled(self, body: bytes) -> Render:
        """The answer is empty: it was still queued."""
        del body
        return Render("cancelled", billed=False)

    def find(self, task_id: str) -> UpstreamCall:
        del task_id
        return UpstreamCall(b"GET", _PATH + _PAGE)

    def found(self, body: bytes, task_id: str) -> Render | None:
        """Raises `UpstreamError` too where the list does not go back far enough to tell."""
        listed = read(_list, body, _API)
        items = listed.items or []
        for task in items:
            if task.safety_identifier == task_id:
                return _render(task)
        if len(items) < (listed.total or 0) and not _reaches_back(items, task_id):
            raise UpstreamError(f"The list of {_API} does not go back far enough.")
        return None

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(ark_errors.read_error, status, headers, body)


def _reaches_back(items: list[_Task], task_id: str) -> bool:
    """Whether tasks come newest first, and the last of them is older than the one that is looked for."""
    times = [task.created_at or 0.0 for task in items]
    made_ms = ulid_ms(task_id.rpartition("_")[2])
    if not times or made_ms is None or any(newer < older for newer, older in pairwise(times)):
        return False
    return 0 < times[-1] < made_ms / 1000 - _CLOCKS_S


def _content(order: Order) -> list[JSONObject]:
    roles = {picture.role for picture in order.pictures}
    if "reference" in roles and len(roles) > 1:
        raise UnsupportedFeature(
            "Reference images and first or last frames cannot be given together.", param="reference_images"
        )
    command = _COMMAND.search(order.prompt)
    if command is not None:
        raise InvalidRequest(
            f"{command[0]} in the prompt: give parameters by their names (seconds, resolution, aspect_ratio, seed, …)",
            param="prompt",
        )
    content: list[JSONObject] = [{"type": "text", "text": order.prompt}] if order.prompt else []
    content.extend(
        {"type": "image_url", "image_url": {"url": _url(picture)}, "role": _role(picture)}
        for picture in order.pictures
    )
    return content


def _role(picture: Picture) -> str:
    role = _ROLES.get(picture.role)
    if role is None:
        raise UnsupportedFeature("This model takes no mask.", param="mask")
    return role


def _url(picture: Picture) -> str:
    return picture.url or f"data:{(picture.media_type or 'image/png').lower()};base64,{picture.data}"


def _parameters(order: Order) -> JSONObject:
    ratio, resolution = order.aspect_ratio, order.resolution
    if order.width and order.height:
        ratio = ratio_of(order.width, order.height, _RATIOS)
        resolution = resolution_of(order.width, order.height, _RESOLUTIONS)
    parameters: JSONObject = {}
    if resolution:
        parameters["resolution"] = resolution
    if ratio:
        parameters["ratio"] = ratio
    if order.seconds:
        parameters["duration"] = order.seconds
    if order.seed is not None:
        parameters["seed"] = order.seed
    if order.watermark is not None:
        parameters["watermark"] = order.watermark
    if order.audio is not None:
        parameters["generate_audio"] = order.audio
    for name in _EXTRAS:
        value = order.extras.get(name)
        if isinstance(value, (str, int, bool)):
            parameters[name] = value
    return parameters


def _of(upstream_id: str) -> bytes:
    return _PATH + b"/" + name_of(upstream_id, _API).encode("ascii")


def _render(task: _Task) -> Render:
    state = _STATES.get(task.status or "")
    if state is None:
        raise UpstreamError(f"The upstream's answer of {_API} has no known status.")
    upstream_id = name_of(task.id, _API)
    if task.status == "expired":
        return Render("failed", upstream_id, error_code="timeout", error_message=_EXPIRED, billed=False)
    if state == "failed":
        return _failed(upstream_id, task.error or _Error())
    if state != "completed":
        return Render(state, upstream_id, billed=state != "cancelled")
    url = task.content.video_url if task.content is not None else None
    if not url:
        raise UpstreamError(f"The upstream's answer of {_API} says not where the video is.")
    made = Made(
        UpstreamCall(b"GET", url=url, with_credential=False),
        media_type=_MP4,
        expires_at=int(task.updated_at) + _URL_S if task.updated_at else 0,
    )
    return Render("completed", upstream_id, progress=100, made=(made,), seconds=_seconds(task))


def _failed(upstream_id: str, told: _Error) -> Render:
    # The request's id is for the operator's talks with the vendor.
    message = _REQUEST_ID.sub("", told.message or "")
    error = ark_errors.told_error(told.code or "", message)
    return Render(
        "failed",
        upstream_id,
        error_code=error.code,
        error_message=FAILED if error.about == "upstream" else error.message,
        billed=False,
    )


def _seconds(task: _Task) -> int | None:
    if task.duration is not None:
        return ceil(task.duration)
    if task.frames and task.framespersecond:
        return ceil(task.frames / task.framespersecond)
    return None
