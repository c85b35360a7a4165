"""Errors, both ways: the envelope for clients, and what an upstream's error means for us.

Wire facts: `ErrorResponse` and `ErrorObject` of the official SDK, and Anthropic's "Errors" page (the statuses 400, 401,
402, 403, 404, 413, 429, 500, 504, 529 and their types). An error in a stream has the same object and no status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from bytespike.core.dialect import UpstreamFailure
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import (
    BodyTooLarge,
    Code,
    ContentPolicyViolation,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    NoAvailableChannel,
    UpstreamError,
    UpstreamTimeout,
    error_for,
)
from bytespike.wire import json
from bytespike.wire.limits import ERROR_BYTES_MAX

#: A longer wait than this is no hint for a retry.
RETRY_AFTER_MAX = 24 * 3600
_MESSAGE_CHARS_MAX = 2000

_TYPES: dict[Code, str] = {
    "invalid_param": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "content_policy_violation": "invalid_request_error",
    "method_not_allowed": "invalid_request_error",
    "request_timeout": "invalid_request_error",
    "request_entity_too_large": "request_too_large",
    "invalid_api_key": "authentication_error",
    "insufficient_balance": "billing_error",
    "quota_exceeded": "billing_error",
    "permission_denied": "permission_error",
    "model_not_in_group": "permission_error",
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "concurrency_limit": "rate_limit_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "timeout": "api_error",
    "no_available_channel": "overloaded_error",
}

#: What an error in mid-stream is to the client. Types that speak of the channel's own credential or account are only
#: "the upstream failed".
_STREAM_CODES: dict[str, Code] = {
    "overloaded_error": "no_available_channel",
    "rate_limit_error": "rate_limit_exceeded",
    "invalid_request_error": "invalid_param",
    "request_too_large": "request_entity_too_large",
    "timeout_error": "timeout",
    "api_error": "upstream_error",
}
_ABOUT_THE_CHANNEL = frozenset(
    {"authentication_error", "permission_error", "billing_error", "not_found_error"}
)

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
_FIELD_PATH = re.compile(r"[a-z_]+(?:\.[\w-]+)*: ")
_ACCOUNT_CODES = frozenset(
    {"contract_spend_limit_reached", "enforced_spend_limit_reached", "organization_on_hold"}
)


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The envelope, for an answer with a status."""
    return json.encode(
        {
            "type": "error",
            "error": {"type": _TYPES.get(error.code, "api_error"), "message": error.message},
            "request_id": request_id,
        }
    )


def write_stream_error(error: GatewayError) -> bytes:
    """The data of an `error` event."""
    detail = {"type": _TYPES.get(error.code, "api_error"), "message": error.message}
    return json.encode({"type": "error", "error": detail})


def stream_error(error: JSON) -> tuple[Code, str]:
    """Code and message of the `error` member of an error event."""
    type_, message = _type_and_message({"error": error})
    if type_ in _ABOUT_THE_CHANNEL:
        return "upstream_error", "the upstream refused to go on"
    return _STREAM_CODES.get(type_, "upstream_error"), message or "the upstream broke off with an error"


def read_stream_error(error: JSON) -> GatewayError:
    return error_for(*stream_error(error))


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """An upstream's answer with a status that is no success."""
    object_ = _object(body)
    type_, message = _type_and_message(object_)
    retry_after = read_retry_after(headers)
    words = message.lower()
    if _is_about_the_channel(status, object_, type_, words):
        return UpstreamFailure(_channel_error(status, retry_after), "channel", retry_after)
    if status in (408, 504) or type_ == "timeout_error":
        return UpstreamFailure(
            UpstreamTimeout("the upstream did not answer in time"), "upstream", retry_after
        )
    if status == 529 or type_ == "overloaded_error":
        overloaded = NoAvailableChannel("the upstream is overloaded", retry_after=retry_after)
        return UpstreamFailure(overloaded, "upstream", retry_after)
    if 400 <= status < 500:
        return UpstreamFailure(_request_error(status, type_, message, words), "request", retry_after)
    failed = UpstreamError(f"the upstream failed with status {status}")
    return UpstreamFailure(failed, "upstream", retry_after)


def _is_about_the_channel(status: int, body: JSONObject, type_: str, words: str) -> bool:
    if status in (401, 402, 403, 429) or type_ in (
        "authentication_error",
        "billing_error",
        "permission_error",
    ):
        return True
    if not 400 <= status < 500:
        return False
    error = body.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    if code in _ACCOUNT_CODES:
        return True
    # A message that begins with a field's path quotes what the caller sent: its words say nothing of the account.
    return _FIELD_PATH.match(words) is None and any(word in words for word in _ACCOUNT_WORDS)


def _channel_error(status: int, retry_after: int | None) -> GatewayError:
    what = "is limiting our rate" if status == 429 else "refused our credential"
    return NoAvailableChannel(f"the upstream {what}", retry_after=retry_after)


def _request_error(status: int, type_: str, message: str, words: str) -> GatewayError:
    message = message or f"the upstream refused the request with status {status}"
    if status == 413 or type_ == "request_too_large":
        return BodyTooLarge(message)
    if status == 404 or type_ == "not_found_error":
        return ModelNotFound(message)
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
        return "", error[:_MESSAGE_CHARS_MAX]
    holder = error if isinstance(error, dict) else body
    type_, message = holder.get("type"), holder.get("message")
    return (
        type_ if isinstance(type_, str) else "",
        message[:_MESSAGE_CHARS_MAX] if isinstance(message, str) else "",
    )


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds, from a `retry-after` of either form. A date is measured from the answer's own `date`, so that nobody's
    clock matters; without that it says nothing. Names are lower-case."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:10]), RETRY_AFTER_MAX)
    try:
        seconds = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(0, int(seconds.total_seconds())), RETRY_AFTER_MAX)
