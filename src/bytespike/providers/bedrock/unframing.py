"""Messages of Bedrock's event stream as Anthropic's server-sent events.

A `chunk` has an event of Anthropic's in base64: `{"bytes": "…", "p": "padding"}`. An exception in mid-stream becomes an
`error` event. (Facts: `ResponseStream` in the Bedrock API reference, and the decoder of Anthropic's SDK.)
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bytespike.providers.bedrock.errors import told_exception
from bytespike.providers.bedrock.framing import BrokenFrame, FrameReader, Message
from bytespike.wire import json
from bytespike.wire.sse import frame


class _Chunk(Struct):
    data: bytes = msgspec.field(name="bytes", default=b"")


class _Event(Struct):
    type: str = ""


class _Exception(Struct):
    message: str = ""


_chunks = msgspec.json.Decoder(_Chunk)
_events = msgspec.json.Decoder(_Event)
_exceptions = msgspec.json.Decoder(_Exception)


class BedrockEvents:
    """`providers.carriage.Unframing`."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = FrameReader()

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    def take(self, size: int) -> bytes:
        """At least one event, as many as fit into about `size` bytes; b"" if there is none. Raises BrokenFrame."""
        out: list[bytes] = []
        taken = 0
        while taken < size:
            try:
                message = self._reader.next()
                event = b"" if message is None else event_of(message)
            except BrokenFrame:
                if out:
                    # What came before it counts; the next call meets it again.
                    break
                raise
            if message is None:
                break
            out.append(event)
            taken += len(event)
        return b"".join(out)

    def finish(self) -> None:
        """Raises BrokenFrame if the stream ends in the middle of a message."""
        if self._reader.pending:
            raise BrokenFrame("the upstream's event stream ends in the middle of a message")


def event_of(message: Message) -> bytes:
    """The server-sent event that a message stands for; b"" for one that says nothing to clients. Raises BrokenFrame."""
    kind = message.text(":message-type")
    try:
        if kind == "exception":
            return _failed(message.text(":exception-type"), _exceptions.decode(message.payload).message)
        if kind == "error":
            return _failed(message.text(":error-code"), message.text(":error-message"))
        if kind != "event" or message.text(":event-type") != "chunk":
            return b""
        data = _chunks.decode(message.payload).data
        name = _events.decode(data).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokenFrame("a message of the upstream's event stream is malformed") from None
    if b"\n" in data or b"\r" in data:
        # Between the tokens of a JSON text, where a line's end would end the event.
        data = json.encode(msgspec.Raw(data.replace(b"\r", b" ").replace(b"\n", b" ")))
    return frame(data, name) if name else b""


def _failed(name: str, message: str) -> bytes:
    return frame(told_exception(name, message).body, "error")
