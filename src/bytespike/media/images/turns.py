"""The turns of a conversation with pictures, as the provider gets them: see `chat.py` for what is changed and why."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.media.images.inputs import own_object
from bytespike.media.images.parts import ImageParts

MESSAGES_MAX: Final = 2_000
#: Pictures of a conversation that are opened for one turn.
OPENED_MAX: Final = 20
_IMAGE: Final = "image_url"


async def told_upstream(parts: ImageParts, params: Mapping[str, JSON]) -> list[JSON]:
    """The messages. Raises InvalidRequest, which names the member at fault."""
    asked = params.get("messages")
    if not isinstance(asked, list) or not asked:
        raise InvalidRequest("messages is required: a list with at least one message", param="messages")
    if len(asked) > MESSAGES_MAX:
        raise InvalidRequest(f"messages has at most {MESSAGES_MAX} members", param="messages")
    opening = _Opening(parts)
    found: list[JSON] = []
    moved: list[JSON] = []
    for index, message in enumerate(asked):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequest(f"messages[{index}] is an object with a role", param=f"messages[{index}]")
        message = await opening.opened(message)
        if message["role"] == "assistant":
            message, images = _parted(message)
            moved += images
        elif message["role"] == "user" and moved:
            message = _with(message, moved)
            moved = []
        found.append(message)
    if moved:
        found.append({"role": "user", "content": moved})
    return found


class _Opening:
    """Opens the gateway's own URLs, each once."""

    def __init__(self, parts: ImageParts) -> None:
        self._parts = parts
        self._found: dict[str, str] = {}

    async def opened(self, message: JSONObject) -> JSONObject:
        """The message with the gateway's own pictures inline."""
        changed = dict(message)
        for name in ("content", "images"):
            parts = message.get(name)
            if isinstance(parts, list):
                changed[name] = [await self._part(part) for part in parts]
        return changed

    async def _part(self, part: JSON) -> JSON:
        if not isinstance(part, dict) or part.get("type") != _IMAGE:
            return part
        image = part.get(_IMAGE)
        url = image.get("url") if isinstance(image, dict) else image
        if not isinstance(url, str):
            return part
        inline = await self._inline(url)
        if inline == url:
            return part
        rest: JSONObject = image if isinstance(image, dict) else {}
        return {**part, _IMAGE: {**rest, "url": inline}}

    async def _inline(self, url: str) -> str:
        found = self._found.get(url)
        if found is not None:
            return found
        own = await own_object(self._parts, url) if not url.startswith("data:") else None
        if own is None:
            return url
        if len(self._found) >= OPENED_MAX:
            raise InvalidRequest(
                f"at most {OPENED_MAX} images of a conversation are opened for a turn", param="messages"
            )
        inline = f"data:{own.media_type};base64,{base64.b64encode(own.data).decode('ascii')}"
        self._found[url] = inline
        return inline


def _parted(message: JSONObject) -> tuple[JSONObject, list[JSON]]:
    """An assistant's turn without its pictures, and those."""
    images: list[JSON] = []
    words: list[JSON] = []
    content = message.get("content")
    for part in content if isinstance(content, list) else []:
        (images if isinstance(part, dict) and part.get("type") == _IMAGE else words).append(part)
    drawn = message.get("images")
    images += drawn if isinstance(drawn, list) else []
    if not images:
        return message, []
    rest = {name: value for name, value in message.items() if name != "images"}
    if isinstance(content, list):
        rest["content"] = words or ""
    return rest, images


def _with(message: JSONObject, images: list[JSON]) -> JSONObject:
    """A user's turn with pictures before its words."""
    content = message.get("content")
    words: list[JSON] = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    return {**message, "content": [*images, *words]}
