"""A request of any dialect, written for a Gemini upstream.

The model and the stream are in the URL, which the caller makes; the body is the same for both methods.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target, Written
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import NO_SAMPLING, ChatRequest, OutputFormat
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.gemini.config_in import ENUM_TYPE, JSON_TYPE, PLAIN_TYPE
from bytespike.protocols.gemini.contents_out import ContentsWriter
from bytespike.protocols.gemini.names import (
    BODY_PREFIX,
    CANDIDATES_MAX,
    NAME,
    QUIRK_NO_PENALTIES,
    QUIRK_OPENAPI_SCHEMA,
    STOP_SEQUENCES_MAX,
    TOOL_CONFIG_PREFIX,
    TOP_MEMBERS,
    own,
    wire_members,
)
from bytespike.protocols.gemini.parts_out import Wire
from bytespike.protocols.gemini.schemas import fitted, to_openapi
from bytespike.protocols.gemini.thinking import write_thinking
from bytespike.protocols.gemini.tools import check_together, write_tool_choice, write_tools
from bytespike.protocols.request_knobs import output_tokens
from bytespike.wire import json

#: OpenAI's and Anthropic's words for Google's tiers.
_TIERS: Final = {
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
    "auto": "unspecified",
}


def write_request(request: ChatRequest, target: Target) -> Written:
    """Raises `UnsupportedFeature` for content or a constraint that this target cannot carry."""
    losses = Losses(NAME)
    writer = ContentsWriter(target, losses)
    contents = writer.write(request)
    system = writer.system(request.system)
    if not contents and not writer.cached_content:
        if not system:
            raise InvalidRequest("At least one message with content is required.", param="messages")
        contents, system = writer.as_user(system), []
    body: Wire = {"contents": contents}
    if system:
        role = own(request.extras).get("_systemRole")
        body["systemInstruction"] = {"role": role, "parts": system} if role else {"parts": system}
    _write_tools(body, request, target, losses)
    config = _config(request, target, losses)
    if config:
        body["generationConfig"] = config
    _further(body, request, losses)
    if writer.cached_content:
        body["cachedContent"] = writer.cached_content
    losses.foreign_extras(request.extras)
    try:
        return Written(json.encode(body), losses.notices)
    except RecursionError:
        raise InvalidRequest("The request nests too deeply.") from None


def _write_tools(body: Wire, request: ChatRequest, target: Target, losses: Losses) -> None:
    written = write_tools(request.tools, target, losses)
    if written.tools:
        body["tools"] = written.tools
    config: JSONObject = {}
    choice = write_tool_choice(request.tool_choice, request.tools, losses)
    if choice is not None:
        config["functionCallingConfig"] = choice
    if check_together(written, target):
        config["includeServerSideToolInvocations"] = True
    for key, value in own(request.extras).items():
        if key.startswith(TOOL_CONFIG_PREFIX):
            config[key.removeprefix(TOOL_CONFIG_PREFIX)] = value
    if config:
        body["toolConfig"] = config


def _config(request: ChatRequest, target: Target, losses: Losses) -> JSONObject:
    config: JSONObject = {}
    _max_tokens(config, request, target, losses)
    _sampling(config, request, target, losses)
    if request.stop:
        if len(request.stop) > STOP_SEQUENCES_MAX:
            raise UnsupportedFeature(
                f"stop: this model takes at most {STOP_SEQUENCES_MAX} stop sequences, not {len(request.stop)}.",
                param="stop",
            )
        config["stopSequences"] = [*request.stop]
    if request.candidates > 1:
        if request.candidates > CANDIDATES_MAX:
            raise UnsupportedFeature(
                f"n: this model gives at most {CANDIDATES_MAX} answers at once.", param="n"
            )
        config["candidateCount"] = request.candidates
    _logprobs(config, request, target, losses)
    thinking = write_thinking(request.reasoning, target, losses)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    mine = own(request.extras)
    _output_format(config, request.output_format, mine, target, losses)
    for key, value in wire_members(request.extras).items():
        if key not in TOP_MEMBERS and not key.startswith((TOOL_CONFIG_PREFIX, BODY_PREFIX)):
            config[key] = value
    if "_responseModalities" in mine:
        config["responseModalities"] = mine["_responseModalities"]
    return config


def _max_tokens(config: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    wanted = output_tokens(request.max_output_tokens, target, losses, least=1)
    if wanted is None:
        return
    config["maxOutputTokens"] = wanted


def _sampling(config: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    sampling = request.sampling
    if sampling is NO_SAMPLING:
        return
    for name, wire, value in (
        ("temperature", "temperature", sampling.temperature),
        ("top_p", "topP", sampling.top_p),
        ("top_k", "topK", sampling.top_k),
        ("seed", "seed", sampling.seed),
        ("frequency_penalty", "frequencyPenalty", sampling.frequency_penalty),
        ("presence_penalty", "presencePenalty", sampling.presence_penalty),
    ):
        if value is None:
            continue
        if wire.endswith("Penalty") and QUIRK_NO_PENALTIES in target.quirks:
            losses.dropped(name, "the model takes no penalties")
        else:
            config[wire] = value
    if sampling.logit_bias is not None:
        losses.dropped("logit_bias", "Gemini has no such setting")


def _logprobs(config: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    told = own(request.extras).get("_logprobs")
    if told is not None:
        config["logprobs"] = told
    if request.logprobs is None:
        return
    if "logprobs" not in target.capabilities:
        losses.dropped("logprobs", "the model gives none")
        return
    config["responseLogprobs"] = True
    if request.logprobs:
        config["logprobs"] = request.logprobs


def _output_format(
    config: JSONObject, wanted: OutputFormat | None, mine: JSONObject, target: Target, losses: Losses
) -> None:
    if wanted is None:
        return
    if wanted.kind == "text":
        config["responseMimeType"] = PLAIN_TYPE
        return
    config["responseMimeType"] = JSON_TYPE
    if wanted.kind == "json_object":
        return
    if "json_schema" not in target.capabilities:
        raise UnsupportedFeature(
            "response_format: this model cannot be held to a JSON schema. Choose one with the capability "
            "'json_schema'.",
            param="response_format",
        )
    told = mine.get("_responseSchema")
    if "_responseMimeType" in mine:
        spelt = mine["_responseMimeType"]
        if spelt is None:
            del config["responseMimeType"]
        elif spelt == ENUM_TYPE:
            config["responseMimeType"] = ENUM_TYPE
    if isinstance(told, dict):
        config["responseSchema"] = told
    elif QUIRK_OPENAPI_SCHEMA in target.quirks:
        config["responseSchema"] = to_openapi(wanted.schema or {}, "response_format.schema", losses)
    elif wanted.schema is not None:
        config["responseJsonSchema"] = fitted(wanted.schema, "response_format.schema", losses, enforced=True)


def _further(body: Wire, request: ChatRequest, losses: Losses) -> None:
    for key, value in wire_members(request.extras).items():
        if key in TOP_MEMBERS or key.startswith(BODY_PREFIX):
            body[key.removeprefix(BODY_PREFIX)] = value
    mine = own(request.extras)
    if "_store" in mine:
        body["store"] = mine["_store"]
    elif request.store:
        losses.dropped("store", "Gemini keeps no answers")
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier)
        if tier is None:
            losses.dropped("service_tier", "Gemini has no such tier")
        elif tier != "unspecified" or mine:
            body["serviceTier"] = tier
    for name, value in (
        ("user_id", request.user_id),
        ("metadata", request.metadata),
        ("verbosity", request.verbosity),
        ("prompt_cache_key", request.prompt_cache_key),
    ):
        if value is not None:
            losses.dropped(name, "Gemini has no such member")
    if request.cache is not None:
        losses.cache_mark()
