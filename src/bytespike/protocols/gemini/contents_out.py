"""A conversation, written as `contents` and `systemInstruction` for an upstream.

What the API asks for, and what is done about it (Gemini API's guides on function calling and thought signatures; error
texts of the API; recorded traffic):

- Function responses stand in one content, directly after the content with their calls, as many as there were calls. So
  the results of consecutive user turns are gathered there; what else those turns hold comes after them.
- Models from Gemini 3 on refuse function calls of the current turn without a signature. A call that another model made
  gets the documented stand-in. Older models get none: they may take it for a damaged signature.
- Pictures and files in a function response are parts of it from Gemini 3 on; before, they follow it in the same content.
- A system prompt is text. System turns in mid-conversation become text of the user.
- Reasoning goes back only with Google's own proof; a proof without text goes onto the text that follows.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    CacheMark,
    DocumentPart,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    PartsSource,
    ReasoningPart,
    RefusalPart,
    SearchResultPart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextPart,
    TextSource,
    ToolCallPart,
    ToolResultPart,
    Turn,
    UrlSource,
)
from bytespike.core.dialect import Target
from bytespike.core.json_types import Extras, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ChatRequest
from bytespike.errors import UnsupportedFeature, untaken_url
from bytespike.protocols.documents_as_text import headed, heading, search_result_text
from bytespike.protocols.gemini.answer_out import is_signature
from bytespike.protocols.gemini.names import (
    NAME,
    QUIRK_NO_CALL_IDS,
    QUIRK_NO_FILE_URLS,
    own,
    thinks_by_level,
    wire_members,
)
from bytespike.protocols.gemini.parts_out import (
    Wire,
    args_of,
    media_part,
    server_call,
    server_result,
)
from bytespike.protocols.inline_media import inline

#: Gemini API, "Thought signatures", FAQ: for calls that come from another model or were never made by one.
FOREIGN_SIGNATURE: Final = "skip_thought_signature_validator"
#: The kind of a ForeignPart that names a context cache at Google; it is a turn of its own, so that no other dialect
#: can leave it out.
CACHED_CONTENT: Final = "cachedContent"
_RESOLUTIONS: Final = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}


class Content:
    """One content in the making. `answers`: how many function responses it begins with."""

    __slots__ = ("answers", "extras", "parts", "role")

    def __init__(self, role: str, parts: list[Wire], extras: JSONObject) -> None:
        self.role = role
        self.parts = parts
        self.extras = extras
        self.answers = 0

    def written(self) -> Wire:
        return {"role": self.role, "parts": self.parts, **self.extras}


class ContentsWriter:
    """Writes the turns of one request. Raises `UnsupportedFeature`."""

    __slots__ = ("_contents", "_losses", "_names", "_target", "_where", "cached_content")

    def __init__(self, target: Target, losses: Losses) -> None:
        self._target = target
        self._losses = losses
        self._contents: list[Content] = []
        #: The functions that were called so far, by the id of the call.
        self._names: dict[str, str] = {}
        self._where = "contents"
        #: The name of a context cache that the request builds on.
        self.cached_content: str | None = None

    def write(self, request: ChatRequest) -> list[Wire]:
        for number, turn in enumerate(request.turns):
            self._where = f"messages[{number}]"
            if turn.role == "assistant":
                self._add(Content("model", self._model_parts(turn), self._extras(turn)))
            elif turn.role == "user":
                self._user(turn)
            else:
                self._losses.approximated("messages.role", "a later system turn became text of the user")
                self._add(Content("user", self._parts(turn.parts), self._extras(turn)))
        return [content.written() for content in self._contents]

    def system(self, parts: tuple[Part, ...]) -> list[Wire]:
        self._where = "system"
        for part in parts:
            if not isinstance(part, TextPart):
                raise self._unsupported("a system prompt can only be text")
        return self._parts(parts)

    def as_user(self, system: list[Wire]) -> list[Wire]:
        """A request that is all system prompt: Google wants a content."""
        self._losses.approximated("messages.role", "a lone system prompt became the user turn")
        return [Content("user", system, {}).written()]

    # --- turns -------------------------------------------------------------------------------------------------

    def _extras(self, turn: Turn) -> JSONObject:
        if turn.name is not None:
            self._losses.dropped("messages.name", "contents have no such member")
        if not turn.extras:
            return {}
        self._losses.foreign_extras(turn.extras, "messages.")
        return wire_members(turn.extras)

    def _add(self, content: Content) -> None:
        if content.parts:
            self._contents.append(content)

    def _user(self, turn: Turn) -> None:
        cached = turn.parts[0] if len(turn.parts) == 1 else None
        if isinstance(cached, ForeignPart) and cached.dialect == NAME and cached.kind == CACHED_CONTENT:
            self.cached_content = str(cached.raw)
            return
        answers: list[Wire] = []
        rest: list[Wire] = []
        for part in turn.parts:
            if isinstance(part, ToolResultPart):
                response, media = self._result(part)
                answers.append(response)
                rest += media
            else:
                rest += self._part(part)
        content = Content("user", rest, self._extras(turn))
        if not answers:
            self._add(content)
            return
        home = self._home_of_answers()
        if home is None:
            content.parts = [*answers, *rest]
            content.answers = len(answers)
            self._contents.append(content)
            return
        home.parts[home.answers : home.answers] = answers
        home.answers += len(answers)
        if home is self._contents[-1]:
            home.parts += rest
        else:
            self._add(content)

    def _home_of_answers(self) -> Content | None:
        """The user content directly behind the last calls, if there is one."""
        for number in range(len(self._contents) - 1, -1, -1):
            if self._contents[number].role == "model":
                return self._contents[number + 1] if number + 1 < len(self._contents) else None
        return None

    def _model_parts(self, turn: Turn) -> list[Wire]:
        written: list[Wire] = []
        signature: str | None = None
        for part in turn.parts:
            if isinstance(part, ReasoningPart) and is_signature(part) and part.proof is not None:
                if signature is not None:
                    written.append({"text": "", "thoughtSignature": signature})
                signature = part.proof.data
                continue
            wires = self._part(part)
            if signature is not None and isinstance(part, TextPart) and part.text and len(wires) == 1:
                wires = [{**wires[0], "thoughtSignature": signature}]
                signature = None
            elif signature is not None and wires:
                written.append({"text": "", "thoughtSignature": signature})
                signature = None
            written += wires
        if signature is not None:
            written.append({"text": "", "thoughtSignature": signature})
        if thinks_by_level(self._target):
            # Of calls made at once only the first is signed.
            first = next((wire for wire in written if "functionCall" in wire), None)
            if first is not None:
                first.setdefault("thoughtSignature", FOREIGN_SIGNATURE)
        return written

    def _parts(self, parts: tuple[Part, ...]) -> list[Wire]:
        return [wire for part in parts for wire in self._part(part)]

    # --- parts -------------------------------------------------------------------------------------------------

    def _part(self, part: Part) -> list[Wire]:
        match part:
            case TextPart():
                return [self._text(part)]
            case ToolCallPart():
                return [self._call(part)]
            case ReasoningPart():
                return self._reasoning(part)
            case ImagePart() | AudioPart():
                return [self._media(part)]
            case DocumentPart():
                return self._document(part)
            case SearchResultPart():
                return [self._search_result(part)]
            case RefusalPart():
                return [{"text": part.text}]
            case ServerToolCallPart() | ServerToolResultPart():
                return self._server_part(part)
            case ForeignPart(dialect=dialect, raw=raw) if dialect == NAME and isinstance(raw, dict):
                return [dict(raw)]
            case ForeignPart(kind=kind):
                raise self._unsupported(f"Gemini models cannot be given content of type '{kind[:60]}'")
            case ToolResultPart():
                # Only in a turn that is not the user's: no reader makes one.
                raise self._unsupported("a tool result belongs into a user turn")

    def _finish(self, wire: Wire, cache: CacheMark | None, extras: Extras) -> Wire:
        if cache is not None:
            self._losses.cache_mark()
        if extras:
            self._losses.foreign_extras(extras, "content.")
            wire.update(wire_members(extras))
        return wire

    def _text(self, part: TextPart) -> Wire:
        if part.citations:
            self._losses.dropped("messages.citations", "the model takes no citations back")
        return self._finish({"text": part.text}, part.cache, part.extras)

    def _reasoning(self, part: ReasoningPart) -> list[Wire]:
        proof = part.proof
        if proof is None or proof.origin != NAME:
            self._losses.dropped("messages.reasoning", "not made by this provider")
            return []
        wire: Wire = {"text": part.text, "thought": True, "thoughtSignature": proof.data}
        return [{**wire, **wire_members(part.extras)}]

    def _call(self, call: ToolCallPart) -> Wire:
        self._names[call.id] = call.name
        function: Wire = {"name": call.name, "args": args_of(call, self._losses)}
        if QUIRK_NO_CALL_IDS not in self._target.quirks and call.id:
            function["id"] = call.id
        beside = own(call.extras).get("_call")
        if isinstance(beside, dict):
            function.update(beside)
        wire: Wire = {"functionCall": function}
        if call.proof is not None and call.proof.origin == NAME:
            wire["thoughtSignature"] = call.proof.data
        return self._finish(wire, call.cache, call.extras)

    def _result(self, part: ToolResultPart) -> tuple[Wire, list[Wire]]:
        """The function response, and what has to follow it in the same content."""
        inside: list[Wire] = []
        texts: list[str] = []
        for inner in part.content:
            for wire in self._part(inner):
                text = wire.get("text")
                if isinstance(text, str):
                    texts.append(text)
                else:
                    inside.append(wire)
        mine = own(part.extras)
        told = mine.get("_response")
        response: object = told
        if told is None:
            response = {"error" if part.is_error else "output": "\n\n".join(texts)}
        function: Wire = {
            "name": part.name or self._names.get(part.call_id) or part.call_id,
            "response": response,
        }
        if QUIRK_NO_CALL_IDS not in self._target.quirks and part.call_id:
            function["id"] = part.call_id
        beside = mine.get("_result")
        if isinstance(beside, dict):
            function.update(beside)
        after: list[Wire] = []
        if inside and (thinks_by_level(self._target) or told is not None):
            function["parts"] = inside
        elif inside:
            self._losses.approximated("tool_result", "its media follow the function response")
            after = inside
        return self._finish({"functionResponse": function}, part.cache, part.extras), after

    def _media(self, part: ImagePart | AudioPart | DocumentPart) -> Wire:
        self._check_able(part)
        wire = media_part(part)
        source = inline(part.source)
        if wire is None:
            if isinstance(source, FileSource):
                raise self._unsupported(
                    "a file that was uploaded to one provider cannot be given to another; send its content"
                )
            raise self._unsupported("this model takes media only as base64 or by URL")
        if isinstance(source, UrlSource) and QUIRK_NO_FILE_URLS in self._target.quirks:
            why = f"{self._where}: this model does not fetch URLs; send the content as base64."
            if isinstance(part, AudioPart):
                raise UnsupportedFeature(why, param=self._where)
            raise untaken_url(why, "image" if isinstance(part, ImagePart) else "document", self._where)
        if isinstance(part, ImagePart) and part.detail in _RESOLUTIONS and NAME not in part.extras:
            if thinks_by_level(self._target):
                wire["mediaResolution"] = {"level": _RESOLUTIONS[part.detail]}
            else:
                self._losses.dropped("image_url.detail", "the model has no such setting")
        if part.cache is not None:
            self._losses.cache_mark()
        self._losses.foreign_extras(part.extras, "content.")
        return wire

    def _check_able(self, part: ImagePart | AudioPart | DocumentPart) -> None:
        able = self._target.capabilities
        if isinstance(part, ImagePart) and "vision" not in able:
            raise self._unsupported("this model takes no images")
        if isinstance(part, AudioPart) and able.isdisjoint(("audio", "audio_input")):
            raise self._unsupported("this model takes no audio")
        if isinstance(part, DocumentPart) and "documents" not in able:
            raise self._unsupported("this model takes no documents")

    def _document(self, part: DocumentPart) -> list[Wire]:
        if part.cite:
            self._losses.dropped("documents.citations", "the model does not cite documents")
        match part.source:
            case TextSource(text=text):
                self._losses.approximated("documents", "written as text")
                return [self._finish({"text": headed(heading(part), text)}, part.cache, part.extras)]
            case PartsSource(parts=parts):
                self._losses.approximated("documents", "written as plain content")
                above = heading(part)
                written = self._parts(parts)
                return [{"text": above}, *written] if above else written
            case Base64Source() | UrlSource() | FileSource():
                if part.context or part.title:
                    self._losses.dropped("documents.title", "files have no title or context")
                elif part.filename:
                    # Only Vertex AI knows `displayName`; the Gemini API refuses it.
                    self._losses.dropped("documents.filename", "the Gemini API takes no names of files")
                return [self._media(part)]

    def _search_result(self, part: SearchResultPart) -> Wire:
        self._losses.approximated("search_result", "written as text")
        return self._finish({"text": search_result_text(part)}, part.cache, part.extras)

    def _server_part(self, part: ServerToolCallPart | ServerToolResultPart) -> list[Wire]:
        if part.origin != NAME:
            self._losses.dropped("server tool history", "of another provider")
            return []
        if part.cache is not None:
            self._losses.cache_mark()
        return [server_call(part) if isinstance(part, ServerToolCallPart) else server_result(part)]

    def _unsupported(self, why: str) -> UnsupportedFeature:
        return UnsupportedFeature(f"{self._where}: {why}.", param=self._where)
