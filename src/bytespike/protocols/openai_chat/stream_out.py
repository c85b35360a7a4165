"""A client's stream, written.

Chat interleaves freely: each chunk adds to members of a choice's message, and tool calls and the entries of our extension
lists are told apart by `index`. So nothing has to be buffered but what needs the end of its part: citations (an
annotation says where its text ends), proofs, and provider-side tools, which go out whole.

Clients merge deltas by `index` and join strings (OpenAI's SDK does, in its stream helpers). So every entry of a list
carries its index, and each member of an entry is sent once: ids and names at the start, `format` with the proof.
"""

from __future__ import annotations

from bytespike.core import events as e
from bytespike.core.content import RefusalPart
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.losses import Losses
from bytespike.core.notices import Notice
from bytespike.core.response import Logprobs
from bytespike.errors import GatewayError, error_for
from bytespike.protocols.openai_chat.finish import write_finish
from bytespike.protocols.openai_chat.frames_out import DONE_FRAME, Frames
from bytespike.protocols.openai_chat.free_form_calls import free_form_names
from bytespike.protocols.openai_chat.names import NAME
from bytespike.protocols.openai_chat.parts_out import ChoiceState, PartWriter, open_part
from bytespike.protocols.openai_chat.response import answer_id, write_logprobs
from bytespike.protocols.openai_chat.usage import UNKNOWN, write_usage
from bytespike.protocols.openai_errors import write_error
from bytespike.wire.json import encode
from bytespike.wire.sse import comment, frame

_KEEP_ALIVE = comment(b"keep-alive")
_STOPPED = Finish("stop")


class ChatStreamWriter:
    """Events in, bytes for the client out: `core.dialect.StreamWriter`."""

    __slots__ = ("_choices", "_frames", "_free_form", "_losses", "_over", "_parts", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._free_form = free_form_names(reply)
        self._losses = Losses(NAME)
        self._frames: Frames | None = None
        self._choices: dict[int, ChoiceState] = {}
        self._parts: dict[int, PartWriter] = {}
        self._over = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._losses.notices

    def write(self, events: list[e.Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            kind = type(event)
            if kind is e.TextDelta or kind is e.InputDelta:
                self._delta(event, out)
            else:
                self._other(event, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        if self._over:
            return b""
        self._over = True
        return frame(write_error(error)) + DONE_FRAME

    def keep_alive(self) -> bytes:
        return b"" if self._over else _KEEP_ALIVE

    def _delta(self, event: e.Event, out: list[bytes]) -> None:
        match event:
            case e.TextDelta(index=index, text=text) | e.InputDelta(index=index, json=text):
                part = self._parts.get(index)
                if part is None or not text:
                    return
                if part.simple:
                    part.length += len(text)
                    out.append(part.before + encode(text) + part.after)
                else:
                    part.text(text, out)
            case _:
                pass

    def _other(self, event: e.Event, out: list[bytes]) -> None:
        match event:
            case e.PartStart(index=index, part=part, choice=choice):
                state = self._choice(choice, out)
                if isinstance(part, RefusalPart):
                    state.refused = True
                self._parts[index] = open_part(part, state, out)
            case e.PartEnd(index=index, part=final):
                writer = self._parts.pop(index, None)
                if writer is not None:
                    writer.end(final, out)
            case e.ProofDelta(index=index, proof=proof):
                if index in self._parts:
                    self._parts[index].prove(proof, out)
            case e.CitationDelta(index=index, citation=citation):
                if index in self._parts:
                    self._parts[index].citations.append(citation)
            case e.LogprobsDelta(content=content, refusal=refusal, choice=choice):
                state = self._choice(choice, out)
                out.append(state.frames.logprobs(choice, write_logprobs(Logprobs(content, refusal))))
            case e.Started():
                self._start(event)
                self._choice(0, out)
            case e.Finished(finish=finish, choice=choice):
                self._finish(finish, choice, out)
            case e.Done(usage=usage):
                for choice, state in sorted(self._choices.items() or {0: self._choice(0, out)}.items()):
                    if not state.finished:
                        self._finish(_STOPPED, choice, out)
                if self._reply.stream_usage and usage != UNKNOWN:
                    out.append(self._started().usage(write_usage(usage)))
                out.append(DONE_FRAME)
                self._over = True
            case e.Failed(code=code, message=message):
                out.append(self.fail(error_for(code, message)))
            case e.Ping():
                out.append(_KEEP_ALIVE)
            case e.ForeignEvent(dialect=dialect, kind=kind):
                if dialect != NAME:
                    self._losses.dropped(f"events.{kind[:40]}", f"only {dialect} has it")
            case _:
                # UsageUpdate: chat tells usage once, at the end.
                pass

    def _start(self, event: e.Started) -> None:
        if self._frames is None:
            self._frames = Frames(
                answer_id(event.id, self._reply),
                event.created or self._reply.created,
                self._reply.model,
                with_usage=self._reply.stream_usage,
            )

    def _started(self) -> Frames:
        if self._frames is None:
            self._start(e.Started("", ""))
        assert self._frames is not None
        return self._frames

    def _choice(self, choice: int, out: list[bytes]) -> ChoiceState:
        """The choice's state; its first chunk says who speaks."""
        state = self._choices.get(choice)
        if state is None:
            frames = self._started()
            state = self._choices[choice] = ChoiceState(choice, frames, self._losses, self._free_form)
            out.append(frames.delta(choice, {"role": "assistant", "content": "", "refusal": None}))
        return state

    def _finish(self, finish: Finish, choice: int, out: list[bytes]) -> None:
        state = self._choice(choice, out)
        if state.finished:
            return
        state.finished = True
        reason, members = write_finish(finish, refused=state.refused)
        out.append(state.frames.finish(choice, reason, members))
