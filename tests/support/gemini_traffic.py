"""The recorded Gemini traffic, and what "the same" means for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Reply, Target
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import ChatResponse
from tests.support import recordings
from tests.support.chat_traffic import join_texts
from tests.support.recordings import ROOT, exchange_at, name_of, present, same_but_parts

#: What no model of the older generation lacks: budgets of thinking, no stand-in signatures.
OLDER = frozenset(
    {"vision", "documents", "audio", "tools", "thinking", "thinking_budget", "json_schema", "web_search", "logprobs"}
)  # fmt: skip
NEWER = (OLDER - {"thinking_budget"}) | {"effort"}
REPLY = Reply(model="the-clients-name", response_id="01JABCDEFGHJKMNPQRSTVWXYZ0", created=1_700_000_000)
ARRAY_REPLY = structs.replace(REPLY, array=True)


@dataclass(frozen=True)
class Exchange(recordings.Exchange):
    """One recorded exchange of this dialect, and the model that its path names; "" where there was no path."""

    model: str = ""


def exchanges() -> list[Exchange]:
    """Every exchange of generateContent, and every answer that came without its request."""
    if not present():
        return []
    found = [_exchange(path) for path in _paths("gemini-gemini/*.json", "streams/gemini-gemini/*.json")]
    for path in _paths("responses-only/google/*"):
        data = path.read_bytes()
        name = name_of(path)
        if path.name.endswith(".chunks.txt"):
            lines = [line for line in data.splitlines() if line.strip()]
            stream = b"".join(b"data: " + line + b"\n\n" for line in lines)
            found.append(Exchange(name, stream=stream))
        else:
            status = json.loads(data).get("error", {}).get("code", 200)
            found.append(Exchange(name, status, answer=data))
    return found


def counts() -> list[Exchange]:
    """Every exchange of countTokens."""
    return [_exchange(path) for path in _paths("gemini-count_tokens/*.json")] if present() else []


def _paths(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _exchange(path: Path) -> Exchange:
    found = exchange_at(path, Exchange)
    stream = found.stream
    if stream is not None and stream.startswith(b'{"b64"'):
        stream = base64.b64decode(json.loads(stream)["b64"])
    model = json.loads(path.read_bytes())["path"].rpartition("/")[2].partition(":")[0]
    return replace(found, stream=stream, model=model)


def frames(stream: bytes) -> list[bytes]:
    """The events of a stream, each with its empty line."""
    pieces = stream.replace(b"\r\n", b"\n").split(b"\n\n")
    return [piece + b"\n\n" for piece in pieces if piece.strip()]


def chunks(stream: bytes) -> list[Any]:
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames(stream)]


def as_array(stream: bytes) -> bytes:
    """The same stream in the form without `alt=sse`, spaced as the service does it."""
    bodies = [json.dumps(chunk, ensure_ascii=False, indent=2).encode() for chunk in chunks(stream)]
    return b"[" + b"\n,\r\n".join(bodies) + b"\n]\n"


def target_for(model: str) -> Target:
    """A target that takes everything this model takes, without stand-ins that the client had not sent."""
    newer = "gemini-3" in model
    return Target(model or "gemini-2.5-flash", "gemini", NEWER if newer else OLDER, 1 << 30)


# --- what counts as the same -----------------------------------------------------------------------------------

_MADE_ID = re.compile(r"call_\d+_\d+")
_SNAKES = {
    "parameters_json_schema": "parametersJsonSchema",
    "thinking_budget": "thinkingBudget",
    "inline_data": "inlineData",
    "file_data": "fileData",
    "mime_type": "mimeType",
    "file_uri": "fileUri",
    "tool_type": "toolType",
}


def same_request(body: bytes) -> Any:
    """A request without the differences that mean nothing: spelling of names, an empty configuration, a signature that
    stands in for one that nobody sent, ids that the gateway
    made, contents that hold nothing, and contents of the model in a row."""
    told = _spelt(json.loads(body))
    if not told.get("generationConfig"):
        told.pop("generationConfig", None)
    told["contents"] = [content for content in told["contents"] if content.get("parts")]
    for content in told["contents"]:
        content["parts"] = [_same_part(part) for part in content["parts"]]
    merged: list[dict[str, Any]] = []
    for content in told["contents"]:
        if merged and content["role"] == merged[-1]["role"] == "model":
            merged[-1] = {"role": "model", "parts": [*merged[-1]["parts"], *content["parts"]]}
        else:
            merged.append(content)
    told["contents"] = merged
    # Declarations of several tools may come together.
    told["tools"] = _split_tools(told.get("tools", []))
    return told


def _split_tools(tools: list[dict[str, Any]]) -> list[Any]:
    declared = [entry for tool in tools for entry in tool.get("functionDeclarations", [])]
    others = [
        {kind: value} for tool in tools for kind, value in tool.items() if kind != "functionDeclarations"
    ]
    return [*declared, *others]


def _same_part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("thoughtSignature") == "skip_thought_signature_validator":
        part = {key: value for key, value in part.items() if key != "thoughtSignature"}
    for name in ("functionCall", "functionResponse"):
        # The gateway names calls that had no name.
        if _MADE_ID.fullmatch(str(part.get(name, {}).get("id"))):
            part = {**part, name: {key: value for key, value in part[name].items() if key != "id"}}
    return part


def _spelt(value: Any) -> Any:
    if isinstance(value, dict):
        return {_SNAKES.get(key, key): _spelt(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_spelt(member) for member in value]
    return value


def same_response(response: ChatResponse) -> ChatResponse:
    """An answer in the hub's terms without the differences that a stream cannot say: adjacent texts and adjacent unsigned
    thoughts are one, empty ones none, and extras are left aside."""
    return same_but_parts(response, _same_parts)


def _same_parts(parts: Iterable[c.Part]) -> list[c.Part]:
    found: list[c.Part] = []
    signatures: list[c.Part] = []
    for part in parts:
        if (
            isinstance(part, c.ReasoningPart)
            and not part.text
            and part.proof
            and part.proof.origin == "gemini"
        ):
            # A signature of text may stand on either side of it.
            signatures.append(structs.replace(part, extras=NO_EXTRAS))
            continue
        last = found[-1] if found else None
        if isinstance(part, c.TextPart) and isinstance(last, c.TextPart):
            found[-1] = join_texts(last, structs.replace(part, extras=NO_EXTRAS))
            continue
        if isinstance(part, c.RefusalPart) and isinstance(last, c.RefusalPart):
            found[-1] = c.RefusalPart(last.text + part.text)
            continue
        if isinstance(part, c.ToolCallPart) and not part.arguments:
            part = structs.replace(part, arguments="{}")
        if not isinstance(part, (c.ForeignPart, c.ServerToolCallPart, c.ServerToolResultPart)):
            part = structs.replace(part, extras=NO_EXTRAS)
        found.append(part)
    kept = [part for part in found if part not in (c.TextPart(""), c.ReasoningPart())]
    return [*signatures, *kept]
