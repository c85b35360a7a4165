"""An assistant's message, read: of a client's history, or of an upstream's answer.

Chat has no order between the members of a message, so there is one canonical order of its parts:

    reasoning, provider-side tool calls and results, text and refusals, audio, images, tool calls

It is the order in which a model produces them in the plain case, and one that every provider accepts in a history. What
was interleaved differently before it became a chat message comes back in this order; nothing else is lost by it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import structs

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    FileSource,
    ImagePart,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.inline_media import located
from bytespike.protocols.openai_chat.citations import attach, read_citations
from bytespike.protocols.openai_chat.content_in import read_content
from bytespike.protocols.openai_chat.names import NAME, aside
from bytespike.protocols.openai_chat.reasoning import GEMINI, read_reasoning
from bytespike.protocols.openai_chat.server_tools import read_server_tools
from bytespike.wire import fields as f
from bytespike.wire import json

_KNOWN: Final = frozenset(
    {
        "role", "content", "refusal", "name", "audio", "tool_calls", "function_call", "annotations",
        "citation_details", "reasoning", "reasoning_content", "reasoning_details", "server_tool_calls",
        "executed_tools", "images", "extra_content", "thought_signature",
    }
)  # fmt: skip
_PLAIN: Final = frozenset({"role", "content", "name", "tool_calls"})
_NOTHING: Final[tuple[JSON, ...]] = (None, [], "")
_CALLS: Final = frozenset({"tool_calls", "function_call"})
_CALL_MEMBERS: Final = frozenset({"id", "type", "function", "custom", "extra_content"})
_AUDIO_MEMBERS: Final = frozenset({"data"})


class Message(NamedTuple):
    """The parts, in canonical order, and the members that the hub does not know."""

    parts: tuple[Part, ...]
    unknown: JSONObject


def read_message(message: JSONObject, id_prefix: str, *, answer: bool = False) -> Message:
    """Read an assistant's message. Raises `Wrong`.

    `id_prefix`: what the id of a call without one begins with. `answer`: an upstream's, in which empty content means
    nothing; in a history the difference between "", [] and null is kept.
    """
    content = message.get("content")
    if message.keys() <= _PLAIN or _is_plain(message):
        parts = _content(content)
        unknown: JSONObject = {}
    else:
        parts, unknown = _all_members(message, content, id_prefix)
    if not _CALLS.isdisjoint(message):
        calls = f.optional_array(message, "tool_calls")
        if calls:
            parts.extend(read_calls(calls, id_prefix))
        legacy = f.optional_object(message, "function_call")
        if legacy is not None:
            parts.append(read_legacy_call(legacy, id_prefix))
    if not answer and content in ("", []):
        unknown = {**unknown, "_content": content}
    return Message(tuple(parts), unknown)


def _is_plain(message: JSONObject) -> bool:
    """Whether what the message has besides says nothing: OpenAI sends `"refusal": null, "annotations": []` each time."""
    others = message.keys() - _PLAIN
    return others <= _KNOWN and all(message[name] in _NOTHING for name in others)


def _content(content: JSON) -> list[Part]:
    if content is None or content == "":
        return []
    parts = read_content(content)
    return parts if isinstance(content, str) else [part for part in parts if part != TextPart("")]


def _all_members(message: JSONObject, content: JSON, id_prefix: str) -> tuple[list[Part], JSONObject]:
    written = _content(content)
    # Mistral puts thinking among the content parts.
    parts = [*read_reasoning(message), *(part for part in written if isinstance(part, ReasoningPart))]
    signature = google_signature(message) or f.optional_text(message, "thought_signature")
    if signature:
        parts.append(ReasoningPart(proof=Proof(GEMINI, signature)))
    parts.extend(read_server_tools(message, id_prefix))
    placed, foreign = read_citations(message)
    spoken = [part for part in written if not isinstance(part, ReasoningPart)]
    texts = [part for part in spoken if isinstance(part, TextPart)]
    if placed:
        parts.extend(attach(texts, placed))
        parts.extend(part for part in spoken if not isinstance(part, TextPart))
    else:
        parts.extend(spoken)
    refusal = f.optional_text(message, "refusal")
    if refusal:
        parts.append(RefusalPart(refusal))
    parts.extend(foreign)
    audio = f.optional_object(message, "audio")
    if audio is not None:
        parts.append(read_audio(audio))
    parts.extend(read_images(message))
    return parts, f.rest(message, _KNOWN)


def google_signature(member: JSONObject) -> str | None:
    """Gemini's OpenAI-compatible API: `extra_content.google.thought_signature` on a message or a tool call."""
    google = (f.optional_object(member, "extra_content") or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None


def read_audio(audio: JSONObject) -> AudioPart:
    """Audio that the model spoke: bytes and transcript in an answer, only the id in a history. Raises `Wrong`."""
    kept = aside(f.rest(audio, _AUDIO_MEMBERS))
    data = f.optional_text(audio, "data")
    if data is not None:
        return AudioPart(Base64Source("", data), "", extras=kept)
    return AudioPart(FileSource(f.text(audio, "id"), NAME), "")


def read_images(message: JSONObject) -> list[ImagePart]:
    """Images that the model drew, as OpenRouter gives them: `images: [{"type": "image_url", "image_url": {"url"}}]`."""
    values = f.optional_array(message, "images")
    images: list[ImagePart] = []
    for index, image in enumerate(f.objects(values, "images") if values else []):
        try:
            url = f.text(f.object_at(image, "image_url"), "url")
            images.append(ImagePart(located(url, "url")))
        except f.Wrong as wrong:
            raise wrong.under("images", index, "image_url") from None
    return images


def read_calls(calls: list[JSON], id_prefix: str) -> list[Part]:
    """The `tool_calls` of a message. Raises `Wrong`."""
    parts: list[Part] = []
    for index, call in enumerate(f.objects(calls, "tool_calls")):
        try:
            parts.append(_call(call, f"{id_prefix}{index}"))
        except f.Wrong as wrong:
            raise wrong.under("tool_calls", index) from None
    return parts


def _call(call: JSONObject, fallback_id: str) -> ToolCallPart:
    # Gemini's compatible API sends "", Mistral may leave the type out.
    call_id = f.optional_text(call, "id") or fallback_id
    custom = call.get("type") == "custom" or ("custom" in call and "function" not in call)
    member = "custom" if custom else "function"
    inner = f.object_at(call, member)
    try:
        name = f.some_text(inner, "name")
        arguments = f.optional_text(inner, "input") if custom else arguments_of(inner)
    except f.Wrong as wrong:
        raise wrong.under(member) from None
    signature = google_signature(call)
    part = ToolCallPart(
        call_id,
        name,
        arguments or "",
        "custom" if custom else "function",
        Proof(GEMINI, signature) if signature else None,
    )
    kept = f.rest(call, _CALL_MEMBERS)
    if "index" in kept:
        # Of a stream; Mistral and Zhipu also send it in whole answers, and their clients send it back.
        kept["_index"] = kept.pop("index")
    return structs.replace(part, extras=aside(kept)) if kept else part


def arguments_of(function: JSONObject) -> str:
    """The arguments' JSON text; some vendors send the object itself. Raises `Wrong`."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return json.encode(arguments).decode()
    return f.optional_text(function, "arguments") or ""


def read_legacy_call(call: JSONObject, id_prefix: str) -> ToolCallPart:
    """The deprecated `function_call`. Raises `Wrong`."""
    try:
        return ToolCallPart(
            f"{id_prefix}function",
            f.some_text(call, "name"),
            arguments_of(call),
            extras=aside({"_legacy": True}),
        )
    except f.Wrong as wrong:
        raise wrong.under("function_call") from None
