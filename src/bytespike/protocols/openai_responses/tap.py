"""Watching a same-dialect stream go by.

The bytes that come in go out, but for the model's name in the events that carry a whole response. What the tap reads of
them is what billing needs: the figures, how much text has gone by, and whether the answer is whole. Bytes are held back
only until their event is complete, so that an event which must not reach the client (a failure, or something that is no
JSON) is known before it is sent; on one, it is withheld together with all that follows, and the caller ends the client's
stream with the dialect's own events.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.openai_responses.errors import told_error
from bytespike.protocols.openai_responses.passthrough import renamed, usage_of
from bytespike.protocols.openai_responses.response import failure_of
from bytespike.protocols.openai_responses.schema import (
    ABSENT,
    UNREADABLE,
    decode_delta,
    decode_event,
    decode_head,
    decode_response_event,
    decode_type,
)
from bytespike.protocols.openai_responses.unfinished import Unfinished
from bytespike.wire import json
from bytespike.wire.sse import EventBuffer, EventTooLarge, SSEvent, event_of, event_spans, frame

_DELTA: Final = ".delta"
#: Where the name of an event begins and its data, as OpenAI spells them; names are no longer than this.
_EVENT: Final = b"event: response."
_DATA: Final = b"\ndata: "
_NAME_END_MAX: Final = 80
_DONE: Final = b"[DONE]"
_MALFORMED: Final = "The upstream sent a malformed event."
_TRUNCATED: Final = "The upstream's stream ended before the answer was complete."
#: Events whose response tells the figures, and after which nothing follows.
_LAST: Final = frozenset({"response.completed", "response.incomplete"})
_WITH_RESPONSE: Final = frozenset({"response.created", "response.in_progress", "response.queued", *_LAST})


class ResponsesTap:
    """See `core.dialect.Tap`. `model`: the name that the client asked for."""

    __slots__ = ("_buffer", "_complete", "_failure", "_model", "_produced", "_unfinished", "_usage")

    def __init__(self, model: str) -> None:
        self._model = model
        self._buffer = EventBuffer()
        self._usage: Usage | None = None
        self._complete = False
        self._failure: GatewayError | None = None
        self._produced = 0
        self._unfinished = Unfinished()

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def ended(self) -> bool:
        # The last event is both: it brings the figures, and nothing follows it.
        return self._complete

    @property
    def failure(self) -> GatewayError | None:
        return self._failure

    @property
    def usage(self) -> Usage | None:
        return self._usage

    @property
    def produced_chars(self) -> int:
        return self._produced

    def feed(self, data: bytes) -> bytes:
        if self._failure is not None:
            return b""
        if not self._buffer.size and data.startswith(_EVENT) and self._count(data):
            return data
        try:
            whole = self._buffer.feed(data)
        except EventTooLarge as error:
            self._failure = UpstreamError(f"The upstream sent {error}.")
            return b""
        return self._pass(whole) if whole else b""

    def _count(self, data: bytes) -> bool:
        """The short way for what comes by the thousand: one delta, as OpenAI spells it. False for anything else, which
        must go the long way."""
        at = data.find(_DATA, len(_EVENT), _NAME_END_MAX)
        if at < 0 or not data.startswith(b".delta", at - 6) or data.find(b"\n", at + 1) != len(data) - 2:
            return False
        try:
            decoded = decode_delta(data[at + len(_DATA) : -2])
        except UNREADABLE:
            return False
        if data[-1] != 0x0A or self._complete:
            return False
        self._produced += estimated_chars(decoded.delta)
        self._unfinished.delta(decoded.output_index, decoded.delta)
        self._unfinished.last = data
        return True

    def cut(self, usage: Usage) -> bytes:
        return self._unfinished.cut(self._model, usage)

    def end(self) -> bytes:
        return b"" if self._failure is not None else self._at_end()

    def _at_end(self) -> bytes:
        held = self._buffer.rest()
        # The last event counts even without the empty line that should follow it. One that is cut short is kept back:
        # what the caller says next must not become a part of it.
        out = self._pass(held) if self._complete or _is_whole(held) else b""
        if not self._complete and self._failure is None:
            self._failure = UpstreamError(_TRUNCATED)
        return out

    def _pass(self, data: bytes) -> bytes:
        """Whole events in, the same out: edited, or only those before one that must not go on."""
        pieces: list[bytes] = []
        sent = 0
        for start, end, _ in event_spans(data):
            if self._complete:
                # What follows the end belongs to no answer.
                break
            block = data[start:end]
            event = event_of(block)
            if event is None:
                continue
            try:
                edited = self._note(event, block)
            except (*UNREADABLE, json.NotJSON):
                self._failure = UpstreamError(_MALFORMED)
                edited = None
            if self._failure is not None:
                return b"".join([*pieces, data[sent:start]])
            self._unfinished.last = block
            if edited is not None:
                pieces += (data[sent:start], edited)
                sent = end
        return b"".join([*pieces, data[sent:]]) if pieces else data

    def _note(self, event: SSEvent, block: bytes) -> bytes | None:
        """Takes in one event; gives its block anew where the model's name had to change."""
        try:
            decoded = decode_event(event.data)
            kind = decoded.type
            if kind.endswith(_DELTA):
                self._produced += estimated_chars(decoded.delta)
                self._unfinished.delta(decoded.output_index, decoded.delta)
                return None
        except UNREADABLE:
            if event.data.strip() == _DONE:
                return None
            # An event of a new type may use our names for something else. That it is JSON is checked all the same.
            json.decode_object(event.data)
            kind = decode_type(event.data).type or event.event
        if kind in _WITH_RESPONSE:
            return self._response(kind, event, block)
        if kind == "response.failed":
            told = json.decode_object(event.data).get("response")
            self._failure = failure_of(told if isinstance(told, dict) else {})
        elif kind == "error":
            self._failure = told_error(json.decode_object(event.data))
        else:
            self._unfinished.note(kind, event.data)
        return None

    def _response(self, kind: str, event: SSEvent, block: bytes) -> bytes | None:
        raw = decode_response_event(event.data).response
        if raw is ABSENT:
            self._complete = kind in _LAST
            return None
        response = bytes(raw)
        head = decode_head(response)
        if kind in _LAST:
            self._usage = usage_of(head)
            self._complete = True
        else:
            self._unfinished.head = response
        edited = renamed(response, head.model, self._model)
        if edited is response:
            return None
        if response in block:
            return block.replace(response, edited, 1)
        # The JSON was spread over several data lines.
        return frame(event.data.replace(response, edited, 1), event.event).removesuffix(b"\n\n")


def _is_whole(held: bytes) -> bool:
    event = event_of(held)
    if event is None:
        return False
    try:
        json.decode_object(event.data)
    except json.NotJSON:
        return False
    return True
