"""Volcengine Ark's content generation tasks as the simulator speaks them: create, retrieve, list, cancel or delete.

Shapes and rules are those of volcengine.com/docs/82379: 1520757, 1521309, 1521675, 1521720.
"""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import ark_api, rendering
from bytespike.providers.simulator.ark_api import PREFIX, refuse, worded
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.films import FRAMES_PER_SECOND, Clip
from bytespike.providers.simulator.pictures import NotAPicture, Seen
from bytespike.providers.simulator.renders import Render

PATH = PREFIX + "/contents/generations/tasks"
TASK_PATH = PATH + "/{id}"
#: Where the files are, for whoever has the URL.
FILE_PATH = "/tos-files/{id}.mp4"

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
SIZES = {
    ("480p", "16:9"): (864, 496), ("480p", "4:3"): (752, 560), ("480p", "1:1"): (640, 640),
    ("480p", "3:4"): (560, 752), ("480p", "9:16"): (496, 864), ("480p", "21:9"): (992, 432),
    ("720p", "16:9"): (1280, 720), ("720p", "4:3"): (1112, 834), ("720p", "1:1"): (960, 960),
    ("720p", "3:4"): (834, 1112), ("720p", "9:16"): (720, 1280), ("720p", "21:9"): (1470, 630),
    ("1080p", "16:9"): (1920, 1080), ("1080p", "4:3"): (1664, 1248), ("1080p", "1:1"): (1440, 1440),
    ("1080p", "3:4"): (1248, 1664), ("1080p", "9:16"): (1080, 1920), ("1080p", "21:9"): (2206, 946),
}  # fmt: skip
RESOLUTIONS = ("480p", "720p", "1080p")
SECONDS_MIN, SECONDS_MAX, SECONDS_DEFAULT = 2, 15, 5
#: The model chooses.
ANY_LENGTH = -1
REFERENCES_MAX = 9
SIDE_MIN, SIDE_MAX = 300, 6000
SHAPE_MIN, SHAPE_MAX = 0.4, 2.5
PAGE_DEFAULT, PAGE_MAX = 20, 500
STATES = ("queued", "running", "cancelled", "succeeded", "failed", "expired")

_FIELDS = (
    "model", "content", "callback_url", "return_last_frame", "service_tier", "execution_expires_after", "generate_audio",
    "draft", "resolution", "ratio", "duration", "frames", "seed", "camera_fixed", "watermark", "safety_identifier", "tools",
    "priority",
)  # fmt: skip
_ROLES = ("first_frame", "last_frame", "reference_image")
_SENSITIVE = "The request failed because the {} may contain sensitive information."
_FAILURES = {
    "moderation": ("OutputVideoSensitiveContentDetected", _SENSITIVE.format("output video")),
    "error": ("InternalServiceError", "The service encountered an unexpected internal error."),
}
_TIMED_OUT = "expired"
_encode = msgspec.json.encode


def route(path: str) -> str:
    """A path with its id taken out."""
    if path.startswith(PATH + "/") and path.count("/") == TASK_PATH.count("/"):
        return TASK_PATH
    if path.startswith("/tos-files/") and path.endswith(".mp4"):
        return FILE_PATH
    return path


def create(incoming: Incoming, world: World) -> Reply:
    """POST /api/v3/contents/generations/tasks. Raises `Fault`."""
    account = ark_api.account(incoming)
    body = ark_api.body_of(incoming)
    try:
        body.only(_FIELDS)
        model = body.text("model")
        prompt, shape = _content(body)
        told = _parameters(body, shape)
        words, sim = rendering.ordered(incoming, world, prompt)
    except Problem as problem:
        raise worded(problem) from None
    except BadDirective as bad:
        raise refuse(f"Bad directive: {bad}", "content") from None
    if sim.refusal is not None:
        message = _SENSITIVE.format("input text") if sim.refusal in ("", "true") else sim.refusal
        raise refuse(message, "content", "InputTextSensitiveContentDetected")
    width, height = SIZES[str(told["resolution"]), str(told["ratio"])]
    seconds = told["duration"]
    assert isinstance(seconds, int)
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(world.renders.now))
    render = world.renders.begin(
        account,
        f"cgt-{stamp}-{rendering.new_id(incoming, world, 8)}",
        model,
        Clip(words, width, height, seconds, sim.file_bytes),
        sim,
        told,
    )
    return Reply(_encode({"id": render.id}), delivery=sim)


def retrieve(incoming: Incoming, world: World) -> Reply:
    """GET /api/v3/contents/generations/tasks/{id}. Raises `Fault`."""
    account = ark_api.account(incoming)
    render = rendering.looked_at(world.renders.poll(account, _id(incoming)), _missing(incoming))
    return Reply(_encode(_task(render, incoming, world)))


def listing(incoming: Incoming, world: World) -> Reply:
    """GET /api/v3/contents/generations/tasks?page_num&page_size&filter.status&filter.task_ids&filter.model. Raises `Fault`."""
    account = ark_api.account(incoming)
    query = parse_qs(incoming.query)
    number, size = _number(query, "page_num", 1), _number(query, "page_size", PAGE_DEFAULT)
    tasks = [_task(render, incoming, world) for render in world.renders.of(account)]
    for name, key in (("filter.status", "status"), ("filter.task_ids", "id"), ("filter.model", "model")):
        wanted = query.get(name)
        if wanted:
            tasks = [task for task in tasks if task[key] in wanted]
    items: list[JSON] = [*tasks[(number - 1) * size : number * size]]
    return Reply(_encode({"total": len(tasks), "items": items}))


def remove(incoming: Incoming, world: World) -> Reply:
    """DELETE /api/v3/contents/generations/tasks/{id}: cancels what waits, forgets what is over. Raises `Fault`."""
    account = ark_api.account(incoming)
    render = world.renders.find(account, _id(incoming))
    if render is None:
        raise _missing(incoming)
    match render.state(world.renders.now):
        case "queued":
            world.renders.cancel(render)
        case "running" | "cancelled" as state:
            raise Fault(
                409,
                f"The task {render.id} is {state} and cannot be deleted.",
                code="InvalidAction",
                kind="Conflict",
            )
        case _:
            world.renders.forget(render)
    return Reply(b"{}")


def download(incoming: Incoming, world: World) -> Reply:
    """The file, for whoever has its URL. Raises `Fault`."""
    render = world.renders.anybodys(incoming.path.rpartition("/")[2].removesuffix(".mp4"))
    if render is None or render.state(world.renders.now) != "completed":
        raise Fault(403, "Request has expired", code="AccessDenied")
    return rendering.file_of(render, world.seed)


# --- reading ---------------------------------------------------------------------------------------------------


def _content(body: Node) -> tuple[str, Seen | None]:
    """The prompt, and the first frame where its bytes were given. Raises `Problem`, `Fault`."""
    prompt = ""
    roles: list[str] = []
    first: Seen | None = None
    for item in body.objects("content"):
        if item.one_of("type", ("text", "image_url")) == "text":
            prompt = item.text("text")
            continue
        role = item.optional_one_of("role", _ROLES) or "first_frame"
        seen = _image(item.object("image_url"))
        roles.append(role)
        if role == "first_frame":
            first = seen
    if not prompt and not roles:
        raise refuse("The request failed because the content is empty.", "content")
    frames = [role for role in roles if role != "reference_image"]
    if len(frames) != len(set(frames)) or ("last_frame" in frames and "first_frame" not in frames):
        raise refuse("The first and the last frame are one image each.", "content.role")
    if frames and len(frames) != len(roles):
        raise refuse("Frames and reference images cannot be mixed.", "content.role")
    if len(roles) > REFERENCES_MAX:
        raise refuse(f"At most {REFERENCES_MAX} reference images are supported.", "content")
    return prompt, first


def _image(node: Node) -> Seen | None:
    """None for an image on the web. Raises `Problem`, `Fault`."""
    url = node.text("url")
    if url.startswith(("http://", "https://")):
        return None
    head, _, data = url.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise refuse("The image is neither a URL nor a data URI.", "content.image_url.url")
    try:
        seen = rendering.seen(data)
    except NotAPicture:
        raise refuse("The image could not be decoded.", "content.image_url.url") from None
    shape = seen.width / seen.height
    small = min(seen.width, seen.height) <= SIDE_MIN or max(seen.width, seen.height) >= SIDE_MAX
    if small or not SHAPE_MIN < shape < SHAPE_MAX:
        raise refuse(
            f"The image of {seen.width}x{seen.height} must have sides of {SIDE_MIN} to {SIDE_MAX} px and a shape of "
            f"{SHAPE_MIN} to {SHAPE_MAX}.",
            "content.image_url.url",
        )
    return seen


def _parameters(body: Node, first: Seen | None) -> JSONObject:
    """What the task's answers repeat. Raises `Problem`."""
    resolution = body.optional_one_of("resolution", RESOLUTIONS) or "720p"
    ratio = body.optional_one_of("ratio", RATIOS) or "adaptive"
    if ratio == "adaptive":
        ratio = "16:9" if first is None else _nearest(first)
    duration = body.optional_integer("duration", ANY_LENGTH, SECONDS_MAX)
    if duration is None or duration == ANY_LENGTH:
        duration = SECONDS_DEFAULT
    if duration < SECONDS_MIN:
        raise Problem("below", ("duration",), bound=SECONDS_MIN, got=str(duration))
    told: JSONObject = {
        "seed": body.optional_integer("seed", -1, 2**32 - 1) or 0,
        "resolution": resolution,
        "ratio": ratio,
        "duration": duration,
        "framespersecond": FRAMES_PER_SECOND,
        "service_tier": body.optional_one_of("service_tier", ("default", "flex")) or "default",
        "execution_expires_after": body.optional_integer("execution_expires_after", 3600, 259_200) or 172_800,
    }
    for name in ("generate_audio", "draft", "camera_fixed", "watermark", "return_last_frame"):
        flag = body.flag(name)
        if flag is not None and name in ("generate_audio", "draft"):
            told[name] = flag
    identifier = body.optional_text("safety_identifier")
    if identifier is not None:
        if len(identifier) > 64:
            raise Problem("above", ("safety_identifier",), bound=64, got=str(len(identifier)))
        told["safety_identifier"] = identifier
    return told


def _nearest(seen: Seen) -> str:
    shape = seen.width / seen.height
    known = {
        ratio: width / height
        for (resolution, ratio), (width, height) in SIZES.items()
        if resolution == "720p"
    }
    return min(known, key=lambda ratio: abs(known[ratio] - shape))


def _number(query: dict[str, list[str]], name: str, default: int) -> int:
    value = query.get(name, [str(default)])[-1]
    if not value.isdecimal() or not 1 <= int(value) <= PAGE_MAX:
        raise refuse(f"The parameter `{name}` must be 1 to {PAGE_MAX}.", name)
    return int(value)


def _id(incoming: Incoming) -> str:
    return incoming.path.rpartition("/")[2]


def _missing(incoming: Incoming) -> Fault:
    return Fault(404, f"The task {_id(incoming)} is not found.", code="NotFound", kind="NotFound")


# --- writing ---------------------------------------------------------------------------------------------------


def _task(render: Render, incoming: Incoming, world: World) -> JSONObject:
    state = render.state(world.renders.now)
    task: JSONObject = {
        "id": render.id,
        "model": render.model,
        "status": "succeeded" if state == "completed" else state,
        "error": None,
        "created_at": int(render.began),
        "updated_at": int(render.changed),
        **render.told,
    }
    if state == "completed":
        host = incoming.headers.get("host", "localhost")
        task["content"] = {"video_url": f"http://{host}/tos-files/{render.id}.mp4?X-Tos-Expires=86400"}
        tokens = render.clip.width * render.clip.height * FRAMES_PER_SECOND * render.clip.seconds // 1024
        task["usage"] = {"completion_tokens": tokens, "total_tokens": tokens}
    elif state == "failed" and render.sim.fail == _TIMED_OUT:
        task["status"] = _TIMED_OUT
    elif state == "failed":
        code, message = _FAILURES.get(render.sim.fail or "", (render.sim.fail, "The task failed."))
        task["error"] = {"code": code, "message": render.sim.error_text or message}
    return task
