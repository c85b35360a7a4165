"""A client's request, read.

The model and the stream are in the URL, so here the model is "" and `stream` False; the edge fills them in.
"""

from __future__ import annotations

from typing import Final, Literal

from bytespike.core.content import ForeignPart, Part, TextPart, Turn
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.request import ChatRequest
from bytespike.protocols.gemini.call_ids import HistoryIds
from bytespike.protocols.gemini.config_in import read_config
from bytespike.protocols.gemini.contents_out import CACHED_CONTENT
from bytespike.protocols.gemini.names import BODY_PREFIX, NAME, TOOL_CONFIG_PREFIX, TOP_MEMBERS, aside
from bytespike.protocols.gemini.parts_in import read_part
from bytespike.protocols.gemini.proto_json import camel_keys
from bytespike.protocols.gemini.tools import read_tool_choice, read_tools
from bytespike.protocols.whole_bodies import read_request_object, request_object
from bytespike.wire import fields as f

_KNOWN: Final = frozenset(
    {
        "contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "cachedContent", "serviceTier",
        "store", "model",
    }
)  # fmt: skip
_CONTENT: Final = frozenset({"role", "parts"})
_TOOL_CONFIG: Final = frozenset({"functionCallingConfig"})
#: Google's words for its tiers, and OpenAI's.
_TIERS: Final = {"standard": "default", "unspecified": "auto"}


def read_request(body: bytes) -> ChatRequest:
    """Raises `InvalidRequest`, with the path of the member at fault ("contents[0].parts[1].text")."""
    return read(request_object(body))


def read_count_request(body: bytes) -> ChatRequest:
    """The body of `countTokens`: `contents`, or a whole `generateContentRequest`. Raises `InvalidRequest`."""
    obj = camel_keys(request_object(body))
    whole = obj.get("generateContentRequest")
    return read(whole if isinstance(whole, dict) else obj)


def read(obj: JSONObject) -> ChatRequest:
    """A decoded body. Raises `InvalidRequest`."""
    return read_request_object(camel_keys(obj), _read)


def _read(obj: JSONObject) -> ChatRequest:
    turns = _turns(obj.get("contents"), HistoryIds())
    cached = f.optional_text(obj, "cachedContent")
    if not turns and not cached:
        raise (
            f.Wrong("must hold at least one content", "contents")
            if "contents" in obj
            else f.missing("contents")
        )
    if cached:
        # A turn, so that a dialect which cannot use Google's cache refuses it instead of leaving it out.
        turns.insert(0, Turn("user", (ForeignPart(NAME, CACHED_CONTENT, cached),)))
    config = read_config(obj)
    kept: JSONObject = {}
    for key, value in obj.items():
        if key not in _KNOWN and value is not None:
            kept[key if key in TOP_MEMBERS else f"{BODY_PREFIX}{key}"] = value
    kept.update(config.kept)
    told = f.optional_object(obj, "toolConfig")
    tool_config = camel_keys(told) if told else {}
    try:
        choice = read_tool_choice(tool_config)
    except f.Wrong as wrong:
        raise wrong.under("toolConfig") from None
    for key, value in tool_config.items():
        if key not in _TOOL_CONFIG and value is not None:
            kept[f"{TOOL_CONFIG_PREFIX}{key}"] = value
    store = f.optional_flag(obj, "store")
    if store is not None:
        # Google's `store` is about its logs; it is not OpenAI's.
        kept["_store"] = store
    tier = f.optional_text(obj, "serviceTier")
    return ChatRequest(
        model="",
        turns=tuple(turns),
        system=tuple(_system(obj.get("systemInstruction"), kept)),
        tools=tuple(read_tools(obj)),
        tool_choice=choice,
        max_output_tokens=config.max_output_tokens,
        stop=config.stop,
        sampling=config.sampling,
        reasoning=config.reasoning,
        output_format=config.output_format,
        candidates=config.candidates,
        logprobs=config.logprobs,
        service_tier=None if tier is None else _TIERS.get(tier.lower(), tier.lower()),
        extras=aside(kept),
    )


def _system(told: JSON, kept: JSONObject) -> list[Part]:
    """A content, a list of parts, one part, or text."""
    if told is None:
        return []
    parts: list[Part] = []
    try:
        if isinstance(told, dict):
            told = camel_keys(told)
            role = told.get("role")
            if isinstance(role, str):
                kept["_systemRole"] = role
        _read_parts(_listed(told), HistoryIds(), 0, parts)
    except f.Wrong as wrong:
        raise wrong.under("systemInstruction") from None
    return parts


def _listed(content: JSON) -> list[JSON]:
    """The parts of a content, as far as it is one: SDKs also make bare parts, lists and strings of it."""
    match content:
        case {"parts": list() as parts}:
            return parts
        case {"parts": None}:
            return []
        case {"parts": dict() as part}:
            return [part]
        case {"parts": value}:
            raise f.Wrong(f"must be an array, not {f.kind_of(value)}", "parts")
        case list():
            return content
        case dict() if content.keys() <= {"role"}:
            return []
        case dict() | str():
            return [content]
        case _:
            raise f.Wrong(f"must be an object, not {f.kind_of(content)}")


def _turns(contents: JSON, ids: HistoryIds) -> list[Turn]:
    """`contents`: a list of contents; a bare content, part or string, or a list of these, is the user's.

    Contents of the model that follow each other are one turn: SDKs that have read a stream send its chunks back as they
    came.
    """
    if contents is None:
        return []
    values = contents if isinstance(contents, list) else [contents]
    turns: list[Turn] = []
    said: list[Part] = []
    for number, value in enumerate(values):
        try:
            role, listed, kept = _content(value)
            goes_on = role == "assistant" and not kept and bool(turns) and turns[-1].role == "assistant"
            if goes_on and not turns[-1].extras:
                border = len(said)
                _read_parts(listed, ids, number, said)
                _join_texts(said, border)
                turns[-1] = Turn("assistant", tuple(said))
                continue
            said = []
            _read_parts(listed, ids, number, said)
            turns.append(Turn(role, tuple(said), extras=aside(kept)))
        except f.Wrong as wrong:
            raise wrong.under("contents", number) from None
    return turns


def _join_texts(parts: list[Part], border: int) -> None:
    """Makes one text of two that the border between two contents has cut."""
    if not 0 < border < len(parts):
        return
    before, after = parts[border - 1], parts[border]
    if (
        isinstance(before, TextPart)
        and isinstance(after, TextPart)
        and not before.extras
        and not after.extras
    ):
        parts[border - 1 : border + 1] = [TextPart(before.text + after.text)]


def _content(content: JSON) -> tuple[Literal["user", "assistant", "system"], list[JSON], JSONObject]:
    """The role, the parts, and the members that the hub does not know."""
    told: JSONObject = {}
    if isinstance(content, dict):
        told = camel_keys(content)
        content = told
    role = f.optional_text(told, "role")
    listed = _listed(content)
    kept: JSONObject = f.rest(told, _CONTENT) if "parts" in told else {}
    match (role or "user").lower():
        case "user":
            return "user", listed, kept
        case "model" | "assistant":
            return "assistant", listed, kept
        case "function" | "tool":
            # The role of function responses in the first versions of the API.
            return "user", listed, {**kept, "_role": role}
        case "system":
            return "system", listed, kept
        case _:
            raise f.Wrong("must be 'user' or 'model'", "role")


def _read_parts(values: list[JSON], ids: HistoryIds, number: int, parts: list[Part]) -> None:
    for index, value in enumerate(values):
        ids.at = (number, index)
        try:
            if isinstance(value, str):
                parts.append(TextPart(value))
            elif isinstance(value, dict):
                read_part(value, ids, parts)
            else:
                raise f.Wrong(f"must be an object, not {f.kind_of(value)}")
        except f.Wrong as wrong:
            raise wrong.under("parts", index) from None
