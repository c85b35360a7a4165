"""Anthropic's event stream, read into the hub.

    message_start (content_block_start content_block_delta* content_block_stop)* message_delta+ message_stop
    with ping anywhere, error instead of the rest, and events of new types anywhere

Source: Anthropic's "Streaming Messages" page and the SDK's event types. What real streams do besides, and what is made
of it (each is in the recorded traffic):
- `message_start` may carry finished content and a stop reason, followed by `message_stop` alone (a program in the code
  execution container goes on calling tools): its content counts.
- `message_start` may come twice before the first block (a proxy that retried): the first stands. After `message_stop`
  nothing counts any more: several answers glued together are one answer and some noise.
- Blocks may start without the one before having stopped, and deltas may come for a block that a new one has replaced
  under the same index: a new start closes what was open under its index.

Nothing is lost in silence: a delta for a block that never started, or of a type that the block cannot take, is a
broken stream.
"""

from __future__ import annotations

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.fold import PARTS_MAX
from bytespike.core.json_types import JSONObject
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.anthropic_messages.blocks_read import read_block, read_content
from bytespike.protocols.anthropic_messages.citations import read_citation
from bytespike.protocols.anthropic_messages.envelope import read_reasoning
from bytespike.protocols.anthropic_messages.errors import told_error
from bytespike.protocols.anthropic_messages.fields import Fields, WireError, extras_of
from bytespike.protocols.anthropic_messages.finish import read_finish
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.anthropic_messages.response import message_rest
from bytespike.protocols.anthropic_messages.schema import DECODE_ERRORS, Delta, decode_event, decode_type
from bytespike.protocols.anthropic_messages.usage import merged, read_usage
from bytespike.wire import json
from bytespike.wire.limits import ANSWER_BYTES_MAX
from bytespike.wire.sse import EventTooLarge, SSEParser, SSEvent

_PING = e.Ping()
_MESSAGE_DELTA = frozenset({"type", "delta", "usage"})
_STOP = frozenset({"stop_reason", "stop_sequence", "stop_details"})


class _Block:
    """An open block. `index` is the hub's. `start_input` is what a tool's input was at its start, until a delta comes;
    `raw` and `json` collect a block that the hub does not know."""

    __slots__ = ("index", "json", "part", "raw", "start_input")

    def __init__(self, index: int, part: c.Part) -> None:
        self.index = index
        self.part = part
        self.json: list[str] = []
        self.start_input = ""
        self.raw: JSONObject = {}


class StreamReader:
    """Bytes in, events out; see `core.dialect.StreamReader`."""

    __slots__ = (
        "_extras",
        "_held",
        "_open",
        "_over",
        "_parser",
        "_parts",
        "_started",
        "_stop",
        "_usage",
    )

    def __init__(self) -> None:
        self._parser = SSEParser()
        self._open: dict[int, _Block] = {}
        self._parts = 0
        self._held = 0
        self._started = False
        self._over = False
        self._stop: JSONObject = {}
        self._usage: JSONObject = {}
        self._extras: JSONObject = {}

    def feed(self, data: bytes) -> list[e.Event]:
        events: list[e.Event] = []
        if self._over:
            return events
        try:
            for event in self._parser.feed(data):
                self._take(event, events)
                if self._over:
                    break
        except (WireError, EventTooLarge, json.NotJSON) as error:
            self._fail(events, UpstreamError(f"the upstream's stream is malformed: {error}"))
        return events

    def end(self) -> list[e.Event]:
        # The last event counts even without the empty line that should follow it.
        events = self.feed(b"\n\n") if self._parser.pending else []
        if not self._over:
            self._fail(events, UpstreamError("the upstream closed before its answer was complete"))
        return events

    def _fail(self, events: list[e.Event], error: GatewayError) -> None:
        self._over = True
        self._open.clear()
        events.append(e.Failed(error.code, error.message, about=error.about, status=error.upstream_status))

    def _take(self, event: SSEvent, out: list[e.Event]) -> None:
        if event.event == "ping":
            out.append(_PING)
            return
        try:
            decoded = decode_event(event.data)
        except DECODE_ERRORS:
            self._take_other(event, _type_of(event), out)
            return
        if decoded.type == "content_block_delta":
            self._delta(event, decoded.index, decoded.delta, out)
        else:
            self._take_other(event, decoded.type or event.event, out)

    def _take_other(self, event: SSEvent, type_: str, out: list[e.Event]) -> None:
        decoded = json.decode_object(event.data)
        if json.nests_deeper(decoded):
            raise WireError(type_, "nests too deeply")
        fields = Fields(decoded, type_)
        match type_:
            case "content_block_start":
                self._block_start(fields, out)
            case "content_block_stop":
                self._block_stop(_index_of(fields), out)
            case "message_start":
                self._message_start(fields, out)
            case "message_delta":
                self._message_delta(fields, out)
            case "message_stop":
                self._message_stop(out)
            case "ping":
                out.append(_PING)
            case "error":
                self._fail(out, told_error(decoded.get("error")))
            case "content_block_delta":
                raise WireError(type_, "not a delta")
            case _:
                out.append(e.ForeignEvent(NAME, type_, decoded))

    # --- the message -------------------------------------------------------------------------------------------

    def _message_start(self, event: Fields, out: list[e.Event]) -> None:
        if self._started:
            return
        message = event.object("message")
        self._started = True
        self._extras = message_rest(message)
        out.append(
            e.Started(
                message.optional_string("id") or "",
                message.optional_string("model") or "",
                extras=extras_of(self._extras),
            )
        )
        usage = message.optional_object("usage")
        if usage is not None:
            self._usage = usage.obj
            out.append(e.UsageUpdate(read_usage(self._usage)))
        self._note_stop(message)
        for part in read_content(message.obj.get("content") or [], message.at("content")):
            index = self._next_index()
            out += (e.PartStart(index, part), e.PartEnd(index))

    def _message_delta(self, event: Fields, out: list[e.Event]) -> None:
        delta = event.optional_object("delta")
        if delta is not None:
            self._note_stop(delta)
            self._note_extras(delta.rest(_STOP))
        self._note_extras(event.rest(_MESSAGE_DELTA))
        usage = event.optional_object("usage")
        if usage is not None:
            self._usage = merged(self._usage, usage.obj)
            out.append(e.UsageUpdate(read_usage(self._usage)))

    def _note_stop(self, fields: Fields) -> None:
        for key in _STOP:
            if fields.obj.get(key) is not None:
                self._stop[key] = fields.obj[key]

    def _note_extras(self, members: JSONObject) -> None:
        self._extras = self._extras | {key: value for key, value in members.items() if value is not None}

    def _message_stop(self, out: list[e.Event]) -> None:
        if not self._started:
            raise WireError("message_stop", "there was no message_start")
        for index in list(self._open):
            self._block_stop(index, out)
        stop = Fields(self._stop, "message_delta.delta")
        details = stop.optional_object("stop_details")
        finish = read_finish(
            stop.optional_string("stop_reason"),
            stop.optional_string("stop_sequence"),
            None if details is None else details.obj,
        )
        out.append(e.Finished(finish))
        out.append(e.Done(read_usage(self._usage), extras_of(self._extras)))
        self._over = True

    # --- its blocks --------------------------------------------------------------------------------------------

    def _next_index(self) -> int:
        index = self._parts
        self._parts += 1
        if index >= PARTS_MAX:
            raise WireError("content_block_start", f"more than {PARTS_MAX} blocks")
        return index

    def _block_start(self, event: Fields, out: list[e.Event]) -> None:
        if not self._started:
            raise WireError("content_block_start", "there was no message_start")
        number = _index_of(event)
        if number in self._open:
            self._block_stop(number, out)
        raw = event.object("content_block")
        part = read_block(raw)
        block = _Block(self._next_index(), part)
        if isinstance(part, (c.ToolCallPart, c.ServerToolCallPart)):
            # The deltas spell the input from its beginning: what the start says counts only if there are none.
            block.start_input = part.arguments
            part = _without_arguments(part)
        elif isinstance(part, c.ForeignPart):
            block.raw = dict(raw.obj)
        self._open[number] = block
        out.append(e.PartStart(block.index, part))

    def _block_stop(self, number: int, out: list[e.Event]) -> None:
        block = self._open.pop(number, None)
        if block is None:
            # A second stop, or the stop of a block that a new start has closed: it says nothing new.
            return
        final: c.Part | None = None
        if isinstance(block.part, c.ForeignPart):
            final = _whole_foreign(block.part, block)
        elif block.start_input:
            out.append(e.InputDelta(block.index, block.start_input))
        out.append(e.PartEnd(block.index, final))

    def _delta(self, event: SSEvent, number: int, delta: Delta | None, out: list[e.Event]) -> None:
        block = self._open.get(number)
        if block is None or delta is None:
            raise WireError("content_block_delta", "of a block that is not open")
        part = block.part
        if delta.text is not None and isinstance(part, c.TextPart):
            if delta.text:
                out.append(e.TextDelta(block.index, delta.text))
        elif delta.partial_json is not None and isinstance(part, (c.ToolCallPart, c.ServerToolCallPart)):
            if delta.partial_json:
                block.start_input = ""
                out.append(e.InputDelta(block.index, delta.partial_json))
        elif delta.thinking is not None and isinstance(part, c.ReasoningPart):
            if delta.thinking:
                out.append(e.TextDelta(block.index, delta.thinking))
        else:
            self._rare_delta(event, block, delta, out)

    def _rare_delta(self, event: SSEvent, block: _Block, delta: Delta, out: list[e.Event]) -> None:
        part = block.part
        if isinstance(part, c.ReasoningPart) and delta.signature is not None:
            proof = read_reasoning("", delta.signature, redacted=False)[0].proof
            if proof is not None:
                out.append(e.ProofDelta(block.index, proof))
            return
        decoded = json.decode_object(event.data)
        fields = Fields(decoded, "content_block_delta").object("delta")
        if isinstance(part, c.TextPart) and delta.type == "citations_delta":
            citation = read_citation(fields.object("citation"))
            if citation is not None:
                out.append(e.CitationDelta(block.index, citation))
                return
        elif isinstance(part, c.ForeignPart):
            self._held += len(event.data)
            if self._held > ANSWER_BYTES_MAX:
                raise WireError("content_block_delta", "a block of unknown type that never ends")
            if _grow(block, fields):
                return
        elif delta.type in _KNOWN_DELTAS:
            raise WireError("content_block_delta", f"a {delta.type} for another type of block")
        out.append(e.ForeignEvent(NAME, "content_block_delta", decoded))


_KNOWN_DELTAS = frozenset(
    {"text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"}
)


def _type_of(event: SSEvent) -> str:
    """The type of an event whose other members are not what they are elsewhere. Raises `WireError`."""
    try:
        return decode_type(event.data).type or event.event
    except DECODE_ERRORS as error:
        raise WireError(event.event or "event", str(error)) from None


def _index_of(event: Fields) -> int:
    number = event.integer("index")
    if not 0 <= number < PARTS_MAX:
        raise event.wrong("index", f"not within 0 and {PARTS_MAX}")
    return number


def _without_arguments(part: c.ToolCallPart | c.ServerToolCallPart) -> c.Part:
    if isinstance(part, c.ToolCallPart):
        return c.ToolCallPart(part.id, part.name, "", extras=part.extras)
    return c.ServerToolCallPart(part.id, part.name, "", part.origin, extras=part.extras)


def _grow(block: _Block, delta: Fields) -> bool:
    """Adds a delta to a block of unknown type; False where nobody could say how."""
    match delta.obj.get("type"):
        case "input_json_delta":
            block.json.append(delta.string("partial_json"))
        case "text_delta":
            text = block.raw.get("text")
            block.raw["text"] = (text if isinstance(text, str) else "") + delta.string("text")
        case "compaction_delta":
            block.raw |= {k: v for k, v in delta.obj.items() if k != "type" and v is not None}
        case _:
            return False
    return True


def _whole_foreign(part: c.ForeignPart, block: _Block) -> c.ForeignPart:
    if block.json:
        try:
            block.raw["input"] = json.decode("".join(block.json))
        except json.NotJSON:
            block.raw["input"] = "".join(block.json)
    return c.ForeignPart(part.dialect, part.kind, block.raw, part.cache)
