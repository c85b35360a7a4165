"""Errors of OpenAI's two dialects: one envelope towards clients, and one judgement of what upstreams mean.

Upstreams that call themselves compatible agree on statuses, and on little else. What an answer says is read by each
dialect (`Told`), and so are the words and numbers that its vendors use (`Vocabulary`). From them `judge` finds whose
trouble it is: the request's, the channel's account, or the provider's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bytespike.core.dialect import UpstreamFailure
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
from bytespike.protocols.upstream_errors import MESSAGE_CHARS_MAX, NO_CHANNEL, TIMEOUT, UPSTREAM
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
    """The `error` member: in the envelope, and in a stream's last frame or its error event."""
    return {
        "message": error.message,
        "type": _TYPES.get(error.code, "invalid_request_error"),
        "param": error.param,
        "code": error.code,
    }


def write_error(error: GatewayError) -> bytes:
    return json.encode({"error": error_object(error)})


# --- from upstreams --------------------------------------------------------------------------------------------

_BEGINNING_CHARS: Final = 160


class Told(NamedTuple):
    """What an error body says, whatever its shape. `words`: codes, types and reasons, lower case, for a `Vocabulary`."""

    message: str
    words: tuple[str, ...]
    param: str | None


def told_by(message: str, codes: Iterable[JSON], param: JSON) -> Told:
    """`codes`: whatever may say the error's kind, in the order in which it is believed."""
    words = tuple(
        str(word).lower() for word in codes if isinstance(word, (str, int)) and not isinstance(word, bool)
    )
    return Told(message[:MESSAGE_CHARS_MAX], words, param if isinstance(param, str) and param else None)


def message_in(error: JSONObject, keys: Iterable[str]) -> str:
    """The first member that is a text and not empty; "" where there is none."""
    return next((text for key in keys if isinstance(text := error.get(key), str) and text), "")


def told_text(value: JSON) -> Told:
    """An error that is no object: its text, if it is one."""
    return Told(value[:MESSAGE_CHARS_MAX] if isinstance(value, str) else "", (), None)


class Vocabulary(NamedTuple):
    """The words that the upstreams of a dialect use. All in lower case.

    `policy`: a safety system refused; `context`, `context_phrases`: the prompt is over the window; `params`: faults of
    the request that one member is to blame for, with the member's name. `channel`: about the channel's credential, money,
    rate or mapping of models, with the status that each amounts to; `channel_statuses` say it by themselves (a 404 that
    is not about the request names a wrong model or base URL). `overloaded`: the provider's own trouble, whatever status
    it comes with.

    `credential_beginnings`, `no_such_model`: how messages about the channel begin that come without a telling code, with
    one of `plain_statuses` (0: no status is known). Only their beginnings are looked at: further on a message may quote
    the caller.
    """

    policy: frozenset[str]
    context: frozenset[str]
    context_phrases: tuple[str, ...]
    params: Mapping[str, str]
    channel: Mapping[str, int]
    channel_statuses: frozenset[int]
    overloaded: frozenset[str]
    credential_beginnings: tuple[str, ...]
    no_such_model: re.Pattern[str] | None
    plain_statuses: frozenset[int]


def judge(vocabulary: Vocabulary, status: int, said: Told, wait_s: int | None = None) -> UpstreamFailure:
    """`status` 0: an error inside of a 200 answer or of a stream. Such an error may say a status by itself."""
    answered = status
    if status == 0:
        status = next((int(word) for word in said.words if word.isdecimal() and len(word) == 3), 0)
    words = frozenset(said.words)
    request_error = _about_request(vocabulary, status, said, words)
    if request_error is not None:
        return UpstreamFailure(request_error, "request", None)
    if status in (408, 504, 524):
        return UpstreamFailure(UpstreamTimeout(TIMEOUT), "upstream", wait_s)
    if status not in (401, 402, 403) and (status >= 500 or words & vocabulary.overloaded):
        failure: GatewayError = (
            NoAvailableChannel(NO_CHANNEL, retry_after=wait_s) if wait_s else UpstreamError(UPSTREAM)
        )
        return UpstreamFailure(failure, "upstream", wait_s)
    amounts_to = _channel_status(vocabulary, status, said)
    if amounts_to:
        told_as = 0 if amounts_to == answered else amounts_to
        return UpstreamFailure(NoAvailableChannel(NO_CHANNEL, retry_after=wait_s), "channel", wait_s, told_as)
    return UpstreamFailure(UpstreamError(UPSTREAM), "upstream", wait_s)


def _channel_status(vocabulary: Vocabulary, status: int, said: Told) -> int:
    """The status that an error about the channel amounts to; 0 for an error about something else."""
    if status in vocabulary.channel_statuses:
        return status
    by_word = next((vocabulary.channel[word] for word in said.words if word in vocabulary.channel), 0)
    if by_word or status not in vocabulary.plain_statuses:
        return by_word
    beginning = said.message[:_BEGINNING_CHARS].lower()
    if beginning.startswith(vocabulary.credential_beginnings):
        return 401
    return 404 if said.param in (None, "model") and _names_no_model(vocabulary, said) else 0


def _about_request(
    vocabulary: Vocabulary, status: int, said: Told, words: frozenset[str]
) -> GatewayError | None:
    """The error for the client, where the request itself is at fault."""
    if status >= 500 or words & vocabulary.overloaded:
        return None
    message = said.message or "The upstream refused the request."
    if words & vocabulary.policy:
        return ContentPolicyViolation(message, param=said.param)
    at_fault = next((vocabulary.params[word] for word in said.words if word in vocabulary.params), None)
    if at_fault is not None:
        return InvalidRequest(message, param=at_fault)
    if words & vocabulary.context:
        return ContextTooLong(message, param=said.param)
    if status != 404 and _channel_status(vocabulary, status, said):
        return None
    lowered = message.lower()
    if status in (0, 400, 413, 422) and any(phrase in lowered for phrase in vocabulary.context_phrases):
        return ContextTooLong(message, param=said.param)
    if status in (400, 405, 409, 415, 422) or (status == 0 and "invalid_request_error" in words):
        return InvalidRequest(message, param=said.param)
    if status == 413:
        return BodyTooLarge(message, param=said.param)
    if status == 404 and _is_of_the_request(vocabulary, said):
        return NotFound(message, param=said.param)
    return None


def _is_of_the_request(vocabulary: Vocabulary, said: Told) -> bool:
    """Whether what was not found is something that the caller named. Without an error code it is the path: the channel's
    base URL is wrong."""
    if not said.words or said.param == "model" or any(word in vocabulary.channel for word in said.words):
        return False
    return not _names_no_model(vocabulary, said)


def _names_no_model(vocabulary: Vocabulary, said: Told) -> bool:
    """Whether the message begins like one about a model that the upstream does not know."""
    pattern = vocabulary.no_such_model
    return pattern is not None and pattern.search(said.message[:_BEGINNING_CHARS].lower()) is not None
