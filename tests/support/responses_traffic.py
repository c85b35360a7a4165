"""The recorded Responses traffic, and what "the same" means for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Reply, Target
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import Candidate, ChatResponse

ROOT = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[3] / "shared" / "traffic")

EVERYTHING = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
REPLY = Reply(model="the-clients-name", response_id="01JABCDEFGHJKMNPQRSTVWXYZ0", created=1_700_000_000)

#: responses-only folders whose files are answers of this dialect.
_ANSWER_FOLDERS = ("azure", "open-responses-responses", "openai-responses", "xai-responses")
#: Members that tie a request to what one account keeps: refused, see the golden rows.
_KEPT_ELSEWHERE = ("background", "conversation", "previous_response_id", "prompt")


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
        return self.name.split("/")[-2].removesuffix("-responses")

    @property
    def kept_elsewhere(self) -> bool:
        """Whether the request names something that only one account of OpenAI's has."""
        told = json.loads(self.request or b"{}")
        return any(told.get(name) for name in _KEPT_ELSEWHERE)


def present() -> bool:
    return ROOT.is_dir()


def exchanges() -> list[Exchange]:
    """Every exchange, and every answer that came without its request."""
    if not present():
        return []
    return [*_whole(), *_answers_only()]


def _whole() -> Iterator[Exchange]:
    for path in sorted([*ROOT.glob("*-responses/*.json"), *ROOT.glob("streams/*-responses/*.json")]):
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
                lines = [line for line in data.split(b"\n") if line.strip()]
                for number, streamed in enumerate(_responses(lines)):
                    stream = b"".join(_framed(line) for line in streamed)
                    yield Exchange(f"{name}#{number}" if number else name, 200, None, None, stream, {})
            else:
                told = json.loads(data)
                status = 200 if "output" in told else 429
                yield Exchange(name, status, None, data, None, {})


def _responses(lines: list[bytes]) -> list[list[bytes]]:
    """Some files hold several streams, one after the other."""
    starts = [at for at, line in enumerate(lines) if b'"response.created"' in line and at]
    return [lines[start:end] for start, end in zip([0, *starts], [*starts, len(lines)], strict=True)]


def _framed(line: bytes) -> bytes:
    try:
        name = json.loads(line)["type"].encode()
    except ValueError:
        # A line of one fixture is cut off.
        return b"data: " + line + b"\n\n"
    return b"event: " + name + b"\ndata: " + line + b"\n\n"


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frames(stream: bytes) -> list[bytes]:
    """The stream cut after each event."""
    pieces = stream.split(b"\n\n")
    whole = [piece + b"\n\n" for piece in pieces[:-1]]
    return [*whole, pieces[-1]] if pieces[-1] else whole


def data_of(frame: bytes) -> dict[str, Any]:
    return json.loads(frame.partition(b"data: ")[2])


def target_for(request: bytes) -> Target:
    """A target that takes everything this request uses."""
    model = json.loads(request)["model"]
    quirks = frozenset({"no_encrypted_reasoning"})
    return Target(model=model, capabilities=EVERYTHING, max_output_tokens=1 << 40, quirks=quirks)


# --- what counts as the same -----------------------------------------------------------------------------------


def same_request(body: bytes) -> Any:
    """A request without the differences that mean nothing: null members, a text as a string or as one part, a message
    without its type, `stream: false`, `detail: auto`, an empty list, the default of `store` written out, tools that an
    item of the input adds, and arguments of a call that are empty."""
    told = _without_nulls(json.loads(body))
    if not told.get("stream"):
        told.pop("stream", None)
    told["store"] = bool(told.get("store"))
    if told.get("reasoning") == {}:
        del told["reasoning"]
    for key in ("include", "tools"):
        if told.get(key) == []:
            del told[key]
    if isinstance(told.get("input"), str):
        told["input"] = [{"role": "user", "content": told["input"]}]
    tools = told.get("tools", [])
    for item in told["input"]:
        if item.get("type") == "additional_tools":
            tools = [*tools, *item["tools"]]
    if tools:
        told["tools"] = [_same_tool(tool) for tool in tools]
    told["input"] = [_same_item(item) for item in told["input"] if item.get("type") != "additional_tools"]
    choice = told.get("tool_choice")
    if isinstance(choice, dict) and "mode" in choice:
        choice.setdefault("type", "allowed_tools")
    return told


def _same_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("filters") == {}:
        del tool["filters"]
    return tool


def _same_item(item: dict[str, Any]) -> dict[str, Any]:
    item.pop("logprobs", None)
    if "role" in item:
        item.setdefault("type", "message")
    if item.get("status") == "completed":
        del item["status"]
    for key in ("content", "output"):
        parts = item.get(key)
        if isinstance(parts, list):
            item[key] = [_same_part(part) for part in parts]
            if len(parts) == 1 and item[key][0].keys() == {"type", "text"}:
                item[key] = item[key][0]["text"]
    return item


def _same_part(part: dict[str, Any]) -> dict[str, Any]:
    part.pop("logprobs", None)
    if part.get("annotations") == []:
        del part["annotations"]
    if part.get("detail") == "auto":
        del part["detail"]
    return part


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    return value


def same_response(response: ChatResponse) -> ChatResponse:
    """An answer in the hub's terms without its own ids, and without what readers put aside."""
    return ChatResponse(
        id="",
        model="",
        candidates=tuple(
            Candidate(
                tuple(_plain(part) for part in candidate.parts),
                structs.replace(candidate.finish, extras=NO_EXTRAS),
                candidate.logprobs,
            )
            for candidate in response.candidates
        ),
        usage=structs.replace(response.usage, extras=NO_EXTRAS),
    )


def _plain(part: c.Part) -> c.Part:
    if isinstance(part, c.ForeignPart):
        return part
    if isinstance(part, c.TextPart):
        citations = tuple(structs.replace(citation, extras=NO_EXTRAS) for citation in part.citations)
        part = structs.replace(part, citations=citations)
    if isinstance(part, c.ToolCallPart) and not part.arguments:
        part = structs.replace(part, arguments="{}")
    if isinstance(part, c.ReasoningPart):
        part = structs.replace(part, id=None)
    return structs.replace(part, extras=NO_EXTRAS)
