"""A client's request, read."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from bytespike.core.content import CacheMark
from bytespike.core.json_types import JSONObject
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.protocols.openai_chat.conversation_in import read_conversation
from bytespike.protocols.openai_chat.names import CHOICES_MAX, TOP_LOGPROBS_MAX, aside
from bytespike.protocols.openai_chat.tool_choice import read_tool_choice
from bytespike.protocols.openai_chat.tools import read_tools
from bytespike.protocols.whole_bodies import read_request_object, request_object
from bytespike.wire import fields as f

_KNOWN: Final = frozenset(
    {
        "model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
        "web_search_options", "max_tokens", "max_completion_tokens", "stream", "stop", "temperature", "top_p", "top_k",
        "frequency_penalty", "presence_penalty", "seed", "logit_bias", "reasoning_effort", "response_format", "n",
        "logprobs", "top_logprobs", "metadata", "service_tier", "verbosity", "prompt_cache_key", "store",
        "stream_options", "user", "safety_identifier", "reasoning", "thinking", "enable_thinking", "thinking_budget",
        "cache_control",
    }
)  # fmt: skip
#: What a plain question has.
_USUAL: Final = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "stream", "temperature", "top_p", "top_k",
        "frequency_penalty", "presence_penalty", "seed", "logit_bias",
    }
)  # fmt: skip
#: And what it does not have. Looking for each member that is not there costs more than all the rest of a plain request.
_RARE: Final = _KNOWN - _USUAL
_Mode: TypeAlias = Literal["on", "adaptive", "off"]


def read_request(body: bytes) -> ChatRequest:
    """Raises `InvalidRequest`, with the path of the member at fault ("messages[0].content")."""
    return read_request_object(request_object(body), _read)


def _read(obj: JSONObject) -> ChatRequest:
    model = f.text(obj, "model")
    if not model:
        raise f.Wrong("must not be empty", "model")
    conversation = read_conversation(f.array_at(obj, "messages"))
    kept = f.rest(obj, _KNOWN)
    if conversation.opening:
        kept["_opening"] = conversation.opening
    if _RARE.isdisjoint(obj):
        return ChatRequest(
            model=model,
            turns=conversation.turns,
            system=conversation.system,
            max_output_tokens=_max_tokens(obj, kept),
            stream=f.optional_flag(obj, "stream") or False,
            stream_usage=False,
            sampling=_sampling(obj),
            extras=aside(kept),
        )
    user_id = _user(obj, kept)
    stream, stream_usage = _stream(obj, kept)
    return ChatRequest(
        model=model,
        turns=conversation.turns,
        system=conversation.system,
        tools=tuple(read_tools(obj)),
        tool_choice=read_tool_choice(obj),
        max_output_tokens=_max_tokens(obj, kept),
        stream=stream,
        stream_usage=stream_usage,
        stop=_stop(obj),
        sampling=_sampling(obj),
        reasoning=_reasoning(obj),
        output_format=_output_format(obj, kept),
        candidates=f.optional_integer(obj, "n", least=1, most=CHOICES_MAX) or 1,
        logprobs=_logprobs(obj),
        user_id=user_id,
        metadata=f.optional_object(obj, "metadata"),
        service_tier=f.optional_text(obj, "service_tier"),
        verbosity=f.optional_text(obj, "verbosity"),
        prompt_cache_key=f.optional_text(obj, "prompt_cache_key"),
        store=f.optional_flag(obj, "store"),
        cache=_cache(obj, kept),
        extras=aside(kept),
    )


def _max_tokens(obj: JSONObject, kept: JSONObject) -> int | None:
    """`max_completion_tokens`, or the older `max_tokens`; which of them it was is kept."""
    new = f.optional_integer(obj, "max_completion_tokens", least=1)
    old = f.optional_integer(obj, "max_tokens", least=1)
    if new is None and old is not None:
        kept["_max_tokens"] = True
        return old
    return new


def _stream(obj: JSONObject, kept: JSONObject) -> tuple[bool, bool]:
    """Whether to stream, and whether the stream shall carry usage."""
    stream = f.optional_flag(obj, "stream") or False
    options = f.optional_object(obj, "stream_options")
    if options is None:
        return stream, False
    kept["_stream_options"] = options
    try:
        return stream, f.optional_flag(options, "include_usage") or False
    except f.Wrong as wrong:
        raise wrong.under("stream_options") from None


def _user(obj: JSONObject, kept: JSONObject) -> str | None:
    """`safety_identifier`, or the older `user`. A `user` is kept under its own name."""
    identifier = f.optional_text(obj, "safety_identifier")
    user = f.optional_text(obj, "user")
    if user is not None:
        kept["_user"] = user
    return identifier or user or None


def _cache(obj: JSONObject, kept: JSONObject) -> CacheMark | None:
    """OpenRouter's `cache_control` beside the messages, after Anthropic's: cache as much of the prompt as can be."""
    mark = f.optional_object(obj, "cache_control")
    if mark is None:
        return None
    kept["_cache_control"] = mark
    try:
        return CacheMark(f.optional_text(mark, "ttl"))
    except f.Wrong as wrong:
        raise wrong.under("cache_control") from None


def _stop(obj: JSONObject) -> tuple[str, ...]:
    stop = obj.get("stop")
    if stop is None:
        return ()
    if isinstance(stop, str):
        return (stop,)
    if not isinstance(stop, list):
        raise f.Wrong(f"must be a string or an array of strings, not {f.kind_of(stop)}", "stop")
    sequences: list[str] = []
    for index, sequence in enumerate(stop):
        if not isinstance(sequence, str):
            raise f.Wrong(f"must be a string, not {f.kind_of(sequence)}", "stop", index)
        sequences.append(sequence)
    return tuple(sequences)


_SAMPLING_MEMBERS: Final = frozenset(
    {"temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "logit_bias"}
)


def _sampling(obj: JSONObject) -> Sampling:
    if _SAMPLING_MEMBERS.isdisjoint(obj):
        return NO_SAMPLING
    return Sampling(
        temperature=f.optional_number(obj, "temperature"),
        top_p=f.optional_number(obj, "top_p"),
        top_k=f.optional_integer(obj, "top_k"),
        frequency_penalty=f.optional_number(obj, "frequency_penalty"),
        presence_penalty=f.optional_number(obj, "presence_penalty"),
        seed=f.optional_integer(obj, "seed"),
        logit_bias=f.optional_object(obj, "logit_bias"),
    )


def _logprobs(obj: JSONObject) -> int | None:
    wanted = f.optional_flag(obj, "logprobs")
    likeliest = f.optional_integer(obj, "top_logprobs", least=0, most=TOP_LOGPROBS_MAX)
    if not wanted:
        if likeliest:
            raise f.Wrong("needs 'logprobs' to be true", "top_logprobs")
        return None
    return likeliest or 0


def _output_format(obj: JSONObject, kept: JSONObject) -> OutputFormat | None:
    given = f.optional_object(obj, "response_format")
    if given is None:
        return None
    try:
        match f.text(given, "type"):
            case "text":
                return OutputFormat("text")
            case "json_object":
                return OutputFormat("json_object")
            case "json_schema":
                return _json_schema(given)
            case _:
                # Grammars and whatever vendors add: only this dialect can carry it on.
                kept["response_format"] = given
                return None
    except f.Wrong as wrong:
        raise wrong.under("response_format") from None


def _json_schema(given: JSONObject) -> OutputFormat:
    inner = f.object_at(given, "json_schema")
    try:
        return OutputFormat(
            "json_schema",
            schema=f.optional_object(inner, "schema"),
            name=f.text(inner, "name"),
            description=f.optional_text(inner, "description"),
            strict=f.optional_flag(inner, "strict"),
        )
    except f.Wrong as wrong:
        raise wrong.under("json_schema") from None


# --- how much to think: OpenAI's member and the vendors' -------------------------------------------------------

_VENDOR_MEMBERS: Final = ("reasoning", "thinking", "enable_thinking", "thinking_budget")
_REASONING_MEMBERS: Final = frozenset({"reasoning_effort", *_VENDOR_MEMBERS})


def _reasoning(obj: JSONObject) -> ReasoningConfig | None:
    """`reasoning_effort`, and the vendors' `reasoning`, `thinking`, `enable_thinking`. These stay in the extras too, so
    that the same dialect gets them back whole."""
    if _REASONING_MEMBERS.isdisjoint(obj):
        return None
    spelt: JSONObject = {key: obj[key] for key in _VENDOR_MEMBERS if key in obj}
    effort = f.optional_text(obj, "reasoning_effort")
    mode: _Mode | None = _mode_of_effort(effort)
    budget = f.optional_integer(obj, "thinking_budget")
    display: str | None = None
    given = f.optional_object(obj, "reasoning")
    if given is not None:
        try:
            effort = f.optional_text(given, "effort") or effort
            budget = f.optional_integer(given, "max_tokens") or budget
            enabled = f.optional_flag(given, "enabled")
            display = "omitted" if f.optional_flag(given, "exclude") else None
        except f.Wrong as wrong:
            raise wrong.under("reasoning") from None
        mode = _mode_of_effort(effort) or ("on" if budget else None)
        if enabled is not None:
            mode = "on" if enabled else "off"
    thinking = f.optional_object(obj, "thinking")
    if thinking is not None:
        try:
            # Zhipu takes it without a type, for its other members.
            mode = _MODES.get(f.optional_text(thinking, "type") or "") or mode
            budget = f.optional_integer(thinking, "budget_tokens") or budget
        except f.Wrong as wrong:
            raise wrong.under("thinking") from None
    switch = f.optional_flag(obj, "enable_thinking")
    if switch is not None:
        mode = "on" if switch else "off"
    if obj.get("reasoning_effort") is None and not spelt:
        return None
    return ReasoningConfig(mode, effort, budget, display, aside({"_spelt": spelt} if spelt else {}))


_MODES: Final[dict[str, _Mode]] = {
    "enabled": "on",
    "disabled": "off",
    "adaptive": "adaptive",
    "auto": "adaptive",
}


def _mode_of_effort(effort: str | None) -> _Mode | None:
    if effort is None:
        return None
    return "off" if effort == "none" else "on"
