"""Message threads: conversations that one provider keeps, so that a request holds what is new and nothing else.

Wire facts: `BetaMessageThreadParam` of the official SDK (`thread: {"type": "create"}`, then `{"type": "continue",
"previous_message_id"}`), and its `lib/threads`, which reads `error.details.error_code` and goes on without a thread where
that is `thread_unsupported_request`: then it sends the whole conversation. The SDK's tool runner uses threads unasked.

Only Anthropic keeps them. Elsewhere a request that goes on with one would be answered without the conversation before
it, so a thread is refused from its beginning, in the words that the SDK knows.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.errors import UnsupportedFeature

THREAD = "thread"
#: Codes of Anthropic's errors about threads begin so; the SDK tells by them what to do.
_CODES = "thread_"
_UNSUPPORTED = "thread_unsupported_request"
_UNSUPPORTED_MAX = 20
_IN_BODY = b'"thread"'


class _Thread(Struct, frozen=True):
    """Any object."""


class _Threaded(Struct, frozen=True):
    thread: _Thread | None = None


_decoder = msgspec.json.Decoder(_Threaded)


def unthreadable() -> UnsupportedFeature:
    """The refusal of a thread."""
    error = UnsupportedFeature(
        f"{THREAD}: this model keeps no message threads; send the whole conversation", param=THREAD
    )
    error.details = {"error_code": _UNSUPPORTED, "unsupported": [THREAD]}
    return error


def refuse_thread(body: bytes) -> None:
    """Of a body that is to pass as it is. Raises `UnsupportedFeature`; what is no JSON is for others to refuse."""
    if _IN_BODY not in body:
        return
    try:
        asked = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if asked.thread is not None:
        raise unthreadable()


def thread_details(body: JSONObject) -> JSONObject | None:
    """What an upstream's error says of a thread, for the client's SDK to read; None if it is about something else."""
    error = body.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    if not isinstance(details, dict) or not isinstance(code, str) or not code.startswith(_CODES):
        return None
    told: JSONObject = {"error_code": code[:64]}
    unsupported = details.get("unsupported")
    if isinstance(unsupported, list):
        told["unsupported"] = [str(feature)[:64] for feature in unsupported[:_UNSUPPORTED_MAX]]
    return told
