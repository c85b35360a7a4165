"""A client's request, read."""

from __future__ import annotations

from typing import Final, Literal

from bytespike.core.json_types import JSONObject
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_responses.conversation_in import read_conversation
from bytespike.protocols.openai_responses.names import TOP_LOGPROBS_MAX, aside
from bytespike.protocols.openai_responses.tool_choice import read_tool_choice
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.protocols.openai_responses.tools import read_tools
from bytespike.protocols.whole_bodies import read_request_object, request_object
from bytespike.wire import fields as f

_KNOWN: Final = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens", "stream",
        "temperature", "top_p", "top_k", "reasoning", "text", "response_format", "top_logprobs", "metadata",
        "service_tier", "prompt_cache_key", "store", "user", "safety_identifier", "include", "stream_options",
        "background", "conversation", "prompt", "previous_response_id",
    }
)  # fmt: skip
#: Members that only OpenAI understands and that change nothing about what the model sees: bookkeeping of clients, and
#: settings at their default.
_QUIET: Final = frozenset({"client_metadata", "generate", "access_programs"})
_DEFAULTS: Final[JSONObject] = {"truncation": "disabled"}
_SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
_REASONING: Final = frozenset({"effort", "summary", "generate_summary"})
_LOGPROBS: Final = "message.output_text.logprobs"

#: What cannot be carried to another provider, and what to do instead.
_REFUSED: Final = {
    "background": "responses cannot be made in the background here; leave 'background' out and stream instead",
    "conversation": "conversations are not kept here; use 'previous_response_id', or send the items as input",
    "prompt": "stored prompts exist only at OpenAI; send their text as instructions and input",
    "previous_response_id": "the response that it names is not kept here; send its items as input",
}


def read_request(body: bytes) -> ChatRequest:
    """Raises `InvalidRequest`, with the path of the member at fault ("input[0].content")."""
    return read_request_object(request_object(body), _read)


def refuse_unkept(obj: JSONObject, members: frozenset[str] = frozenset(_REFUSED)) -> None:
    """Raises `UnsupportedFeature` for members that tie the request to something that OpenAI keeps for one account."""
    for name, why in _REFUSED.items():
        if name in members and obj.get(name) not in (None, False):
            raise UnsupportedFeature(f"'{name}': {why}.", param=name)


def _read(obj: JSONObject) -> ChatRequest:
    model = f.text(obj, "model")
    if not model:
        raise f.Wrong("must not be empty", "model")
    refuse_unkept(obj)
    names = ToolNames(obj.get("tools"))
    conversation = read_conversation(obj, names)
    tools = read_tools(f.optional_array(obj, "tools") or [], obj.get("tool_choice"), names)
    kept = _kept(obj)
    if conversation.opening:
        kept["_opening"] = conversation.opening
    if obj.get("user") is not None:
        kept["_user"] = obj["user"]
    return ChatRequest(
        model=model,
        turns=conversation.turns,
        system=conversation.system,
        tools=(*tools, *conversation.tools),
        tool_choice=read_tool_choice(obj, names),
        max_output_tokens=f.optional_integer(obj, "max_output_tokens", least=1),
        stream=f.optional_flag(obj, "stream") or False,
        sampling=_sampling(obj),
        reasoning=_reasoning(obj),
        output_format=_output_format(obj),
        logprobs=_logprobs(obj),
        user_id=f.optional_text(obj, "safety_identifier") or f.optional_text(obj, "user") or None,
        metadata=f.optional_object(obj, "metadata"),
        service_tier=f.optional_text(obj, "service_tier"),
        verbosity=_verbosity(obj),
        prompt_cache_key=f.optional_text(obj, "prompt_cache_key"),
        store=f.optional_flag(obj, "store"),
        extras=aside(kept),
    )


def _kept(obj: JSONObject) -> JSONObject:
    """Members that the hub does not know. Those that no other target could miss are noted with an underscore."""
    kept: JSONObject = {}
    for key, value in obj.items():
        if key in _KNOWN or value is None:
            continue
        quiet = key in _QUIET or _DEFAULTS.get(key) == value
        kept[f"_{key}" if quiet else key] = value
    # Which extras the answer shall hold is between the client and its answer; each dialect's answers hold what there is.
    for key in ("include", "stream_options"):
        if obj.get(key) is not None:
            kept[f"_{key}"] = obj[key]
    return kept


def _sampling(obj: JSONObject) -> Sampling:
    if _SAMPLING.isdisjoint(obj):
        return NO_SAMPLING
    return Sampling(
        temperature=f.optional_number(obj, "temperature"),
        top_p=f.optional_number(obj, "top_p"),
        top_k=f.optional_integer(obj, "top_k"),
    )


def _reasoning(obj: JSONObject) -> ReasoningConfig | None:
    given = f.optional_object(obj, "reasoning")
    if given is None:
        return None
    try:
        effort = f.optional_text(given, "effort")
        display = f.optional_text(given, "summary") or f.optional_text(given, "generate_summary")
    except f.Wrong as wrong:
        raise wrong.under("reasoning") from None
    rest: JSONObject = {
        key: value for key, value in given.items() if key not in _REASONING and value is not None
    }
    if effort is None and display is None and not rest:
        return None
    mode: Literal["on", "off"] | None = None
    if effort is not None:
        mode = "off" if effort == "none" else "on"
    return ReasoningConfig(mode, effort, display=display, extras=aside(rest))


def _output_format(obj: JSONObject) -> OutputFormat | None:
    """`text.format`, or the contract's own `response_format`, which has chat's shape."""
    text = f.optional_object(obj, "text") or {}
    try:
        given = f.optional_object(text, "format")
        if given is not None:
            return _format(given, given, "format")
    except f.Wrong as wrong:
        raise wrong.under("text") from None
    given = f.optional_object(obj, "response_format")
    if given is None:
        return None
    nested = given.get("json_schema")
    return _format(given, nested if isinstance(nested, dict) else given, "response_format")


def _format(given: JSONObject, schema: JSONObject, key: str) -> OutputFormat:
    try:
        match f.text(given, "type"):
            case "text":
                return OutputFormat("text")
            case "json_object":
                return OutputFormat("json_object")
            case "json_schema":
                return OutputFormat(
                    "json_schema",
                    schema=f.object_at(schema, "schema"),
                    name=f.optional_text(schema, "name"),
                    description=f.optional_text(schema, "description"),
                    strict=f.optional_flag(schema, "strict"),
                )
            case kind:
                raise UnsupportedFeature(
                    f"'{key}': the type '{kind[:40]}' is not supported; use 'text', 'json_object' or 'json_schema'.",
                    param=key,
                )
    except f.Wrong as wrong:
        raise wrong.under(key) from None


def _verbosity(obj: JSONObject) -> str | None:
    try:
        return f.optional_text(f.optional_object(obj, "text") or {}, "verbosity")
    except f.Wrong as wrong:
        raise wrong.under("text") from None


def _logprobs(obj: JSONObject) -> int | None:
    likeliest = f.optional_integer(obj, "top_logprobs", least=0, most=TOP_LOGPROBS_MAX)
    include = f.optional_array(obj, "include") or []
    if likeliest:
        return likeliest
    return 0 if _LOGPROBS in include else None
