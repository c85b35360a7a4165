"""The hub's events, written as a Responses stream.

    response.created response.in_progress (an item: added, its deltas, done)* response.completed | incomplete | failed

The wire's order is stricter than the hub's: items are numbered without gaps, and clients expect one at a time. So one part
is *live*: its deltas go out as they come. Parts that start meanwhile wait with their deltas (OpenAI's chat streams may
interleave calls) and follow in the order in which they started. Texts that follow each other are parts of one message.

The last event repeats the whole answer, so finished items are kept, encoded once. An answer that the wire cannot carry
(audio) ends like every failure: in an `error` event, and in `response.failed` where a response had been begun. After that,
and after the end, the writer is deaf.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.notices import Notice
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError, error_for
from bytespike.protocols.openai_errors import error_object
from bytespike.protocols.openai_responses.echo import Echo
from bytespike.protocols.openai_responses.finish import write_finish
from bytespike.protocols.openai_responses.frames import Frames
from bytespike.protocols.openai_responses.items import begins_message
from bytespike.protocols.openai_responses.live_items import (
    LiveCall,
    LiveMessage,
    LiveReasoning,
    LiveText,
    LiveWhole,
    Output,
)
from bytespike.protocols.openai_responses.names import NAME, wire_members
from bytespike.protocols.openai_responses.response import (
    failed_object,
    finished_object,
    head_of,
    item_tail,
    response_object,
)
from bytespike.wire import json
from bytespike.wire.limits import ANSWER_BYTES_MAX
from bytespike.wire.sse import comment

_KEEP_ALIVE: Final = comment(b"keep-alive")
_STOPPED: Final = Finish("stop")
_Live: TypeAlias = "LiveText | LiveReasoning | LiveCall | LiveWhole"
_OfPart: TypeAlias = "e.TextDelta | e.InputDelta | e.ProofDelta | e.CitationDelta | e.PartEnd"


class _Waiting:
    """A part that started while another was live, and what has come for it since."""

    __slots__ = ("events", "start")

    def __init__(self, start: e.PartStart) -> None:
        self.start = start
        self.events: list[_OfPart] = []


class ResponsesStreamWriter:
    """Events in, bytes for the client out: `core.dialect.StreamWriter`."""

    __slots__ = (
        "_echo", "_extras", "_finish", "_frames", "_head", "_held", "_index", "_live", "_losses", "_message", "_output",
        "_over", "_reply", "_skipped", "_waiting",
    )  # fmt: skip

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._losses = Losses(NAME)
        self._echo = Echo(reply.echo)
        self._frames = Frames()
        self._output = Output(self._frames, self._echo, self._losses)
        self._head: JSONObject | None = None
        self._extras: JSONObject = {}
        self._message: LiveMessage | None = None
        self._live: _Live | None = None
        self._index = -1
        self._waiting: dict[int, _Waiting] = {}
        self._skipped: set[int] = set()
        self._finish: Finish | None = None
        self._held = 0
        self._over = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._losses.notices

    def write(self, events: list[e.Event]) -> bytes:
        try:
            for event in events:
                if self._over:
                    break
                kind = type(event)
                if kind is e.TextDelta or kind is e.InputDelta:
                    self._delta(event)
                else:
                    self._other(event)
        except GatewayError as error:
            self._end_in_error(error)
        return self._frames.taken()

    def fail(self, error: GatewayError) -> bytes:
        if self._over:
            return b""
        self._end_in_error(error)
        return self._frames.taken()

    def keep_alive(self) -> bytes:
        return b"" if self._over else _KEEP_ALIVE

    def _delta(self, event: e.Event) -> None:
        match event:
            case e.TextDelta(index=index, text=text) | e.InputDelta(index=index, json=text):
                self._hold(len(text))
                if index == self._index and self._live is not None:
                    self._live.send(text)
                else:
                    self._wait(event)
            case _:
                pass

    def _hold(self, chars: int) -> None:
        # All of it is repeated at the end.
        self._held += chars
        if self._held > ANSWER_BYTES_MAX:
            raise UpstreamError("The upstream's answer is larger than can be held.")

    def _other(self, event: e.Event) -> None:
        match event:
            case e.PartStart():
                self._start(event)
            case e.PartEnd(index=index) | e.ProofDelta(index=index) | e.CitationDelta(index=index):
                if index == self._index and self._live is not None:
                    self._take(self._live, event)
                    self._catch_up()
                else:
                    self._wait(event)
            case e.Started():
                self._begin(event)
            case e.LogprobsDelta(content=content, refusal=refusal, choice=choice):
                self._logprobs(content if choice == 0 else (), refusal)
            case e.Finished(finish=finish, choice=choice):
                if choice == 0:
                    self._finish = finish
            case e.Done(usage=usage, extras=extras):
                self._done(usage, wire_members(extras) if NAME in extras else {})
            case e.Failed(code=code, message=message):
                self._end_in_error(error_for(code, message))
            case e.Ping():
                self._frames.out.append(_KEEP_ALIVE)
            case e.ForeignEvent(kind=kind, dialect=dialect):
                self._losses.dropped(f"events.{kind[:40]}", f"of {dialect}")
            case _:
                # UsageUpdate: usage is told once, at the end.
                pass

    # --- parts -------------------------------------------------------------------------------------------------

    def _start(self, event: e.PartStart) -> None:
        self._begin(None)
        if event.choice != 0:
            self._losses.dropped("candidates", "the Responses API carries one answer")
            self._skipped.add(event.index)
        elif self._live is None:
            self._go_live(event)
        else:
            self._waiting[event.index] = _Waiting(event)

    def _go_live(self, start: e.PartStart) -> None:
        part = start.part
        self._index = start.index
        if isinstance(part, (c.TextPart, c.RefusalPart)):
            if self._message is not None and begins_message(part):
                self._close_message()
            if self._message is None:
                self._message = LiveMessage(part, self._output)
            self._live = self._message.start(part)
            return
        self._close_message()
        match part:
            case c.ReasoningPart():
                self._live = LiveReasoning(part, self._output)
            case c.ToolCallPart():
                self._live = LiveCall(part, self._output)
            case _:
                self._live = LiveWhole(part, self._output)

    def _close_message(self, status: str = "completed") -> None:
        if self._message is not None:
            self._message.close(status)
            self._message = None

    def _take(self, live: _Live, event: _OfPart) -> None:
        match event:
            case e.TextDelta(text=text) | e.InputDelta(json=text):
                live.send(text)
            case e.PartEnd(part=final):
                self._live = None
                self._index = -1
                if isinstance(live, LiveText):
                    live.end(final)
                else:
                    live.close(final)
            case e.ProofDelta(proof=proof):
                if isinstance(live, (LiveReasoning, LiveCall)):
                    live.prove(proof)
            case e.CitationDelta(citation=citation):
                if isinstance(live, LiveText):
                    live.cite(citation)

    def _wait(self, event: _OfPart) -> None:
        waiting = self._waiting.get(event.index)
        if waiting is not None:
            waiting.events.append(event)
        elif event.index not in self._skipped:
            raise UpstreamError("The upstream's stream is malformed: an event of a part that is not open.")

    def _is_live(self) -> bool:
        return self._live is not None

    def _catch_up(self) -> None:
        """Writes the parts that wait, until one is live that has not ended."""
        while self._waiting and not self._is_live():
            waiting = self._waiting.pop(next(iter(self._waiting)))
            self._go_live(waiting.start)
            for event in waiting.events:
                # The last of them may be its end, after which nothing follows.
                if self._live is not None:
                    self._take(self._live, event)

    def _logprobs(self, content: tuple[JSON, ...], refusal: tuple[JSON, ...]) -> None:
        if refusal:
            self._losses.dropped("logprobs.refusal", "the Responses API has none")
        if content and (self._message is None or not self._message.logprobs(content)):
            self._losses.dropped("logprobs", "of no text")

    # --- the response ------------------------------------------------------------------------------------------

    def _begin(self, started: e.Started | None) -> JSONObject:
        """`response.created` and `response.in_progress`, once."""
        if self._head is not None:
            return self._head
        if started is None:
            started = e.Started("", "")
        self._extras = wire_members(started.extras) if NAME in started.extras else {}
        head = self._head = head_of(started.id, started.created, self._reply)
        self._output.tail = item_tail(str(head["id"]))
        raw = json.encode(
            response_object(head, self._echo, status="in_progress", output=[], extras=self._extras)
        )
        self._frames.with_raw("response.created", "response", raw)
        self._frames.with_raw("response.in_progress", "response", raw)
        return head

    def _done(self, usage: Usage, extras: JSONObject) -> None:
        head = self._begin(None)
        finish = self._finish or _STOPPED
        while self._live is not None:
            # The grammar has no open parts here; a part that is open all the same has what it has.
            self._take(self._live, e.PartEnd(self._index))
            self._catch_up()
        status, _ = write_finish(finish, refused=self._output.refused)
        self._close_message(status)
        written = finished_object(
            head,
            self._echo,
            output=[],
            finish=finish,
            refused=self._output.refused,
            searched=self._output.searched,
            usage=usage,
            extras={**self._extras, **extras},
        )
        self._last(f"response.{status}", written)

    def _last(self, kind: str, response: JSONObject) -> None:
        """The last event, with all items in its response."""
        raw = json.encode({**response, "output": self._output.items})
        self._frames.with_raw(kind, "response", raw)
        self._over = True

    def _end_in_error(self, error: GatewayError) -> None:
        self._waiting.clear()
        self._frames.event("error", {"error": error_object(error)})
        if self._head is None:
            # Nobody knows of a response that could fail; or the client has one of another making (`Reply.begun`).
            self._over = True
            return
        failed = failed_object(self._head, self._echo, output=[], error=error, extras=self._extras)
        self._last("response.failed", failed)
