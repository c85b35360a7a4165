"""Gemini's image output as the simulator speaks it: generateContent whose answer has a picture among its parts.

It is asked for by `responseModalities`. A draft comes first, as a thought, where the model's name says "pro": as with the
models that think. Shapes are those of the SDK's types; the sides of pictures those of the vendor's table for 1K.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import drawing, gemini, gemini_errors, profile
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.drawing import Look
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.gemini_rules import read_request
from bytespike.providers.simulator.pictures import NotAPicture, Seen
from bytespike.providers.simulator.tokens import IMAGE_TOKENS

ACTION = ":generateContent"
#: Sides at 1K, by shape.
SIDES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024), "2:3": (848, 1264), "3:2": (1264, 848), "3:4": (896, 1200), "4:3": (1200, 896),
    "4:5": (928, 1152), "5:4": (1152, 928), "9:16": (768, 1376), "16:9": (1376, 768), "21:9": (1584, 672),
    "1:4": (512, 2064), "4:1": (2064, 512), "1:8": (352, 2928), "8:1": (2928, 352),
}  # fmt: skip
SIZES: Mapping[str, float] = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}
_encode = msgspec.json.encode


def generate(incoming: Incoming, world: World) -> Reply:
    """POST /v1beta/models/{model}:generateContent, for words or a picture. Raises `Fault`."""
    body = _drawing(incoming)
    if body is None:
        return gemini.generate(incoming, world)
    gemini_errors.account(incoming)
    model = incoming.path.partition("/models/")[2].partition(":")[0]
    try:
        asked = read_request(body, incoming.headers, model, world)
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None
    sim = asked.sim
    profile.fail_if_asked(sim, world, incoming.ordinal)
    look = _look(body)
    seen = _seen(body)
    words = f"{asked.prompt.text} {drawing.told(seen)}{drawing.seeded(_config(body).get('seed'))}"
    spoilt = drawing.spoilt(sim)
    if spoilt == "moderation":
        blocked: JSONObject = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        return Reply(_encode({**blocked, **_tail(asked.prompt.input_tokens, 0, model)}), delivery=sim)
    if spoilt == "error":
        raise Fault(500, gemini_errors.BROKEN)
    if spoilt is not None:
        candidate: JSONObject = {"content": {"role": "model"}, "finishReason": spoilt, "index": 0}
        return Reply(
            _encode({"candidates": [candidate], **_tail(asked.prompt.input_tokens, 0, model)}), delivery=sim
        )
    parts: list[JSON] = []
    number = drawing.count(sim, 1)
    if number and "pro" in model:
        draft = drawing.drawn(words, look, 0, world, drawing.CLARITY[0])
        parts.append({"inlineData": {"mimeType": look.media_type, "data": draft}, "thought": True})
    parts.append(
        {
            "text": f"The simulator drew it {drawing.told(seen)}."
            if number
            else "No picture, says the simulator."
        }
    )
    if number:
        data = drawing.drawn(words, look, 0, world)
        parts.append({"inlineData": {"mimeType": look.media_type, "data": data}})
    whole: JSONObject = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    tail = _tail(asked.prompt.input_tokens, number * IMAGE_TOKENS, model)
    return Reply(_encode({"candidates": [whole], **tail}), delivery=sim)


def _drawing(incoming: Incoming) -> JSONObject | None:
    """The body of a request for a picture; None for any other."""
    if b"IMAGE" not in incoming.body:
        return None
    try:
        body: JSON = msgspec.json.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    modalities = _config(body).get("responseModalities")
    return body if isinstance(modalities, list) and "IMAGE" in modalities else None


def _config(body: JSONObject) -> JSONObject:
    config = body.get("generationConfig")
    return config if isinstance(config, dict) else {}


def _look(body: JSONObject) -> Look:
    """Raises `Fault`."""
    image = _config(body).get("imageConfig")
    config = image if isinstance(image, dict) else {}
    unknown = sorted(config.keys() - {"aspectRatio", "imageSize", "personGeneration"})
    if unknown:
        raise gemini_errors.refuse(
            f"Invalid JSON payload received. Unknown name \"{unknown[0]}\" at 'generation_config.image_config': "
            "Cannot find field."
        )
    shape, size = config.get("aspectRatio", "1:1"), config.get("imageSize", "1K")
    if shape not in SIDES:
        raise gemini_errors.refuse(f"Invalid aspect ratio: {shape}.")
    if size not in SIZES:
        raise gemini_errors.refuse(f"Invalid image size: {size}.")
    width, height = SIDES[str(shape)]
    factor = SIZES[str(size)]
    return Look(int(width * factor), int(height * factor))


def _seen(body: JSONObject) -> list[Seen]:
    """The pictures of the last turn. Raises `Fault`."""
    contents = body.get("contents")
    last = contents[-1] if isinstance(contents, list) and contents else None
    parts = last.get("parts") if isinstance(last, dict) else None
    found: list[Seen] = []
    for part in parts if isinstance(parts, list) else []:
        blob = part.get("inlineData") if isinstance(part, dict) else None
        if isinstance(blob, dict):
            try:
                found.append(drawing.looked_at(str(blob.get("data"))))
            except NotAPicture:
                raise gemini_errors.refuse("Unable to process input image.") from None
    return found


def _tail(prompt: int, drawn: int, model: str) -> JSONObject:
    usage: JSONObject = {"promptTokenCount": prompt, "totalTokenCount": prompt + drawn}
    if drawn:
        usage["candidatesTokenCount"] = drawn
    return {"usageMetadata": usage, "modelVersion": model}
