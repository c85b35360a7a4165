"""A client's stream, written: server-sent events, or one JSON array.

Text and thoughts go out as they come. Everything else goes out whole at its end: a function call's arguments are an object
on this wire, so the pieces of its JSON are held until they are one. What needs the end of the answer (why each candidate
stopped, citations, figures) is in the last chunk.

Parts may overlap (the hub allows it); the wire's parts cannot, but every chunk may hold another part, so pieces of text go
out between calls that are still being collected. What the client then reads is each run of text for itself, and
citations count from the start of a run.

A proof comes at the end of its piece of reasoning, in a thought of its own without text. The reader of such a stream knows
by it that the piece has ended. Two pieces in a row without a proof between them would be read as one; so the first gets
an empty seal when the second starts.

Keep-alives are white space: google-genai takes any other line, comments included, for a chunk.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core import events as e
from bytespike.core.content import (
    Citation,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.dialect import Reply
from bytespike.core.losses import Losses
from bytespike.core.notices import Notice
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError, error_for
from bytespike.protocols.gemini.answer_out import carried, is_signature, queries_of, whole_part
from bytespike.protocols.gemini.candidate_out import Candidate, Run
from bytespike.protocols.gemini.envelope import Sealed, seal, thought_signature
from bytespike.protocols.gemini.errors import write_error
from bytespike.protocols.gemini.frames_out import Frames
from bytespike.protocols.gemini.names import NAME, wire_members
from bytespike.protocols.gemini.parts_out import Wire
from bytespike.protocols.gemini.usage import UNKNOWN, write_usage
from bytespike.wire.limits import ANSWER_BYTES_MAX

_REFUSAL: Final = seal(Sealed(kind="refusal"))


class _Open:
    """A part that has started. `start`: where its text begins in its run. `pieces`: of arguments, and of a foreign
    piece of reasoning, which a call may have to take along. `ended`: with this `final`, but it waits for an earlier one."""

    __slots__ = (
        "candidate", "choice", "citations", "ended", "final", "part", "pieces", "proof", "run", "sent", "start",
    )  # fmt: skip

    def __init__(self, part: Part, choice: int, candidate: Candidate) -> None:
        self.part = part
        self.choice = choice
        self.candidate = candidate
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.proof: Proof | None = None
        self.run: Run | None = None
        self.start = 0
        self.sent = False
        self.ended = False
        self.final: Part | None = None


class GeminiStreamWriter:
    """Events in, bytes for the client out: `core.dialect.StreamWriter`."""

    __slots__ = ("_candidates", "_frames", "_held", "_losses", "_open", "_over", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._losses = Losses(NAME)
        self._frames = Frames(reply)
        self._candidates: dict[int, Candidate] = {}
        self._open: dict[int, _Open] = {}
        self._held = 0
        self._over = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._losses.notices

    def write(self, events: list[e.Event]) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                if self._over:
                    break
                self._write(event, out)
        except GatewayError as error:
            out.append(self.fail(error))
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        if self._over:
            return b""
        self._over = True
        return self._frames.last(write_error(error))

    def keep_alive(self) -> bytes:
        return b"" if self._over else b"\n"

    def _write(self, event: e.Event, out: list[bytes]) -> None:
        match event:
            case e.TextDelta(index=index, text=text):
                opened = self._open.get(index)
                if opened is not None and text:
                    self._text(opened, text, out)
            case e.InputDelta(index=index, json=text):
                opened = self._open.get(index)
                if opened is not None:
                    self._hold(opened, text)
            case e.PartStart(index=index, part=part, choice=choice):
                self._start(index, part, choice, out)
            case e.PartEnd(index=index, part=final):
                opened = self._open.get(index)
                if opened is not None:
                    self._part_ends(index, opened, final, out)
            case e.ProofDelta(index=index, proof=proof):
                opened = self._open.get(index)
                if opened is not None:
                    opened.proof = proof
            case e.CitationDelta(index=index, citation=citation):
                opened = self._open.get(index)
                if opened is not None:
                    opened.citations.append(citation)
            case _:
                self._about_answer(event, out)

    def _about_answer(self, event: e.Event, out: list[bytes]) -> None:
        match event:
            case e.Started(id=response_id, extras=extras):
                self._frames.begin(response_id or self._reply.response_id, wire_members(extras))
            case e.LogprobsDelta(content=content, refusal=refusal, choice=choice):
                self._candidate(choice).note_logprobs(content, refusal)
            case e.Finished(finish=finish, choice=choice):
                self._candidate(choice).finish = finish
            case e.Done(usage=usage):
                self._done(usage, out)
            case e.Failed(code=code, message=message):
                out.append(self.fail(error_for(code, message)))
            case e.Ping():
                out.append(self.keep_alive())
            case e.ForeignEvent(dialect=dialect):
                self._losses.dropped("stream event", f"of {dialect}")
            case _:
                # Figures wait for the end; everything about a part was handled before.
                pass

    def _candidate(self, choice: int) -> Candidate:
        candidate = self._candidates.get(choice)
        if candidate is None:
            candidate = self._candidates[choice] = Candidate()
        return candidate

    # --- parts -------------------------------------------------------------------------------------------------

    def _start(self, index: int, part: Part, choice: int, out: list[bytes]) -> None:
        candidate = self._candidate(choice)
        opened = self._open[index] = _Open(part, choice, candidate)
        match part:
            case TextPart(text=text, citations=citations):
                opened.citations.extend(citations)
                opened.run = candidate.run
                opened.start = candidate.run.chars if candidate.run else 0
                if text:
                    self._text(opened, text, out)
            case ReasoningPart(text=text, proof=proof):
                opened.proof = proof
                if candidate.thinking and not is_signature(part):
                    signature = thought_signature(ReasoningPart(), ends=True)
                    self._send(choice, {"text": "", "thought": True, "thoughtSignature": signature}, out)
                    candidate.thinking = False
                if text:
                    self._text(opened, text, out)
            case RefusalPart(text=text):
                if text:
                    self._text(opened, text, out)
            case ToolCallPart(arguments=arguments, proof=proof):
                opened.proof = proof
                self._hold(opened, arguments)
            case ServerToolCallPart(arguments=arguments):
                self._hold(opened, arguments)
            case _:
                # Written whole at its end.
                pass

    def _text(self, part: _Open, text: str, out: list[bytes]) -> None:
        kind = type(part.part)
        candidate = part.candidate
        if kind is TextPart:
            run = candidate.run or candidate.going_on()
            if part.run is not run:
                # The first text of this part, or the first after something else came between.
                part.run = run
                part.start = run.chars
            run.pieces.append(text)
            run.chars += len(text)
            candidate.thinking = False
            out.append(self._frames.text(part.choice, text))
        elif kind is ReasoningPart:
            candidate.run = None
            candidate.thinking = True
            part.pieces.append(text)
            out.append(self._frames.thought(part.choice, text))
        elif kind is RefusalPart:
            candidate.run = None
            candidate.thinking = False
            candidate.refused = True
            self._send(part.choice, {"text": text, "thoughtSignature": _REFUSAL}, out)
        else:
            return
        part.sent = True

    def _hold(self, part: _Open, text: str) -> None:
        self._held += len(text)
        if self._held > ANSWER_BYTES_MAX:
            raise UpstreamError("The upstream's answer is too large.")
        part.pieces.append(text)

    def _part_ends(self, index: int, opened: _Open, final: Part | None, out: list[bytes]) -> None:
        """Calls go out in the order in which they began: one that ends before an earlier one waits for it."""
        if not isinstance(opened.part, ToolCallPart):
            del self._open[index]
            self._end(opened, final, out)
            return
        opened.ended, opened.final = True, final
        for number, call in list(self._open.items()):
            if call.choice == opened.choice and isinstance(call.part, ToolCallPart):
                if not call.ended:
                    break
                del self._open[number]
                self._end(call, call.final, out)

    def _end(self, opened: _Open, final: Part | None, out: list[bytes]) -> None:
        part = final or opened.part
        match part:
            case TextPart():
                self._end_text(opened, part, out)
            case ReasoningPart():
                self._end_reasoning(opened, part, final is not None, out)
            case RefusalPart():
                if not opened.sent and part.text:
                    self._text(opened, part.text, out)
            case ToolCallPart() | ServerToolCallPart():
                if final is None:
                    part = structs.replace(part, arguments="".join(opened.pieces))
                if isinstance(part, ToolCallPart):
                    part = structs.replace(part, proof=part.proof or opened.proof)
                self._whole(opened, part, out)
            case _:
                self._whole(opened, part, out)
        self._held -= (
            sum(map(len, opened.pieces)) if isinstance(part, (ToolCallPart, ServerToolCallPart)) else 0
        )

    def _end_text(self, opened: _Open, part: TextPart, out: list[bytes]) -> None:
        if not opened.sent and part.text:
            self._text(opened, part.text, out)
        citations = list(part.citations) if part.citations and part is not opened.part else opened.citations
        if not citations:
            return
        run, start = opened.run, opened.start
        if run is None:
            run = opened.candidate.latest()
            start = run.chars
        run.cite(citations, start)
        out.append(self._frames.chunk({"candidates": [opened.candidate.grounded(opened.choice)]}))

    def _end_reasoning(self, opened: _Open, part: ReasoningPart, is_final: bool, out: list[bytes]) -> None:
        candidate = opened.candidate
        if not opened.sent and part.text:
            self._text(opened, part.text, out)
        text = part.text if is_final else "".join(opened.pieces)
        whole = structs.replace(part, text=text, proof=part.proof or opened.proof)
        if is_signature(whole) and not opened.sent:
            # What text and calls carry; here it stands by itself, as the service sends it. Readers begin a text behind it.
            candidate.run = None
            self._send(opened.choice, {"text": "", "thoughtSignature": whole.proof and whole.proof.data}, out)
            return
        signature = thought_signature(whole, whole=not opened.sent)
        if signature is None:
            return
        candidate.run = None
        candidate.thinking = False
        copy = carried(whole)
        if copy is not None:
            candidate.before.append(copy)
        self._send(opened.choice, {"text": "", "thought": True, "thoughtSignature": signature}, out)

    def _whole(self, opened: _Open, part: Part, out: list[bytes]) -> None:
        candidate = opened.candidate
        wire = whole_part(part, candidate.before, self._losses, first=not candidate.called)
        if wire is None:
            return
        candidate.run = None
        candidate.thinking = False
        if isinstance(part, ToolCallPart):
            candidate.called = True
            candidate.before = []
        elif isinstance(part, ServerToolCallPart):
            candidate.queries += queries_of(part)
        self._send(opened.choice, wire, out)

    def _send(self, choice: int, part: Wire, out: list[bytes]) -> None:
        out.append(self._frames.parts(choice, [part]))

    # --- the end -----------------------------------------------------------------------------------------------

    def _done(self, usage: Usage, out: list[bytes]) -> None:
        for opened in list(self._open.values()):
            # The grammar has no open parts here; a part that is open all the same has what it has.
            self._end(opened, opened.final, out)
        self._open.clear()
        written: list[Wire] = []
        searched = False
        self._candidate(0)
        for choice, candidate in sorted(self._candidates.items()):
            last, told = candidate.last(choice)
            searched = searched or told
            written.append(last)
        chunk: Wire = {"candidates": written}
        if usage != UNKNOWN:
            chunk["usageMetadata"] = write_usage(usage, searched=searched)
        self._over = True
        out.append(self._frames.end(chunk))
