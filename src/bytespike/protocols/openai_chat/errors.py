"""What upstreams' error answers say. The envelope towards clients is `protocols.openai_errors`.

Upstreams that call themselves compatible agree on less: `{"error": {...}}`, `{"error": "text", "code"}` (xAI),
`[{"error": {...}}]` (Gemini), `{"message", "code"}`, `{"detail"}` (vLLM), `{"base_resp": {...}}` (MiniMax), HTML of a
proxy, plain text, nothing. The words and numbers that vendors use for the few things that matter are told here, for
`openai_errors.judge` to find whose trouble it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import GatewayError
from bytespike.protocols.openai_errors import Told, Vocabulary, judge, message_in, told_by, told_text
from bytespike.protocols.upstream_errors import plain_text, retry_after
from bytespike.wire import json

#: Prompt over the window. OpenAI; Volcengine; Zhipu 1261; MiniMax 1039.
_CONTEXT: Final = frozenset({"context_length_exceeded", "string_above_max_length_context", "1261", "1039"})
_CONTEXT_PHRASES: Final = (
    "context length",
    "context window",
    "maximum context",
    "context_length",
    "input is too long",
    "prompt is too long",
    "prompt exceeds",
    "exceeded model token limit",
)
#: A safety system refused. OpenAI and Azure; Moonshot; Volcengine; Zhipu 1301; MiniMax 1026, 1027; Alibaba.
_POLICY: Final = frozenset(
    {
        "content_policy_violation", "content_filter", "responsibleaipolicyviolation", "moderation_blocked",
        "inputtextsensitivecontentdetected", "outputtextsensitivecontentdetected", "sensitivecontentdetected",
        "inputimagesensitivecontentdetected", "data_inspection_failed", "datainspectionfailed",
        "invalid_prompt", "1301", "1026", "1027",
    }
)  # fmt: skip
#: The channel's credential. OpenAI, DeepSeek, Moonshot; Google's ErrorInfo; Zhipu ("Errors", business codes).
_CREDENTIAL: Final = frozenset(
    {
        "invalid_api_key", "authentication_error", "permission_error", "account_deactivated",
        "invalid_authentication_error", "permission_denied_error",
        "api_key_invalid", "api_key_expired", "api_key_service_blocked", "api_key_http_referrer_blocked",
        "api_key_ip_address_blocked", "consumer_invalid", "consumer_suspended", "service_disabled",
        "1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1120", "1121", "1220",
    }
)  # fmt: skip
#: Its money. OpenAI, DeepSeek, Moonshot; Google; Volcengine; Zhipu 1113.
_BALANCE: Final = frozenset(
    {
        "insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "exceeded_current_quota_error",
        "billing_disabled", "accountoverdueerror", "1113",
    }
)  # fmt: skip
#: Its rate. OpenAI, Moonshot; Volcengine; Zhipu.
_RATE: Final = frozenset(
    {
        "rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error", "quotaexceeded",
        "1302", "1303", "1304", "1308", "1309", "1310", "1312", "1313",
    }
)  # fmt: skip
#: Its mapping of models. OpenAI, Moonshot, Together, Mistral; Volcengine; Zhipu.
_MODEL: Final = frozenset(
    {
        "model_not_found", "resource_not_found_error", "model_not_available", "invalid_model",
        "modelnotopen", "invalidendpointormodel.notfound", "1211", "1311",
    }
)  # fmt: skip
#: All of them: about the channel, with the status that each amounts to.
_CHANNEL: Final = {
    **dict.fromkeys(_CREDENTIAL, 401),
    **dict.fromkeys(_BALANCE, 402),
    **dict.fromkeys(_RATE, 429),
    **dict.fromkeys(_MODEL, 404),
}
#: How messages about the channel begin that come as a plain 400 without a telling code (Gemini, DeepSeek). Only their
#: beginnings are looked at: further on a message may quote the caller.
_CREDENTIAL_BEGINNINGS: Final = (
    "api key not valid", "api key not found", "api key expired", "invalid api key", "incorrect api key",
    "missing or invalid authorization", "multiple authentication credentials", "user location is not supported",
)  # fmt: skip
#: Where a message begins like this, the upstream does not know the model that the channel names: DeepSeek ("Model Not
#: Exist"), Gemini ("models/x is not found for API version"), MiniMax ("invalid params, unknown model 'x'"), OpenRouter
#: ("x is not a valid model ID"), Moonshot ("Not found the model x"), xAI, Alibaba, vLLM ("The model `x` does not exist").
_NO_SUCH_MODEL: Final = re.compile(
    r"(?:unknown|invalid|no such|not found the) model\b|is not a valid model\b|\bmodel not (?:found|exist)"
    r"|\bmodels?[ /:]+[`'\"]?[^\s`'\"]{1,120}[`'\"]? (?:is |was )?(?:not found|does not exist|not exist)|模型不存在"
)
_BEGINNING_CHARS: Final = 160
#: MiniMax's `base_resp.status_code` ("Error codes"), in the words of others: its numbers are Zhipu's with other meanings.
_MINIMAX: Final = {
    1002: "rate_limit_error",
    1004: "authentication_error",
    1008: "insufficient_balance",
    1026: "content_filter",
    1027: "content_filter",
    1039: "context_length_exceeded",
    1041: "rate_limit_error",
    2013: "invalid_request_error",
    2045: "rate_limit_error",
    2049: "invalid_api_key",
    2056: "rate_limit_error",
}
#: The provider's own trouble, whatever status it comes with.
_OVERLOADED: Final = frozenset(
    {
        "engine_overloaded_error",
        "overloaded_error",
        "server_overloaded",
        "serveroverloaded",
        "1305",
        "1234",
        "1230",
    }
)

#: Statuses about the channel. A 404 that is not about the request names a wrong model or base URL; 434 is Zhipu's.
_CHANNEL_STATUSES: Final = frozenset({401, 402, 403, 404, 407, 429, 434})

_VOCABULARY: Final = Vocabulary(
    policy=_POLICY,
    context=_CONTEXT,
    context_phrases=_CONTEXT_PHRASES,
    params={},
    channel=_CHANNEL,
    channel_statuses=_CHANNEL_STATUSES,
    overloaded=_OVERLOADED,
    credential_beginnings=_CREDENTIAL_BEGINNINGS,
    no_such_model=_NO_SUCH_MODEL,
    plain_statuses=frozenset({0, 400, 422}),
)


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises."""
    return judge(_VOCABULARY, status, told(body), retry_after(headers))


def told_error(said: Told) -> GatewayError:
    """An error inside of a 200 or of a stream, to be raised or kept: it carries whose fault it is."""
    return reported(judge(_VOCABULARY, 0, said))


def told(body: bytes) -> Told:
    """What an error body says. Never raises."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        return Told(plain_text(body), (), None)
    return told_in(value)


def told_in(value: JSON) -> Told:
    """What a decoded error says."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return told_text(value)
    inner = value.get("error")
    if inner is None and isinstance(value.get("errors"), list):
        return told_in(value["errors"])
    if isinstance(inner, dict):
        # xAI and others keep the code beside a textual error; Azure nests an inner error with the precise code.
        return _told_by(inner, value)
    if isinstance(inner, str):
        return _told_by({"message": inner}, value)
    base = value.get("base_resp")
    if isinstance(base, dict):
        code = base.get("status_code")
        word = _MINIMAX.get(code) if isinstance(code, int) else None
        return _told_by({"message": base.get("status_msg"), "code": word}, {})
    return _told_by(value, {})


def _told_by(error: JSONObject, beside: JSONObject) -> Told:
    nested = error.get("innererror")
    found = [error.get(key) for key in ("code", "type", "status", "status_code", "http_code")]
    found.append(beside.get("code"))
    if isinstance(nested, dict):
        found.append(nested.get("code"))
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and "flagged_input" in metadata:
        # OpenRouter: the input was flagged by moderation; comes as 403.
        found.append("content_policy_violation")
    details = error.get("details")
    if isinstance(details, list):
        # Google's ErrorInfo tells a bad key apart from a bad request.
        found.extend([detail.get("reason") for detail in details if isinstance(detail, dict)])
    message = message_in(error, ("message", "msg", "detail"))
    if not message and error.get("detail") is not None:
        message = json.encode(error["detail"]).decode()
    return told_by(message, found, error.get("param"))
