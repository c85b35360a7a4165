"""The hub's events, written as Anthropic's event stream.

The wire's order is stricter than the hub's: blocks are numbered without gaps and never overlap, the message's head
comes first and its stop reason last. So one part is *live*: its deltas go out as they come. Parts that start meanwhile
wait with their deltas (OpenAI's parallel tool calls) and follow in the order in which they started.

A proof that comes by itself after text (Gemini's signature of a text) waits too, for the next part. If there is none it
is left out: no message of Anthropic's ends in thinking, and Claude Code takes the last block for the answer.

An answer that the wire cannot carry (media) ends in the dialect's own error event, as every failure does; after that,
and after the end, the writer is deaf.
"""

from __future__ import annotations

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.notices import Notice
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.errors import GatewayError, UpstreamError, error_for
from bytespike.protocols.anthropic_messages.blocks_write import Block, no_media
from bytespike.protocols.anthropic_messages.errors import write_stream_error
from bytespike.protocols.anthropic_messages.fields import own_extras
from bytespike.protocols.anthropic_messages.finish import awaits_result, write_finish
from bytespike.protocols.anthropic_messages.live_part import LivePart
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.anthropic_messages.response import lost_part_name, message_id
from bytespike.protocols.anthropic_messages.usage import write_delta_usage, write_usage
from bytespike.wire import json
from bytespike.wire.limits import ANSWER_BYTES_MAX
from bytespike.wire.sse import frame

_PING = frame(b'{"type":"ping"}', "ping")
_MESSAGE_STOP = frame(b'{"type":"message_stop"}', "message_stop")

#: Events that the writer makes itself: a foreign event of such a name must not add a second one.
_OWN_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "ping",
    }
)


class _Waiting:
    """A part that started while another was live, and what has come for it since."""

    __slots__ = ("events", "start")

    def __init__(self, start: e.PartStart) -> None:
        self.start = start
        self.events: list[e.TextDelta | e.InputDelta | e.ProofDelta | e.CitationDelta | e.PartEnd] = []


class StreamWriter:
    """Events in, bytes out; see `core.dialect.StreamWriter`."""

    __slots__ = (
        "_called_tools",
        "_ends_in_text",
        "_finish",
        "_head_extras",
        "_head_usage",
        "_held",
        "_live",
        "_losses",
        "_number",
        "_out",
        "_over",
        "_refused",
        "_reply",
        "_skipped",
        "_started",
        "_to_start",
        "_usage",
        "_waiting",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._losses = Losses(NAME)
        self._out: list[bytes] = []
        self._started = False
        self._to_start: e.Started | None = None
        self._over = False
        self._live: LivePart | None = None
        self._number = 0
        self._waiting: dict[int, _Waiting] = {}
        self._held = 0
        self._skipped: set[int] = set()
        self._usage: Usage = NO_USAGE
        self._finish: Finish | None = None
        self._head_extras: JSONObject = {}
        self._head_usage: Block = {}
        self._called_tools = False
        self._ends_in_text = False
        self._refused = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._losses.notices

    def write(self, events: list[e.Event]) -> bytes:
        try:
            for event in events:
                if self._over:
                    break
                self._write(event)
            # The head waits for usage that comes right behind it, but not for the model's first word.
            if self._to_start is not None and not self._over:
                self._begin()
        except GatewayError as error:
            self._end_in_error(error)
        return self._taken()

    def fail(self, error: GatewayError) -> bytes:
        if self._over:
            return b""
        self._end_in_error(error)
        return self._taken()

    def keep_alive(self) -> bytes:
        return b"" if self._over else _PING

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _end_in_error(self, error: GatewayError) -> None:
        self._out.append(frame(write_stream_error(error), "error"))
        self._over = True
        self._waiting.clear()

    def _write(self, event: e.Event) -> None:
        live = self._live
        match event:
            case e.TextDelta(index=index, text=text):
                if live is not None and live.index == index:
                    live.send(text)
                else:
                    self._wait(event, len(text))
            case e.InputDelta(index=index, json=text):
                if live is not None and live.index == index:
                    live.send(text)
                else:
                    self._wait(event, len(text))
            case e.PartStart():
                self._begin()
                self._start(event)
            case e.PartEnd(index=index, part=final):
                if live is not None and live.index == index:
                    self._number = live.close(final)
                    self._live = None
                    self._catch_up()
                else:
                    self._wait(event)
            case e.ProofDelta(index=index) | e.CitationDelta(index=index):
                if live is not None and live.index == index:
                    live.take(event)
                else:
                    self._wait(event)
            case _:
                self._write_about_message(event)

    def _write_about_message(self, event: e.Event) -> None:
        match event:
            case e.UsageUpdate(usage=usage):
                self._usage = usage
            case e.Ping():
                self._out.append(_PING)
            case e.Started():
                self._to_start = event
            case e.Finished(finish=finish, choice=choice):
                if choice == 0:
                    self._finish = finish
            case e.Done():
                self._done(event)
            case e.Failed(code=code, message=message):
                self._end_in_error(error_for(code, message))
            case e.LogprobsDelta():
                self._losses.dropped("logprobs", "the Messages API has none")
            case e.ForeignEvent(dialect=dialect, kind=kind, raw=raw):
                if dialect == NAME and kind and kind not in _OWN_EVENTS:
                    self._out.append(frame(json.encode(raw), kind))
                else:
                    self._losses.dropped("stream event", f"of {dialect}")
            case _:
                # Everything about a part was handled before.
                pass

    # --- parts -------------------------------------------------------------------------------------------------

    def _start(self, event: e.PartStart) -> None:
        part = event.part
        if event.choice != 0:
            self._losses.dropped("candidates", "the Messages API carries one answer")
            self._skipped.add(event.index)
        elif isinstance(part, (c.ImagePart, c.AudioPart, c.DocumentPart)):
            raise no_media(part)
        elif _is_lost(part):
            self._losses.dropped(lost_part_name(part), "of another provider")
            self._skipped.add(event.index)
        else:
            self._waiting[event.index] = _Waiting(event)
            if self._live is None:
                self._catch_up()

    def _go_live(self, start: e.PartStart) -> LivePart:
        self._ends_in_text = isinstance(start.part, (c.TextPart, c.RefusalPart))
        self._called_tools = self._called_tools or awaits_result(start.part)
        self._refused = self._refused or isinstance(start.part, c.RefusalPart)
        self._live = live = LivePart(start, self._number, self._out)
        return live

    def _wait(
        self,
        event: e.TextDelta | e.InputDelta | e.ProofDelta | e.CitationDelta | e.PartEnd,
        chars: int = 0,
    ) -> None:
        waiting = self._waiting.get(event.index)
        if waiting is not None:
            self._held += chars
            if self._held > ANSWER_BYTES_MAX:
                raise UpstreamError("the upstream's parts overlap by more than can be held back")
            waiting.events.append(event)
        elif event.index not in self._skipped:
            raise UpstreamError("the upstream's stream is malformed: an event of a part that is not open")

    def _catch_up(self) -> None:
        """Writes the parts that wait, until one is live that has not ended, or only what trails is left."""
        while self._live is None and self._waiting and not self._only_trailing():
            waiting = self._waiting.pop(next(iter(self._waiting)))
            live = self._go_live(waiting.start)
            for event in waiting.events:
                match event:
                    case e.TextDelta(text=text) | e.InputDelta(json=text):
                        live.send(text)
                    case e.ProofDelta() | e.CitationDelta():
                        live.take(event)
                    case e.PartEnd(part=final):
                        self._number = live.close(final)
                        self._live = None

    def _only_trailing(self) -> bool:
        """Whether all that waits are proofs after a text."""
        return self._ends_in_text and all(_is_proof(waiting.start.part) for waiting in self._waiting.values())

    # --- the message -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """`message_start`, once."""
        started, self._to_start = self._to_start or e.Started("", ""), None
        if self._started:
            return
        self._started = True
        self._head_usage = write_usage(self._usage)
        self._head_extras = own_extras(started.extras)
        message: Block = {
            "id": message_id(started.id, self._reply.response_id),
            "type": "message",
            "role": "assistant",
            "model": self._reply.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._head_usage,
        }
        event = {"type": "message_start", "message": message | self._head_extras}
        self._out.append(frame(json.encode(event), "message_start"))

    def _done(self, event: e.Done) -> None:
        self._begin()
        while self._live is not None:
            # The grammar has no open parts here; a part that is open all the same has what it has.
            self._number = self._live.close()
            self._live = None
            self._catch_up()
        if self._waiting:
            self._losses.dropped("the signature of a text", "a streamed message cannot end in it")
        stop = write_finish(
            self._finish or Finish("other"), called_tools=self._called_tools, refused=self._refused
        )
        if stop.approximated and self._finish is not None:
            self._losses.approximated("stop_reason", self._finish.reason)
        delta: Block = {"stop_reason": stop.reason, "stop_sequence": stop.sequence}
        if stop.details is not None:
            delta["stop_details"] = stop.details
        written: Block = {"type": "message_delta", "delta": delta}
        for key, value in own_extras(event.extras).items():
            if value != self._head_extras.get(key):
                (delta if key == "container" else written)[key] = value
        written["usage"] = write_delta_usage(event.usage, self._head_usage)
        self._out.append(frame(json.encode(written), "message_delta"))
        self._out.append(_MESSAGE_STOP)
        self._over = True


def _is_proof(part: c.Part) -> bool:
    """Whether the part is a proof of reasoning and shows nothing."""
    return (
        isinstance(part, c.ReasoningPart) and part.proof is not None and not part.text and not part.redacted
    )


def _is_lost(part: c.Part) -> bool:
    """Whether only another dialect could show the part."""
    match part:
        case c.ServerToolCallPart(origin=origin) | c.ServerToolResultPart(origin=origin):
            return origin != NAME
        case c.ForeignPart(dialect=dialect):
            return dialect != NAME
        case _:
            return False
