"""Why a model stopped: chat's words, the vendors', and the hub's.

OpenAI has five reasons, and clients' types know no others. What is finer than these goes out as the plain reason and,
beside it, as `native_finish_reason` (OpenRouter's member for the provider's own word) and `stop_reason` (vLLM's member
for the sequence that matched), and is read from there.
"""

from __future__ import annotations

from typing import Final, cast

from bytespike.core.finish import Finish, FinishReason
from bytespike.core.json_types import NO_EXTRAS, JSONObject
from bytespike.protocols.openai_chat.names import aside, wire_members

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    # Deprecated with `functions`.
    "function_call": "tool_calls",
    # Zhipu: "sensitive", "network_error", "model_context_window_exceeded".
    "sensitive": "content_filter",
    "network_error": "error",
    "model_context_window_exceeded": "context_window",
    # DeepSeek.
    "insufficient_system_resource": "error",
    # Mistral.
    "model_length": "context_window",
    # OpenRouter.
    "error": "error",
    # Anthropic's words, from gateways that pass them through.
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    # Words of local servers.
    "eos": "stop",
    "eos_token": "stop",
    "stop_token": "stop",
    "abort": "error",
    "cancelled": "error",
    # Gemini's compatible API lets some of its own words through.
    "safety": "content_filter",
    "recitation": "content_filter",
    "max_output_tokens": "length",
}
_PLAIN: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})
#: Reasons that chat has no word for. Only these are taken from `native_finish_reason`.
_FINER: Final = frozenset({"stop_sequence", "context_window", "refusal", "pause", "error", "other"})

#: What a client is told, and the finer word where there is one.
_WRITTEN: Final[dict[FinishReason, tuple[str, str | None]]] = {
    "stop": ("stop", None),
    "stop_sequence": ("stop", "stop_sequence"),
    "length": ("length", None),
    "context_window": ("length", "model_context_window_exceeded"),
    "tool_calls": ("tool_calls", None),
    "content_filter": ("content_filter", None),
    "refusal": ("content_filter", "refusal"),
    "pause": ("stop", "pause_turn"),
    "error": ("stop", "error"),
    "other": ("stop", "other"),
}
_BY_WORD: Final[dict[str, FinishReason]] = {word: reason for reason, (_, word) in _WRITTEN.items() if word}


def read_finish(
    reason: str,
    native: str | None = None,
    sequence: str | None = None,
    detail: str | None = None,
    unknown: JSONObject | None = None,
) -> Finish:
    """The hub's finish. `unknown`: further members of the choice, for this dialect's writer."""
    known = _known(reason) or "other"
    raw = None if reason in _PLAIN else reason
    if native:
        finer, word = _native(native)
        known = finer or known
        raw = word
    if sequence is not None and known == "stop":
        known = "stop_sequence"
    return Finish(known, sequence, raw, detail, aside(unknown) if unknown else NO_EXTRAS)


def _known(word: str) -> FinishReason | None:
    found = _REASONS.get(word) or _REASONS.get(word.lower())
    if found is None and ":" in word:
        # Gemini's compatible API: "content_filter: RECITATION", "function_call_filter: MALFORMED_FUNCTION_CALL".
        family = word.partition(":")[0].strip()
        found = "error" if family == "function_call_filter" else _REASONS.get(family)
    return found


def _native(native: str) -> tuple[FinishReason | None, str | None]:
    """The finer reason that a provider's word tells, and the word where the reason does not imply it."""
    if native in _BY_WORD:
        return _BY_WORD[native], None
    if native in _PLAIN:
        return None, None
    head, colon, tail = native.partition(": ")
    if colon and head in _FINER:
        return _BY_WORD.get(head) or cast(FinishReason, head), tail
    found = _known(native)
    return (found if found in _FINER else None), native


def write_finish(finish: Finish, *, refused: bool = False) -> tuple[str, JSONObject]:
    """The `finish_reason` for a client, and further members of the choice. `refused`: the message says in `refusal` that
    the model refused; OpenAI then calls it a stop, and the SDK's `parse` raises for a filter."""
    reason, word = _WRITTEN[finish.reason]
    if refused and finish.reason == "refusal":
        reason = "stop"
    members: JSONObject = wire_members(finish.extras) if finish.extras else {}
    raw = finish.raw
    if raw == "function_call":
        reason = raw
    elif raw is not None and raw not in _PLAIN:
        finer = _native(raw)[0]
        implied = finer == finish.reason or (finer is None and finish.reason not in _FINER)
        word = raw if implied else f"{finish.reason}: {raw}"
    if word is not None:
        members["native_finish_reason"] = word
    if finish.sequence is not None:
        members["stop_reason"] = finish.sequence
    if finish.detail is not None:
        members["finish_detail"] = finish.detail
    return reason, members
