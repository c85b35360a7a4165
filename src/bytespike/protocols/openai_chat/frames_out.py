"""The frames of one client's stream, put together from prepared bytes.

Every chunk repeats id, object, created and model. They are encoded once; a chunk that carries one string costs the
encoding of that string.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json
from bytespike.wire.sse import frame

DONE_FRAME: Final = b"data: [DONE]\n\n"
_OPEN_DELTA: Final = b',"delta":'


class Frames:
    """`with_usage`: OpenAI puts `"usage": null` into every chunk but the last, if usage was asked for."""

    __slots__ = ("_close_delta", "_head", "_members")

    def __init__(self, answer_id: str, created: int, model: str, *, with_usage: bool) -> None:
        self._members: JSONObject = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        nothing_yet = b',"usage":null' if with_usage else b""
        self._head = b"data: " + json.encode(self._members)[:-1] + b',"choices":[{"index":'
        self._close_delta = b',"logprobs":null,"finish_reason":null}]%b}\n\n' % nothing_yet

    def before(self, choice: int, opening: bytes) -> bytes:
        """Everything of a chunk up to its string. `opening`: the delta's JSON up to there."""
        return b"%b%d%b%b" % (self._head, choice, _OPEN_DELTA, opening)

    def after(self, closing: bytes) -> bytes:
        """Everything of a chunk after its string. `closing`: the rest of the delta's JSON."""
        return closing + self._close_delta

    def delta(self, choice: int, delta: JSONObject) -> bytes:
        return self.before(choice, json.encode(delta)) + self._close_delta

    def logprobs(self, choice: int, logprobs: JSON) -> bytes:
        return self._choice(
            {"index": choice, "delta": {}, "logprobs": logprobs, "finish_reason": None},
        )

    def finish(self, choice: int, reason: str, members: JSONObject) -> bytes:
        return self._choice(
            {"index": choice, "delta": {}, "logprobs": None, "finish_reason": reason, **members},
        )

    def _choice(self, choice: JSONObject) -> bytes:
        tail = b',"usage":null}' if b'"usage"' in self._close_delta else b"}"
        body = json.encode({**self._members, "choices": [choice]})
        return b"data: " + body[:-1] + tail + b"\n\n"

    def usage(self, usage: JSONObject) -> bytes:
        return frame(json.encode({**self._members, "choices": [], "usage": usage}))
