"""Pictures inside of a chat answer, which gpt-4o-image is asked for: OpenAI's Chat Completions, with images among the parts.

Providers put them in three places, and all of them are read: parts of type `image_url` in `content`; `images` beside it
(OpenRouter's word); and, most of all, Markdown in the text, `![...](https://...)`. One call is one turn of a
conversation, and draws as many pictures as the model thinks right.

`image_output` says how large and how good a picture shall be. It is sent where it differs from what it is without, since
servers refuse members that they do not know.

Source: docs.bytespike.ai (gpt-4o-image: `image_output`, `image_url` parts); openrouter.ai/docs, "Image Generation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import ContentPolicyViolation, GatewayError, UpstreamError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters.answers import MESSAGE_CHARS_MAX, refusal
from bytespike.media.drawing import Asked, Drawing, Drawn, Tokens
from bytespike.media.order import Order
from bytespike.protocols.openai_chat import errors as openai_errors
from bytespike.wire import json

_JSON: Final = (b"content-type", b"application/json")
SIZE_DEFAULT: Final = "1024x1024"
QUALITY_DEFAULT: Final = "medium"
#: The end of an image in Markdown: by URL, or inline. Its beginning is looked for from here, since a text may have very many
#: beginnings without an end.
_MARKDOWN_END: Final = re.compile(
    r"\]\(\s{0,8}(https?://[^\s)]{1,8192}|data:image/[a-z+.-]{1,20};base64,[A-Za-z0-9+/=]+)\s{0,8}\)"
)
_MARKDOWN_BEGINNING: Final = "!["
#: Of what a picture is called.
_CAPTION_CHARS_MAX: Final = 500


class ChatImages:
    """`media.drawing.ImageAdapter` for images in a chat answer."""

    def ask(self, order: Order, upstream_model: str) -> Asked:
        content: JSON = order.prompt
        if order.pictures:
            content = [
                {"type": "text", "text": order.prompt},
                *(
                    {"type": "image_url", "image_url": {"url": f"data:{each.media_type};base64,{each.data}"}}
                    for each in order.pictures
                ),
            ]
        members: JSONObject = {"model": upstream_model, "messages": [{"role": "user", "content": content}]}
        output = image_output(order)
        if output:
            members["image_output"] = output
        if order.user:
            members["user"] = order.user
        return Asked((UpstreamCall(b"POST", b"", (_JSON,), json.encode(members)),) * order.n)

    def read(self, body: bytes) -> Drawing:
        answer = decoded(body)
        drawing = drawing_of(answer)
        if not drawing.images:
            raise _none(answer, drawing.text)
        return drawing

    def reader(self) -> None:
        """It is not asked to stream: what comes by and by are words."""

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(openai_errors.read_error, status, headers, body)


def image_output(order: Order) -> JSONObject:
    """The member of that name; empty where everything is as it is without."""
    size = f"{order.width}x{order.height}" if order.width else order.size
    output: JSONObject = {}
    if size and size != SIZE_DEFAULT:
        output["size"] = size
    if order.quality and order.quality != QUALITY_DEFAULT:
        output["quality"] = order.quality
    return output


def decoded(body: bytes) -> JSONObject:
    """A chat answer with status 200. Raises GatewayError: it is none, or an error all the same."""
    try:
        answer = json.decode_object(body)
    except json.NotJSON as error:
        raise UpstreamError("The upstream's answer is not one of Chat Completions.") from error
    if answer.get("error") is not None:
        raise openai_errors.told_error(openai_errors.told_in(answer))
    return answer


def messages_of(answer: JSONObject) -> list[tuple[JSONObject, JSONObject]]:
    """Each choice and its message. Raises UpstreamError for an answer without any."""
    choices = answer.get("choices")
    found: list[tuple[JSONObject, JSONObject]] = []
    for choice in choices if isinstance(choices, list) else []:
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(choice, dict) and isinstance(message, dict):
            found.append((choice, message))
    if not found:
        raise UpstreamError("The upstream's answer has no choice.")
    return found


def drawing_of(answer: JSONObject) -> Drawing:
    """The pictures and words of all choices. Raises UpstreamError."""
    images: list[Drawn] = []
    words: list[str] = []
    for _, message in messages_of(answer):
        text, found = read_message(message)
        images += found
        if text:
            words.append(text)
    return Drawing(tuple(images), text="\n".join(words), tokens=_tokens(answer.get("usage")))


def read_message(message: JSONObject) -> tuple[str, list[Drawn]]:
    """A message's words, without the pictures that were among them, and its pictures."""
    urls: list[str] = []
    words: list[str] = []
    content = message.get("content")
    if isinstance(content, str):
        text, urls = _without_pictures(content)
        words.append(text)
    for part in content if isinstance(content, list) else []:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            words.append(str(part["text"]))
        else:
            urls += _urls([part])
    images = message.get("images")
    urls += _urls(images if isinstance(images, list) else [])
    return "\n".join(word for word in words if word), [_drawn(url) for url in dict.fromkeys(urls)]


def _without_pictures(text: str) -> tuple[str, list[str]]:
    """A Markdown text without its pictures, and their URLs."""
    pieces: list[str] = []
    urls: list[str] = []
    done = 0
    for end in _MARKDOWN_END.finditer(text):
        caption = max(done, end.start() - _CAPTION_CHARS_MAX - len(_MARKDOWN_BEGINNING))
        begun = text.rfind(_MARKDOWN_BEGINNING, caption, end.start())
        if begun < 0 or "\n" in text[begun : end.start()]:
            continue
        pieces.append(text[done:begun])
        urls.append(end[1])
        done = end.end()
    if not urls:
        return text, []
    return "".join([*pieces, text[done:]]).strip(), urls


def _urls(parts: list[JSON]) -> list[str]:
    found: list[str] = []
    for part in parts:
        image = part.get("image_url") if isinstance(part, dict) else None
        url = image.get("url") if isinstance(image, dict) else image
        if isinstance(url, str) and url:
            found.append(url)
    return found


def _drawn(url: str) -> Drawn:
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return Drawn(data)
    return Drawn(url=url)


def _none(answer: JSONObject, said: str) -> GatewayError:
    """Why there is no picture."""
    for choice, message in messages_of(answer):
        refused = message.get("refusal")
        if choice.get("finish_reason") == "content_filter" or (isinstance(refused, str) and refused):
            text = refused if isinstance(refused, str) and refused else said
            policy = ContentPolicyViolation(
                (text or "The upstream's safety system refused.")[:MESSAGE_CHARS_MAX], param="prompt"
            )
            policy.about = "request"
            return policy
    if not said:
        return UpstreamError("The upstream's answer has no image.")
    error = UpstreamError(f"The model answered in words and drew nothing: {said[:MESSAGE_CHARS_MAX]}")
    error.about = "request"
    return error


def _tokens(usage: JSON) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return Tokens(prompt, completion, prompt)
