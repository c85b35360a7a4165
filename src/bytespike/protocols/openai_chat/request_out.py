"""A request of any dialect, written for an OpenAI or compatible upstream."""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target, Written
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.mentions import mentioned, mentioned_in_turns
from bytespike.core.renaming import renamed_tools
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.conversation_out import write_messages
from bytespike.protocols.openai_chat.names import (
    END_USER_CHARS_MAX,
    FUNCTION_NAME_CHARS_MAX,
    NAME,
    STOP_SEQUENCES_MAX,
    own,
    wire_members,
)
from bytespike.protocols.openai_chat.thinking_out import write_reasoning
from bytespike.protocols.openai_chat.tool_choice import write_tool_choice
from bytespike.protocols.openai_chat.tools import cache_control, write_tools
from bytespike.protocols.request_knobs import (
    SCHEMA_NAME,
    SPEAK_OF_JSON,
    TIERS_OF_OTHERS,
    fitting_user,
    output_tokens,
    put_taken,
    strictness,
)
from bytespike.wire import json

_SAMPLING: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias")


def write_request(request: ChatRequest, target: Target) -> Written:
    """Raises `UnsupportedFeature` for content or a constraint that this target cannot carry."""
    losses = Losses(NAME)
    body: JSONObject = {"model": target.model, "messages": write_messages(request, target, losses)}
    if request.tools:
        write_tools(body, request.tools, target.quirks, target.capabilities, losses)
    if request.tool_choice is not None:
        write_tool_choice(body, request.tool_choice, request.tools, target.quirks, losses)
    _max_tokens(body, request, target, losses)
    if request.sampling is not NO_SAMPLING:
        _sampling(body, request, target.quirks, losses)
    if request.stop:
        _stop(body, request, target.quirks)
    if request.reasoning is not None:
        write_reasoning(body, request.reasoning, target, losses)
    if request.output_format is not None:
        _output_format(body, request, request.output_format, target)
    if request.candidates > 1 or request.logprobs is not None:
        _choices(body, request, target.quirks, losses)
    if request.user_id is not None or request.extras:
        _end_user(body, request, target.quirks, losses)
    _further(body, request, target.quirks, losses)
    if request.stream:
        _stream(body, request, target.quirks)
    if request.extras:
        body.update(wire_members(request.extras))
        losses.foreign_extras(request.extras)
    if request.cache is not None:
        spelt = own(request.extras).get("_cache_control")
        if spelt is not None or q.CACHE_CONTROL in target.quirks:
            body["cache_control"] = spelt or cache_control(request.cache)
        else:
            losses.cache_mark()
    try:
        renamed = renamed_tools(request.tools, FUNCTION_NAME_CHARS_MAX)
        return Written(json.encode(body), losses.notices, renamed=renamed)
    except RecursionError:
        raise InvalidRequest("The request nests too deeply.") from None


def _max_tokens(body: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    wanted = output_tokens(request.max_output_tokens, target, losses, least=1)
    if wanted is None:
        return
    old = q.MAX_TOKENS_FIELD in target.quirks or own(request.extras).get("_max_tokens")
    body["max_tokens" if old else "max_completion_tokens"] = wanted


def _sampling(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    sampling = request.sampling
    for name in _SAMPLING:
        value: JSON = getattr(sampling, name)
        if value is None:
            continue
        if q.FIXED_SAMPLING in quirks:
            losses.dropped(name, "the model's sampling is fixed")
        else:
            body[name] = value
    if sampling.top_k is not None:
        if q.TOP_K in quirks:
            body["top_k"] = sampling.top_k
        else:
            losses.dropped("top_k")


def _stop(body: JSONObject, request: ChatRequest, quirks: frozenset[str]) -> None:
    if q.NO_STOP in quirks:
        raise UnsupportedFeature("This model takes no stop sequences.", param="stop")
    if len(request.stop) > STOP_SEQUENCES_MAX:
        raise UnsupportedFeature(
            f"This model takes at most {STOP_SEQUENCES_MAX} stop sequences, not {len(request.stop)}.",
            param="stop",
        )
    body["stop"] = [*request.stop]


def _output_format(body: JSONObject, request: ChatRequest, wanted: OutputFormat, target: Target) -> None:
    if wanted.kind == "text":
        body["response_format"] = {"type": "text"}
    elif wanted.kind == "json_object":
        if q.NO_JSON_OBJECT in target.quirks:
            raise UnsupportedFeature("This model cannot be held to JSON output.", param="response_format")
        body["response_format"] = {"type": "json_object"}
        _speak_of_json(body, request)
    else:
        if q.NO_JSON_SCHEMA in target.quirks or "json_schema" not in target.capabilities:
            raise UnsupportedFeature(
                "This model cannot be held to a JSON schema. Choose one with the capability 'json_schema'.",
                param="response_format",
            )
        body["response_format"] = {"type": "json_schema", "json_schema": _json_schema(wanted)}


def _speak_of_json(body: JSONObject, request: ChatRequest) -> None:
    said = body["messages"]
    if (
        isinstance(said, list)
        and not mentioned("json", request.system)
        and not mentioned_in_turns("json", request.turns)
    ):
        _join_system(said)


def _join_system(messages: list[JSON]) -> None:
    """Some vendors take one system message only, and only at the start."""
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") in ("system", "developer"):
        content = first.get("content")
        if isinstance(content, str):
            first["content"] = f"{content}\n\n{SPEAK_OF_JSON}"
            return
        if isinstance(content, list):
            content.append({"type": "text", "text": SPEAK_OF_JSON})
            return
    messages.insert(0, {"role": "system", "content": SPEAK_OF_JSON})


def _json_schema(wanted: OutputFormat) -> JSONObject:
    inner: JSONObject = {"name": wanted.name or SCHEMA_NAME}
    if wanted.description is not None:
        inner["description"] = wanted.description
    if wanted.schema is not None:
        inner["schema"] = wanted.schema
    strict = strictness(wanted)
    if strict is not None:
        inner["strict"] = strict
    return inner


def _choices(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    if request.candidates > 1:
        if q.SINGLE_CHOICE in quirks:
            raise UnsupportedFeature("This model gives one answer at a time; n must be 1.", param="n")
        body["n"] = request.candidates
    if request.logprobs is None:
        return
    if q.NO_LOGPROBS in quirks:
        losses.dropped("logprobs", "the model gives none")
        return
    body["logprobs"] = True
    if request.logprobs:
        body["top_logprobs"] = request.logprobs


def _end_user(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    user = own(request.extras).get("_user")
    if isinstance(user, str) and q.USER_ID_FIELD not in quirks:
        body["user"] = user
    user_id = request.user_id
    if user_id is None or (user_id == user and "user" in body):
        return
    user_id = fitting_user(user_id, END_USER_CHARS_MAX, losses)
    if q.USER_ID_FIELD in quirks:
        body["user_id"] = user_id
    elif q.USER_FIELD in quirks:
        body["user"] = user_id
    else:
        body["safety_identifier"] = user_id


def _further(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    if request.metadata is not None:
        if q.NO_METADATA in quirks or not request.store:
            losses.dropped("metadata", "kept only with store")
        else:
            body["metadata"] = request.metadata
    if request.store is not None:
        if q.NO_STORE not in quirks:
            body["store"] = request.store
        elif request.store:
            losses.dropped("store")
    if request.service_tier is None and request.verbosity is None and request.prompt_cache_key is None:
        return
    rows = (
        (
            "service_tier",
            TIERS_OF_OTHERS.get(request.service_tier or "", request.service_tier),
            q.NO_SERVICE_TIER,
        ),
        ("verbosity", request.verbosity, q.NO_VERBOSITY),
        ("prompt_cache_key", request.prompt_cache_key, q.NO_PROMPT_CACHE_KEY),
    )
    put_taken(body, rows, quirks, losses)


def _stream(body: JSONObject, request: ChatRequest, quirks: frozenset[str]) -> None:
    """Usage is always asked for: it is what the request costs."""
    body["stream"] = True
    if q.NO_STREAM_OPTIONS in quirks:
        return
    spelt = own(request.extras).get("_stream_options")
    options: JSONObject = dict(spelt) if isinstance(spelt, dict) else {}
    options["include_usage"] = True
    body["stream_options"] = options
