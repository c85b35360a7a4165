"""A request of any dialect, written for an upstream that speaks Responses.

The answer comes back through the gateway, which keeps what has to be kept. So nothing is stored at the provider unless
the client asked for it, and a model that thinks is asked for its encrypted reasoning, which alone lets a later turn go on.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target, Written
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.mentions import mentioned, mentioned_in_turns
from bytespike.core.renaming import renamed_tools
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat, ReasoningConfig
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.openai_responses import quirks as q
from bytespike.protocols.openai_responses.conversation_out import write_conversation
from bytespike.protocols.openai_responses.names import (
    END_USER_CHARS_MAX,
    NAME,
    OUTPUT_TOKENS_MIN,
    TOOL_NAME_CHARS_MAX,
    own,
    wire_members,
)
from bytespike.protocols.openai_responses.tool_choice import write_tool_choice
from bytespike.protocols.openai_responses.tools import write_tools
from bytespike.protocols.request_knobs import (
    SCHEMA_NAME,
    SPEAK_OF_JSON,
    TIERS_OF_OTHERS,
    effort_of_budget,
    fitting_user,
    output_tokens,
    put_taken,
    strictness,
    thinking_off,
)
from bytespike.wire import json

_ENCRYPTED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
#: For models that know only low, medium and high.
_BASIC: Final = {"minimal": "low", "xhigh": "high", "max": "high"}
_SUMMARIES: Final = frozenset({"auto", "concise", "detailed"})


def write_request(request: ChatRequest, target: Target) -> Written:
    """Raises `UnsupportedFeature` for content or a constraint that this target cannot carry."""
    losses = Losses(NAME)
    if request.candidates > 1:
        raise UnsupportedFeature("This model gives one answer at a time; n must be 1.", param="n")
    if any(sequence for sequence in request.stop):
        raise UnsupportedFeature("This model takes no stop sequences.", param="stop")
    body: JSONObject = {"model": target.model}
    write_conversation(body, request, target, losses)
    tools = write_tools(request.tools, target, losses)
    if tools:
        body["tools"] = tools
    write_tool_choice(body, request.tool_choice, request.tools, target, losses)
    _max_tokens(body, request, target, losses)
    _sampling(body, request, target.quirks, losses)
    _reasoning(body, request.reasoning, target, losses)
    _text(body, request, target, losses)
    _include(body, request, target, losses)
    _end_user(body, request, target.quirks, losses)
    _further(body, request, target.quirks, losses)
    if request.stream:
        body["stream"] = True
        options = own(request.extras).get("_stream_options")
        if isinstance(options, dict):
            body["stream_options"] = options
    body.update(wire_members(request.extras))
    for key in ("_truncation", "_client_metadata"):
        if key in own(request.extras):
            body[key[1:]] = own(request.extras)[key]
    losses.foreign_extras(request.extras)
    if request.cache is not None:
        losses.cache_mark()
    try:
        renamed = renamed_tools(request.tools, TOOL_NAME_CHARS_MAX)
        return Written(json.encode(body), losses.notices, renamed=renamed)
    except RecursionError:
        raise InvalidRequest("The request nests too deeply.") from None


def _max_tokens(body: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    wanted = output_tokens(request.max_output_tokens, target, losses, least=OUTPUT_TOKENS_MIN)
    if wanted is None:
        return
    body["max_output_tokens"] = wanted


def _sampling(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    sampling = request.sampling
    if sampling is NO_SAMPLING:
        return
    for name, value in (("temperature", sampling.temperature), ("top_p", sampling.top_p)):
        if value is None:
            continue
        if q.FIXED_SAMPLING in quirks:
            losses.dropped(name, "the model's sampling is fixed")
        else:
            body[name] = value
    for name, given in (
        ("top_k", sampling.top_k is not None),
        ("frequency_penalty", bool(sampling.frequency_penalty)),
        ("presence_penalty", bool(sampling.presence_penalty)),
        ("seed", sampling.seed is not None),
        ("logit_bias", bool(sampling.logit_bias)),
    ):
        if given:
            losses.dropped(name, "the Responses API has no such parameter")


def _reasoning(body: JSONObject, wanted: ReasoningConfig | None, target: Target, losses: Losses) -> None:
    if wanted is None:
        return
    losses.foreign_extras(wanted.extras, "reasoning.")
    off = thinking_off(wanted)
    if "thinking" not in target.capabilities:
        if not off:
            losses.dropped("reasoning", "the model does not think")
        return
    given: JSONObject = {}
    effort = _effort(wanted, off, target.quirks, losses)
    if effort is not None:
        given["effort"] = effort
    summary = _summary(wanted, off)
    if summary is not None:
        if q.NO_REASONING_SUMMARY in target.quirks:
            losses.dropped("reasoning.summary", "the provider decides what it shows")
        else:
            given["summary"] = summary
    given.update(wire_members(wanted.extras))
    if given:
        body["reasoning"] = given


def _effort(wanted: ReasoningConfig, off: bool, quirks: frozenset[str], losses: Losses) -> str | None:
    """The effort in words; None where the model's default shall stand."""
    if off:
        least = "low" if q.EFFORT_BASIC in quirks else "minimal" if q.EFFORT_NO_NONE in quirks else "none"
        if least != "none":
            losses.approximated("reasoning_effort", f"none became {least}")
        return least
    effort = wanted.effort
    if effort is None and wanted.budget_tokens is not None:
        effort = effort_of_budget(wanted.budget_tokens)
        losses.approximated("thinking.budget_tokens", f"effort {effort}")
    if effort is None or q.EFFORT_BASIC not in quirks or effort not in _BASIC:
        return effort
    losses.approximated("reasoning_effort", f"{effort} became {_BASIC[effort]}")
    return _BASIC[effort]


def _summary(wanted: ReasoningConfig, off: bool) -> str | None:
    """Which summary to ask for. A dialect that shows thinking whenever it is on (Anthropic) gets one too."""
    if wanted.display in _SUMMARIES:
        return wanted.display
    if off or wanted.display == "omitted" or NAME in wanted.extras:
        return None
    shown = wanted.display is not None or "anthropic_messages" in wanted.extras
    return "auto" if shown and wanted.mode in ("on", "adaptive") else None


def _text(body: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    text: JSONObject = {}
    wanted = request.output_format
    if wanted is not None:
        if wanted.kind == "json_schema":
            if "json_schema" not in target.capabilities:
                raise UnsupportedFeature(
                    "This model cannot be held to a JSON schema. Choose one with the capability 'json_schema'.",
                    param="text.format",
                )
            text["format"] = _json_schema(wanted)
        else:
            text["format"] = {"type": wanted.kind}
            if wanted.kind == "json_object":
                _speak_of_json(body, request)
    if request.verbosity is not None:
        if q.NO_VERBOSITY in target.quirks:
            losses.dropped("verbosity")
        else:
            text["verbosity"] = request.verbosity
    if text:
        body["text"] = text


def _speak_of_json(body: JSONObject, request: ChatRequest) -> None:
    """The instructions do not count as a message of the input."""
    said = body["input"]
    opening = request.system if isinstance(said, list) and "instructions" not in body else ()
    if mentioned_in_turns("json", request.turns) or mentioned("json", opening):
        return
    items: list[JSON] = said if isinstance(said, list) else [{"role": "user", "content": said}]
    body["input"] = [{"role": "system", "content": SPEAK_OF_JSON}, *items]


def _json_schema(wanted: OutputFormat) -> JSONObject:
    written: JSONObject = {
        "type": "json_schema",
        "name": wanted.name or SCHEMA_NAME,
        "schema": wanted.schema or {},
    }
    if wanted.description is not None:
        written["description"] = wanted.description
    strict = strictness(wanted)
    if strict is not None:
        written["strict"] = strict
    return written


def _include(body: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    told = own(request.extras).get("_include")
    include: list[JSON] = [*told] if isinstance(told, list) else []
    if "thinking" in target.capabilities and q.NO_ENCRYPTED_REASONING not in target.quirks:
        include.append(_ENCRYPTED)
    if request.logprobs is not None:
        if q.NO_LOGPROBS in target.quirks:
            losses.dropped("logprobs", "the model gives none")
            include = [name for name in include if name != _LOGPROBS]
        else:
            include.append(_LOGPROBS)
            if request.logprobs:
                body["top_logprobs"] = request.logprobs
    if include:
        # Each once, in order.
        body["include"] = [name for at, name in enumerate(include) if name not in include[:at]]


def _end_user(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    user = own(request.extras).get("_user")
    if isinstance(user, str):
        body["user"] = user
    user_id = request.user_id
    if user_id is None or user_id == user:
        return
    user_id = fitting_user(user_id, END_USER_CHARS_MAX, losses)
    body["user" if q.USER_FIELD in quirks else "safety_identifier"] = user_id


def _further(body: JSONObject, request: ChatRequest, quirks: frozenset[str], losses: Losses) -> None:
    if q.NO_STORE not in quirks:
        # OpenAI's default is to keep every response for a month.
        body["store"] = bool(request.store)
    elif request.store:
        losses.dropped("store")
    tier = TIERS_OF_OTHERS.get(request.service_tier or "", request.service_tier)
    if tier is not None and tier not in _TIERS:
        losses.dropped("service_tier", "OpenAI has no such tier")
        tier = None
    rows = (
        ("metadata", request.metadata, q.NO_METADATA),
        ("service_tier", tier, q.NO_SERVICE_TIER),
        ("prompt_cache_key", request.prompt_cache_key, q.NO_PROMPT_CACHE_KEY),
    )
    put_taken(body, rows, quirks, losses)
