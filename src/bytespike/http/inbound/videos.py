"""/v1/videos: the same tasks in the shape of OpenAI's videos, so that its SDK's `client.videos` works.

    POST   /v1/videos                   {prompt, model?, seconds?, size?, input_reference?}, as JSON or as a form with a file
    GET    /v1/videos                   ?after=&limit=&order=
    GET    /v1/videos/{id}
    GET    /v1/videos/{id}/content      the video itself, with ranges
    DELETE /v1/videos/{id}              one that is over, and what it made

Every video model of the catalog can be asked for. What OpenAI makes out of a video that exists (remix, edits, extensions,
characters, thumbnails) is refused in words. Source: openai SDK, `resources/videos.py` and `types/video*.py`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InternalError, InvalidRequest, NotFound, UnsupportedFeature
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.files import send_object
from bytespike.http.inbound.forms import is_form, read_form
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import flag
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.tasks import answer, answer_estimate, caller, read_members, submission
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import NoSuchObject, ObjectStore
from bytespike.media.tasks.desk import Desk
from bytespike.media.tasks.record import Piece, Task
from bytespike.pipeline.parts import Parts

#: What OpenAI's own API makes where no model is named.
DEFAULT_MODEL: Final = "sora2"
PAGE_LIMIT: Final = 20
PAGE_MAX: Final = 100
#: Of the files of a form: they are kept with the task until it is submitted.
REFERENCE_BYTES_MAX: Final = 10 * 1024 * 1024
#: Between two looks at a video: the SDK goes by this header. Milliseconds.
POLL_MS_MIN: Final = 1_000
POLL_MS_MAX: Final = 10_000
_VIDEOS: Final = "/videos/"
_CONTENT: Final = "/content"
_MICROSECONDS: Final = 1_000_000
#: Its own words for the states; a cancelled task is one that failed, for it has no word for that.
_STATUS: Final = {
    "pending": "queued",
    "running": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


def create_video(parts: Parts, desk: Desk) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, account = await caller(parts, inbound, exchange)
        members = await _asked(inbound, exchange)
        members.setdefault("model", DEFAULT_MODEL)
        wanted = submission(desk, key, "videos", members)
        if wanted.model.kind != "video":
            raise InvalidRequest(
                f"{wanted.model.slug} makes images; /v1/images/generations and /v1/tasks/submit take it",
                param="model",
            )
        if flag(inbound.headers, b"x-bytespike-dry-run"):
            await answer_estimate(desk, key, account, wanted, exchange)
            return
        submitted = await desk.submit(key, account, wanted)
        exchange.held(submitted.task.held)
        answer(exchange, video_body(submitted.task), wanted.order.notices)

    return handler


def list_videos(parts: Parts, desk: Desk) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        query = {name: values[-1] for name, values in parse_qs(inbound.query.decode("latin-1")).items()}
        limit, order = _limit(query.get("limit")), query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("order is asc or desc", param="order")
        tasks = await desk.listing(
            key.id, "video", limit=limit + 1, after=query.get("after"), newest_first=order == "desc"
        )
        page = tasks[:limit]
        data: list[JSON] = [video_body(task) for task in page]
        body: JSONObject = {
            "object": "list",
            "data": data,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": len(tasks) > limit,
        }
        answer(exchange, body)

    return handler


def get_video(parts: Parts, desk: Desk, store: ObjectStore) -> Handler:
    """GET /v1/videos/{id} and /v1/videos/{id}/content."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        rest = _rest(inbound)
        task = await _video(desk, key.id, rest.removesuffix(_CONTENT))
        if rest.endswith(_CONTENT):
            await _send_content(inbound, exchange, store, task, parts.clock.now_us())
            return
        extra = b"" if task.over else b"openai-poll-after-ms: %d\r\n" % _poll_ms(task)
        answer(exchange, video_body(task), extra=extra)

    return handler


def delete_video(parts: Parts, desk: Desk) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        task = await _video(desk, key.id, _rest(inbound))
        await desk.remove(key.id, task.id)
        answer(exchange, {"id": task.id, "object": "video.deleted", "deleted": True})

    return handler


def refuse_video_work(parts: Parts) -> Handler:
    """POST below /v1/videos: what OpenAI makes out of other videos."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        await caller(parts, inbound, exchange)
        what = _rest(inbound).rpartition("/")[2]
        if what not in ("remix", "edits", "extensions", "characters"):
            raise NotFound(f"there is nothing to POST to at {inbound.path[:100]}")
        raise UnsupportedFeature(
            f"{what}: videos are made from a prompt and images here, not from other videos; POST /v1/videos"
        )

    return handler


def video_body(task: Task) -> JSONObject:
    """A task as OpenAI's `Video`: `seconds` is text, `size` width x height as ordered, else as made."""
    order = task.order
    piece = _piece(task)
    size = order.size
    if order.width:
        size = f"{order.width}x{order.height}"
    elif piece is not None and piece.width:
        size = f"{piece.width}x{piece.height}"
    return {
        "id": task.id,
        "object": "video",
        "created_at": task.created_at // _MICROSECONDS,
        "completed_at": None if task.finished_at is None else task.finished_at // _MICROSECONDS,
        "expires_at": None if piece is None else piece.expires_at // _MICROSECONDS,
        "status": _STATUS[task.state],
        "progress": task.progress,
        "model": task.requested_model,
        "prompt": order.prompt,
        "seconds": str(task.seconds),
        "size": size or order.resolution or order.aspect_ratio,
        "remixed_from_video_id": None,
        "error": _error(task),
    }


# --- within ----------------------------------------------------------------------------------------------------


async def _asked(inbound: Inbound, exchange: Exchange) -> JSONObject:
    if not is_form(inbound.headers):
        return read_members(await exchange.body())
    form = await read_form(exchange.pieces(), inbound.headers)
    for upload in form.uploads:
        if len(upload.data) > REFERENCE_BYTES_MAX:
            raise InvalidRequest(
                f"{upload.name}: an image has at most {REFERENCE_BYTES_MAX // (1024 * 1024)} MiB",
                param=upload.name,
            )
    return form.members()


def _rest(inbound: Inbound) -> str:
    return inbound.path.partition(_VIDEOS)[2].rstrip("/")


async def _video(desk: Desk, key_id: str, id: str) -> Task:
    """Raises NotFound, for a task of images too."""
    task = await desk.query(key_id, task_id=id)
    if task.kind != "video":
        raise NotFound(f"{id} is a task that makes images: GET /v1/tasks/query has it")
    return task


async def _send_content(
    inbound: Inbound, exchange: Exchange, store: ObjectStore, task: Task, now_us: int
) -> None:
    variant = parse_qs(inbound.query.decode("latin-1")).get("variant", ["video"])[-1]
    if variant != "video":
        raise UnsupportedFeature(
            f"variant {variant[:40]!r}: only the video itself is kept, no thumbnail and no spritesheet",
            param="variant",
        )
    piece = _piece(task)
    if piece is None:
        raise InvalidRequest(f"there is no content yet, or ever: the video is {_STATUS[task.state]}")
    try:
        stored = await store.find(piece.id)
    except NoSuchObject:
        raise NotFound("the video's time is over, and it has been deleted") from None
    except StoreUnavailable:
        raise InternalError("the video cannot be looked up now") from None
    await send_object(inbound, exchange, store, stored, now_us)


def _piece(task: Task) -> Piece | None:
    return task.output[0] if task.output else None


def _error(task: Task) -> JSONObject | None:
    if task.state == "failed":
        return {"code": task.error_code, "message": task.error_message}
    if task.state == "cancelled":
        return {"code": "cancelled", "message": "the video was cancelled"}
    return None


def _poll_ms(task: Task) -> int:
    """A tenth of the time that it is expected to take."""
    return min(max(task.estimated_seconds * 100, POLL_MS_MIN), POLL_MS_MAX)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= PAGE_MAX):
        raise InvalidRequest(f"limit is a number from 1 to {PAGE_MAX}", param="limit")
    return int(text)
