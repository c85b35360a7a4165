"""Errors: this dialect's envelope towards clients, its two forms in a stream, and what upstreams' error answers mean.

Towards clients: `{"error": {"type", "code", "message", "param"}}`. In a stream, as OpenAI sends it, an `error` event that
nests the same object, and then `response.failed`, whose response has `error: {"code", "message"}`. The code in there is one
of a closed list (SDK, `ResponseError.code`); clients also branch on `context_length_exceeded`, which OpenAI sends though
the list lacks it.

Upstreams that call themselves compatible agree on less: `{"error": "text", "code"}` (xAI), `{"detail"}` (vLLM), HTML of a
proxy, nothing. `read_error` decides from the status and from the words that vendors use for the few things that matter:
is it the request, the channel's account, or the provider's own trouble?
"""

from __future__ import annotations

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
#: The code inside of a failed response. All others are the server's trouble.
_FAILED_CODES: Final = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "concurrency_limit": "rate_limit_exceeded",
    "invalid_param": "invalid_prompt",
    "unsupported_feature": "invalid_prompt",
    "previous_response_not_found": "invalid_prompt",
    "content_policy_violation": "invalid_prompt",
    "context_length_exceeded": "context_length_exceeded",
}


def error_object(error: GatewayError) -> JSONObject:
    """The `error` member of the envelope, and of a stream's error event."""
    return {
        "message": error.message,
        "type": _TYPES.get(error.code, "invalid_request_error"),
        "param": error.param,
        "code": error.code,
    }


def write_error(error: GatewayError) -> bytes:
    return json.encode({"error": error_object(error)})


def failed_member(error: GatewayError) -> JSONObject:
    """The `error` of a response whose status is "failed"."""
    return {"code": _FAILED_CODES.get(error.code, "server_error"), "message": error.message}


# --- from upstreams --------------------------------------------------------------------------------------------

#: Of a provider's message so much is passed on.
MESSAGE_CHARS_MAX: Final = 2000
#: Nobody is told to wait longer.
RETRY_AFTER_S_MAX: Final = 24 * 3600


class Told(NamedTuple):
    """What an error body says, whatever its shape. `words`: code and type, lower case, for the tables below."""

    message: str
    words: tuple[str, ...]
    param: str | None


_CONTEXT: Final = frozenset({"context_length_exceeded", "string_above_max_length_context"})
_CONTEXT_PHRASES: Final = (
    "context length",
    "context window",
    "maximum context",
    "prompt is too long",
    "input is too long",
)
#: Reasoning that another account, or nobody, had encrypted: the request can be sent again without it.
_FOREIGN_PROOF: Final = "invalid_encrypted_content"
PROOF_PARAM: Final = "encrypted_content"
#: A safety system refused.
_POLICY: Final = frozenset(
    {
        "content_policy_violation", "content_filter", "moderation_blocked", "invalid_prompt", "bio_policy",
        "image_content_policy_violation", "misalignment_policy_violation", "responsibleaipolicyviolation",
    }
)  # fmt: skip
#: The channel's account, credential or model mapping, with the status that each amounts to.
_CHANNEL: Final = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "account_deactivated": 401,
    "permission_error": 403,
    "data_residency_mismatch": 403,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "billing_hard_limit_reached": 402,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "model_not_found": 404,
}
#: xAI says 400 to a wrong key, and nothing of it in its code. Only a message's beginning is looked at: further on it may
#: quote the caller.
_CREDENTIAL_BEGINNINGS: Final = ("incorrect api key", "invalid api key")
_OVERLOADED: Final = frozenset(
    {"server_overloaded", "overloaded_error", "engine_overloaded_error", "server_error"}
)
#: Statuses about the channel. A 404 that is not about the request names a wrong model or base URL.
_CHANNEL_STATUSES: Final = frozenset({401, 402, 403, 404, 407, 429})

_NO_CHANNEL: Final = "No upstream is available for this model at the moment. Try again later."
_UPSTREAM: Final = "The upstream failed to answer. Try again."
_TIMEOUT: Final = "The upstream did not answer in time. Try again."


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises."""
    return judge(status, told(body), retry_after(headers))


def told_error(value: JSON) -> GatewayError:
    """An error inside of a 200 or of a stream (`value`: whatever holds it), to be raised or kept: it carries whose fault
    it is."""
    return reported(judge(0, told_in(value)))


def judge(status: int, said: Told, wait_s: int | None = None) -> UpstreamFailure:
    """`status` 0: an error inside of a 200 answer or of a stream."""
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
    if by_word or status not in (0, 400):
        return by_word
    return 401 if said.message.lower().startswith(_CREDENTIAL_BEGINNINGS) else 0


def _about_request(status: int, said: Told, words: frozenset[str]) -> GatewayError | None:
    """The error for the client, where the request itself is at fault."""
    if status >= 500 or words & _OVERLOADED:
        return None
    message = said.message or "The upstream refused the request."
    if words & _POLICY:
        return ContentPolicyViolation(message, param=said.param)
    if _FOREIGN_PROOF in words:
        return InvalidRequest(message, param=PROOF_PARAM)
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
    if status == 404 and said.param != "model" and said.words and not words & _CHANNEL.keys():
        # Something that the caller named. Without an error code it is the path: the channel's base URL is wrong.
        return NotFound(message, param=said.param)
    return None


def told(body: bytes) -> Told:
    """What an error body says. Never raises."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        return Told(_plain(body), (), None)
    return told_in(value)


def told_in(value: JSON) -> Told:
    """What a decoded error says: an envelope, a failed response, an `error` event, or the error itself."""
    if not isinstance(value, dict):
        return Told(value[:MESSAGE_CHARS_MAX] if isinstance(value, str) else "", (), None)
    inner = value.get("error")
    if isinstance(inner, dict):
        return _told_by(inner, value)
    if isinstance(inner, str):
        return _told_by({"message": inner}, value)
    return _told_by(value, {})


def _told_by(error: JSONObject, beside: JSONObject) -> Told:
    found = [error.get(key) for key in ("code", "type", "status")]
    found.append(beside.get("code"))
    words = tuple(
        str(word).lower() for word in found if isinstance(word, (str, int)) and not isinstance(word, bool)
    )
    message = next(
        (text for key in ("message", "detail") if isinstance(text := error.get(key), str) and text), ""
    )
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
