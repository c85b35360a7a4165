"""Watching a same-dialect stream go by.

The bytes that come in go out, but for the model's name in each chunk, and for what the gateway itself had asked for: when
the client wanted no usage, the last chunk (no choices, only usage) is left out, and so is the `"usage":null` of the
others. What the tap reads is what billing needs: the figures, how much text has gone by, and whether the answer is
whole. Bytes are held back only until their event is complete.

An event that reports an error, or is no JSON, is withheld together with all that follows: the caller ends the client's
stream with the dialect's own error frame, which says what the client may know.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from bytespike.core.dialect import Peek
from bytespike.core.json_types import JSONObject
from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.openai_chat.cut import cut_stream
from bytespike.protocols.openai_chat.errors import told_error, told_in
from bytespike.protocols.openai_chat.schema import UNREADABLE, TapChoice, TapChunk, decode_tap
from bytespike.protocols.openai_chat.usage import read_usage
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.sse import EventBuffer, EventTooLarge, event_of, event_spans

_DATA: Final = b"data: {"
_MODEL: Final = b'"model"'
_DONE: Final = b"[DONE]"
_NO_USAGE: Final = b',"usage":null'
_NO_USAGE_SPACED: Final = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,')
_TRUNCATED: Final = "The upstream's stream ended before the answer was complete."
_MALFORMED: Final = "The upstream sent a malformed chunk."


class ChatTap:
    """See `core.dialect.Tap`. `model`: the name that the client asked for."""

    __slots__ = (
        "_buffer", "_done", "_failure", "_figures", "_finished", "_hide_usage", "_last", "_model", "_new", "_old", "_produced",
        "_seen",
    )  # fmt: skip

    def __init__(self, seen: Peek, model: str) -> None:
        self._model = model
        self._hide_usage = not seen.stream_usage
        self._buffer = EventBuffer()
        self._figures: JSONObject | None = None
        self._failure: GatewayError | None = None
        self._produced = 0
        self._done = False
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        #: The member with the upstream's name, as it is spelt in this stream, and with the client's.
        self._old = b""
        self._new = b""
        #: The latest chunk.
        self._last = b""

    @property
    def complete(self) -> bool:
        return self._done or (bool(self._finished) and self._finished >= self._seen)

    @property
    def ended(self) -> bool:
        return self._done

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
            and data.startswith(_DATA)
            and data.endswith(b"\n\n")
            and data.find(b"\n") == len(data) - 2
        ):
            return self._one(data)
        try:
            whole = self._buffer.feed(data)
        except EventTooLarge as error:
            self._failure = UpstreamError(f"The upstream sent {error}.")
            return b""
        return self._pass(whole) if whole else b""

    def _one(self, data: bytes) -> bytes:
        """The short way for what comes by the thousand: one event of one line."""
        if self._done or b"\r" in data:
            return self._pass(data)
        edited = self._payload(data[6:-2])
        if self._failure is not None:
            return b""
        if edited is None:
            return data
        return b"data: %b\n\n" % edited if edited else b""

    def end(self) -> bytes:
        return b"" if self._failure is not None else self._at_end()

    def _at_end(self) -> bytes:
        held = self._buffer.rest()
        # The last event counts even without the empty line that should follow it. One that is cut short is kept back:
        # what the caller says next must not become a part of it.
        out = self._pass(held) if held and (self._done or _is_whole(held)) else b""
        if not self.complete and self._failure is None:
            self._failure = UpstreamError(_TRUNCATED)
        return out

    def cut(self, usage: Usage) -> bytes:
        waiting = sorted((self._seen or {0}) - self._finished)
        return cut_stream(self._last, self._model, waiting, None if self._hide_usage else usage)

    def _pass(self, data: bytes) -> bytes:
        """Whole events in, the same out: edited, or only those before one that must not go on."""
        pieces: list[bytes] = []
        sent = 0
        for start, end, following in event_spans(data):
            block = data[start:end]
            edited = self._block(block)
            if self._failure is not None:
                return b"".join([*pieces, data[sent:start]])
            if edited is None:
                continue
            pieces.append(data[sent:start])
            pieces.append(edited)
            sent = end if edited else following
        if not pieces:
            return data
        pieces.append(data[sent:])
        return b"".join(pieces)

    def _block(self, block: bytes) -> bytes | None:
        """One event's lines. None: unchanged; empty: left out."""
        if self._done:
            return None
        event = event_of(block)
        if event is None:
            return None
        payload = event.data
        if not payload.startswith(b"{"):
            self._no_object(payload)
            return None
        edited = self._payload(payload)
        if not edited:
            return edited
        if payload in block:
            return block.replace(payload, edited, 1)
        # The JSON was spread over several data lines.
        return b"data: " + edited.replace(b"\n", b"\ndata: ")

    def _payload(self, payload: bytes) -> bytes | None:
        """One chunk's JSON. None: unchanged; empty: left out."""
        try:
            chunk = decode_tap(payload)
        except UNREADABLE:
            self._unreadable(payload)
            return None
        self._note(chunk)
        if self._failure is not None:
            return None
        self._last = payload
        model = chunk.model
        if model is None or model == self._model:
            return self._without_usage(chunk, payload) if self._hide_usage else None
        if self._hide_usage:
            edited = self._without_usage(chunk, payload)
            return self._rename(payload if edited is None else edited, model) if edited != b"" else edited
        return self._rename(payload, model)

    def _no_object(self, payload: bytes) -> None:
        if payload.strip() == _DONE:
            self._done = True
        elif payload.strip():
            self._failure = UpstreamError(_MALFORMED)

    def _unreadable(self, payload: bytes) -> None:
        """Types that are not OpenAI's are the client's business, and so is half of a surrogate pair, which some
        vendors send at the end of one chunk; text that is no JSON is not."""
        try:
            value = json.decode_object(payload)
        except json.NotJSON:
            if b"\\ud" not in payload.lower():
                self._failure = UpstreamError(_MALFORMED)
            return
        if value.get("error"):
            self._failure = told_error(told_in(value))

    def _note(self, chunk: TapChunk) -> None:
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._choice(choice)
        usage = chunk.usage
        if usage:
            self._figures = usage
        elif chunk.x_groq is not None and chunk.x_groq.usage:
            self._figures = chunk.x_groq.usage
        if chunk.error or (chunk.base_resp is not None and chunk.base_resp.get("status_code")):
            self._failure = told_error(told_in({"error": chunk.error, "base_resp": chunk.base_resp}))

    def _choice(self, choice: TapChoice) -> None:
        delta = choice.delta
        if delta is not None:
            content = delta.content
            if content:
                self._produced += estimated_chars(content if isinstance(content, str) else str(content))
            reasoning = delta.reasoning_content or delta.reasoning
            if reasoning:
                self._produced += estimated_chars(reasoning)
            elif delta.reasoning_details:
                # The same text once more, where there is plain text beside it.
                for detail in delta.reasoning_details:
                    self._produced += estimated_chars(detail.text or detail.summary or "")
            if delta.tool_calls:
                for call in delta.tool_calls:
                    if call.function is not None and call.function.arguments:
                        arguments = call.function.arguments
                        self._produced += estimated_chars(
                            arguments if isinstance(arguments, str) else str(arguments)
                        )
                    elif call.custom is not None and call.custom.input:
                        self._produced += estimated_chars(call.custom.input)
            if delta.refusal:
                self._produced += estimated_chars(delta.refusal)
        index = choice.index or 0
        self._seen.add(index)
        if choice.finish_reason:
            self._finished.add(index)
        if choice.usage:
            self._figures = choice.usage
        if choice.error:
            self._failure = told_error(told_in({"error": choice.error}))

    # --- editing -----------------------------------------------------------------------------------------------

    def _without_usage(self, chunk: TapChunk, payload: bytes) -> bytes | None:
        usage = chunk.usage
        if usage is None:
            return _without_null_usage(payload)
        if usage is msgspec.UNSET or chunk.choices is None or chunk.choices:
            return None
        rest = _members_but_usage(payload)
        if rest is None:
            return None
        return b"" if rest.keys() <= _USAGE_CHUNK else json.encode(rest)

    def _rename(self, payload: bytes, upstream: str) -> bytes:
        old = self._old
        if old:
            # It stands there once, spelt as before: the payload is searched once, up to there and from there on.
            at = payload.find(_MODEL)
            if payload.startswith(old, at) and payload.find(_MODEL, at + len(old)) < 0:
                return b"".join((payload[:at], self._new, payload[at + len(old) :]))
        name = json.encode(self._model)
        self._old = b'"model":' + json.encode(upstream)
        self._new = b'"model":' + name
        return replace_string_member(payload, "model", name)


#: What the chunk holds that OpenAI sends only because usage was asked for.
_USAGE_CHUNK: Final = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "system_fingerprint",
        "service_tier",
        "obfuscation",
        "provider",
    }
)


def _without_null_usage(payload: bytes) -> bytes:
    if payload.count(b'"usage"') != 1:
        # Nested ones besides: which is which takes a whole reading.
        rest = _members_but_usage(payload)
        return payload if rest is None else json.encode(rest)
    if _NO_USAGE in payload:
        return payload.replace(_NO_USAGE, b"", 1)
    return _NO_USAGE_SPACED.sub(b"", payload, count=1)


def _members_but_usage(payload: bytes) -> JSONObject | None:
    """None where something that the typed decoder had skipped is not UTF-8: such a chunk passes as it is."""
    try:
        members = json.decode_object(payload)
    except json.NotJSON:
        return None
    members.pop("usage", None)
    return members


def _is_whole(held: bytes) -> bool:
    event = event_of(held)
    if event is None:
        return False
    if event.data.strip() == _DONE:
        return True
    try:
        json.decode_object(event.data)
    except json.NotJSON:
        return False
    return True
