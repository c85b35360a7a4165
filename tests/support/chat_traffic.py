"""The recorded chat traffic, and what "the same" means for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Reply, Target
from bytespike.core.finish import Finish
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import ChatResponse
from tests.support.recordings import (
    ROOT,
    Exchange,
    exchange_at,
    name_of,
    present,
    same_but_parts,
    without_nulls,
)

EVERYTHING = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
REPLY = Reply(model="the-clients-name", response_id="chatcmpl-fallback", created=1_700_000_000)

#: responses-only folders whose files are chat answers.
_ANSWER_FOLDERS = (
    "alibaba", "azure", "deepseek-chat", "groq", "mistral", "moonshotai", "openai-chat", "openai-compatible-chat", "xai",
)  # fmt: skip


def exchanges() -> list[Exchange]:
    """Every chat exchange, and every chat answer that came without its request."""
    if not present():
        return []
    paths = sorted([*ROOT.glob("*-chat/*.json"), *ROOT.glob("streams/*-chat/*.json")])
    return [*(exchange_at(path, Exchange) for path in paths), *_answers_only()]


def _answers_only() -> Iterator[Exchange]:
    for folder in _ANSWER_FOLDERS:
        for path in sorted((ROOT / "responses-only" / folder).glob("*")):
            data = path.read_bytes()
            name = name_of(path)
            if path.name.endswith(".chunks.txt"):
                lines = [line for line in data.splitlines() if line.strip()]
                if b'"choices"' in lines[0]:
                    stream = b"".join(b"data: " + line + b"\n\n" for line in lines)
                    yield Exchange(name, stream=stream)
            elif isinstance(told := json.loads(data), dict) and "choices" in told:
                yield Exchange(name, answer=data)


def target_for(request: bytes) -> Target:
    """A target that takes everything this request uses, in the spelling that it uses."""
    quirks = {"file_urls", "top_k"}
    if b'"reasoning_content"' in request:
        quirks.add("reasoning_content")
    if b'"reasoning_details"' in request:
        quirks.add("reasoning_details")
    model = json.loads(request)["model"]
    return Target(model=model, capabilities=EVERYTHING, max_output_tokens=1 << 40, quirks=frozenset(quirks))


# --- what counts as the same -----------------------------------------------------------------------------------


def same_request(body: bytes) -> Any:
    """A request without the differences that mean nothing: null members, one text part instead of a string, `n: 1`,
    `stream: false`, one stop sequence as a string, "any" for "required", empty arguments, and usage in the stream, which is
    always asked for."""
    told = without_nulls(json.loads(body))
    if told.get("n") == 1:
        del told["n"]
    if not told.get("stream"):
        told.pop("stream", None)
    else:
        told["stream_options"] = {**told.get("stream_options", {}), "include_usage": True}
    if isinstance(told.get("stop"), str):
        told["stop"] = [told["stop"]]
    if told.get("tool_choice") == "any":
        told["tool_choice"] = "required"
    for tool in told.get("tools", []):
        if "function" in tool:
            tool.setdefault("type", "function")
    for message in told["messages"]:
        _same_message(message)
    return told


def _same_message(message: dict[str, Any]) -> None:
    match message.get("content"):
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            message["content"] = text
        case "" if "tool_calls" in message:
            del message["content"]
        case _:
            pass
    if message.get("reasoning_content") == "":
        del message["reasoning_content"]
    for call in message.get("tool_calls", []):
        call.setdefault("type", "function")
        if "function" in call and not call["function"].get("arguments"):
            call["function"]["arguments"] = "{}"


#: The canonical order of an answer's parts (NOTES.md).
_ORDER: tuple[type, ...] = (
    c.ReasoningPart,
    c.ServerToolCallPart,
    c.ServerToolResultPart,
    c.TextPart,
    c.RefusalPart,
    c.ForeignPart,
    c.AudioPart,
    c.ImagePart,
    c.ToolCallPart,
)


def same_response(response: ChatResponse) -> ChatResponse:
    """An answer in the hub's terms without the differences that chat cannot say: in canonical order, texts joined,
    without ids of the answer itself, extras, and empty arguments spelt out."""
    return same_but_parts(response, _same_parts)


def _same_parts(parts: Iterable[c.Part]) -> list[c.Part]:
    found: list[c.Part] = []
    for part in sorted(parts, key=_rank):
        if isinstance(part, c.TextPart):
            last = found[-1] if found else None
            if isinstance(last, c.TextPart):
                found[-1] = join_texts(last, part)
                continue
        if isinstance(part, c.ToolCallPart) and not part.arguments:
            part = structs.replace(part, arguments="{}")
        if not isinstance(part, c.ForeignPart):
            part = structs.replace(part, extras=NO_EXTRAS)
        found.append(part)
    return [_web_first(part) for part in found if part != c.TextPart("")]


def _web_first(part: c.Part) -> c.Part:
    """Citations of the web and of documents travel in two lists."""
    if not isinstance(part, c.TextPart):
        return part
    citations = sorted(part.citations, key=lambda citation: citation.kind != "web")
    return structs.replace(part, citations=tuple(citations))


def _rank(part: c.Part) -> int:
    # A result stays with its call.
    kind = c.ServerToolCallPart if isinstance(part, c.ServerToolResultPart) else type(part)
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def join_texts(first: c.TextPart, second: c.TextPart) -> c.TextPart:
    """Two texts as one: the second's offsets move. A citation without offsets keeps none."""
    shift = len(first.text)
    moved = [
        structs.replace(
            citation,
            start=citation.start + shift,
            end=None if citation.end is None else citation.end + shift,
        )
        if citation.kind == "web" and citation.start is not None
        else citation
        for citation in second.citations
    ]
    return c.TextPart(first.text + second.text, (*first.citations, *moved))


def finish_only(finish: Finish) -> Finish:
    return structs.replace(finish, extras=NO_EXTRAS)
