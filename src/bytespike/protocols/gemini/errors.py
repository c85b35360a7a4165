"""Errors, both ways: Google's envelope for clients, and what an upstream's error means for us.

    {"error": {"code": 429, "message": "...", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": ...}, ...]}}

`details` hold messages of google.rpc: `ErrorInfo` (a stable reason), `RetryInfo` (a delay such as "34.4s"), `BadRequest`
(fields), `QuotaFailure`. In a stream the same object comes as a chunk, and the JSON array form of an error is a list of
one. Sources: google.rpc's error_details.proto, Gemini API's troubleshooting page, recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import structs

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import (
    BodyTooLarge,
    Code,
    ContentPolicyViolation,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    NoAvailableChannel,
    NotFound,
    UpstreamError,
    UpstreamTimeout,
)
from bytespike.protocols.upstream_errors import (
    MESSAGE_CHARS_MAX,
    NO_CHANNEL,
    TIMEOUT,
    UPSTREAM,
    bounded_wait,
    plain_text,
    retry_after,
)
from bytespike.wire import json
from bytespike.wire.limits import ERROR_BYTES_MAX

# --- towards clients -------------------------------------------------------------------------------------------

#: HTTP status and google.rpc status of each code (CONTRACT.md section 5). The status of an answer is the edge's; this one
#: is for chunks of a stream, which have none.
_STATUSES: Final[dict[Code, tuple[int, str]]] = {
    "invalid_param": (400, "INVALID_ARGUMENT"),
    "context_length_exceeded": (400, "INVALID_ARGUMENT"),
    "unsupported_feature": (400, "INVALID_ARGUMENT"),
    "previous_response_not_found": (400, "INVALID_ARGUMENT"),
    "request_entity_too_large": (413, "INVALID_ARGUMENT"),
    "invalid_api_key": (401, "UNAUTHENTICATED"),
    "insufficient_balance": (402, "FAILED_PRECONDITION"),
    "quota_exceeded": (402, "FAILED_PRECONDITION"),
    "permission_denied": (403, "PERMISSION_DENIED"),
    "model_not_in_group": (403, "PERMISSION_DENIED"),
    "model_not_found": (404, "NOT_FOUND"),
    "not_found": (404, "NOT_FOUND"),
    "task_not_found": (404, "NOT_FOUND"),
    "method_not_allowed": (405, "UNIMPLEMENTED"),
    "request_timeout": (408, "DEADLINE_EXCEEDED"),
    "conflict": (409, "ALREADY_EXISTS"),
    "duplicate_out_task_id": (409, "ALREADY_EXISTS"),
    "rate_limit_exceeded": (429, "RESOURCE_EXHAUSTED"),
    "concurrency_limit": (429, "RESOURCE_EXHAUSTED"),
    "content_policy_violation": (451, "INVALID_ARGUMENT"),
    "internal_error": (500, "INTERNAL"),
    "upstream_error": (502, "INTERNAL"),
    "no_available_channel": (503, "UNAVAILABLE"),
    "timeout": (504, "UNAVAILABLE"),
}
_DOMAIN: Final = "bytespike"
_RPC: Final = "type.googleapis.com/google.rpc."


def error_object(error: GatewayError, status: int | None = None) -> JSONObject:
    """The `error` member. `status`: the HTTP status of the answer; None in a stream."""
    code, word = _STATUSES[error.code]
    info: JSONObject = {"@type": f"{_RPC}ErrorInfo", "reason": error.code.upper(), "domain": _DOMAIN}
    details: list[JSON] = [info]
    if error.param is not None:
        violation: JSONObject = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{error.retry_after}s"})
    return {"code": status or code, "message": error.message, "status": word, "details": details}


def write_error(error: GatewayError, status: int | None = None) -> bytes:
    """The envelope. "error" is its first member: the official SDK knows an error chunk by that."""
    return json.encode({"error": error_object(error, status)})


# --- from upstreams --------------------------------------------------------------------------------------------

_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_RETRY_WORDS: Final = re.compile(r"retry in (\d{1,9}(?:\.\d{1,9})?)s", re.IGNORECASE)

#: `ErrorInfo.reason`s about the channel's credential, its project or its account.
_CHANNEL_REASONS: Final = frozenset(
    {
        "API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED", "API_KEY_ANDROID_APP_BLOCKED", "API_KEY_IOS_APP_BLOCKED", "SERVICE_DISABLED",
        "BILLING_DISABLED", "CONSUMER_SUSPENDED", "CONSUMER_INVALID", "RATE_LIMIT_EXCEEDED", "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "ACCOUNT_STATE_INVALID", "USER_PROJECT_DENIED", "CREDENTIALS_MISSING",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED", "KEY_SUSPENDED",
    }
)  # fmt: skip
_CHANNEL_STATUSES: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"})
# Said with 400 INVALID_ARGUMENT or FAILED_PRECONDITION, and told apart only in words.
_CHANNEL_PHRASES: Final = (
    "api key not valid",
    "api key expired",
    "api key not found",
    "user location is not supported",
    "free tier is not available",
    "enable billing",
)
_CONTEXT_PHRASES: Final = (
    "input token count",
    "exceeds the maximum number of tokens",
    "exceeds the maximum number of input tokens",
    "context length",
    "context window",
)
_POLICY_PHRASES: Final = ("prohibited use policy", "safety polic", "blocked by safety", "usage guidelines")


class Told(NamedTuple):
    """What an error body says. `code`: its HTTP status, 0 if it says none."""

    code: int
    status: str
    message: str
    reason: str
    param: str | None
    retry_after: int | None


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises."""
    told = read_told(body[:ERROR_BYTES_MAX])
    wait_s = told.retry_after
    if wait_s is None:
        wait_s = retry_after(headers)
    return judge(status, told, wait_s)


def read_told(body: bytes) -> Told:
    """What an error body says, whatever its shape. Never raises."""
    try:
        return told_in(json.decode(body))
    except json.NotJSON:
        return Told(0, "", plain_text(body), "", None, None)


def told_in(value: JSON) -> Told:
    """What a decoded error says: an envelope, its `error` member, or a list of one envelope."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict) and isinstance(value.get("error"), (dict, str)):
        value = value["error"]
    if not isinstance(value, dict):
        return Told(0, "", value[:MESSAGE_CHARS_MAX] if isinstance(value, str) else "", "", None, None)
    code = value.get("code")
    status = value.get("status")
    message = value.get("message")
    message = message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else ""
    reason, param, wait_s = _details(value.get("details"))
    if wait_s is None:
        spoken = _RETRY_WORDS.search(message)
        wait_s = bounded_wait(float(spoken[1])) if spoken else None
    return Told(
        code if isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599 else 0,
        status if isinstance(status, str) else "",
        message,
        reason,
        param,
        wait_s,
    )


def _details(details: JSON) -> tuple[str, str | None, int | None]:
    """The reason, the field at fault and the delay, as far as they are told."""
    reason, param, wait_s = "", None, None
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        kind = detail.get("@type")
        kind = kind.rpartition(".")[2] if isinstance(kind, str) else ""
        if kind == "ErrorInfo" and isinstance(told := detail.get("reason"), str):
            reason = reason or told
        elif kind == "RetryInfo" and isinstance(delay := detail.get("retryDelay"), str):
            seconds = _DELAY.fullmatch(delay)
            wait_s = bounded_wait(float(seconds[1])) if seconds else None
        elif kind == "BadRequest" and isinstance(violations := detail.get("fieldViolations"), list):
            first = violations[0] if violations else None
            field = first.get("field") if isinstance(first, dict) else None
            param = field if isinstance(field, str) and field else param
    return reason, param, wait_s


def judge(status: int, told: Told, wait_s: int | None = None) -> UpstreamFailure:
    """`status` 0: an error inside of a 200 answer; the error says its status by itself."""
    inside = status < 400
    status = told.code if inside else status
    lowered = told.message.lower()
    amounts_to = _channel_status(status, told, lowered)
    if amounts_to:
        failure = UpstreamFailure(NoAvailableChannel(NO_CHANNEL, retry_after=wait_s), "channel", wait_s)
    elif status in (408, 499, 504) or told.status in ("DEADLINE_EXCEEDED", "CANCELLED"):
        failure = UpstreamFailure(UpstreamTimeout(TIMEOUT), "upstream", wait_s)
    elif status == 503 or told.status == "UNAVAILABLE":
        failure = UpstreamFailure(NoAvailableChannel(NO_CHANNEL, retry_after=wait_s), "upstream", wait_s)
    elif 400 <= status < 500 or told.status in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"):
        failure = UpstreamFailure(_request_error(status, told, lowered), "request", None)
    else:
        failure = UpstreamFailure(UpstreamError(UPSTREAM), "upstream", wait_s)
    amounts_to = amounts_to or status
    return structs.replace(failure, status=amounts_to) if inside or amounts_to != status else failure


def _channel_status(status: int, told: Told, lowered: str) -> int:
    """The HTTP status that an error about the channel amounts to; 0 for an error that is not about the channel."""
    if status in (401, 402, 403, 429):
        return status
    if told.status in _CHANNEL_STATUSES or told.reason in _CHANNEL_REASONS:
        return 429 if told.status == "RESOURCE_EXHAUSTED" else 401
    if status == 404 or told.status == "NOT_FOUND":
        # The model, which the channel's mapping has named, or a wrong base URL; a missing file is the caller's.
        named = any(word in lowered for word in ("models/", "model ", "cachedcontent"))
        return 404 if not told.status or named else 0
    if 400 <= status < 500 and any(phrase in lowered for phrase in _CHANNEL_PHRASES):
        # Google answers 400 to a bad key and to a project that it does not serve.
        return 401 if "api key" in lowered else 403
    return 0


def _request_error(status: int, told: Told, lowered: str) -> GatewayError:
    message = told.message or f"The upstream refused the request with status {status}."
    if any(phrase in lowered for phrase in _CONTEXT_PHRASES):
        return ContextTooLong(message, param=told.param)
    if any(phrase in lowered for phrase in _POLICY_PHRASES):
        return ContentPolicyViolation(message, param=told.param)
    if status == 413:
        return BodyTooLarge(message, param=told.param)
    if status == 404:
        return NotFound(message, param=told.param)
    return InvalidRequest(message, param=told.param)


def stream_error(error: JSON) -> GatewayError:
    """An error in mid-stream, or inside of a whole answer. One about the channel says nothing of it."""
    told = told_in(error)
    return reported(judge(0, told, told.retry_after))
