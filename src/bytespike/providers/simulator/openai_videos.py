"""OpenAI's Videos API as the simulator speaks it: create, retrieve, list, delete, and the files.

Shapes are those of the SDK's types (`types/video*.py`); the words of its refusals are those that users of the API have
published.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import forms, openai_api, rendering
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective, Directives
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.films import Clip
from bytespike.providers.simulator.openai_words import image_type, refuse, word
from bytespike.providers.simulator.pictures import NotAPicture, look
from bytespike.providers.simulator.renders import Render

PATH = "/v1/videos"
VIDEO_PATH = PATH + "/{id}"
CONTENT_PATH = VIDEO_PATH + "/content"
SECONDS = ("4", "8", "12", "16", "20")
SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024", "1080x1920", "1920x1080")
PROMPT_CHARS_MAX = 32_000
LIST_DEFAULT, LIST_MAX = 20, 100

_FIELDS = ("model", "prompt", "seconds", "size", "input_reference")
_STATUSES = {"running": "in_progress", "cancelled": "failed"}
_FAILURES = {
    "moderation": ("moderation_blocked", "Your request was blocked by our moderation system."),
    "error": ("internal_error", "Video generation failed due to an internal error."),
}
_encode = msgspec.json.encode


def route(path: str) -> str:
    """A path with its id taken out."""
    parts = path.split("/")
    if path.startswith(PATH + "/") and len(parts) in (4, 5) and parts[3]:
        return "/".join([*parts[:3], "{id}", *parts[4:]])
    return path


def create(incoming: Incoming, world: World) -> Reply:
    """POST /v1/videos, as a form or as JSON. Raises `Fault`."""
    account = openai_api.account(incoming)
    fields, reference = _fields(incoming)
    try:
        node = Node(fields)
        node.only(_FIELDS)
        prompt = node.text("prompt")
        model = node.optional_text("model") or "sora-2"
        seconds = node.optional_one_of("seconds", SECONDS) or SECONDS[0]
        size = node.optional_one_of("size", SIZES) or SIZES[0]
    except Problem as problem:
        raise word(problem) from None
    if not 0 < len(prompt) <= PROMPT_CHARS_MAX:
        raise refuse("Invalid 'prompt': it must have 1 to 32000 characters.", "prompt", "invalid_value")
    width, height = map(int, size.split("x"))
    if reference is not None:
        _check_reference(reference, width, height)
    words, sim = _ordered(incoming, world, prompt)
    render = world.renders.begin(
        account,
        "video_" + rendering.new_id(incoming, world, 48),
        model,
        Clip(words, width, height, int(seconds), sim.file_bytes),
        sim,
        {"prompt": prompt, "seconds": seconds, "size": size},
    )
    return Reply(_encode(_video(render, world)), delivery=sim)


def retrieve(incoming: Incoming, world: World) -> Reply:
    """GET /v1/videos/{id}. Raises `Fault`."""
    account = openai_api.account(incoming)
    render = rendering.looked_at(world.renders.poll(account, _id(incoming)), _missing(incoming))
    return Reply(_encode(_video(render, world)))


def listing(incoming: Incoming, world: World) -> Reply:
    """GET /v1/videos?after&limit&order. Raises `Fault`."""
    account = openai_api.account(incoming)
    query = parse_qs(incoming.query)
    renders = list(world.renders.of(account))
    if query.get("order", ["desc"])[-1] == "asc":
        renders.reverse()
    after = query.get("after", [""])[-1]
    if after:
        ids = [render.id for render in renders]
        renders = renders[ids.index(after) + 1 :] if after in ids else []
    limit = query.get("limit", [str(LIST_DEFAULT)])[-1]
    if not limit.isdecimal() or not 0 < int(limit) <= LIST_MAX:
        raise refuse(f"Invalid 'limit': expected 1 to {LIST_MAX}.", "limit", "invalid_value")
    page = renders[: int(limit)]
    data: list[JSON] = [_video(render, world) for render in page]
    return Reply(
        _encode(
            {
                "object": "list",
                "data": data,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": len(renders) > len(page),
            }
        )
    )


def delete(incoming: Incoming, world: World) -> Reply:
    """DELETE /v1/videos/{id}: of what is over. Raises `Fault`."""
    account = openai_api.account(incoming)
    render = world.renders.find(account, _id(incoming))
    if render is None:
        raise _missing(incoming)
    if render.state(world.renders.now) in ("queued", "running"):
        raise refuse("Video is still being processed and cannot be deleted.")
    world.renders.forget(render)
    return Reply(_encode({"id": render.id, "object": "video.deleted", "deleted": True}))


def content(incoming: Incoming, world: World) -> Reply:
    """GET /v1/videos/{id}/content?variant. Raises `Fault`."""
    account = openai_api.account(incoming)
    render = world.renders.find(account, _id(incoming))
    if render is None:
        raise _missing(incoming)
    if render.state(world.renders.now) != "completed":
        raise refuse("Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
    match parse_qs(incoming.query).get("variant", ["video"])[-1]:
        case "video":
            return rendering.file_of(render, world.seed)
        case "thumbnail":
            return rendering.still_of(render, world.seed, "image/webp")
        case "spritesheet":
            return rendering.still_of(render, world.seed, "image/jpeg")
        case _:
            raise refuse("Invalid 'variant'.", "variant", "invalid_value")


# --- reading ---------------------------------------------------------------------------------------------------


def _fields(incoming: Incoming) -> tuple[JSONObject, bytes | None]:
    """The order's fields, and the reference image's bytes where it came as a file. Raises `Fault`."""
    content_type = incoming.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        body = openai_api.body_of(incoming)
        reference = body.get("input_reference")
        if isinstance(reference, str):
            raise _not_a_file("string")
        if isinstance(reference, dict):
            url = reference.get("image_url")
            if not isinstance(url, str):
                raise refuse("Missing required parameter: 'input_reference.image_url'.", "input_reference")
            image_type(url, "input_reference.image_url")
        return body, None
    try:
        parts = forms.read(content_type, incoming.body)
    except forms.BadForm as bad:
        raise refuse(f"Could not parse multipart form: {bad}") from None
    fields: JSONObject = {}
    file: bytes | None = None
    for part in parts:
        if part.name == "input_reference":
            if part.filename is None:
                raise _not_a_file("string")
            file = part.data
        else:
            fields[part.name] = part.data.decode("utf-8", "replace")
    return fields, file


def _not_a_file(got: str) -> Fault:
    return refuse(
        f"Invalid type for 'input_reference': expected a file, but got a {got} instead.",
        "input_reference",
        "invalid_type",
    )


def _check_reference(data: bytes, width: int, height: int) -> None:
    """Raises `Fault`."""
    try:
        seen = look(data)
    except NotAPicture:
        raise refuse(
            "Invalid file 'input_reference': unsupported mimetype. Supported file formats are 'image/jpeg', 'image/png', and "
            "'image/webp'.",
            "input_reference",
            "unsupported_file",
        ) from None
    if (seen.width, seen.height) != (width, height):
        raise refuse("Inpaint image must match the requested width and height")


def _ordered(incoming: Incoming, world: World, prompt: str) -> tuple[str, Directives]:
    try:
        words, sim = rendering.ordered(incoming, world, prompt)
    except BadDirective as bad:
        raise refuse(f"Bad directive: {bad}", "prompt", "invalid_value") from None
    if sim.refusal is not None:
        message = "Your request was rejected by the safety system."
        raise refuse(message if sim.refusal in ("", "true") else sim.refusal, None, "moderation_blocked")
    return words, sim


def _id(incoming: Incoming) -> str:
    return incoming.path.partition(PATH + "/")[2].partition("/")[0]


def _missing(incoming: Incoming) -> Fault:
    return Fault(
        404,
        f"Video with id '{_id(incoming)}' not found.",
        kind="invalid_request_error",
        code="video_not_found",
    )


# --- writing ---------------------------------------------------------------------------------------------------


def _video(render: Render, world: World) -> JSONObject:
    now = world.renders.now
    state = render.state(now)
    over = state in ("completed", "failed", "cancelled")
    video: JSONObject = {
        "id": render.id,
        "object": "video",
        "created_at": int(render.began),
        "status": _STATUSES.get(state, state),
        "completed_at": int(render.changed) if over else None,
        "error": None,
        "expires_at": int(render.changed) + rendering.FILE_S if state == "completed" else None,
        "model": render.model,
        "progress": int(100 * render.share(now)),
        "remixed_from_video_id": None,
        **render.told,
    }
    if state == "failed":
        code, message = _FAILURES.get(render.sim.fail or "", (render.sim.fail, "Video generation failed."))
        video["error"] = {"code": code, "message": render.sim.error_text or message}
    return video
