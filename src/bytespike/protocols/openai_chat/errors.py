"""Errors: this dialect's envelope towards clients, and what upstreams' error answers mean.

Towards clients: `{"error": {"type", "code", "message", "param"}}`.

Upstreams that call themselves compatible agree on less: `{"error": {...}}`, `{"error": "text", "code"}` (xAI),
`[{"error": {...}}]` (Gemini), `{"message", "code"}`, `{"detail"}` (vLLM), `{"base_resp": {...}}` (MiniMax), HTML of a
proxy, plain text, nothing. `read_error` decides from the HTTP status, and from the words and numbers that vendors use for
the few things that matter: is it the request, the channel's account, or the provider's own trouble?
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Final, NamedTuple

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import (
    BodyTooLarge,
    ContentPolicyViolation,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    NoAvailableChannel,
    NotFound,
    UpstreamError,
    UpstreamTimeout,
)
from bytespike.wire import json

# --- towards clients -------------------------------------------------------------------------------------------

#: The envelope's `type` for each code (CONTRACT.md section 5).
_TYPES: Final = {
    "invalid_api_key": "authentication_error",
    "insufficient_balance": "insufficient_balance",
    "quota_exceeded": "insufficient_balance",
    "permission_denied": "permission_error",
    "model_not_in_group": "permission_error",
    "rate_limit_exceeded": "rate_limit_error",
    "concurrency_limit": "rate_limit_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "no_available_channel": "api_error",
    "timeout": "api_error",
}


def error_object(error: GatewayError) -> JSONObject:
    """The `error` member: in the envelope, and in a stream's last frame."""
    return {
        "message": error.message,
        "type": _TYPES.get(error.code, "invalid_request_error"),
        "param": error.param,
        "code": error.code,
    }


def write_error(error: GatewayError) -> bytes:
    return json.encode({"error": error_object(error)})


# --- from upstreams --------------------------------------------------------------------------------------------

#: Of a provider's message so much is passed on.
MESSAGE_CHARS_MAX: Final = 2000
#: Nobody is told to wait longer.
RETRY_AFTER_S_MAX: Final = 24 * 3600


class Told(NamedTuple):
    """What an error body says, whatever its shape. `words`: codes, types and reasons, lower case, for the tables below."""

    message: str
    words: tuple[str, ...]
    param: str | None


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

_NO_CHANNEL: Final = "No upstream is available for this model at the moment. Try again later."
_UPSTREAM: Final = "The upstream failed to answer. Try again."
_TIMEOUT: Final = "The upstream did not answer in time. Try again."


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises."""
    return judge(status, told(body), retry_after(headers))


def told_error(said: Told) -> GatewayError:
    """An error inside of a 200 or of a stream, to be raised or kept: it carries whose fault it is."""
    return reported(judge(0, said))


def judge(status: int, said: Told, wait_s: int | None = None) -> UpstreamFailure:
    """`status` 0: an error inside of a 200 answer. Such an error may say a status by itself."""
    answered = status
    if status == 0:
        status = next((int(word) for word in said.words if word.isdecimal() and len(word) == 3), 0)
    words = frozenset(said.words)
    request_error = _about_request(status, said, words)
    if request_error is not None:
        return UpstreamFailure(request_error, "request", None)
    if status in (408, 504, 524):
        return UpstreamFailure(UpstreamTimeout(_TIMEOUT), "upstream", wait_s)
    if status not in (401, 402, 403) and (status >= 500 or words & _OVERLOADED):
        failure: GatewayError = (
            NoAvailableChannel(_NO_CHANNEL, retry_after=wait_s) if wait_s else UpstreamError(_UPSTREAM)
        )
        return UpstreamFailure(failure, "upstream", wait_s)
    amounts_to = _channel_status(status, said)
    if amounts_to:
        told_as = 0 if amounts_to == answered else amounts_to
        return UpstreamFailure(
            NoAvailableChannel(_NO_CHANNEL, retry_after=wait_s), "channel", wait_s, told_as
        )
    return UpstreamFailure(UpstreamError(_UPSTREAM), "upstream", wait_s)


def _channel_status(status: int, said: Told) -> int:
    """The status that an error about the channel amounts to; 0 for an error about something else."""
    if status in _CHANNEL_STATUSES:
        return status
    by_word = next((_CHANNEL[word] for word in said.words if word in _CHANNEL), 0)
    if by_word or status not in (0, 400, 422):
        return by_word
    beginning = said.message[:_BEGINNING_CHARS].lower()
    if beginning.startswith(_CREDENTIAL_BEGINNINGS):
        return 401
    return 404 if said.param in (None, "model") and _NO_SUCH_MODEL.search(beginning) else 0


def _about_request(status: int, said: Told, words: frozenset[str]) -> GatewayError | None:
    """The error for the client, where the request itself is at fault."""
    if status >= 500 or words & _OVERLOADED:
        return None
    message = said.message or "The upstream refused the request."
    if words & _POLICY:
        return ContentPolicyViolation(message, param=said.param)
    if words & _CONTEXT:
        return ContextTooLong(message, param=said.param)
    if status != 404 and _channel_status(status, said):
        return None
    lowered = message.lower()
    if status in (0, 400, 413, 422) and any(phrase in lowered for phrase in _CONTEXT_PHRASES):
        return ContextTooLong(message, param=said.param)
    if status in (400, 405, 409, 415, 422) or (status == 0 and "invalid_request_error" in words):
        return InvalidRequest(message, param=said.param)
    if status == 413:
        return BodyTooLarge(message, param=said.param)
    if status == 404 and _is_of_the_request(said):
        return NotFound(message, param=said.param)
    return None


def _is_of_the_request(said: Told) -> bool:
    """Whether what was not found is something that the caller named. Without an error code it is the path: the channel's
    base URL is wrong."""
    if not said.words or said.param == "model" or any(word in _CHANNEL for word in said.words):
        return False
    return _NO_SUCH_MODEL.search(said.message[:_BEGINNING_CHARS].lower()) is None


def told(body: bytes) -> Told:
    """What an error body says. Never raises."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        return Told(_plain(body), (), None)
    return told_in(value)


def told_in(value: JSON) -> Told:
    """What a decoded error says."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return Told(value[:MESSAGE_CHARS_MAX] if isinstance(value, str) else "", (), None)
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
    words = tuple(
        str(word).lower() for word in found if isinstance(word, (str, int)) and not isinstance(word, bool)
    )
    message = next(
        (text for key in ("message", "msg", "detail") if isinstance(text := error.get(key), str) and text), ""
    )
    if not message and error.get("detail") is not None:
        message = json.encode(error["detail"]).decode()
    param = error.get("param")
    return Told(message[:MESSAGE_CHARS_MAX], words, param if isinstance(param, str) and param else None)


def _plain(body: bytes) -> str:
    """Plain text as it is; a proxy's HTML page says nothing to a client."""
    text = body[: MESSAGE_CHARS_MAX * 4].decode("utf-8", "replace").strip()
    return "" if text[:1] == "<" else text[:MESSAGE_CHARS_MAX]


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date relative to the answer's own `date`).

    No clock is read: a date without the answer's date says nothing.
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    seconds = _number(lowered.get("retry-after-ms"))
    if seconds is not None:
        return _bounded(seconds / 1000)
    value = lowered.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _bounded(seconds)
    until, now = _date(value), _date(lowered.get("date"))
    if until is None or now is None:
        return None
    return _bounded((until - now).total_seconds())


def _bounded(seconds: float) -> int:
    return min(max(0, ceil(seconds)), RETRY_AFTER_S_MAX)


def _number(value: str | None) -> float | None:
    if not value or not value.replace(".", "", 1).isdigit() or not value.isascii():
        return None
    return min(float(value), RETRY_AFTER_S_MAX * 1000)


def _date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else None
