"""Why a model stopped: a response's `status` and `incomplete_details`, and the hub's reasons.

The wire tells less than the hub knows. `completed` is every regular end: the hub's reader sees by the output whether
calls wait for results or the model refused. `incomplete` has a reason. What is finer goes out beside the reason as
`native_reason` (and `detail`), members of our own that clients skip, and is read from there.
"""

from __future__ import annotations

from typing import Final, cast, get_args

from bytespike.core.finish import Finish, FinishReason
from bytespike.core.json_types import JSONObject

_REASONS: Final[dict[str, FinishReason]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_HUB_REASONS: Final = frozenset(get_args(FinishReason))
#: The wire's reason for an answer that did not come to its regular end.
_INCOMPLETE: Final[dict[str, str | None]] = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "error": None,
}
#: Ends that only this wire has, and one without a reason.
_OTHERS: Final = frozenset({"max_messages", "steered", "incomplete"})
_NATIVE: Final = "native_reason"


def read_finish(status: str | None, details: JSONObject | None, *, called: bool, refused: bool) -> Finish:
    """`called`, `refused`: the output holds a call that waits for its result, a refusal."""
    if status == "incomplete":
        told = details or {}
        reason, native, detail = told.get("reason"), told.get(_NATIVE), told.get("detail")
        raw = reason if isinstance(reason, str) else None
        if isinstance(native, str) and native in _HUB_REASONS:
            return Finish(cast(FinishReason, native), detail=detail if isinstance(detail, str) else None)
        known = _REASONS.get(raw or "")
        return Finish(known) if known else Finish("other", raw=raw or "incomplete")
    return Finish("tool_calls" if called else "refusal" if refused else "stop")


def write_finish(finish: Finish, *, refused: bool) -> tuple[str, JSONObject | None]:
    """`status` and `incomplete_details`. `refused`: the output shows a refusal in words, which is a regular end."""
    reason = finish.reason
    if reason == "other" and finish.raw in _OTHERS:
        return "incomplete", {"reason": None if finish.raw == "incomplete" else finish.raw}
    if reason not in _INCOMPLETE:
        return "completed", None
    if reason == "refusal" and refused:
        return "completed", None
    wire = _INCOMPLETE[reason]
    details: JSONObject = {"reason": wire}
    if _REASONS.get(wire or "") != reason:
        details[_NATIVE] = reason
    if finish.detail is not None:
        details["detail"] = finish.detail
    return "incomplete", details
