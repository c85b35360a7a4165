"""The error of a failed response, and what upstreams' error answers say. The envelope is `protocols.openai_errors`.

In a stream OpenAI sends an `error` event that nests the envelope's object, and then `response.failed`, whose response has `error: {"code", "message"}`. The code in there is one
of a closed list (SDK, `ResponseError.code`); clients also branch on `context_length_exceeded`, which OpenAI sends though
the list lacks it.

Upstreams that call themselves compatible agree on less: `{"error": "text", "code"}` (xAI), `{"detail"}` (vLLM), HTML of a
proxy, nothing. The words that vendors use for the few things that matter are told here, for `openai_errors.judge` to find
whose trouble it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import GatewayError
from bytespike.protocols.openai_errors import Told, Vocabulary, judge, message_in, told_by, told_text
from bytespike.protocols.upstream_errors import plain_text, retry_after
from bytespike.wire import json

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


def failed_member(error: GatewayError) -> JSONObject:
    """The `error` of a response whose status is "failed"."""
    return {"code": _FAILED_CODES.get(error.code, "server_error"), "message": error.message}


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

_VOCABULARY: Final = Vocabulary(
    policy=_POLICY,
    context=_CONTEXT,
    context_phrases=_CONTEXT_PHRASES,
    params={_FOREIGN_PROOF: PROOF_PARAM},
    channel=_CHANNEL,
    channel_statuses=_CHANNEL_STATUSES,
    overloaded=_OVERLOADED,
    credential_beginnings=_CREDENTIAL_BEGINNINGS,
    no_such_model=None,
    plain_statuses=frozenset({0, 400}),
)


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises."""
    return judge(_VOCABULARY, status, told(body), retry_after(headers))


def told_error(value: JSON) -> GatewayError:
    """An error inside of a 200 or of a stream (`value`: whatever holds it), to be raised or kept: it carries whose fault
    it is."""
    return reported(judge(_VOCABULARY, 0, told_in(value)))


def told(body: bytes) -> Told:
    """What an error body says. Never raises."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        return Told(plain_text(body), (), None)
    return told_in(value)


def told_in(value: JSON) -> Told:
    """What a decoded error says: an envelope, a failed response, an `error` event, or the error itself."""
    if not isinstance(value, dict):
        return told_text(value)
    inner = value.get("error")
    if isinstance(inner, dict):
        return _told_by(inner, value)
    if isinstance(inner, str):
        return _told_by({"message": inner}, value)
    return _told_by(value, {})


def _told_by(error: JSONObject, beside: JSONObject) -> Told:
    found = [error.get(key) for key in ("code", "type", "status")]
    found.append(beside.get("code"))
    return told_by(message_in(error, ("message", "detail")), found, error.get("param"))
