"""The recorded chat traffic, and what "the same" means for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Reply, Target
from bytespike.core.finish import Finish
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import Candidate, ChatResponse

ROOT = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[3] / "shared" / "traffic")

EVERYTHING = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
REPLY = Reply(model="the-clients-name", response_id="chatcmpl-fallback", created=1_700_000_000)

#: responses-only folders whose files are chat answers.
_ANSWER_FOLDERS = (
    "alibaba", "azure", "deepseek-chat", "groq", "mistral", "moonshotai", "openai-chat", "openai-compatible-chat", "xai",
)  # fmt: skip


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange. `request`, `answer`: JSON bytes; `stream`: raw SSE; as far as there are any."""

    name: str
    status: int
    request: bytes | None
    answer: bytes | None
    stream: bytes | None
    headers: dict[str, str]

    @property
    def vendor(self) -> str:
        folder = self.name.split("/")[-2]
        return folder.removesuffix("-chat")


def present() -> bool:
    return ROOT.is_dir()


def exchanges() -> list[Exchange]:
    """Every chat exchange, and every chat answer that came without its request."""
    if not present():
        return []
    return [*_whole(), *_answers_only()]


def _whole() -> Iterator[Exchange]:
    for path in sorted([*ROOT.glob("*-chat/*.json"), *ROOT.glob("streams/*-chat/*.json")]):
        told: dict[str, Any] = json.loads(path.read_bytes())
        request, answer, stream = told.get("request"), told.get("response"), told.get("response_stream")
        yield Exchange(
            name=str(path.relative_to(ROOT)),
            status=told["status"],
            request=_encode(request) if isinstance(request, dict) else None,
            answer=_encode(answer) if answer is not None and stream is None else None,
            stream=stream.encode() if stream is not None else None,
            headers=told.get("response_headers") or {},
        )


def _answers_only() -> Iterator[Exchange]:
    for folder in _ANSWER_FOLDERS:
        for path in sorted((ROOT / "responses-only" / folder).glob("*")):
            data = path.read_bytes()
            name = str(path.relative_to(ROOT))
            if path.name.endswith(".chunks.txt"):
                lines = [line for line in data.splitlines() if line.strip()]
                if b'"choices"' in lines[0]:
                    stream = b"".join(b"data: " + line + b"\n\n" for line in lines)
                    yield Exchange(name, 200, None, None, stream, {})
            elif isinstance(told := json.loads(data), dict) and "choices" in told:
                yield Exchange(name, 200, None, data, None, {})


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frames(stream: bytes) -> list[bytes]:
    """The stream cut after each event."""
    pieces = stream.split(b"\n\n")
    whole = [piece + b"\n\n" for piece in pieces[:-1]]
    return [*whole, pieces[-1]] if pieces[-1] else whole


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
    told = _without_nulls(json.loads(body))
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


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    return value


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
    return ChatResponse(
        id="",
        model="",
        candidates=tuple(
            Candidate(
                tuple(_same_parts(candidate.parts)),
                structs.replace(candidate.finish, extras=NO_EXTRAS),
                candidate.logprobs,
            )
            for candidate in response.candidates
        ),
        usage=structs.replace(response.usage, extras=NO_EXTRAS),
    )


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
