"""Why the model stopped: `stop_reason`, `stop_sequence` and `stop_details`, both ways.

Wire facts: `StopReason` and `BetaStopReason` of the official SDK. "compaction" and reasons that are not known yet are
"other" in the hub and keep their own word.
"""

from __future__ import annotations

from typing import NamedTuple

from bytespike.core.content import Part, ToolCallPart
from bytespike.core.finish import Finish, FinishReason
from bytespike.core.json_types import JSONObject
from bytespike.protocols.anthropic_messages.fields import extras_of, own_extras

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}
_STOP_REASONS: dict[FinishReason, str] = {
    **{reason: word for word, reason in _REASONS.items()},
    "content_filter": "refusal",
    # Anthropic has no word for a generation that failed; an answer that has come to its end is the nearest.
    "error": "end_turn",
    "other": "end_turn",
}
_WORDS_OF_OTHER = frozenset({"compaction"})


def awaits_result(part: Part) -> bool:
    """Whether the client must run a tool. A call that a program in the code execution container has made may be
    answered already: its stop reason says so."""
    if not isinstance(part, ToolCallPart):
        return False
    caller = own_extras(part.extras).get("caller")
    return not isinstance(caller, dict) or caller.get("type") == "direct"


class Stop(NamedTuple):
    reason: str
    sequence: str | None
    details: JSONObject | None
    approximated: bool


def read_finish(reason: str | None, sequence: str | None, details: JSONObject | None) -> Finish:
    """A reason that never came is "other"."""
    known = _REASONS.get(reason or "")
    explanation = details.get("explanation") if details else None
    return Finish(
        known or "other",
        sequence=sequence,
        raw=None if known else reason,
        detail=explanation if isinstance(explanation, str) else None,
        extras=extras_of({"stop_details": details} if details else {}),
    )


def write_finish(finish: Finish, *, called_tools: bool, refused: bool) -> Stop:
    """`called_tools`, `refused`: the answer holds calls that await results, or a refusal of the model's own.

    Clients go by `stop_reason` alone when they decide whether to run tools, and some upstreams say "stop" for both.
    """
    reason = _STOP_REASONS[finish.reason]
    approximated = finish.reason in ("error", "other")
    if finish.reason == "other" and finish.raw in _WORDS_OF_OTHER:
        reason, approximated = finish.raw, False
    elif finish.reason in ("stop", "other") and refused:
        reason, approximated = "refusal", False
    elif finish.reason in ("stop", "other") and called_tools:
        reason, approximated = "tool_use", False
    details = own_extras(finish.extras).get("stop_details")
    if isinstance(details, dict):
        written: JSONObject | None = details
    elif reason == "refusal" and finish.detail is not None:
        written = {"type": "refusal", "category": None, "explanation": finish.detail}
    else:
        written = None
    sequence = finish.sequence if reason == "stop_sequence" else None
    return Stop(reason, sequence, written, approximated)
