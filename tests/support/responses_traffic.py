"""The recorded Responses traffic, and what "the same" means for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Reply, Target
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import ChatResponse
from tests.support import recordings
from tests.support.recordings import ROOT, exchange_at, name_of, present, same_but_parts, without_nulls

EVERYTHING = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
REPLY = Reply(model="the-clients-name", response_id="01JABCDEFGHJKMNPQRSTVWXYZ0", created=1_700_000_000)

#: responses-only folders whose files are answers of this dialect.
_ANSWER_FOLDERS = ("azure", "open-responses-responses", "openai-responses", "xai-responses")
#: Members that tie a request to what one account keeps: refused, see the golden rows.
_KEPT_ELSEWHERE = ("background", "conversation", "previous_response_id", "prompt")


class Exchange(recordings.Exchange):
    """One recorded exchange of this dialect."""

    @property
    def kept_elsewhere(self) -> bool:
        """Whether the request names something that only one account of OpenAI's has."""
        told = json.loads(self.request or b"{}")
        return any(told.get(name) for name in _KEPT_ELSEWHERE)


def exchanges() -> list[Exchange]:
    """Every exchange, and every answer that came without its request."""
    if not present():
        return []
    paths = sorted([*ROOT.glob("*-responses/*.json"), *ROOT.glob("streams/*-responses/*.json")])
    return [*(exchange_at(path, Exchange) for path in paths), *_answers_only()]


def _answers_only() -> Iterator[Exchange]:
    for folder in _ANSWER_FOLDERS:
        for path in sorted((ROOT / "responses-only" / folder).glob("*")):
            data = path.read_bytes()
            name = name_of(path)
            if path.name.endswith(".chunks.txt"):
                lines = [line for line in data.split(b"\n") if line.strip()]
                for number, streamed in enumerate(_responses(lines)):
                    stream = b"".join(_framed(line) for line in streamed)
                    yield Exchange(f"{name}#{number}" if number else name, stream=stream)
            else:
                told = json.loads(data)
                status = 200 if "output" in told else 429
                yield Exchange(name, status, answer=data)


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
    told = without_nulls(json.loads(body))
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


def same_response(response: ChatResponse) -> ChatResponse:
    """An answer in the hub's terms without its own ids, and without what readers put aside."""
    return same_but_parts(response, lambda parts: map(_plain, parts))


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
