"""OpenAI's Images API as the simulator speaks it: generations, edits (forms and JSON), streams.

Shapes are those of the SDK's types (`types/image*.py`), the rules those of GPT Image. `GET /v1/images/drawn/{picture}.png`
is the simulator's own: a picture for whoever has its URL, for providers that answer in URLs.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import drawing, forms, openai_api, rendering
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective, Directives
from bytespike.providers.simulator.drawing import MEDIA_TYPES, Look
from bytespike.providers.simulator.exchange import CREATED, Fault, Incoming, Reply, World
from bytespike.providers.simulator.openai_words import refuse, word
from bytespike.providers.simulator.pictures import NotAPicture, Seen, look
from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count

PATH = "/v1/images/generations"
EDITS_PATH = "/v1/images/edits"
DRAWN_PATH = "/v1/images/drawn/{picture}"

QUALITIES = ("low", "medium", "high", "auto")
BACKGROUNDS = ("transparent", "opaque", "auto")
N_MAX = 10
PARTIAL_MAX = 3
IMAGES_MAX = 16
PROMPT_CHARS_MAX = 32_000
SIDE_STEP, SIDE_MAX, SHAPE_MAX = 16, 3840, 3
PIXELS_MIN, PIXELS_MAX = 655_360, 8_294_400
SIZE_DEFAULT = "1024x1024"

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_FIELDS = (
    "model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression", "moderation", "stream",
    "partial_images", "user", "safety_identifier",
)  # fmt: skip
_EDIT_FIELDS = (*(name for name in _FIELDS if name != "moderation"), "images", "mask", "input_fidelity")
_NUMBERS = frozenset({"n", "output_compression", "partial_images"})
_MODERATED = "Your request was rejected by the safety system. If you believe this is an error, contact us."
_encode = msgspec.json.encode


def route(path: str) -> str:
    """A path with its picture taken out."""
    return DRAWN_PATH if path.startswith("/v1/images/drawn/") else path


def generate(incoming: Incoming, world: World) -> Reply:
    """POST /v1/images/generations. Raises `Fault`."""
    openai_api.account(incoming)
    return _reply(incoming, world, openai_api.body_of(incoming), _FIELDS, [], "image_generation")


def edit(incoming: Incoming, world: World) -> Reply:
    """POST /v1/images/edits, as a form or as JSON. Raises `Fault`."""
    openai_api.account(incoming)
    content_type = incoming.headers.get("content-type", "")
    if content_type.lower().startswith("multipart/form-data"):
        body, images, mask = _form(content_type, incoming.body)
    else:
        body, images, mask = _json(openai_api.body_of(incoming))
    if not images:
        raise refuse("Missing required parameter: 'image'.", "image", "missing_required_parameter")
    if len(images) > IMAGES_MAX:
        raise refuse(f"Too many images: at most {IMAGES_MAX}.", "image", "invalid_value")
    if mask is not None:
        if not mask.transparent:
            raise refuse("Invalid mask image: it has no alpha channel.", "mask", "invalid_image_file")
        if (mask.width, mask.height) != (images[0].width, images[0].height):
            raise refuse(
                "Invalid mask image: its size is not that of the image.", "mask", "invalid_mask_image"
            )
    return _reply(incoming, world, body, _EDIT_FIELDS, images, "image_edit")


def drawn(incoming: Incoming, world: World) -> Reply:
    """GET a picture by the URL that an answer had. Raises `Fault`."""
    name = incoming.path.rpartition("/")[2].removesuffix(".png")
    try:
        look = msgspec.json.decode(
            base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)), type=tuple[str, int, int]
        )
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        raise Fault(404, "There is no such picture.") from None
    data = drawing.drawn(look[0], Look(look[1], look[2]), 0, world)
    return rendering.file(base64.b64decode(data), "image/png")


def url_of(incoming: Incoming, words: str, width: int, height: int) -> str:
    """Where `drawn` gives that picture out."""
    name = base64.urlsafe_b64encode(_encode((words, width, height))).decode("ascii").rstrip("=")
    host = incoming.headers.get("host", "127.0.0.1")
    return f"http://{host}/openai{DRAWN_PATH.replace('{picture}', name)}.png"


# --- reading ---------------------------------------------------------------------------------------------------


def _form(content_type: str, data: bytes) -> tuple[JSONObject, list[Seen], Seen | None]:
    try:
        parts = forms.read(content_type, data)
    except forms.BadForm as bad:
        raise refuse(f"Could not parse multipart form: {bad}") from None
    body: JSONObject = {}
    images: list[Seen] = []
    mask: Seen | None = None
    for part in parts:
        if part.name in ("image", "image[]"):
            images.append(_seen(part.data, "image"))
        elif part.name == "mask":
            mask = _seen(part.data, "mask")
        else:
            text = part.data.decode("utf-8", "replace")
            if part.name in _NUMBERS and text.isdecimal():
                body[part.name] = int(text)
            elif part.name == "stream":
                body[part.name] = text == "true"
            else:
                body[part.name] = text
    return body, images, mask


def _json(body: JSONObject) -> tuple[JSONObject, list[Seen], Seen | None]:
    given = body.get("images")
    images = [
        _inline(each, f"images[{at}]") for at, each in enumerate(given if isinstance(given, list) else [])
    ]
    mask = body.get("mask")
    return body, images, None if mask is None else _inline(mask, "mask")


def _inline(value: JSON, where: str) -> Seen:
    url = value.get("image_url") if isinstance(value, dict) else None
    if not isinstance(url, str):
        raise refuse(f"Missing required parameter: '{where}.image_url'.", where)
    try:
        return drawing.seen_in([url])[0]
    except NotAPicture:
        raise _not_a_picture(f"{where}.image_url") from None


def _seen(data: bytes, where: str) -> Seen:
    try:
        return look(data)
    except NotAPicture:
        raise _not_a_picture(where) from None


def _not_a_picture(where: str) -> Fault:
    return Fault(
        400, "Invalid image data.", kind="image_generation_user_error", param=where, code="invalid_image_file"
    )


def _size(text: str) -> tuple[int, int]:
    if text == "auto":
        text = SIZE_DEFAULT
    match = _SIZE.fullmatch(text)
    if match is None:
        raise refuse(f"Invalid size '{text}'.", "size", "invalid_value")
    width, height = int(match[1]), int(match[2])
    if (
        width % SIDE_STEP
        or height % SIDE_STEP
        or max(width, height) > SIDE_MAX
        or max(width, height) > SHAPE_MAX * min(width, height)
        or not PIXELS_MIN <= width * height <= PIXELS_MAX
    ):
        raise refuse(
            f"Invalid size '{text}': requested resolution is not supported.", "size", "invalid_value"
        )
    return width, height


# --- answering -------------------------------------------------------------------------------------------------


def _reply(
    incoming: Incoming,
    world: World,
    body: JSONObject,
    known: tuple[str, ...],
    images: list[Seen],
    event: str,
) -> Reply:
    try:
        node = Node(body)
        node.only(known)
        prompt = node.text("prompt")
        node.optional_text("model")
        n = node.optional_integer("n", 1, N_MAX) or 1
        size = node.optional_text("size") or "auto"
        quality = node.optional_one_of("quality", QUALITIES) or "auto"
        background = node.optional_one_of("background", BACKGROUNDS) or "auto"
        form = node.optional_one_of("output_format", tuple(MEDIA_TYPES)) or "png"
        compression = node.optional_integer("output_compression", 0, 100)
        stream = node.flag("stream") or False
        partial = node.optional_integer("partial_images", 0, PARTIAL_MAX) or 0
        node.optional_one_of("moderation", ("low", "auto"))
    except Problem as problem:
        raise word(problem) from None
    if not 0 < len(prompt) <= PROMPT_CHARS_MAX:
        raise refuse("Invalid 'prompt': it must have 1 to 32000 characters.", "prompt", "invalid_value")
    if compression not in (None, 100) and form == "png":
        raise refuse("Compression less than 100 is not supported for PNG output format", "output_compression")
    if background == "transparent" and form == "jpeg":
        raise refuse("Transparent background is not supported for JPEG output format", "background")
    if partial and not stream:
        raise refuse(
            "The 'partial_images' parameter is only allowed when 'stream' is enabled.", "partial_images"
        )
    width, height = _size(size)
    try:
        words, sim = drawing.ordered(incoming, world, prompt)
    except BadDirective as bad:
        raise refuse(f"Bad directive: {bad}", "prompt", "invalid_value") from None
    _fail(sim)
    look = Look(
        width,
        height,
        MEDIA_TYPES[form],
        background == "transparent",
        80 if compression is None else max(compression, 1),
    )
    described: JSONObject = {
        "background": "transparent" if background == "transparent" else "opaque",
        "output_format": form,
        "quality": "medium" if quality == "auto" else quality,
        "size": f"{width}x{height}",
    }
    text = f"{words} {drawing.told(images)}"
    number = drawing.count(sim, n)
    usage = _usage(prompt, len(images), number)
    if stream:
        frames = _frames(event, text, look, partial, described, usage, world)
        return Reply(frames=frames, error_frames=_broken(), delivery=sim)
    data: list[JSON] = [{"b64_json": drawing.drawn(text, look, at, world)} for at in range(number)]
    answer: JSONObject = {"created": CREATED, **described, "data": data}
    if not sim.no_usage:
        answer["usage"] = usage
    return Reply(_encode(answer), delivery=sim)


def _fail(sim: Directives) -> None:
    """Raises the `Fault` that was asked for."""
    match drawing.spoilt(sim):
        case None:
            return
        case "moderation":
            raise Fault(
                400,
                sim.error_text or _MODERATED,
                kind="image_generation_user_error",
                code="moderation_blocked",
            )
        case "error":
            raise drawing.failed(openai_api.SERVER_ERROR)
        case code:
            raise refuse(sim.error_text or "The image could not be generated.", None, code)


def _frames(
    event: str,
    words: str,
    look: Look,
    partial: int,
    described: JSONObject,
    usage: JSONObject,
    world: World,
) -> Iterator[bytes]:
    for index in range(partial):
        name = f"{event}.partial_image"
        data = drawing.drawn(words, look, 0, world, drawing.CLARITY[index])
        yield _event(
            name, {"b64_json": data, "partial_image_index": index, "created_at": CREATED, **described}
        )
    name = f"{event}.completed"
    data = drawing.drawn(words, look, 0, world)
    yield _event(name, {"b64_json": data, "created_at": CREATED, **described, "usage": usage})


def _event(name: str, members: JSONObject) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **members}))


def _broken() -> bytes:
    error = {
        "type": "server_error",
        "code": "server_error",
        "message": openai_api.SERVER_ERROR,
        "param": None,
    }
    return b"event: error\ndata: %b\n\n" % _encode({"type": "error", "error": error})


def _usage(prompt: str, images: int, drawn: int) -> JSONObject:
    text, seen, output = count(prompt), IMAGE_TOKENS * images, IMAGE_TOKENS * drawn
    return {
        "input_tokens": text + seen,
        "input_tokens_details": {"text_tokens": text, "image_tokens": seen},
        "output_tokens": output,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
        "total_tokens": text + seen + output,
    }
