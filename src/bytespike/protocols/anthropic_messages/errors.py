"""Errors, both ways: the envelope for clients, and what an upstream's error means for us.

Wire facts: `ErrorResponse` and `ErrorObject` of the official SDK, and Anthropic's "Errors" page (the statuses 400, 401,
402, 403, 404, 413, 429, 500, 504, 529 and their types). An error in a stream has the same object and no status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
from bytespike.protocols.anthropic_messages.threads import thread_details
from bytespike.protocols.upstream_errors import MESSAGE_CHARS_MAX, retry_after
from bytespike.wire import json
from bytespike.wire.limits import ERROR_BYTES_MAX

_TYPES: dict[Code, str] = {
    "invalid_param": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "previous_response_not_found": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "content_policy_violation": "invalid_request_error",
    "method_not_allowed": "invalid_request_error",
    "conflict": "invalid_request_error",
    "duplicate_out_task_id": "invalid_request_error",
    "request_timeout": "invalid_request_error",
    "request_entity_too_large": "request_too_large",
    "invalid_api_key": "authentication_error",
    "insufficient_balance": "billing_error",
    "quota_exceeded": "billing_error",
    "permission_denied": "permission_error",
    "model_not_in_group": "permission_error",
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
    "task_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "concurrency_limit": "rate_limit_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "timeout": "api_error",
    "no_available_channel": "overloaded_error",
}

#: The status that goes with each type, for errors that come without one. Any other type is the upstream's own failure.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
#: What an error about the channel is to the client.
_NO_CHANNEL = "no upstream is available for this model at the moment"
_CHANNEL_STATUSES = frozenset({401, 402, 403, 429})
_CHANNEL_TYPES = frozenset({"authentication_error", "billing_error", "permission_error", "rate_limit_error"})

# Anthropic tells these apart only in words.
_CONTEXT_WORDS = (
    "prompt is too long",
    "exceed context limit",
    "exceeds the context",
    "context window",
    "maximum context length",
    "too many total text bytes",
)
_POLICY_WORDS = ("content filtering policy", "content policy", "usage policy", "safety system")
_ACCOUNT_WORDS = (
    "credit balance",
    "organization has been disabled",
    "api usage limits",
    "spend limit",
    "billing",
    "this organization",
)
#: What a message about something of the caller's that was not found begins with.
_CALLERS_THINGS = ("file", "container", "skill")
#: What a message about a model that is not there begins with: Anthropic's own form, and those of compatible vendors.
_NO_SUCH_MODEL = re.compile(
    r"model: |model not (?:found|exist)|(?:unknown|invalid|no such) model\b"
    r"|(?:the )?model [`'\"]?[^\s`'\"]{1,120}[`'\"]? (?:is |was )?(?:not found|does not exist|not exist)"
)
_FIELD_PATH = re.compile(r"[a-z_]+(?:\.[\w-]+)*: ")
_ACCOUNT_CODES = frozenset(
    {"contract_spend_limit_reached", "enforced_spend_limit_reached", "organization_on_hold"}
)


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The envelope, for an answer with a status."""
    told: dict[str, object] = {"type": _TYPES.get(error.code, "api_error"), "message": error.message}
    if error.details is not None:
        told["details"] = error.details
    return json.encode({"type": "error", "error": told, "request_id": request_id})


def write_stream_error(error: GatewayError) -> bytes:
    """The data of an `error` event."""
    detail = {"type": _TYPES.get(error.code, "api_error"), "message": error.message}
    return json.encode({"type": "error", "error": detail})


def told_error(error: JSON) -> GatewayError:
    """The `error` member of an event, or of an answer whose status said success: to be raised or kept, it carries whose
    fault it is. Only an error about the request keeps the upstream's text, for any other may name the operator's
    account."""
    object_: JSONObject = {"error": error}
    status = _STATUSES.get(_type_and_message(object_)[0], 500)
    return reported(_judge(status, 200, object_, None))


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """An upstream's answer with a status that is no success."""
    return _judge(status, status, _object(body), retry_after(headers))


def _judge(status: int, answered: int, object_: JSONObject, wait_s: int | None) -> UpstreamFailure:
    """`status`: what the error amounts to; `answered`: the status that it came with."""
    type_, message = _type_and_message(object_)
    words = message.lower()
    thread = thread_details(object_)
    if thread is not None:
        lost = InvalidRequest(message or "the upstream cannot go on with this message thread")
        lost.details = thread
        return UpstreamFailure(lost, "request", wait_s)
    channel = _channel_status(status, object_, type_, words)
    if channel:
        told_as = 0 if channel == answered else channel
        return UpstreamFailure(
            NoAvailableChannel(_NO_CHANNEL, retry_after=wait_s), "channel", wait_s, told_as
        )
    if status in (408, 504) or type_ == "timeout_error":
        return UpstreamFailure(UpstreamTimeout("the upstream did not answer in time"), "upstream", wait_s)
    if status == 529 or type_ == "overloaded_error":
        overloaded = NoAvailableChannel("the upstream is overloaded", retry_after=wait_s)
        return UpstreamFailure(overloaded, "upstream", wait_s)
    if 400 <= status < 500:
        return UpstreamFailure(_request_error(status, type_, message, words), "request", wait_s)
    how = f"failed with status {answered}" if answered != 200 else "broke off with an error"
    return UpstreamFailure(UpstreamError(f"the upstream {how}"), "upstream", wait_s)


def _channel_status(status: int, body: JSONObject, type_: str, words: str) -> int:
    """The status that an error about the channel (its credential, its account, its name for the model) amounts to; 0
    for an error about something else."""
    if status in _CHANNEL_STATUSES:
        return status
    if type_ in _CHANNEL_TYPES:
        return _STATUSES[type_]
    if not 400 <= status < 500:
        return 0
    if status == 404 or type_ == "not_found_error":
        return 0 if _names_something_of_the_caller(words) else 404
    if _NO_SUCH_MODEL.match(words):
        return 404
    error = body.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    if code in _ACCOUNT_CODES:
        return 402
    # A message that begins with a field's path quotes what the caller sent: its words say nothing of the account.
    quotes = _FIELD_PATH.match(words) is not None
    return 402 if not quotes and any(word in words for word in _ACCOUNT_WORDS) else 0


def _names_something_of_the_caller(words: str) -> bool:
    """What was not found is the model or the path, which are the channel's, unless the message says what it is."""
    if words.startswith(_CALLERS_THINGS):
        return True
    return _FIELD_PATH.match(words) is not None and not words.startswith("model")


def _request_error(status: int, type_: str, message: str, words: str) -> GatewayError:
    message = message or f"the upstream refused the request with status {status}"
    if status == 413 or type_ == "request_too_large":
        return BodyTooLarge(message)
    if status == 404 or type_ == "not_found_error":
        return NotFound(message)
    if any(word in words for word in _CONTEXT_WORDS):
        return ContextTooLong(message)
    if any(word in words for word in _POLICY_WORDS):
        return ContentPolicyViolation(message)
    path, colon, _ = message.partition(": ")
    is_path = bool(colon) and len(path) <= 200 and path.replace(".", "").replace("_", "").isalnum()
    return InvalidRequest(message, param=path if is_path else None)


def _object(body: bytes) -> JSONObject:
    try:
        return json.decode_object(body[:ERROR_BYTES_MAX])
    except json.NotJSON:
        return {}


def _type_and_message(body: JSONObject) -> tuple[str, str]:
    """Of Anthropic's envelope, or of what compatible vendors send in its place."""
    error = body.get("error")
    if isinstance(error, str):
        return "", error[:MESSAGE_CHARS_MAX]
    holder = error if isinstance(error, dict) else body
    type_, message = holder.get("type"), holder.get("message")
    return (
        type_ if isinstance(type_, str) else "",
        message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else "",
    )
