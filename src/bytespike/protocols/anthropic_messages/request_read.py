"""A request of a Messages client, read into the hub.

Wire facts: `MessageCreateParams` and its beta form in the official SDK. Both wire versions ("2023-06-01" and
"2026-10-21") are read alike: the newer one only forbids what the older one allows, and that is for a Claude upstream to
refuse; another model may well take a temperature.
"""

from __future__ import annotations

from typing import Final, Literal

from bytespike.core.content import Part, TextPart, Turn
from bytespike.core.json_types import JSONObject
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat, Sampling
from bytespike.core.tools import Tool
from bytespike.errors import InvalidRequest
from bytespike.protocols.anthropic_messages.blocks_read import read_content
from bytespike.protocols.anthropic_messages.fields import (
    Fields,
    WireError,
    as_fields,
    cache_and_rest,
    extras_of,
)
from bytespike.protocols.anthropic_messages.output_format import read_output_format
from bytespike.protocols.anthropic_messages.thinking import read_reasoning_config
from bytespike.protocols.anthropic_messages.threads import THREAD, unthreadable
from bytespike.protocols.anthropic_messages.tools import (
    MCP_SERVERS,
    read_servers,
    read_tool,
    read_tool_choice,
)
from bytespike.wire import json
from bytespike.wire.limits import JSON_DEPTH_MAX

_KNOWN = frozenset(
    {
        "cache_control",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
#: What a plain question has: looking for each of the others costs more than all the rest.
_PLAIN = frozenset({"model", "max_tokens", "messages", "system", "stream"})
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_MESSAGE = frozenset({"role", "content"})
_ROLES: Final[dict[str, Literal["user", "assistant", "system"]]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_METADATA = frozenset({"user_id"})
_OUTPUT_CONFIG = frozenset({"effort", "format"})


def read_request(body: bytes) -> ChatRequest:
    """Raises `InvalidRequest`, with `param` set to the path of the member at fault, `UnsupportedFeature` for a message
    thread."""
    try:
        return _request(decode_body(body))
    except WireError as error:
        raise InvalidRequest(str(error), param=error.path or None) from None


def decode_body(body: bytes) -> Fields:
    """The body as an object that nests no deeper than a reader may recurse. Raises `WireError`."""
    try:
        decoded = json.decode_object(body)
    except json.NotJSON as error:
        raise WireError("", f"the body is not a JSON object: {error}") from None
    if json.nests_deeper(decoded, text=body):
        raise WireError("", f"the body nests more than {JSON_DEPTH_MAX} deep")
    return Fields(decoded, "")


def _request(body: Fields) -> ChatRequest:
    if _PLAIN.issuperset(body.obj):
        return ChatRequest(
            model=body.string("model"),
            turns=_turns(body),
            system=_system(body),
            max_output_tokens=_max_tokens(body),
            stream=body.optional_boolean("stream") or False,
        )
    if body.obj.get(THREAD) is not None:
        raise unthreadable()
    cache, rest = cache_and_rest(body, _KNOWN)
    effort, format_ = _output_config(body, rest)
    user_id = _user_id(body, rest)
    choice = body.optional_object("tool_choice")
    return ChatRequest(
        model=body.string("model"),
        turns=_turns(body),
        system=_system(body),
        tools=read_servers(rest.get(MCP_SERVERS), _tools(body)),
        tool_choice=None if choice is None else read_tool_choice(choice),
        max_output_tokens=_max_tokens(body),
        stream=body.optional_boolean("stream") or False,
        stop=body.optional_strings("stop_sequences") or (),
        sampling=_sampling(body),
        reasoning=read_reasoning_config(body.optional_object("thinking"), effort),
        output_format=format_,
        user_id=user_id,
        service_tier=body.optional_string("service_tier"),
        cache=cache,
        extras=extras_of(rest),
    )


def _tools(body: Fields) -> tuple[Tool, ...]:
    return (
        tuple(read_tool(tool) for tool in body.objects("tools")) if body.obj.get("tools") is not None else ()
    )


def _max_tokens(body: Fields) -> int:
    max_tokens = body.integer("max_tokens")
    if max_tokens < 0:
        raise body.wrong("max_tokens", "Input should be greater than or equal to 0")
    return max_tokens


def _sampling(body: Fields) -> Sampling:
    if _SAMPLING.isdisjoint(body.obj):
        return NO_SAMPLING
    return Sampling(
        temperature=body.optional_number("temperature"),
        top_p=body.optional_number("top_p"),
        top_k=body.optional_integer("top_k"),
    )


def _turns(body: Fields) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for index, message in enumerate(body.array("messages")):
        if isinstance(message, dict) and len(message) == 2:
            role, content = message.get("role"), message.get("content")
            known = _ROLES.get(role) if isinstance(role, str) else None
            if isinstance(content, str) and (known == "user" or known == "assistant"):
                # The plain form, which needs no path for errors.
                turns.append(Turn(known, (TextPart(content),)))
                continue
        turns.append(_turn(as_fields(message, f"messages.{index}")))
    if not turns:
        raise body.wrong("messages", "at least one message is required")
    return tuple(turns)


def _turn(message: Fields) -> Turn:
    role = _ROLES.get(message.string("role"))
    if role is None:
        raise message.wrong("role", "Input should be 'user', 'assistant' or 'system'")
    content = message.obj.get("content")
    if content is None and not (role == "system" and len(message.obj) > 1):
        raise message.wrong("content", "Field required")
    parts: tuple[Part, ...] = () if content is None else read_content(content, message.at("content"))
    return Turn(role, parts, extras=extras_of(message.rest(_MESSAGE)))


def _system(body: Fields) -> tuple[Part, ...]:
    system = body.obj.get("system")
    if system is None or system == "":
        return ()
    return read_content(system, "system")


def _output_config(body: Fields, rest: JSONObject) -> tuple[str | None, OutputFormat | None]:
    """Effort and format; what else there is goes to `rest`, from where the writer puts it back."""
    effort: str | None = None
    format_: OutputFormat | None = None
    config = body.optional_object("output_config")
    if config is not None:
        effort = config.optional_string("effort")
        unknown = config.rest(_OUTPUT_CONFIG)
        wanted = config.optional_object("format")
        if wanted is not None:
            format_ = read_output_format(wanted)
            if format_ is None:
                unknown["format"] = wanted.obj
        if unknown:
            rest["output_config"] = unknown
    older = body.optional_object("output_format")
    if older is not None and format_ is None:
        format_ = read_output_format(older)
        if format_ is None:
            rest["output_format"] = older.obj
    return effort, format_


def _user_id(body: Fields, rest: JSONObject) -> str | None:
    metadata = body.optional_object("metadata")
    if metadata is None:
        return None
    unknown = metadata.rest(_METADATA)
    if unknown:
        rest["metadata"] = unknown
    return metadata.optional_string("user_id")
