"""Volcengine Ark's image generation API as the simulator speaks it: pictures, sequences of them, streams.

Shapes and rules are those of volcengine.com/docs/82379/1541523 and 1824137. Which sizes a model takes is its name's to say:
`seedream-4-0` from 1280x720 pixels on, others from 2560x1440.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import ark_api, drawing
from bytespike.providers.simulator.ark_api import PREFIX, refuse, worded
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective, Directives
from bytespike.providers.simulator.drawing import Look
from bytespike.providers.simulator.exchange import CREATED, Incoming, Reply, World
from bytespike.providers.simulator.openai_images import url_of
from bytespike.providers.simulator.pictures import NotAPicture, Seen
from bytespike.providers.simulator.tokens import IMAGE_TOKENS

PATH = PREFIX + "/images/generations"
IMAGES_MAX = 14
#: Pictures of a sequence, those that are given counted.
SEQUENCE_MAX = 15
PIXELS_MAX = 4096 * 4096
PIXELS_MIN = 2560 * 1440
#: Of models whose name has this in it.
EARLY, EARLY_PIXELS_MIN = "seedream-4-0", 1280 * 720
SHAPE_MAX = 16
NAMED = {"1K": (1024, 1024), "2K": (2048, 2048), "3K": (3072, 3072), "4K": (4096, 4096)}

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_FIELDS = (
    "model", "prompt", "image", "size", "seed", "sequential_image_generation", "sequential_image_generation_options", "stream",
    "guidance_scale", "response_format", "watermark", "output_format", "optimize_prompt_options", "tools",
)  # fmt: skip
_SENSITIVE = "The request failed because the output image may contain sensitive information."
_encode = msgspec.json.encode


def generate(incoming: Incoming, world: World) -> Reply:
    """POST /api/v3/images/generations. Raises `Fault`."""
    ark_api.account(incoming)
    body = ark_api.body_of(incoming)
    try:
        body.only(_FIELDS)
        model = body.text("model")
        prompt = body.text("prompt")
        form = body.optional_one_of("response_format", ("url", "b64_json")) or "url"
        file = body.optional_one_of("output_format", ("jpeg", "png")) or "jpeg"
        body.optional_integer("seed", -1, 2**31 - 1)
        body.flag("watermark")
        stream = body.flag("stream") or False
        mode = body.optional_one_of("sequential_image_generation", ("auto", "disabled")) or "disabled"
        options = body.optional_object("sequential_image_generation_options") or Node({})
        most = options.optional_integer("max_images", 1, SEQUENCE_MAX) or SEQUENCE_MAX
        words, sim = drawing.ordered(incoming, world, prompt)
        width, height = _size(body, model)
    except Problem as problem:
        raise worded(problem) from None
    except BadDirective as bad:
        raise refuse(f"Bad directive: {bad}", "prompt") from None
    images = _images(body)
    if file == "png" and EARLY in model:
        raise refuse(f"The parameter `output_format` is not supported by {model}.", "output_format")
    if mode == "auto" and most + len(images) > SEQUENCE_MAX:
        raise refuse(
            f"Images given and drawn are more than {SEQUENCE_MAX}.", "sequential_image_generation_options"
        )
    _fail(sim)
    look = Look(width, height, "image/png" if file == "png" else "image/jpeg")
    text = f"{words} {drawing.told(images)}{drawing.seeded(body.value.get('seed'))}"
    asked = most if mode == "auto" else 1
    number = drawing.count(sim, asked)
    entries = _entries(incoming, text, look, number, asked, form, world)
    usage: JSONObject = {
        "generated_images": number,
        "output_tokens": number * IMAGE_TOKENS,
        "total_tokens": number * IMAGE_TOKENS,
    }
    if stream:
        frames = _frames(model, entries, usage)
        return Reply(frames=frames, error_frames=_broken(), delivery=sim)
    answer: JSONObject = {"model": model, "created": CREATED, "data": list(entries), "usage": usage}
    return Reply(_encode(answer), delivery=sim)


def _size(body: Node, model: str) -> tuple[int, int]:
    """Raises `Problem`, `Fault`."""
    text = body.optional_text("size") or "2048x2048"
    early = EARLY in model
    if text in NAMED:
        if text == "1K" and not early:
            raise refuse(f"The parameter `size` is not supported by {model}: {text}.", "size")
        return NAMED[text]
    match = _SIZE.fullmatch(text)
    if match is None:
        raise refuse(f"The parameter `size` specified in the request is not valid: {text}.", "size")
    width, height = int(match[1]), int(match[2])
    least = EARLY_PIXELS_MIN if early else PIXELS_MIN
    if not least <= width * height <= PIXELS_MAX:
        raise refuse(
            f"The parameter `size` specified in the request is not valid: image size must be at least {least} pixels "
            f"and at most {PIXELS_MAX}.",
            "size",
        )
    if max(width, height) > SHAPE_MAX * min(width, height):
        raise refuse("The parameter `size` specified in the request is not valid: aspect ratio.", "size")
    return width, height


def _images(body: Node) -> list[Seen]:
    given = body.value.get("image")
    urls: list[JSON] = [] if given is None else given if isinstance(given, list) else [given]
    if len(urls) > IMAGES_MAX:
        raise refuse(f"The parameter `image` has more than {IMAGES_MAX} images.", "image")
    try:
        return drawing.seen_in(urls)
    except NotAPicture as wrong:
        raise refuse(
            f"The parameter `image` specified in the request is not valid: {wrong}.", "image"
        ) from None


def _fail(sim: Directives) -> None:
    """Raises the `Fault` that was asked for."""
    match drawing.spoilt(sim):
        case None:
            return
        case "moderation":
            raise refuse(sim.error_text or _SENSITIVE, "prompt", "OutputImageSensitiveContentDetected")
        case "error":
            raise drawing.failed("The service encountered an unexpected internal error.")
        case code:
            raise refuse(sim.error_text or "The image could not be generated.", "", code)


def _entries(
    incoming: Incoming, words: str, look: Look, number: int, asked: int, form: str, world: World
) -> Iterator[JSON]:
    """Each picture; those that are not drawn are refused one by one."""
    for at in range(asked if number < asked else number):
        if at >= number:
            yield {"error": {"code": "OutputImageSensitiveContentDetected", "message": _SENSITIVE}}
        elif form == "url":
            url = url_of(incoming, f"{words} #{at}", look.width, look.height)
            yield {"url": url, "size": f"{look.width}x{look.height}"}
        else:
            yield {
                "b64_json": drawing.drawn(words, look, at, world),
                "size": f"{look.width}x{look.height}",
            }


def _frames(model: str, entries: Iterator[JSON], usage: JSONObject) -> Iterator[bytes]:
    for at, entry in enumerate(entries):
        members = entry if isinstance(entry, dict) else {}
        failed = "error" in members
        name = f"image_generation.partial_{'failed' if failed else 'succeeded'}"
        yield _event(name, {"model": model, "created": CREATED, "image_index": at, **members})
    yield _event("image_generation.completed", {"model": model, "created": CREATED, "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(name: str, members: JSONObject) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **members}))


def _broken() -> bytes:
    error: JSONObject = {
        "code": "InternalServiceError",
        "message": "The service encountered an unexpected internal error.",
    }
    return b"event: error\ndata: %b\n\n" % _encode({"error": error})
