"""Why a model stopped: a response's `status` and `incomplete_details`, and the hub's reasons.

The wire tells less than the hub knows. `completed` is every regular end: the hub's reader sees by the output whether
calls wait for results or the model refused. `incomplete` has a reason. What is finer goes out beside the reason as
`native_reason` (and `detail`), members of our own that clients skip, and is read from there. A pause is a regular end for
whoever does not know of it (to clients an incomplete answer is a failure), so it is `completed`, with `native_reason` in
the response itself.
"""

from __future__ import annotations

from typing import Final, cast, get_args

from bytespike.core.finish import Finish, FinishReason
from bytespike.core.json_types import JSONObject
from bytespike.wire import fields as f

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
NATIVE: Final = "native_reason"
_PAUSE: Final = "pause"


def read_finish(response: JSONObject, status: str | None, *, called: bool, refused: bool) -> Finish:
    """`status`: the response's, or what its last event amounts to. `called`, `refused`: the output holds a call that waits
    for its result, a refusal. Raises `Wrong`."""
    details = f.optional_object(response, "incomplete_details")
    if status == "incomplete":
        told = details or {}
        reason, native, detail = told.get("reason"), told.get(NATIVE), told.get("detail")
        raw = reason if isinstance(reason, str) else None
        if isinstance(native, str) and native in _HUB_REASONS:
            return Finish(cast(FinishReason, native), detail=detail if isinstance(detail, str) else None)
        known = _REASONS.get(raw or "")
        return Finish(known) if known else Finish("other", raw=raw or "incomplete")
    if response.get(NATIVE) == _PAUSE:
        return Finish("pause")
    return Finish("tool_calls" if called else "refusal" if refused else "stop")


def native_members(finish: Finish) -> JSONObject:
    """The response's own members that say what its status does not."""
    return {NATIVE: _PAUSE} if finish.reason == _PAUSE else {}


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
        details[NATIVE] = reason
    if finish.detail is not None:
        details["detail"] = finish.detail
    return "incomplete", details
