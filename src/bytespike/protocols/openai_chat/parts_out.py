"""The parts of a client's stream: what each kind of part sends at its start, for a delta, and at its end."""

from __future__ import annotations

from msgspec import structs

from bytespike.core.content import (
    AudioPart,
    Citation,
    ForeignPart,
    ImagePart,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.protocols.free_form import unwrapped
from bytespike.protocols.openai_chat.answer_out import (
    NO_ARGUMENTS,
    audio_entry,
    call_body,
    image_entry,
    proof_of_call,
    tell_foreign,
)
from bytespike.protocols.openai_chat.citations import is_annotation, write_citation
from bytespike.protocols.openai_chat.frames_out import Frames
from bytespike.protocols.openai_chat.free_form_calls import stood_in
from bytespike.protocols.openai_chat.names import own
from bytespike.protocols.openai_chat.reasoning import (
    ENCRYPTED,
    PIECE_BREAK,
    SIGNING,
    format_of,
    is_foreign_detail,
    kind_of,
    proof_members,
    text_member,
)
from bytespike.protocols.openai_chat.server_tools import write_call, write_result
from bytespike.wire.json import encode


class ChoiceState:
    """What the parts of one choice share: the next index of each list, and how much text there was. `free_form`: the
    names of the client's free-form tools."""

    __slots__ = (
        "_next",
        "chars",
        "choice",
        "finished",
        "frames",
        "free_form",
        "last_tool",
        "losses",
        "reasoned",
        "refused",
    )

    def __init__(self, choice: int, frames: Frames, losses: Losses, free_form: frozenset[str]) -> None:
        self.choice = choice
        self.frames = frames
        self.free_form = free_form
        self.losses = losses
        self.finished = False
        self.reasoned = False
        self.refused = False
        self.chars = 0
        self._next: dict[str, int] = {}
        #: The provider-side call that was last: its id, the index of its entry, its origin.
        self.last_tool: tuple[str, int, str] | None = None

    def take(self, name: str) -> int:
        """The next index in the list of that name."""
        number = self._next.get(name, 0)
        self._next[name] = number + 1
        return number

    def entry(self, name: str, index: int, members: JSONObject) -> bytes:
        """A chunk with one entry of a list."""
        listed: list[JSON] = [{"index": index, **members}]
        return self.frames.delta(self.choice, {name: listed})


class PartWriter:
    """One open part. `simple` parts send each piece of text between `before` and `after`."""

    __slots__ = ("after", "before", "citations", "length", "proof", "simple", "state")

    def __init__(self, state: ChoiceState) -> None:
        self.state = state
        self.simple = False
        self.before = b""
        self.after = b""
        #: Characters sent so far.
        self.length = 0
        self.proof: Proof | None = None
        self.citations: list[Citation] = []

    def text(self, text: str, out: list[bytes]) -> None:
        """A piece of text or arguments, not empty."""
        self.length += len(text)
        out.append(self.before + encode(text) + self.after)

    def prove(self, proof: Proof, out: list[bytes]) -> None:
        """Its proof, whole. It goes out at the end of the part, unless it can go at once."""
        self.proof = proof

    def end(self, final: Part | None, out: list[bytes]) -> None:
        """The part has ended. `final`: its whole form, where the upstream gave it."""


class _Text(PartWriter):
    __slots__ = ("start",)

    def __init__(self, part: TextPart, state: ChoiceState, out: list[bytes]) -> None:
        super().__init__(state)
        self.simple = True
        self.before = state.frames.before(state.choice, b'{"content":')
        self.after = state.frames.after(b"}")
        self.start = state.chars
        self.citations = list(part.citations)
        if part.text:
            self.text(part.text, out)

    def end(self, final: Part | None, out: list[bytes]) -> None:
        if isinstance(final, TextPart):
            if not self.length and final.text:
                self.text(final.text, out)
            self.citations = list(final.citations)
        end = self.start + self.length
        self.state.chars = max(self.state.chars, end)
        if self.citations:
            # Together: the first of them may end the text part for whoever reads the stream.
            lists: dict[str, list[JSON]] = {}
            for citation in self.citations:
                name, entry = write_citation(citation, self.start, end)
                lists.setdefault(name, []).append({"index": self.state.take(name), **entry})
            out.append(self.state.frames.delta(self.state.choice, {**lists}))


class _Refusal(PartWriter):
    __slots__ = ()

    def __init__(self, part: RefusalPart, state: ChoiceState, out: list[bytes]) -> None:
        super().__init__(state)
        self.simple = True
        self.before = state.frames.before(state.choice, b'{"refusal":')
        self.after = state.frames.after(b"}")
        if part.text:
            self.text(part.text, out)

    def end(self, final: Part | None, out: list[bytes]) -> None:
        if isinstance(final, RefusalPart) and not self.length and final.text:
            self.text(final.text, out)


class _Reasoning(PartWriter):
    """Each piece goes out twice: as plain text, and in the entry of `reasoning_details` that will carry the proof."""

    __slots__ = ("between", "formatted", "index", "part")

    def __init__(self, part: ReasoningPart, state: ChoiceState, out: list[bytes]) -> None:
        super().__init__(state)
        self.part = part
        self.proof = part.proof
        self.index = -1
        self.between = b""
        self.formatted = False
        if part.text:
            self.text(part.text, out)

    def text(self, text: str, out: list[bytes]) -> None:
        self.length += len(text)
        if self.index < 0:
            self._first(text, out)
            return
        piece = encode(text)
        out.append(b"".join((self.before, piece, self.between, piece, self.after)))

    def _first(self, text: str, out: list[bytes]) -> None:
        """The first piece also opens the entry, and stands apart from the reasoning before it."""
        state = self.state
        entry = self._open_entry(text)
        shown = PIECE_BREAK + text if state.reasoned else text
        state.reasoned = True
        out.append(
            state.frames.delta(state.choice, {"reasoning_content": shown, "reasoning_details": [entry]})
        )
        self.before = state.frames.before(state.choice, b'{"reasoning_content":')
        self.between = b',"reasoning_details":[{"index":%d,"type":"%b","%b":' % (
            self.index,
            kind_of(self.part).encode(),
            text_member(self.part).encode(),
        )
        self.after = state.frames.after(b"}]}")

    def _open_entry(self, text: str) -> JSONObject:
        self.index = self.state.take("reasoning_details")
        entry: JSONObject = {"index": self.index, "type": kind_of(self.part), text_member(self.part): text}
        if self.part.id is not None:
            entry["id"] = self.part.id
        told = own(self.part.extras).get("_format")
        if isinstance(told, str):
            entry["format"] = told
            self.formatted = True
        return entry

    def end(self, final: Part | None, out: list[bytes]) -> None:
        if isinstance(final, ReasoningPart):
            self.proof = final.proof or self.proof
            self.part = final
            if not self.length and final.text:
                self.text(final.text, out)
        proof = self.proof
        if proof is None:
            return
        state = self.state
        if self.part.redacted or proof.origin not in SIGNING:
            self._encrypted(proof, out)
            return
        signed: JSONObject = {"signature": proof.data, "type": kind_of(self.part)}
        if not self.formatted:
            signed["format"] = format_of(proof.origin)
        if self.index < 0:
            # Anthropic and Gemini also sign reasoning that they do not show.
            signed = {**self._open_entry(""), **signed}
        out.append(state.entry("reasoning_details", self.index, signed))

    def _encrypted(self, proof: Proof, out: list[bytes]) -> None:
        """The proof as an entry of its own, behind the entry that shows the text."""
        state = self.state
        entries: list[JSON] = []
        hidden: JSONObject = {"type": ENCRYPTED, **proof_members(proof)}
        if self.part.id is not None:
            hidden["id"] = self.part.id
        if self.index >= 0 and not self.formatted:
            entries.append({"index": self.index, "type": kind_of(self.part), "format": hidden["format"]})
        entries.append({"index": state.take("reasoning_details"), **hidden})
        out.append(state.frames.delta(state.choice, {"reasoning_details": entries}))


class _Call(PartWriter):
    __slots__ = ("index", "part")

    def __init__(self, part: ToolCallPart, state: ChoiceState, out: list[bytes]) -> None:
        super().__init__(state)
        self.part = part
        self.proof = part.proof
        self.simple = True
        self.length = len(part.arguments)
        if own(part.extras).get("_legacy"):
            self.index = -1
            opening: JSONObject = {"function_call": {"name": part.name, "arguments": part.arguments}}
            out.append(state.frames.delta(state.choice, opening))
            self.before = state.frames.before(state.choice, b'{"function_call":{"arguments":')
            self.after = state.frames.after(b"}}")
            return
        self.index = state.take("tool_calls")
        members: JSONObject = {
            "id": part.id or f"call_{self.index}",
            "type": part.kind,
            part.kind: call_body(part, part.arguments),
            **proof_of_call(part, state.losses),
        }
        out.append(state.entry("tool_calls", self.index, members))
        inner = b'"custom":{"input":' if part.kind == "custom" else b'"function":{"arguments":'
        self.before = state.frames.before(
            state.choice, b'{"tool_calls":[{"index":%d,%b' % (self.index, inner)
        )
        self.after = state.frames.after(b"}}]}")

    def prove(self, proof: Proof, out: list[bytes]) -> None:
        if proof == self.proof or self.index < 0:
            return
        # At once: readers take a call for ended when the next one starts.
        self.proof = proof
        members = proof_of_call(structs.replace(self.part, proof=proof), self.state.losses)
        if members:
            # OpenAI's stream helper wants the member of the call's kind in every piece.
            members[self.part.kind] = {"input" if self.part.kind == "custom" else "arguments": ""}
            out.append(self.state.entry("tool_calls", self.index, members))

    def end(self, final: Part | None, out: list[bytes]) -> None:
        if isinstance(final, ToolCallPart):
            if not self.length and final.arguments:
                self.text(final.arguments, out)
            if final.proof is not None:
                self.prove(final.proof, out)
        if not self.length and self.part.kind == "function":
            self.text(NO_ARGUMENTS, out)


class _StoodIn(_Call):
    """A call of a function that stood in for a free-form tool: turned back, and so it must wait for its end."""

    __slots__ = ("pieces",)

    def __init__(self, part: ToolCallPart, state: ChoiceState, out: list[bytes]) -> None:
        super().__init__(structs.replace(part, kind="custom", arguments=""), state, out)
        self.simple = False
        self.pieces = [part.arguments]

    def text(self, text: str, out: list[bytes]) -> None:
        self.pieces.append(text)

    def end(self, final: Part | None, out: list[bytes]) -> None:
        arguments = "".join(self.pieces)
        if isinstance(final, ToolCallPart):
            arguments = arguments or final.arguments
            if final.proof is not None:
                self.prove(final.proof, out)
        text = unwrapped(arguments)
        if text:
            super().text(text, out)


class _ServerCall(PartWriter):
    __slots__ = ("part", "pieces")

    def __init__(self, part: ServerToolCallPart, state: ChoiceState) -> None:
        super().__init__(state)
        self.part = part
        self.pieces = [part.arguments]

    def text(self, text: str, out: list[bytes]) -> None:
        self.pieces.append(text)

    def end(self, final: Part | None, out: list[bytes]) -> None:
        part = final if isinstance(final, ServerToolCallPart) else self.part
        entry = write_call(part)
        if final is None:
            entry["arguments"] = "".join(self.pieces)
        index = self.state.take("server_tool_calls")
        self.state.last_tool = (part.id, index, part.origin)
        out.append(self.state.entry("server_tool_calls", index, entry))


class _Whole(PartWriter):
    """Parts that come whole: images, audio, results of provider-side tools, and what chat does not know."""

    __slots__ = ("part",)

    def __init__(self, part: Part, state: ChoiceState) -> None:
        super().__init__(state)
        self.part = part

    def text(self, text: str, out: list[bytes]) -> None:
        """Such parts have no text of their own."""

    def end(self, final: Part | None, out: list[bytes]) -> None:
        state = self.state
        match final or self.part:
            case ServerToolResultPart() as result:
                _result(result, state, out)
            case ImagePart() as image:
                out.append(state.entry("images", state.take("images"), image_entry(image, state.losses)))
            case AudioPart() as audio:
                out.append(state.frames.delta(state.choice, {"audio": audio_entry(audio)}))
            case ForeignPart() as foreign:
                _foreign(foreign, state, out)
            case part:
                state.losses.dropped(f"content.{type(part).__name__}", "unknown to chat answers")


def _result(result: ServerToolResultPart, state: ChoiceState, out: list[bytes]) -> None:
    last, state.last_tool = state.last_tool, None
    if last is not None and last[0] == result.call_id:
        _, index, origin = last
        out.append(state.entry("server_tool_calls", index, {"result": write_result(result, origin=origin)}))
        return
    members: JSONObject = {"id": result.call_id, "result": write_result(result, origin="")}
    out.append(state.entry("server_tool_calls", state.take("server_tool_calls"), members))


def _foreign(part: ForeignPart, state: ChoiceState, out: list[bytes]) -> None:
    raw = part.raw
    name = "annotations" if is_annotation(part) else "reasoning_details" if is_foreign_detail(part) else None
    if name is None or not isinstance(raw, dict):
        tell_foreign(part, state.losses)
        return
    told: JSONObject = {key: value for key, value in raw.items() if key != "index"}
    out.append(state.entry(name, state.take(name), told))


def open_part(part: Part, state: ChoiceState, out: list[bytes]) -> PartWriter:
    """The writer for a part that starts; what its start sends goes to `out`."""
    match part:
        case TextPart():
            return _Text(part, state, out)
        case ToolCallPart():
            if state.free_form and stood_in(part, state.free_form):
                return _StoodIn(part, state, out)
            return _Call(part, state, out)
        case ReasoningPart():
            return _Reasoning(part, state, out)
        case RefusalPart():
            return _Refusal(part, state, out)
        case ServerToolCallPart():
            return _ServerCall(part, state)
        case _:
            return _Whole(part, state)
