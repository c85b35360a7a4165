"""One choice of an upstream's stream: which of its parts are open. `stream_in` explains the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from msgspec import structs

from bytespike.core import events as e
from bytespike.core.content import (
    Citation,
    ForeignPart,
    ImagePart,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    TextPart,
)
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_chat.audio_in import AudioPieces
from bytespike.protocols.openai_chat.calls_in import CallsReader
from bytespike.protocols.openai_chat.citations import Placed, read_citations
from bytespike.protocols.openai_chat.content_in import read_part
from bytespike.protocols.openai_chat.finish import read_finish
from bytespike.protocols.openai_chat.inline_think import Piece, ThinkSplitter
from bytespike.protocols.openai_chat.message_in import google_signature, read_images
from bytespike.protocols.openai_chat.reasoning import (
    GEMINI,
    SIGNING,
    belongs_to,
    origin_of,
    proven,
    read_detail,
)
from bytespike.protocols.openai_chat.response import call_prefix
from bytespike.protocols.openai_chat.schema import ChoiceDelta, Delta
from bytespike.protocols.openai_chat.server_tools import StreamedTools
from bytespike.protocols.part_numbers import Numbering

_Kind: TypeAlias = Literal["text", "refusal", "reasoning"]
_EMPTY_TEXT: Final = TextPart("")
_EMPTY_REASONING: Final = ReasoningPart("")
_EMPTY_REFUSAL: Final = RefusalPart("")


class ChoiceReader:
    """Reads the deltas of one choice. `finish` is set once its reason has come."""

    __slots__ = (
        "_audio", "_calls", "_chars", "_choice", "_detail", "_detail_text", "_kind", "_numbering",
        "_open", "_part_start", "_plain_reasoning", "_reasoning", "_think", "_tools", "finish",
    )  # fmt: skip

    def __init__(
        self, choice: int, response_id: str, numbering: Numbering, *, inline_think: bool = False
    ) -> None:
        self.finish: Finish | None = None
        self._choice = choice
        self._numbering = numbering
        prefix = call_prefix(response_id, choice)
        self._calls = CallsReader(choice, prefix, numbering.take)
        self._tools = StreamedTools(prefix)
        self._audio = AudioPieces()
        #: The open text, refusal or reasoning part: its kind and its number.
        self._kind: _Kind | None = None
        self._open = 0
        #: Characters of text so far, and where the open text part begins in them: annotations count from the start.
        self._chars = 0
        self._part_start = 0
        #: The entry of `reasoning_details` that the open reasoning part began with; None for plain text.
        self._detail: JSONObject | None = None
        self._detail_text: list[str] = []
        self._reasoning = _EMPTY_REASONING
        self._plain_reasoning = False
        #: Takes the content apart, as long as it may hold reasoning.
        self._think = ThinkSplitter() if inline_think else None

    def read(self, delta: ChoiceDelta, events: list[e.Event]) -> None:
        """Raises `Wrong`, `TooMuch`."""
        message = delta.delta
        if message is not None:
            if message.reasoning_content or message.reasoning or message.reasoning_details:
                self._read_reasoning(message, events)
            content = message.content
            if content:
                if self._think is not None and isinstance(content, str):
                    self._maybe_thinking(self._think, content, events)
                elif isinstance(content, str):
                    self._text(content, events)
                else:
                    self._content_parts(content, events)
            if message.tool_calls:
                if self._think is not None:
                    self._thought(self._think, events)
                self._close_open(events)
                for call in message.tool_calls:
                    self._calls.read(call, events)
            if (
                message.refusal
                or message.annotations
                or message.server_tool_calls
                or message.audio
                or message.images
                or message.function_call
                or message.executed_tools
                or message.citation_details
                or message.extra_content
            ):
                self._rare(message, events)
        logprobs = delta.logprobs
        if logprobs is not None and (logprobs.content or logprobs.refusal):
            events.append(
                e.LogprobsDelta(tuple(logprobs.content or ()), tuple(logprobs.refusal or ()), self._choice)
            )
        if delta.finish_reason:
            self._finished(delta, events)

    def _finished(self, delta: ChoiceDelta, events: list[e.Event]) -> None:
        sequence = delta.stop_reason
        self.finish = read_finish(
            delta.finish_reason or "",
            delta.native_finish_reason,
            sequence if isinstance(sequence, str) else None,
            delta.finish_detail,
        )
        self.close(events)

    def close(self, events: list[e.Event]) -> None:
        """End every open part."""
        if self._think is not None:
            self._thought(self._think, events)
        self._close_open(events)
        self._calls.close(events)
        audio = self._audio.take()
        if audio is not None:
            self._whole(audio, events)

    # --- the one part that is open -----------------------------------------------------------------------------

    def _begin(self, kind: _Kind, part: Part, events: list[e.Event]) -> None:
        self._close_open(events)
        self._kind = kind
        self._open = self._numbering.take()
        events.append(e.PartStart(self._open, part, self._choice))

    def _close_open(self, events: list[e.Event]) -> None:
        if self._kind is None:
            return
        final: Part | None = None
        if self._kind == "reasoning" and self._detail is not None:
            final = structs.replace(self._reasoning, text="".join(self._detail_text))
        events.append(e.PartEnd(self._open, final))
        self._kind = None
        self._detail = None
        self._detail_text = []

    def _whole(self, part: Part, events: list[e.Event]) -> None:
        number = self._numbering.take()
        events.append(e.PartStart(number, part, self._choice))
        events.append(e.PartEnd(number))

    def _all(self, parts: Iterable[Part], events: list[e.Event]) -> None:
        for part in parts:
            self._whole(part, events)

    def _text(self, text: str, events: list[e.Event]) -> None:
        if self._kind != "text":
            self._begin("text", _EMPTY_TEXT, events)
            self._part_start = self._chars
        self._chars += len(text)
        events.append(e.TextDelta(self._open, text))

    def _maybe_thinking(self, think: ThinkSplitter, content: str, events: list[e.Event]) -> None:
        self._split(think.feed(content), events)
        if think.over:
            self._think = None

    def _thought(self, think: ThinkSplitter, events: list[e.Event]) -> None:
        """No more content follows that could hold reasoning."""
        self._think = None
        self._split(think.end(), events)

    def _split(self, pieces: list[Piece], events: list[e.Event]) -> None:
        for piece in pieces:
            if piece.kind == "reasoning":
                self._plain(piece.text, events)
            else:
                self._text(piece.text, events)

    def _content_parts(self, content: list[JSON], events: list[e.Event]) -> None:
        """Mistral: an array of text and thinking parts."""
        for entry in content:
            if not isinstance(entry, dict):
                continue
            match read_part(entry):
                case TextPart(text=text):
                    if text:
                        self._text(text, events)
                case ReasoningPart(text=text):
                    if text:
                        self._plain(text, events)
                case ImagePart() as image:
                    self._close_open(events)
                    self._whole(image, events)
                case ForeignPart() as foreign:
                    self._close_open(events)
                    self._whole(foreign, events)
                case _:
                    pass

    # --- reasoning ---------------------------------------------------------------------------------------------

    def _read_reasoning(self, message: Delta, events: list[e.Event]) -> None:
        plain = message.reasoning_content or message.reasoning
        details = message.reasoning_details
        if not details:
            if plain:
                self._plain(plain, events)
                self._plain_reasoning = True
            return
        told = any(detail.get("text") or detail.get("summary") for detail in details)
        if plain and not told:
            self._plain(plain, events)
        for detail in details:
            self._read_detail(detail, repeated=told and not plain and self._plain_reasoning, events=events)

    def _plain(self, text: str, events: list[e.Event]) -> None:
        if self._kind != "reasoning":
            self._begin("reasoning", _EMPTY_REASONING, events)
        elif self._detail is not None:
            self._detail_text.append(text)
        events.append(e.TextDelta(self._open, text))

    def _read_detail(self, detail: JSONObject, *, repeated: bool, events: list[e.Event]) -> None:
        """One entry. `repeated`: its text came before, as plain text."""
        part = read_detail(detail)
        if isinstance(part, ForeignPart):
            self._close_open(events)
            self._whole(part, events)
            return
        if part.redacted or (part.proof is not None and detail.get("type") == "reasoning.encrypted"):
            self._encrypted(detail, part, events)
            return
        if not repeated and part.text:
            if not self._continues(detail):
                unsigned = structs.replace(part, text="", proof=None)
                self._begin("reasoning", unsigned, events)
                self._detail = detail
                self._reasoning = unsigned
            self._detail_text.append(part.text)
            events.append(e.TextDelta(self._open, part.text))
        if part.proof is not None:
            self._signature(detail, part, part.proof, events)

    def _continues(self, detail: JSONObject) -> bool:
        """Whether the entry adds to the open part: same index, same type, and no proof so far."""
        before = self._detail
        return (
            self._kind == "reasoning"
            and before is not None
            and before.get("index") == detail.get("index")
            and before.get("type") == detail.get("type")
            and self._reasoning.proof is None
        )

    def _signature(
        self, detail: JSONObject, part: ReasoningPart, proof: Proof, events: list[e.Event]
    ) -> None:
        if self._kind == "reasoning" and self._detail is None:
            # The text came as plain text.
            events.append(e.ProofDelta(self._open, proof))
            self._end_plain(events)
            return
        before = self._detail
        if before is not None and detail.get("format") is None and isinstance(before.get("format"), str):
            # Merged deltas name the format once.
            proof = Proof(origin_of(str(before["format"])), proof.data)
        if not self._continues(detail):
            unsigned = structs.replace(part, text="", proof=None)
            self._begin("reasoning", unsigned, events)
            self._detail = detail
            self._reasoning = unsigned
        self._reasoning = proven(self._reasoning, proof)
        events.append(e.ProofDelta(self._open, proof))

    def _end_plain(self, events: list[e.Event]) -> None:
        """End a part whose text was not kept here."""
        events.append(e.PartEnd(self._open))
        self._kind = None
        self._detail = None

    def _encrypted(self, detail: JSONObject, part: ReasoningPart, events: list[e.Event]) -> None:
        if self._kind == "reasoning" and part.proof is not None:
            before = self._detail
            if before is None and not part.redacted and part.proof.origin not in SIGNING:
                events.append(e.ProofDelta(self._open, part.proof))
                self._end_plain(events)
                return
            shown = structs.replace(self._reasoning, text="".join(self._detail_text))
            if before is not None and belongs_to(detail, part, before, shown):
                self._reasoning = proven(self._reasoning, part.proof, part.id)
                events.append(e.ProofDelta(self._open, part.proof))
                return
        self._close_open(events)
        self._whole(part, events)

    # --- what is rare ------------------------------------------------------------------------------------------

    def _rare(self, message: Delta, events: list[e.Event]) -> None:
        if message.refusal:
            if self._kind != "refusal":
                self._begin("refusal", _EMPTY_REFUSAL, events)
            events.append(e.TextDelta(self._open, message.refusal))
        if message.extra_content:
            signature = google_signature({"extra_content": message.extra_content})
            if signature and not message.tool_calls:
                self._close_open(events)
                self._whole(ReasoningPart(proof=Proof(GEMINI, signature)), events)
        if message.server_tool_calls or message.executed_tools:
            self._close_open(events)
            for entry in message.server_tool_calls or ():
                self._all(self._tools.entry(entry), events)
            for number, tool in enumerate(message.executed_tools or ()):
                self._all(self._tools.executed(tool, number), events)
        if message.annotations or message.citation_details:
            told: JSONObject = {
                "annotations": [*(message.annotations or ())],
                "citation_details": [*(message.citation_details or ())],
            }
            self._citations(told, events)
        if message.images:
            self._close_open(events)
            self._all(read_images({"images": [*message.images]}), events)
        if message.audio:
            self._audio.add(message.audio)
        if message.function_call is not None:
            self._close_open(events)
            self._calls.read_legacy(message.function_call, events)

    def _citations(self, told: JSONObject, events: list[e.Event]) -> None:
        placed, foreign = read_citations(told)
        for item in placed:
            if self._kind != "text":
                self._begin("text", _EMPTY_TEXT, events)
                self._part_start = self._chars
            events.append(e.CitationDelta(self._open, self._relative(item)))
        for part in foreign:
            self._close_open(events)
            self._whole(part, events)
        if any(item.whole and item.end == self._chars for item in placed):
            # What follows is another text part.
            self._close_open(events)

    def _relative(self, item: Placed) -> Citation:
        """The citation with offsets in the open part. One of a whole part has none: it belongs to the text that it ends,
        which may have begun earlier than it did at the provider. Nor has one of a part that has ended."""
        citation = item.citation
        if item.whole or item.start is None or item.end is None:
            return citation
        start, end = item.start - self._part_start, item.end - self._part_start
        return (
            structs.replace(citation, start=None, end=None)
            if start < 0
            else structs.replace(citation, start=start, end=end)
        )
