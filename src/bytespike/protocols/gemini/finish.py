"""Why a model stopped: Google's words and the hub's.

`finishReason` has one word for a natural stop, a matched stop sequence and function calls: STOP. What is finer goes out
beside it as `nativeFinishReason` and `stopSequence`, members of our own that clients skip, and is read from there.
What else a candidate says about itself (safety ratings, grounding, log probabilities) travels in the finish's extras.
"""

from __future__ import annotations

from typing import Final, cast, get_args

from bytespike.core.finish import Finish, FinishReason
from bytespike.core.json_types import JSONObject
from bytespike.protocols.gemini.names import aside, wire_members

#: google-genai, FinishReason.
REASONS: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "other",
    "OTHER": "other",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "IMAGE_RECITATION": "content_filter",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "CONTINUATION": "pause",
    "MODEL_ARMOR": "content_filter",
    "FINISH_REASON_UNSPECIFIED": "other",
}
#: What a client is told. A pause that is not Google's is no CONTINUATION: the SDK would go on by itself with a token.
_WRITTEN: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "context_window": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "error": "OTHER",
    "other": "OTHER",
}
_HUB_WORDS: Final = frozenset(get_args(FinishReason))
_NATIVE: Final = "nativeFinishReason"
_SEQUENCE: Final = "stopSequence"
#: Members of a candidate that are not kept aside.
CANDIDATE_MEMBERS: Final = frozenset(
    {"content", "index", "finishReason", "finishMessage", "logprobsResult", _NATIVE, _SEQUENCE}
)


def read_finish(word: str | None, *, called: bool, candidate: JSONObject) -> Finish:
    """`word`: the `finishReason`. `called`: the candidate calls functions. `candidate`: its members, read so far or
    whole; those that the hub does not know are put aside."""
    known = REASONS.get(word.upper(), "other") if word else "other"
    raw = None if word is None or _WRITTEN[known] == word else word
    if known == "stop" and called:
        known = "tool_calls"
    native = candidate.get(_NATIVE)
    if isinstance(native, str) and native in _HUB_WORDS:
        known = cast(FinishReason, native)
        raw = None
    sequence = candidate.get(_SEQUENCE)
    detail = candidate.get("finishMessage")
    kept: JSONObject = {key: value for key, value in candidate.items() if key not in CANDIDATE_MEMBERS}
    return Finish(
        known,
        sequence if isinstance(sequence, str) else None,
        raw,
        detail if isinstance(detail, str) else None,
        aside(kept),
    )


def write_finish(finish: Finish, *, called: bool, refused: bool) -> JSONObject:
    """The members of a candidate that say how it ended, and what this dialect had put aside. `refused`: it holds a refusal
    in words, which OpenAI calls a regular end and Google does not."""
    members: JSONObject = {}
    raw = finish.raw
    if raw is not None and REASONS.get(raw) == finish.reason:
        members["finishReason"] = raw
    else:
        word = _WRITTEN["refusal"] if refused and finish.reason == "stop" else _WRITTEN[finish.reason]
        members["finishReason"] = word
        implied = "tool_calls" if word == "STOP" and called else REASONS[word]
        if implied != finish.reason:
            members[_NATIVE] = finish.reason
    if finish.sequence is not None:
        members[_SEQUENCE] = finish.sequence
    if finish.detail is not None:
        members["finishMessage"] = finish.detail
    members.update(wire_members(finish.extras))
    return members
