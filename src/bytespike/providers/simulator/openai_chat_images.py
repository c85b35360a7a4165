"""A chat model that draws, as the simulator speaks it: Chat Completions whose answer has pictures.

It is any model with "image" in its name. Vendors of such models put pictures in different places; a directive says where
(`pictures`). `image_output` asks for size, quality and number.
"""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import drawing, openai_api, openai_chat, profile
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective, Directives
from bytespike.providers.simulator.drawing import Look
from bytespike.providers.simulator.exchange import CREATED, Fault, Incoming, Reply, World
from bytespike.providers.simulator.openai_chat_rules import read_request
from bytespike.providers.simulator.openai_images import url_of
from bytespike.providers.simulator.openai_words import refuse, word
from bytespike.providers.simulator.pictures import NotAPicture, Seen
from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count

PATH = "/v1/chat/completions"
SIZES = ("1024x1024", "1024x1536", "1536x1024", "2048x2048")
QUALITIES = ("low", "medium", "high")
TURN_IMAGES_MAX = 2
_OUTPUT = "image_output"
_encode = msgspec.json.encode


def completions(incoming: Incoming, world: World) -> Reply:
    """POST /v1/chat/completions, for words or pictures. Raises `Fault`."""
    if b"image" not in incoming.body:
        return openai_chat.completions(incoming, world)
    body = openai_api.body_of(incoming)
    model = body.get("model")
    if not isinstance(model, str) or "image" not in model:
        return openai_chat.completions(incoming, world)
    account = openai_api.account(incoming)
    rest = {name: value for name, value in body.items() if name != _OUTPUT}
    try:
        asked = read_request(rest, incoming.headers, account, world)
        output = Node(body).optional_object(_OUTPUT) or Node({})
        output.only(("size", "quality", "n"))
        size = output.optional_one_of("size", SIZES) or SIZES[0]
        output.optional_one_of("quality", QUALITIES)
        n = output.optional_integer("n", 1, TURN_IMAGES_MAX) or 1
    except Problem as problem:
        raise word(problem) from None
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None
    sim = asked.sim
    profile.fail_if_asked(sim, world, incoming.ordinal)
    seen = _seen(body)
    width, height = map(int, size.split("x"))
    look = Look(width, height)
    words = f"{asked.prompt.text} {drawing.told(seen)}"
    message, reason = _message(incoming, sim, words, look, seen, drawing.count(sim, n), world)
    prompt = asked.prompt.input_tokens
    output_tokens = count(str(message.get("content") or "")) if sim.images == 0 else IMAGE_TOKENS
    answer: JSONObject = {
        "id": f"chatcmpl-sim{incoming.ordinal:024d}",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output_tokens,
            "total_tokens": prompt + output_tokens,
        },
    }
    return Reply(_encode(answer), delivery=sim)


def _seen(body: JSONObject) -> list[Seen]:
    """The pictures of the last user's turn. Raises `Fault`."""
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    urls: list[JSON] = []
    for part in content if isinstance(content, list) else []:
        image = part.get("image_url") if isinstance(part, dict) else None
        url = image.get("url") if isinstance(image, dict) else None
        if isinstance(url, str) and url.startswith("data:"):
            urls.append(url)
    try:
        return drawing.seen_in(urls)
    except NotAPicture:
        raise refuse("Invalid image data.", "messages", "invalid_image") from None


def _message(
    incoming: Incoming,
    sim: Directives,
    words: str,
    look: Look,
    seen: list[Seen],
    number: int,
    world: World,
) -> tuple[JSONObject, str]:
    """The answer's message, and its finish reason."""
    message: JSONObject = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    spoilt = drawing.spoilt(sim)
    if spoilt == "error":
        raise drawing.failed(openai_api.SERVER_ERROR)
    if spoilt is not None:
        message["refusal"] = sim.error_text or "I can't help with that, says the simulator."
        return message, "content_filter"
    text = f"The simulator drew it {drawing.told(seen)}."
    if not number:
        message["content"] = "The simulator asks: of which colour?"
        return message, "stop"
    inline = [f"data:image/png;base64,{drawing.drawn(words, look, at, world)}" for at in range(number)]
    urls = [url_of(incoming, f"{words} #{at}", look.width, look.height) for at in range(number)]
    parts: list[JSON] = [{"type": "image_url", "image_url": {"url": each}} for each in inline]
    match sim.pictures:
        case "markdown":
            message["content"] = "\n\n".join([text, *(f"![image]({each})" for each in urls)])
        case "inline":
            message["content"] = "\n\n".join([text, *(f"![image]({each})" for each in inline)])
        case "parts":
            message["content"] = [{"type": "text", "text": text}, *parts]
        case "images":
            message["content"] = text
            message["images"] = parts
    return message, "stop"
