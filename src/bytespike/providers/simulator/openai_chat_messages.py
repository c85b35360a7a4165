"""OpenAI Chat Completions: what each message must look like, what it costs, and the rules between messages.

From the SDK's `chat_completion_*_param.py` types, and the errors that the API gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON
from bytespike.providers.simulator import tokens
from bytespike.providers.simulator.checks import Node
from bytespike.providers.simulator.openai_words import (
    DETAILS,
    check_base64,
    empty_array,
    image_type,
    keep_s,
    refuse,
    spelt,
    too_long,
)
from bytespike.providers.simulator.prefix_cache import Segment
from bytespike.providers.simulator.prompt import Document, Line, Result, Speaker

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
CALL_ID_CHARS_MAX = 40
_PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": ("text",),
}

_SPEAKERS: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "answer",
    "tool": "result",
    "function": "result",
}


class Part(Struct, frozen=True):
    """A checked content part, or tool call. `source` is what was sent; `keep_s` what its cache breakpoint asks for;
    `image` a media type, "" for none."""

    source: JSON
    tokens: int
    keep_s: float | None = None
    text: str = ""
    image: str = ""
    document: Document | None = None

    def segment(self) -> Segment:
        """The part as the prompt cache sees it: all of it but the mark."""
        source = self.source
        if isinstance(source, dict):
            source = {name: value for name, value in source.items() if name != "prompt_cache_breakpoint"}
        return Segment(msgspec.json.encode(source), self.tokens, self.keep_s)


class Message(Struct, frozen=True):
    """A checked message. `calls` are the tool calls of an assistant's, as (id, name); `answers` a tool message's."""

    role: str
    parts: tuple[Part, ...]
    calls: tuple[tuple[str, str], ...] = ()
    answers: str = ""

    @property
    def text(self) -> str:
        return " ".join(part.text for part in self.parts if part.text)


def read_messages(node: Node) -> list[Message]:
    """The checked `messages` of a request. Raises `Problem`, `Fault`."""
    if not node.array("messages"):
        raise empty_array("messages")
    messages = [_message(message) for message in node.objects("messages")]
    _check_calls(messages)
    return messages


def latest(messages: Sequence[Message]) -> list[Message]:
    """What has been sent since the last answer."""
    found: list[Message] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        found.append(message)
    return found[::-1]


def results(messages: Sequence[Message]) -> tuple[Result, ...]:
    """What tools gave back since the last answer."""
    names = {call: name for message in messages for call, name in message.calls}
    return tuple(
        Result(names.get(message.answers, message.answers), message.text)
        for message in latest(messages)
        if message.role in ("tool", "function")
    )


def history(messages: Sequence[Message]) -> tuple[Line, ...]:
    """Who said what, in order."""
    return tuple(Line(_SPEAKERS[message.role], message.text) for message in messages)


def _message(node: Node) -> Message:
    role = node.one_of("role", ROLES)
    node.optional_text("name")
    calls: list[tuple[str, str]] = []
    extra: list[Part] = []
    answers = ""
    match role:
        case "assistant":
            for call in node.optional_objects("tool_calls"):
                named, part = _tool_call(call)
                calls.append(named)
                extra.append(part)
            refusal = node.optional_text("refusal")
            if refusal:
                extra.append(_text_part(refusal, None))
            if not (
                node.has("content") or calls or refusal or node.has("function_call") or node.has("audio")
            ):
                where = spelt((*node.path, "content"))
                raise refuse("Invalid value for 'content': expected a string, got null.", where)
        case "tool":
            answers = node.text("tool_call_id")
        case "function":
            answers = node.text("name")
        case _:
            pass
    return Message(role, (*_content(node, role), *extra), tuple(calls), answers)


def _tool_call(node: Node) -> tuple[tuple[str, str], Part]:
    call = node.text("id")
    if len(call) > CALL_ID_CHARS_MAX:
        raise too_long(spelt((*node.path, "id")), "string", CALL_ID_CHARS_MAX, len(call))
    kind = node.one_of("type", ("function", "custom"))
    inner = node.object(kind)
    name = inner.text("name")
    said = inner.text("arguments" if kind == "function" else "input")
    size = tokens.count(name) + tokens.count(said)
    return (call, name), Part([name, said], size)


def _content(node: Node, role: str) -> list[Part]:
    content = node.value.get("content")
    if content is None and role in ("assistant", "function"):
        return []
    if isinstance(node.required("content"), str):
        return [_text_part(node.text("content"), None)]
    if not node.array("content"):
        raise empty_array(spelt((*node.path, "content")))
    return [_part(part, role) for part in node.objects("content")]


def _text_part(text: str, keep_s: float | None) -> Part:
    return Part(text, tokens.count(text), keep_s, text)


def _part(node: Node, role: str) -> Part:
    kind = node.one_of("type", _PARTS[role])
    kept_s = keep_s(node)
    match kind:
        case "text":
            return _text_part(node.text("text"), kept_s)
        case "refusal":
            return _text_part(node.text("refusal"), kept_s)
        case "image_url":
            image = node.object("image_url")
            image.optional_one_of("detail", DETAILS)
            media_type = image_type(image.text("url"), spelt((*image.path, "url")))
            return Part(node.value, tokens.IMAGE_TOKENS, kept_s, image=media_type)
        case "input_audio":
            audio = node.object("input_audio")
            audio.one_of("format", ("wav", "mp3"))
            check_base64(audio.text("data"), spelt((*audio.path, "data")))
            return Part(node.value, tokens.AUDIO_TOKENS, kept_s)
        case _:
            file = node.object("file")
            if file.has("file_data"):
                data = file.text("file_data")
                check_base64(data.partition(";base64,")[2] or data, spelt((*file.path, "file_data")))
            elif not file.has("file_id"):
                file.fail("missing", "file_data")
            document = Document(title=file.optional_text("filename"))
            return Part(node.value, tokens.DOCUMENT_TOKENS, kept_s, document=document)


def _check_calls(messages: Sequence[Message]) -> None:
    """Tool messages follow the calls that they answer, and every call is answered before anything else is said."""
    waiting: dict[str, str] = {}
    answerable: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if not answerable:
                raise refuse(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{index}].role",
                )
            if message.answers not in answerable:
                raise refuse(
                    f"Invalid parameter: 'tool_call_id' of '{message.answers}' not found in 'tool_calls' of previous "
                    "message.",
                    f"messages.[{index}].tool_call_id",
                )
            waiting.pop(message.answers, None)
            continue
        _check_answered(waiting, index)
        waiting = dict(message.calls)
        answerable = set(waiting)
    _check_answered(waiting, len(messages))


def _check_answered(waiting: dict[str, str], index: int) -> None:
    if waiting:
        raise refuse(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            f"messages.[{index}].role",
        )
