"""The end of a same-dialect stream that the gateway ends: what is open is closed, and the stop reason is that of a limit.

Wire facts (Anthropic's "Streaming Messages" page): every block that started stops before `message_delta`, which has the
stop reason and the total of the output; `message_stop` is last. At the token limit a tool's input is left as incomplete
JSON, so that nobody takes it for whole. A block of thinking has a signature: ours proves nothing, and is taken out again
when a client sends it back (`passthrough.without_sealed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.core.content import ReasoningPart
from bytespike.core.usage import Usage
from bytespike.protocols.anthropic_messages.blocks_write import Block
from bytespike.protocols.anthropic_messages.envelope import opaque_of
from bytespike.protocols.anthropic_messages.usage import write_delta_usage, write_usage
from bytespike.wire import json
from bytespike.wire.sse import frame

MESSAGE_STOP: Final = frame(b'{"type":"message_stop"}', "message_stop")


def cut_stream(blocks: Mapping[int, str], usage: Usage, *, signed: bool) -> bytes:
    """`blocks`: the types of those that are open, by index. `signed`: the open block of thinking has its signature."""
    out: list[bytes] = []
    for index, type_ in sorted(blocks.items()):
        if type_ == "thinking" and not signed:
            delta: Block = {"type": "signature_delta", "signature": opaque_of(ReasoningPart())}
            _event(out, {"type": "content_block_delta", "index": index, "delta": delta})
        _event(out, {"type": "content_block_stop", "index": index})
    told = write_delta_usage(usage, write_usage(usage))
    stop: Block = {"stop_reason": "max_tokens", "stop_sequence": None}
    _event(out, {"type": "message_delta", "delta": stop, "usage": told})
    out.append(MESSAGE_STOP)
    return b"".join(out)


def _event(out: list[bytes], event: Block) -> None:
    out.append(frame(json.encode(event), str(event["type"])))
