"""One candidate of an upstream's stream, read.

A chunk holds more of a candidate's parts. Text, thoughts and refusals come in pieces: pieces of one kind that follow each
other are one part. Everything else comes whole, but for function calls whose arguments are streamed (`partial_args`).

The text stays open as long as it can, because its citations come with the last chunk: only a thought, a call or another
whole part ends it. A signature beside it does not, unless more text follows: then it stands between the two, as in a
whole answer, and no client's dialect has to leave it out.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import structs

from bytespike.core import events as e
from bytespike.core.content import (
    Citation,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.gemini.call_ids import AnswerIds
from bytespike.protocols.gemini.envelope import Sealed, is_sealed, open_seal, proof_of
from bytespike.protocols.gemini.finish import read_finish
from bytespike.protocols.gemini.grounding import Cited, read_grounding
from bytespike.protocols.gemini.logprobs import read_logprobs
from bytespike.protocols.gemini.names import NAME
from bytespike.protocols.gemini.partial_args import PartialArgs
from bytespike.protocols.gemini.parts_in import read_part
from bytespike.protocols.part_numbers import Numbering
from bytespike.wire import fields as f
from bytespike.wire import json

_Kind: TypeAlias = Literal["text", "thought", "refusal"]


class CandidateReader:
    """`finish`: how it ended, once that has come. `members`: what its chunks said besides their parts."""

    __slots__ = (
        "_call",
        "_called",
        "_choice",
        "_cited",
        "_has_signature",
        "_ids",
        "_kind",
        "_number",
        "_numbering",
        "_partial",
        "_pieces",
        "_reasoned",
        "_texts",
        "finish",
        "members",
    )  # fmt: skip

    def __init__(self, choice: int, response_id: str, numbering: Numbering) -> None:
        self._choice = choice
        self._ids = AnswerIds(response_id, choice)
        self._numbering = numbering
        #: The part that is open: its kind, its number, and the pieces of its text.
        self._kind: _Kind | None = None
        self._number = -1
        self._pieces: list[str] = []
        #: The open text has a signature behind it.
        self._has_signature = False
        #: All texts so far, for citations point into them.
        self._texts: list[list[str]] = []
        self._reasoned: list[Part] = []
        self._cited: list[Cited] = []
        #: The call whose arguments are streamed.
        self._call: ToolCallPart | None = None
        self._partial = PartialArgs()
        self._called = False
        self.finish: Finish | None = None
        self.members: JSONObject = {}

    def part(self, part: JSONObject, events: list[e.Event]) -> None:
        """One part of a chunk. Raises `Wrong`, `TooMuch`."""
        if self._call is not None and "functionCall" not in part:
            self._end_call(events)
        text = part.get("text")
        if isinstance(text, str) and "functionCall" not in part:
            if len(part) == 1:
                if text:
                    self._piece("text", text, events)
                return
            self._marked_text(text, part, events)
        elif "functionCall" in part:
            self._function(part, events)
        else:
            self._read_whole(part, events)

    # --- text, thoughts, refusals ------------------------------------------------------------------------------

    def _piece(self, kind: _Kind, text: str, events: list[e.Event]) -> None:
        if self._kind != kind or self._has_signature:
            self._close(events)
            self._kind = kind
            self._number = self._numbering.take()
            self._pieces = []
            if kind == "text":
                self._texts.append(self._pieces)
                start: Part = TextPart("")
            else:
                start = ReasoningPart() if kind == "thought" else RefusalPart("")
            events.append(e.PartStart(self._number, start, self._choice))
        self._pieces.append(text)
        events.append(e.TextDelta(self._number, text))

    def _marked_text(self, text: str, part: JSONObject, events: list[e.Event]) -> None:
        signature = f.optional_text(part, "thoughtSignature")
        sealed = open_seal(signature) if signature and is_sealed(signature) else None
        if part.get("thought"):
            self._thought(text, signature, sealed, events)
        elif sealed is not None and sealed.kind == "refusal":
            if text:
                self._piece("refusal", text, events)
        else:
            proof = proof_of(signature)
            if proof is not None:
                # Beside the text: it stays open.
                self._whole(ReasoningPart(proof=proof), events)
                self._has_signature = self._kind == "text"
            if text:
                self._piece("text", text, events)

    def _thought(
        self, text: str, signature: str | None, sealed: Sealed | None, events: list[e.Event]
    ) -> None:
        proof = proof_of(signature)
        if sealed is not None and sealed.whole:
            self._close(events)
            self._whole(ReasoningPart(text, proof, sealed.redacted, sealed.summary, sealed.id), events)
            return
        if not text and self._kind != "thought":
            if proof is not None or sealed is not None:
                self._close(events)
                part = ReasoningPart("", proof)
                if sealed is not None:
                    part = ReasoningPart("", proof, sealed.redacted, sealed.summary, sealed.id)
                self._whole(part, events)
            return
        if text:
            self._piece("thought", text, events)
        if signature:
            self._end_thought(proof, sealed, events)

    def _end_thought(self, proof: Proof | None, sealed: Sealed | None, events: list[e.Event]) -> None:
        """A signature ends the piece of reasoning that it belongs to."""
        whole = ReasoningPart("".join(self._pieces), proof)
        if sealed is not None:
            whole = structs.replace(whole, redacted=sealed.redacted, summary=sealed.summary, id=sealed.id)
        if proof is not None:
            events.append(e.ProofDelta(self._number, proof))
        plain = sealed is None or not (sealed.redacted or sealed.summary or sealed.id)
        events.append(e.PartEnd(self._number, None if plain else whole))
        self._reasoned.append(whole)
        self._kind = None

    def _close(self, events: list[e.Event]) -> None:
        self._has_signature = False
        if self._kind is not None:
            self._kind = None
            events.append(e.PartEnd(self._number))

    def _whole(self, part: Part, events: list[e.Event]) -> None:
        if isinstance(part, ReasoningPart):
            self._reasoned.append(part)
        number = self._numbering.take()
        events.append(e.PartStart(number, part, self._choice))
        events.append(e.PartEnd(number))

    def _read_whole(self, part: JSONObject, events: list[e.Event]) -> None:
        parts = list(self._reasoned)
        known = len(parts)
        read_part(part, self._ids, parts)
        self._close(events)
        for read in parts[known:]:
            self._called = self._called or isinstance(read, ToolCallPart)
            self._whole(read, events)

    # --- calls -------------------------------------------------------------------------------------------------

    def _function(self, part: JSONObject, events: list[e.Event]) -> None:
        told = f.object_at(part, "functionCall")
        goes_on = f.optional_flag(told, "willContinue") or False
        name = f.optional_text(told, "name")
        if name:
            self._end_call(events)
            if goes_on or "partialArgs" in told:
                self._start_call(part, told, name, events)
            else:
                self._read_whole(part, events)
                return
        if self._call is None:
            if not name and not told.get("partialArgs"):
                # The end of a call that had ended already: seen from the service.
                return
            raise f.missing("name").under("functionCall")
        pieces = f.optional_array(told, "partialArgs")
        if pieces:
            self._partial.add(pieces)
        if not goes_on:
            self._end_call(events)

    def _start_call(self, part: JSONObject, told: JSONObject, name: str, events: list[e.Event]) -> None:
        self._close(events)
        signature = f.optional_text(part, "thoughtSignature")
        call_id = self._ids.call(f.optional_text(told, "id"), name)
        proof = Proof(NAME, signature) if signature and not is_sealed(signature) else proof_of(signature)
        self._number = self._numbering.take()
        self._call = ToolCallPart(call_id, name, "", proof=proof)
        self._partial = PartialArgs()
        self._called = True
        events.append(e.PartStart(self._number, self._call, self._choice))

    def _end_call(self, events: list[e.Event]) -> None:
        if self._call is not None:
            self._call = None
            events.append(e.InputDelta(self._number, json.encode(self._partial.value).decode()))
            events.append(e.PartEnd(self._number))

    # --- the end -----------------------------------------------------------------------------------------------

    def note(self, candidate: JSONObject) -> None:
        """Members that a chunk gave besides its parts; later ones win, empty ones say nothing."""
        self.members.update({key: value for key, value in candidate.items() if value not in (None, {}, [])})

    def end(self, events: list[e.Event]) -> None:
        """The candidate has ended: what is open closes, and its citations come."""
        if self._call is not None:
            self._end_call(events)
        self.cite(events, last=True)
        self._close(events)
        word = self.members.get("finishReason")
        self.finish = read_finish(
            word if isinstance(word, str) else None, called=self._called, candidate=self.members
        )
        logprobs = read_logprobs(self.members.get("logprobsResult"))
        if logprobs is not None:
            events.append(e.LogprobsDelta(logprobs.content, logprobs.refusal, self._choice))

    def cite(self, events: list[e.Event], *, last: bool = False) -> None:
        """Tells the citations that have come for the open text. `last`: no text will come that the others belong to."""
        grounding: JSON = self.members.get("groundingMetadata")
        sources: JSON = self.members.get("citationMetadata")
        if grounding is None and sources is None:
            return
        texts = ["".join(pieces) for pieces in self._texts]
        open_text = len(texts) - 1 if self._kind == "text" else None
        told = list(self._cited)
        orphans: list[Citation] = []
        for cited in read_grounding(grounding, sources, texts, range(len(texts))):
            if cited in told:
                # Grounding that comes again holds what came before.
                told.remove(cited)
            elif cited.text is not None and cited.text == open_text:
                self._cited.append(cited)
                events.append(e.CitationDelta(self._number, cited.citation))
            elif last:
                # A place in the source stays; one in a text that has ended is lost.
                placed = cited.citation.kind == "web"
                bare = structs.replace(cited.citation, start=None, end=None) if placed else cited.citation
                orphans.append(bare)
        if orphans:
            self._whole(TextPart("", tuple(orphans)), events)
