"""Watching a same-dialect stream go by.

The bytes that come in go out, but for the model's name in `message_start`. What the tap reads of them is what billing
needs: the usage figures, how much text has gone by, and whether the answer is whole. Bytes are held back only until
their event is complete, so that an event which must not reach the client (an error, or something that is no JSON) is
known before it is sent.

On a failure the offending event is withheld, together with all that follows: the caller ends the client's stream with
the dialect's own error event, which says what the client may know.
"""

from __future__ import annotations

from bytespike.core.json_types import JSONObject
from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.anthropic_messages.cut import MESSAGE_STOP, cut_stream
from bytespike.protocols.anthropic_messages.errors import told_error
from bytespike.protocols.anthropic_messages.fields import WireError
from bytespike.protocols.anthropic_messages.passthrough import usage_members
from bytespike.protocols.anthropic_messages.schema import (
    DECODE_ERRORS,
    Delta,
    decode_block_start,
    decode_event,
    decode_head,
    decode_message_delta,
    decode_start,
    decode_type,
)
from bytespike.protocols.anthropic_messages.usage import merged, read_usage
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.sse import EventBuffer, EventTooLarge, SSEvent, event_of, event_spans, frame

#: How Anthropic spells the event that streams are made of.
_DELTA_HEAD = b"event: content_block_delta\ndata: "
_KNOWN = frozenset(
    {"message_start", "message_delta", "content_block_start", "content_block_delta", "content_block_stop"}
)


class Tap:
    """See `core.dialect.Tap`."""

    __slots__ = (
        "_buffer",
        "_complete",
        "_failure",
        "_figures",
        "_has_signature",
        "_model",
        "_open",
        "_produced",
        "_stopping",
    )

    def __init__(self, model: str) -> None:
        self._model = model
        self._buffer = EventBuffer()
        self._figures: JSONObject | None = None
        self._complete = False
        self._failure: GatewayError | None = None
        self._produced = 0
        #: Blocks that have not ended: their types, by index. The open block of thinking has its signature.
        self._open: dict[int, str] = {}
        self._has_signature = False
        #: The stop reason has come.
        self._stopping = False

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def ended(self) -> bool:
        # `message_stop` is both: the figures came before it.
        return self._complete

    @property
    def failure(self) -> GatewayError | None:
        return self._failure

    @property
    def usage(self) -> Usage | None:
        return None if self._figures is None else read_usage(self._figures)

    @property
    def produced_chars(self) -> int:
        return self._produced

    def feed(self, data: bytes) -> bytes:
        if self._failure is not None:
            return b""
        if (
            not self._buffer.size
            and data.startswith(_DELTA_HEAD)
            and data.endswith(b"\n\n")
            and self._count(data)
        ):
            return data
        try:
            whole = self._buffer.feed(data)
        except EventTooLarge as error:
            self._failure = UpstreamError(f"the upstream sent {error}")
            return b""
        return self._pass(whole) if whole else b""

    def end(self) -> bytes:
        return b"" if self._failure is not None else self._at_end()

    def _at_end(self) -> bytes:
        held = self._buffer.rest()
        # The last event counts even without the empty line that should follow it. One that is cut short is kept back:
        # what the caller says next must not become a part of it.
        out = self._pass(held) if self._complete or _is_whole(held) else b""
        if not self._complete and self._failure is None:
            self._failure = UpstreamError("the upstream closed before its answer was complete")
        return out

    def cut(self, usage: Usage) -> bytes:
        return MESSAGE_STOP if self._stopping else cut_stream(self._open, usage, signed=self._has_signature)

    def _pass(self, data: bytes) -> bytes:
        """Complete events in, the same out: edited, or only those before one that must not go on."""
        pieces: list[bytes] = []
        sent = 0
        for start, end, _ in event_spans(data):
            block = data[start:end]
            if block.startswith(_DELTA_HEAD) and self._count(block):
                continue
            event = event_of(block)
            if event is None or event.event == "ping":
                continue
            try:
                edited = self._note(event, block)
            except (*DECODE_ERRORS, WireError, json.NotJSON) as error:
                self._failure = UpstreamError(f"the upstream's stream is malformed: {error}")
                edited = None
            if self._failure is not None:
                return b"".join([*pieces, data[sent:start]])
            if edited is not None:
                pieces += (data[sent:start], edited)
                sent = end
        return b"".join([*pieces, data[sent:]]) if pieces else data

    def _count(self, block: bytes) -> bool:
        """The short way for the one event that comes by the thousand, with or without the line ends after it; False
        for anything else, which must go the long way."""
        try:
            delta = decode_event(block[len(_DELTA_HEAD) :]).delta
        except DECODE_ERRORS:
            return False
        if delta is None:
            return False
        self._add(delta)
        return True

    def _add(self, delta: Delta) -> None:
        # What comes after the end belongs to no answer (see `stream_in`).
        if self._complete:
            return
        text = delta.text or delta.partial_json or delta.thinking
        if text:
            self._produced += estimated_chars(text)
        elif delta.signature:
            self._has_signature = True

    def _note(self, event: SSEvent, block: bytes) -> bytes | None:
        """Takes in one event; gives its block anew where the model's name had to change."""
        index = -1
        try:
            decoded = decode_event(event.data)
        except DECODE_ERRORS:
            # An event of a new type may use our names for something else; a known one may not.
            type_ = decode_type(event.data).type
            json.decode(event.data)
            if type_ in _KNOWN:
                raise
        else:
            type_ = decoded.type
            index = decoded.index
            if type_ == "content_block_delta":
                if decoded.delta is not None:
                    self._add(decoded.delta)
                return None
        match type_ or event.event:
            case "content_block_start":
                self._open[index] = _type_of_block(event.data)
                self._has_signature = False
            case "content_block_stop":
                self._open.pop(index, None)
            case "message_start":
                return self._message_start(event, block)
            case "message_delta":
                self._note_usage(usage_members(decode_message_delta(event.data).usage))
                self._stopping = True
            case "message_stop":
                self._complete = True
            case "error":
                self._failure = told_error(json.decode_object(event.data).get("error"))
            case _:
                pass
        return None

    def _message_start(self, event: SSEvent, block: bytes) -> bytes | None:
        raw = bytes(decode_start(event.data).message)
        head = decode_head(raw)
        if self._figures is None:
            # A second message_start is a retried or glued stream: the first counts, as it does for the reader.
            self._note_usage(usage_members(head.usage))
        if head.model == self._model:
            return None
        renamed = replace_string_member(raw, "model", json.encode(self._model))
        if raw in block:
            return block.replace(raw, renamed, 1)
        # The JSON was spread over several data lines.
        return frame(event.data.replace(raw, renamed, 1), event.event).removesuffix(b"\n\n")

    def _note_usage(self, figures: JSONObject | None) -> None:
        if figures is None or self._complete:
            return
        newer = figures if self._figures is None else merged(self._figures, figures)
        read_usage(newer)
        self._figures = newer


def _type_of_block(data: bytes) -> str:
    """ "" for one that is not understood."""
    try:
        return decode_block_start(data).content_block.type
    except DECODE_ERRORS:
        return ""


def _is_whole(held: bytes) -> bool:
    event = event_of(held)
    if event is None:
        return False
    try:
        json.decode_object(event.data)
    except json.NotJSON:
        return False
    return True
