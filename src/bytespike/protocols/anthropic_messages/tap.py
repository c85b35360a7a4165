"""Watching a same-dialect stream go by.

The bytes that come in go out, but for the model's name in `message_start`. What the tap reads of them is what billing
needs: the usage figures, how much text has gone by, and whether the answer is whole. Bytes are held back only until
their event is complete, so that an event which must not reach the client (an error, or something that is no JSON) is
known before it is sent.

On a failure the offending event is withheld, together with all that follows: the caller ends the client's stream with
the dialect's own error event, which says what the client may know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bytespike.core.json_types import JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.anthropic_messages.errors import read_stream_error
from bytespike.protocols.anthropic_messages.fields import WireError
from bytespike.protocols.anthropic_messages.passthrough import usage_members
from bytespike.protocols.anthropic_messages.schema import (
    DECODE_ERRORS,
    Delta,
    decode_event,
    decode_head,
    decode_message_delta,
    decode_start,
    decode_type,
)
from bytespike.protocols.anthropic_messages.usage import merged, read_usage
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.limits import EVENT_BYTES_MAX
from bytespike.wire.sse import SSEvent, frame, parse_block

#: An empty line, after the end of the line before it, in any of the three spellings of a line's end.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
#: Enough of what came before to see an empty line that is cut in two.
_SEAM_BYTES = 3
#: How Anthropic spells the event that streams are made of.
_DELTA_HEAD = b"event: content_block_delta\ndata: "
_KNOWN = frozenset(
    {"message_start", "message_delta", "content_block_start", "content_block_delta", "content_block_stop"}
)


class Tap:
    """See `core.dialect.Tap`."""

    __slots__ = ("_complete", "_failure", "_figures", "_held", "_held_bytes", "_model", "_produced", "_seam")

    def __init__(self, model: str) -> None:
        self._model = model
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._seam = b""
        self._figures: JSONObject | None = None
        self._complete = False
        self._failure: GatewayError | None = None
        self._produced = 0

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
            not self._held_bytes
            and data.startswith(_DELTA_HEAD)
            and data.endswith(b"\n\n")
            and self._count(data)
        ):
            return data
        # Only what is new is searched, with the seam: an event of many pieces would be searched once for each.
        seam = self._seam + data
        if _end_of_last_event(seam) == 0:
            self._hold(data, seam)
            return b""
        buffer = b"".join([*self._held, data])
        cut = _end_of_last_event(buffer)
        self._held, self._held_bytes = [], 0
        self._hold(buffer[cut:], buffer[cut:])
        return self._pass(buffer[:cut])

    def _hold(self, data: bytes, seam: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        self._seam = seam[-_SEAM_BYTES:]
        if self._held_bytes > EVENT_BYTES_MAX:
            self._held.clear()
            self._failure = UpstreamError(f"the upstream sent an event of more than {EVENT_BYTES_MAX} bytes")

    def end(self) -> bytes:
        if self._failure is not None:
            return b""
        held, self._held = b"".join(self._held), []
        # The last event counts even without the empty line that should follow it. One that is cut short is kept back:
        # what the caller says next must not become a part of it.
        out = self._pass(held) if self._complete or _is_whole(held) else b""
        if not self._complete and self._failure is None:
            self._failure = UpstreamError("the upstream closed before its answer was complete")
        return out

    def _pass(self, data: bytes) -> bytes:
        """Complete events in, the same out: edited, or only those before one that must not go on."""
        pieces: list[bytes] = []
        sent = 0
        for start, end in _events(data):
            block = data[start:end]
            if block.startswith(_DELTA_HEAD) and self._count(block):
                continue
            event = parse_block(_lf(block) if b"\r" in block else block)
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
        if not self._complete:
            self._produced += len(delta.text or delta.partial_json or delta.thinking or "")

    def _note(self, event: SSEvent, block: bytes) -> bytes | None:
        """Takes in one event; gives its block anew where the model's name had to change."""
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
            if type_ == "content_block_delta":
                if decoded.delta is not None:
                    self._add(decoded.delta)
                return None
        match type_ or event.event:
            case "message_start":
                return self._message_start(event, block)
            case "message_delta":
                self._note_usage(usage_members(decode_message_delta(event.data).usage))
            case "message_stop":
                self._complete = True
            case "error":
                self._failure = read_stream_error(json.decode_object(event.data).get("error"))
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


def _end_of_last_event(buffer: bytes) -> int:
    """Where the last complete event of the buffer ends, its empty line included; 0 if there is none."""
    if b"\r" not in buffer:
        return buffer.rfind(b"\n\n") + 2 if b"\n\n" in buffer else 0
    # A CR at the very end may be half of a CR LF.
    whole = buffer[:-1] if buffer.endswith(b"\r") else buffer
    cut = 0
    for blank in _BLANK_LINE.finditer(whole):
        cut = blank.end()
    return cut


def _events(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each event's lines, without the empty lines between them."""
    start = 0
    if b"\r" in data:
        for blank in _BLANK_LINE.finditer(data):
            yield start, blank.start()
            start = blank.end()
    else:
        while (end := data.find(b"\n\n", start)) >= 0:
            yield start, end
            start = end + 2
    if start < len(data):
        yield start, len(data)


def _lf(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_whole(held: bytes) -> bool:
    event = parse_block(_lf(held).rstrip(b"\n"))
    if event is None:
        return False
    try:
        json.decode_object(event.data)
    except json.NotJSON:
        return False
    return True
