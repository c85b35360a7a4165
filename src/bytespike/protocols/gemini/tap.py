"""Watching a same-dialect stream go by, as server-sent events or as a JSON array.

The bytes that come in go out, but for the model's name in each chunk. What the tap reads is what billing needs: the
figures, how much text has gone by, and whether the answer is whole. Bytes are held back only until their chunk is
complete; of an array also what stands before the next chunk (its bracket, commas), so that whoever ends the stream early
knows that a chunk was last.

A chunk that reports an error, or is no JSON, is withheld together with all that follows: the caller ends the client's
stream with the dialect's own error frame, which says what the client may know (`Reply.begun`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.gemini.cut import cut_stream
from bytespike.protocols.gemini.errors import stream_error
from bytespike.protocols.gemini.framing import ArrayCutter
from bytespike.protocols.gemini.schema import UNREADABLE, TapCandidate, TapChunk, decode_tap
from bytespike.protocols.gemini.stream_in import DONE, MALFORMED, TRUNCATED
from bytespike.protocols.gemini.usage import read_usage, searches_in, with_searches
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.limits import EVENT_BYTES_MAX
from bytespike.wire.sse import EventTooLarge, parse_block

#: An empty line, after the end of the line before it, in any of the three spellings of a line's end.
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_DATA: Final = b"data: {"
_MODEL: Final = b'"modelVersion"'
_SPACE: Final = b" \t\r\n"


class GeminiTap:
    """See `core.dialect.Tap`. `model`: the name that the client asked for."""

    __slots__ = (
        "_blocked", "_cutter", "_failure", "_figures", "_finished", "_form_known", "_held", "_last", "_model", "_new", "_old",
        "_produced", "_searches", "_seen", "_upstream_model",
    )  # fmt: skip

    def __init__(self, model: str) -> None:
        self._model = model
        self._held: bytes = b""
        #: Of an array; None for events, and until the first byte says which it is.
        self._cutter: ArrayCutter | None = None
        self._form_known = False
        self._figures: JSONObject | None = None
        self._failure: GatewayError | None = None
        self._produced = 0
        self._blocked = False
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._searches: dict[int, int] = {}
        self._upstream_model = ""
        #: The member with the upstream's name, as it is spelt in this stream, and with the client's.
        self._old = b""
        self._new = b""
        #: The latest chunk.
        self._last = b""

    @property
    def complete(self) -> bool:
        return self._blocked or (bool(self._finished) and self._finished >= self._seen)

    @property
    def ended(self) -> bool:
        """Only the array has an end of its own."""
        return self._cutter is not None and self._cutter.closed

    @property
    def failure(self) -> GatewayError | None:
        return self._failure

    @property
    def searches(self) -> int:
        """Billed uses of the provider's search."""
        return sum(self._searches.values())

    @property
    def usage(self) -> Usage | None:
        figures = self._figures
        return None if figures is None else with_searches(read_usage(figures), self.searches, figures)

    @property
    def produced_chars(self) -> int:
        return self._produced

    def feed(self, data: bytes) -> bytes:
        if self._failure is not None:
            return b""
        if not self._form_known:
            data = self._held + data
            self._held = b""
            first = data.lstrip(_SPACE)[:1]
            if not first:
                self._held = data
                return b""
            self._form_known = True
            self._cutter = ArrayCutter() if first == b"[" else None
        if self._cutter is not None:
            return self._feed_array(self._cutter, data)
        if not self._held and data.startswith(_DATA) and data.find(b"\n\n") == len(data) - 2:
            return self._one(data)
        if (
            not self._held
            and data.startswith(_DATA)
            and data.endswith(b"\r\n\r\n")
            and data.find(b"\r") == len(data) - 4
            and data.find(b"\n") == len(data) - 3
        ):
            # As Google ends its lines.
            return self._alone(data, b"\r\n\r\n")
        buffer = self._held + data if self._held else data
        cut = _end_of_last_event(buffer)
        self._held = buffer[cut:]
        if len(self._held) > EVENT_BYTES_MAX:
            self._failure = UpstreamError(f"The upstream sent an event of more than {EVENT_BYTES_MAX} bytes.")
        if not cut:
            return b""
        return self._pass(buffer if cut == len(buffer) else buffer[:cut])

    def end(self) -> bytes:
        return b"" if self._failure is not None else self._at_end()

    def _at_end(self) -> bytes:
        if self._cutter is not None:
            # What is not a whole chunk is kept back; an array that was not closed is closed.
            out = b"]" if self.complete and not self._cutter.closed else b""
        else:
            held, self._held = self._held, b""
            # The last event counts even without the empty line that should follow it.
            out = self._pass(held) if held and _is_whole(held) else b""
        if not self.complete and self._failure is None:
            self._failure = UpstreamError(TRUNCATED)
        return out

    def cut(self, usage: Usage) -> bytes:
        waiting = sorted((self._seen or {0}) - self._finished)
        return cut_stream(self._last, self._model, waiting, usage, array=self._cutter is not None)

    # --- the array ---------------------------------------------------------------------------------------------

    def _feed_array(self, cutter: ArrayCutter, data: bytes) -> bytes:
        if cutter.closed:
            return data
        pieces: list[bytes] = []
        try:
            for before, chunk in cutter.feed(data):
                edited = self._payload(chunk)
                if self._failure is not None:
                    return b"".join(pieces)
                pieces += (before, chunk if edited is None else edited)
        except EventTooLarge as error:
            self._failure = UpstreamError(f"The upstream sent too much: {error}.")
        if cutter.broken:
            self._failure = UpstreamError(MALFORMED)
        if cutter.closed:
            pieces.append(cutter.take_rest())
        return b"".join(pieces)

    # --- events ------------------------------------------------------------------------------------------------

    def _one(self, data: bytes) -> bytes:
        """The short way for what comes by the thousand: one event of one line."""
        if b"\r" in data or data.find(b"\n") != len(data) - 2:
            return self._pass(data)
        return self._alone(data, b"\n\n")

    def _alone(self, data: bytes, blank: bytes) -> bytes:
        """One event of one line, with `blank` behind it."""
        edited = self._payload(data[6 : -len(blank)])
        if self._failure is not None:
            return b""
        return data if edited is None else b"".join((b"data: ", edited, blank))

    def _pass(self, data: bytes) -> bytes:
        """Whole events in, the same out: edited, or only those before one that must not go on."""
        blank = b"\r\n\r\n" if b"\r" in data else b"\n\n"
        blocks = data.split(blank)
        if not blocks.pop() and all(map(_is_one_line, blocks)):
            return self._pass_lines(blocks, blank)
        pieces: list[bytes] = []
        sent = 0
        for start, end in _events(data):
            block = data[start:end]
            edited = self._block(block)
            if self._failure is not None:
                return b"".join([*pieces, data[sent:start]])
            if edited is None:
                continue
            pieces += (data[sent:start], edited)
            sent = end
        if not pieces:
            return data
        pieces.append(data[sent:])
        return b"".join(pieces)

    def _pass_lines(self, blocks: list[bytes], blank: bytes) -> bytes:
        """The same for events of one line each, as Google writes them. `blank`: what stands behind each."""
        pieces: list[bytes] = []
        for block in blocks:
            edited = self._payload(block[6:])
            if self._failure is not None:
                break
            pieces += (block if edited is None else b"data: " + edited, blank)
        return b"".join(pieces)

    def _block(self, block: bytes) -> bytes | None:
        """One event's lines. None: unchanged."""
        event = parse_block(_lf(block))
        if event is None:
            if block.lstrip()[:1] == b"{":
                # A bare object in place of an event: an error that the service wrote line by line.
                self._payload(block)
            return None
        payload = event.data
        if not payload.startswith(b"{"):
            if payload.strip() not in (b"", DONE):
                self._failure = UpstreamError(MALFORMED)
            return None
        edited = self._payload(payload)
        if edited is None:
            return None
        if payload in block:
            return block.replace(payload, edited, 1)
        # The JSON was spread over several data lines.
        return b"data: " + edited.replace(b"\n", b"\ndata: ")

    # --- chunks ------------------------------------------------------------------------------------------------

    def _payload(self, payload: bytes) -> bytes | None:
        """One chunk's JSON. None: unchanged."""
        try:
            chunk = decode_tap(payload)
        except UNREADABLE:
            self._unreadable(payload)
            return None
        self.note(chunk)
        self._last = payload
        model = chunk.modelVersion
        if self._failure is not None or model is None or model == self._model:
            return None
        return self._rename(payload, model)

    def _unreadable(self, payload: bytes) -> None:
        """Types that are not Google's are the client's business; text that is no JSON is not."""
        try:
            value = json.decode_object(payload)
        except json.NotJSON:
            self._failure = UpstreamError(MALFORMED)
            return
        if value.get("error"):
            self._failure = stream_error(value["error"])

    def note(self, chunk: TapChunk) -> None:
        """Takes in what a chunk says."""
        if chunk.error:
            self._failure = stream_error(chunk.error)
            return
        if chunk.modelVersion:
            self._upstream_model = chunk.modelVersion
        for number, candidate in enumerate(chunk.candidates or ()):
            self._candidate(candidate, number)
        if not chunk.candidates and chunk.promptFeedback is not None and chunk.promptFeedback.blockReason:
            self._blocked = True
        if chunk.usageMetadata:
            self._figures = chunk.usageMetadata

    def _candidate(self, candidate: TapCandidate, number: int) -> None:
        index = number if candidate.index is None else candidate.index
        self._seen.add(index)
        content = candidate.content
        if content is not None and content.parts:
            for part in content.parts:
                if part.text:
                    self._produced += estimated_chars(part.text)
                if part.functionCall is not None:
                    self._produced += _chars(part.functionCall)
        grounding = candidate.groundingMetadata
        if grounding is not None and grounding.webSearchQueries:
            told: JSONObject = {"webSearchQueries": grounding.webSearchQueries}
            self._searches[index] = searches_in(told, self._upstream_model)
        if candidate.finishReason:
            self._finished.add(index)

    def _rename(self, payload: bytes, upstream: str) -> bytes:
        old = self._old
        if old:
            # It stands there once, spelt as before: the payload is searched once, up to there and from there on.
            at = payload.find(_MODEL)
            if payload.startswith(old, at) and payload.find(_MODEL, at + len(old)) < 0:
                return b"".join((payload[:at], self._new, payload[at + len(old) :]))
        name = json.encode(self._model)
        self._old = b'"modelVersion":' + json.encode(upstream)
        self._new = b'"modelVersion":' + name
        return replace_string_member(payload, "modelVersion", name)


def _chars(call: JSONObject) -> int:
    """How long a call is: its name, and its arguments as JSON."""
    name = call.get("name")
    args: JSON = call.get("args") or call.get("partialArgs")
    return (len(name) if isinstance(name, str) else 0) + (len(json.encode(args)) if args else 0)


def _end_of_last_event(buffer: bytes) -> int:
    """Where the last whole event of the buffer ends, its empty line included; 0 if there is none."""
    if b"\r" not in buffer:
        return buffer.rfind(b"\n\n") + 2 if b"\n\n" in buffer else 0
    # A CR at the very end may be half of a CR LF.
    whole = buffer[:-1] if buffer.endswith(b"\r") else buffer
    found = whole.rfind(b"\r\n\r\n")
    cut = 0 if found < 0 else found + 4
    for blank in _BLANK_LINE.finditer(whole, cut):
        cut = blank.end()
    return cut


def _is_one_line(block: bytes) -> bool:
    return block.startswith(_DATA) and b"\n" not in block and b"\r" not in block


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
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block


def _is_whole(held: bytes) -> bool:
    event = parse_block(_lf(held).rstrip(b"\n"))
    data = held if event is None else event.data
    try:
        json.decode_object(data)
    except json.NotJSON:
        return False
    return True
