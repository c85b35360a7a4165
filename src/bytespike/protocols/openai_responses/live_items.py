"""One output item on its way out: its start, its deltas as they come, its end.

What an item is at its end is built by `answer_out`, as for a whole answer; here are only the events that lead there.
A message stays open over several parts, until a part of another kind begins or the answer ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import structs

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.protocols.free_form import unwrapped
from bytespike.protocols.openai_responses import answer_out as a
from bytespike.protocols.openai_responses.annotations import write_annotation
from bytespike.protocols.openai_responses.echo import Echo
from bytespike.protocols.openai_responses.envelope import seal_call_proof
from bytespike.protocols.openai_responses.frames import Frames, prepared
from bytespike.protocols.openai_responses.items import Said, content_entry
from bytespike.protocols.openai_responses.logprobs import write_token
from bytespike.protocols.openai_responses.names import NAME
from bytespike.wire import json

_NO_LOGPROBS: Final = b',"logprobs":[]'
_SEARCHING: Final = ("in_progress", "searching", "completed")
_DRAWING: Final = ("in_progress", "generating", "completed")
#: Items whose way is told in steps.
_STEPS: Final = {"web_search_call": _SEARCHING, "image_generation_call": _DRAWING}


class Output:
    """The items of one answer: those that are finished, and what all of them share."""

    __slots__ = ("echo", "frames", "items", "losses", "refused", "searched", "tail")

    def __init__(self, frames: Frames, echo: Echo, losses: Losses) -> None:
        self.frames = frames
        self.echo = echo
        self.losses = losses
        self.tail = ""
        #: Encoded, for the last event repeats them.
        self.items: list[msgspec.Raw] = []
        self.refused = False
        self.searched = False

    def added(self, item: JSONObject) -> None:
        self.frames.event("response.output_item.added", {"output_index": len(self.items), "item": item})

    def done(self, item: JSONObject) -> None:
        raw = json.encode(item)
        index = b'"output_index":%d,' % len(self.items)
        self.frames.with_raw("response.output_item.done", "item", raw, index)
        self.items.append(msgspec.Raw(raw))

    def whole(self, item: JSONObject) -> None:
        """An item that nothing is streamed of."""
        kind = str(item.get("type"))
        # Others' types may not know that they could be in progress.
        begun: JSONObject = {**item, "status": "in_progress"} if kind in _STEPS else item
        if kind == "image_generation_call":
            begun = {**begun, "result": None}
        self.added(begun)
        self.searched = self.searched or kind == "web_search_call"
        place: JSONObject = {"output_index": len(self.items), "item_id": item.get("id")}
        for step in _STEPS.get(kind, ()):
            self.frames.event(f"response.{kind}.{step}", place)
        self.done(item)

    def sealed(self, opaque: str) -> None:
        """A reasoning item that shows nothing."""
        self.whole(a.item_sealed(opaque, a.made_id(a.REASONING_ID, self.tail, len(self.items))))


class LiveText:
    """One part of a message: a text or a refusal."""

    __slots__ = ("_after", "_before", "_citations", "_output", "_pieces", "_place", "part", "tokens")

    def __init__(self, part: Said, item_id: str, number: int, output: Output) -> None:
        self._output = output
        self._pieces: list[str] = []
        self._citations: list[c.Citation] = []
        self._place: JSONObject = {
            "item_id": item_id,
            "output_index": len(output.items),
            "content_index": number,
        }
        self.part = part
        #: Of a text; a refusal has none.
        self.tokens: list[JSON] = []
        if isinstance(part, c.RefusalPart):
            entry: JSONObject = {"type": "refusal", "refusal": ""}
            self._before, self._after = prepared("response.refusal.delta", self._place)
            output.refused = True
        else:
            entry = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            self._before, self._after = prepared("response.output_text.delta", self._place, _NO_LOGPROBS)
        output.frames.event("response.content_part.added", {**self._place, "part": entry})
        self.send(part.text)

    def send(self, text: str) -> None:
        """More of its text."""
        if text:
            self._pieces.append(text)
            self._output.frames.delta(self._before, text, self._after)

    def cite(self, citation: c.Citation) -> None:
        # It may need to know where its text ends.
        self._citations.append(citation)

    def logprobs(self, tokens: Sequence[JSON]) -> None:
        written: list[JSON] = [write_token(token) for token in tokens]
        self.tokens += written
        self._output.frames.event(
            "response.output_text.delta", {**self._place, "delta": "", "logprobs": written}
        )

    def end(self, final: c.Part | None) -> None:
        """Its text is whole. It stays open until something else begins, for log probabilities may follow."""
        if isinstance(final, (c.TextPart, c.RefusalPart)) and not self._pieces:
            self.send(final.text)
        part = final if isinstance(final, type(self.part)) else self.part
        part = structs.replace(part, text="".join(self._pieces))
        if isinstance(part, c.TextPart) and final is None:
            part = structs.replace(part, citations=(*part.citations, *self._citations))
        self.part = part

    def close(self) -> None:
        part, place, frames = self.part, self._place, self._output.frames
        if isinstance(part, c.RefusalPart):
            frames.event("response.refusal.done", {**place, "refusal": part.text})
            entry = content_entry(part)
        else:
            for number, citation in enumerate(part.citations):
                annotation = write_annotation(citation, len(part.text))
                frames.event(
                    "response.output_text.annotation.added",
                    {**place, "annotation_index": number, "annotation": annotation},
                )
            frames.event("response.output_text.done", {**place, "text": part.text, "logprobs": self.tokens})
            entry = content_entry(part, self.tokens)
        frames.event("response.content_part.done", {**place, "part": entry})


class LiveMessage:
    """A message of the assistant's."""

    __slots__ = ("_id", "_live", "_output", "_parts", "_tokens")

    def __init__(self, first: Said, output: Output) -> None:
        self._output = output
        self._id = a.id_of_message(first, output.tail, len(output.items))
        self._parts: list[Said] = []
        self._tokens: list[list[JSON]] = []
        self._live: LiveText | None = None
        begun = a.item_of_message([first], [], self._id)
        output.added({**begun, "status": "in_progress", "content": []})

    def start(self, part: Said) -> LiveText:
        """The next part of this message."""
        self._close_part()
        self._live = LiveText(part, self._id, len(self._parts), self._output)
        return self._live

    def logprobs(self, tokens: Sequence[JSON]) -> bool:
        """Tokens of the text that came last; False where none did."""
        if self._live is None or not isinstance(self._live.part, c.TextPart):
            return False
        self._live.logprobs(tokens)
        return True

    def _close_part(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.close()
            self._parts.append(live.part)
            if isinstance(live.part, c.TextPart):
                self._tokens.append(live.tokens)

    def close(self, status: str = "completed") -> None:
        self._close_part()
        self._output.done(a.item_of_message(self._parts, self._tokens, self._id, status))


class LiveReasoning:
    """A piece of reasoning: its text as a summary or as itself, its proof at the end."""

    __slots__ = ("_after", "_before", "_id", "_output", "_part", "_pieces", "_place", "_proof", "_summary")

    def __init__(self, part: c.ReasoningPart, output: Output) -> None:
        self._output = output
        self._part = part
        self._proof = part.proof
        self._pieces: list[str] = []
        self._id = a.id_of_reasoning(part, output.tail, len(output.items))
        self._summary = a.shows_summary(part, output.echo)
        self._place: JSONObject = {"item_id": self._id, "output_index": len(output.items)}
        self._place["summary_index" if self._summary else "content_index"] = 0
        self._before = self._after = b""
        output.added({"type": "reasoning", "id": self._id, "summary": []})
        self.send(part.text)

    def send(self, text: str) -> None:
        if not text:
            return
        if not self._pieces:
            self._begin()
        self._pieces.append(text)
        self._output.frames.delta(self._before, text, self._after)

    def _begin(self) -> None:
        frames = self._output.frames
        if self._summary:
            part: JSONObject = {"type": "summary_text", "text": ""}
            frames.event("response.reasoning_summary_part.added", {**self._place, "part": part})
            self._before, self._after = prepared("response.reasoning_summary_text.delta", self._place)
        else:
            part = {"type": "reasoning_text", "text": ""}
            frames.event("response.content_part.added", {**self._place, "part": part})
            self._before, self._after = prepared("response.reasoning_text.delta", self._place)

    def prove(self, proof: c.Proof) -> None:
        self._proof = proof

    def close(self, final: c.Part | None) -> None:
        part = self._part
        if isinstance(final, c.ReasoningPart):
            if not self._pieces:
                self.send(final.text)
            part = structs.replace(final, proof=final.proof or self._proof, summary=part.summary)
        else:
            part = structs.replace(part, proof=self._proof)
        text = "".join(self._pieces)
        part = structs.replace(part, text=text)
        frames = self._output.frames
        if self._pieces and self._summary:
            frames.event("response.reasoning_summary_text.done", {**self._place, "text": text})
            shown: JSONObject = {"type": "summary_text", "text": text}
            frames.event("response.reasoning_summary_part.done", {**self._place, "part": shown})
        elif self._pieces:
            frames.event("response.reasoning_text.done", {**self._place, "text": text})
            shown = {"type": "reasoning_text", "text": text}
            frames.event("response.content_part.done", {**self._place, "part": shown})
        self._output.done(a.item_of_reasoning(part, self._output.echo, self._id))


class LiveCall:
    """A tool call. It shows itself with its first arguments, for its proof goes before it.

    A free-form tool that a dialect had to make a function of is turned back, and so must wait for its end.
    """

    __slots__ = (
        "_after", "_before", "_call_id", "_id", "_late", "_output", "_part", "_pieces", "_proof", "_shown", "_wrapped",
    )  # fmt: skip

    def __init__(self, part: c.ToolCallPart, output: Output) -> None:
        native = output.echo.natives.get(part.name)
        free_form = native is not None and native.kind == "custom"
        self._wrapped = free_form and part.kind == "function" and NAME not in part.extras
        self._output = output
        self._part = a.nativized(structs.replace(part, arguments=""), output.echo)
        self._proof = part.proof
        self._late: c.Proof | None = None
        self._pieces: list[str] = []
        self._shown = False
        self._id = self._call_id = ""
        self._before = self._after = b""
        self.send(part.arguments)

    def _show(self) -> None:
        self._shown = True
        output = self._output
        index = len(output.items) + (self._proof is not None)
        self._id = a.id_of_call(self._part, output.tail, index)
        self._call_id = a.call_id_of(self._part, output.tail, index)
        self._seal(self._proof)
        custom = self._part.kind == "custom"
        begun = a.item_of_call(structs.replace(self._part, arguments=""), self._id, self._call_id)
        output.added({**begun, "status": "in_progress", "input" if custom else "arguments": ""})
        place: JSONObject = {"item_id": self._id, "output_index": index}
        self._before, self._after = prepared(f"response.{self._kind}.delta", place)

    @property
    def _kind(self) -> str:
        return "custom_tool_call_input" if self._part.kind == "custom" else "function_call_arguments"

    def _seal(self, proof: c.Proof | None) -> None:
        opaque = seal_call_proof(structs.replace(self._part, proof=proof), self._call_id)
        if opaque is not None:
            self._output.sealed(opaque)

    def send(self, text: str) -> None:
        """More of its arguments."""
        if not text:
            return
        self._pieces.append(text)
        if not self._wrapped:
            self._forward(text)

    def _forward(self, text: str) -> None:
        if not self._shown:
            self._show()
        self._output.frames.delta(self._before, text, self._after)

    def prove(self, proof: c.Proof) -> None:
        if not self._shown:
            self._proof = proof
        elif proof != self._proof:
            self._late = proof

    def close(self, final: c.Part | None) -> None:
        """The call has ended. `final`: its whole form, where the upstream gave it."""
        if isinstance(final, c.ToolCallPart):
            if final.proof is not None:
                self.prove(final.proof)
            if not self._pieces:
                self.send(final.arguments)
        arguments = "".join(self._pieces)
        if self._wrapped:
            arguments = unwrapped(arguments)
            if arguments:
                self._forward(arguments)
        elif not arguments and self._part.kind == "function":
            arguments = a.NO_ARGUMENTS
            self._forward(arguments)
        if not self._shown:
            self._show()
        output = self._output
        place: JSONObject = {"item_id": self._id, "output_index": len(output.items)}
        member = "input" if self._part.kind == "custom" else "arguments"
        output.frames.event(f"response.{self._kind}.done", {**place, member: arguments})
        output.done(a.item_of_call(structs.replace(self._part, arguments=arguments), self._id, self._call_id))
        self._seal(self._late)


class LiveWhole:
    """A part that is written when it is whole."""

    __slots__ = ("_output", "_part", "_pieces")

    def __init__(self, part: c.Part, output: Output) -> None:
        self._output = output
        self._part = part
        self._pieces: list[str] = []

    def send(self, text: str) -> None:
        self._pieces.append(text)

    def close(self, final: c.Part | None) -> None:
        """Raises `UnsupportedFeature` for media that this wire cannot show."""
        output = self._output
        part = final or self._part
        if final is None and isinstance(part, c.ServerToolCallPart):
            part = structs.replace(part, arguments=part.arguments + "".join(self._pieces))
        for item in a.items_of_whole(part, output.tail, len(output.items), output.losses):
            output.whole(item)
