"""Gemini: what each content must look like, what it costs, and the rules between contents.

From the SDK's types, the documentation of thought signatures and function calling, and errors that users of the API
have published. The contents have been read by `gemini_proto`: names and types are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON
from bytespike.providers.simulator import proofs, tokens
from bytespike.providers.simulator.checks import Node
from bytespike.providers.simulator.exchange import Fault
from bytespike.providers.simulator.gemini_errors import invalid, refuse
from bytespike.providers.simulator.prompt import Document, Line, Result
from bytespike.providers.simulator.proto_json import decode_bytes, snake

ROLES = ("user", "model", "function", "")
#: What a conversation that was held elsewhere may send in a signature's place.
SKIP = (b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go")
#: Models before Gemini 3 do not insist on signatures.
OLD_MODELS = ("gemini-1", "gemini-2")
_DATA = (
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
    "toolCall", "toolResponse",
)  # fmt: skip


class Part(Struct, frozen=True):
    """A checked part. `kind`: which of its data it has. `text` of a text or a function's response; `name` of a call or a
    response. `image`: a media type, "" for none."""

    kind: str
    node: Node
    tokens: int
    text: str = ""
    name: str = ""
    image: str = ""
    document: Document | None = None
    is_error: bool = False


class Content(Struct, frozen=True):
    """A checked content. `at` is its index."""

    at: int
    from_model: bool
    parts: tuple[Part, ...]

    def having(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]


def read_contents(request: Node, model: str, seed: bytes) -> list[Content]:
    """The checked contents of a request. Raises `Fault`."""
    contents = [_content(node, at) for at, node in enumerate(request.optional_objects("contents"))]
    if not contents:
        raise invalid("contents", "contents is not specified")
    _check_calls(contents)
    _check_signatures(contents, model, seed)
    return contents


def read_instruction(request: Node) -> tuple[Part, ...]:
    """The parts of the system instruction. Raises `Fault`."""
    instruction = request.optional_object("systemInstruction")
    if instruction is None:
        return ()
    return tuple(_part(part, "system_instruction") for part in instruction.optional_objects("parts"))


def latest(contents: Sequence[Content]) -> list[Content]:
    """What has been sent since the last answer."""
    found: list[Content] = []
    for content in reversed(contents):
        if content.from_model:
            break
        found.append(content)
    return found[::-1]


def results(contents: Sequence[Content]) -> tuple[Result, ...]:
    """What functions gave back since the last answer."""
    return tuple(
        Result(part.name, part.text, part.is_error)
        for content in latest(contents)
        for part in content.having("functionResponse")
    )


def history(contents: Sequence[Content]) -> Iterator[Line]:
    """Who said what, in order."""
    for content in contents:
        for part in content.parts:
            if content.from_model:
                yield Line("answer", part.text)
            elif part.kind == "functionResponse":
                yield Line("result", part.text)
            elif part.kind == "text":
                yield Line("user", part.text)


# --- one content -----------------------------------------------------------------------------------------------


def _content(node: Node, at: int) -> Content:
    role = node.optional_text("role") or ""
    if role not in ROLES:
        raise refuse("Please use a valid role: user, model.")
    where = f"contents[{at}].parts"
    parts = tuple(
        _part(part, f"{where}[{place}]") for place, part in enumerate(node.optional_objects("parts"))
    )
    if not parts:
        raise invalid(where, "contents.parts must not be empty.")
    return Content(at, role == "model", parts)


def _part(node: Node, where: str) -> Part:
    kinds = [name for name in _DATA if name in node.value]
    if not kinds:
        raise invalid(f"{where}.data", "required oneof field 'data' must have one initialized field")
    if len(kinds) > 1:
        raise refuse(
            f"Invalid value at '{where}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'"
        )
    kind = kinds[0]
    match kind:
        case "text":
            text = node.text("text")
            return Part(kind, node, tokens.count(text), text)
        case "inlineData" | "fileData":
            return _media(node, kind, where)
        case "functionCall":
            call = node.object(kind)
            name = _name(call, where, kind)
            arguments = call.value.get("args") or {}
            return Part(kind, node, tokens.count(name) + _size(arguments), name=name)
        case "functionResponse":
            answer = node.object(kind)
            name = _name(answer, where, kind)
            text = _response(answer.value.get("response"))
            failed = "error" in answer.object("response").value if answer.has("response") else False
            return Part(kind, node, tokens.count(text), text, name, is_error=failed)
        case _:
            return Part(kind, node, _size(node.value[kind]))


def _size(value: JSON) -> int:
    return tokens.count_bytes(msgspec.json.encode(value))


def _name(node: Node, where: str, kind: str) -> str:
    name = node.optional_text("name")
    if not name:
        raise invalid(f"{where}.{snake(kind)}.name", "Name cannot be empty.")
    return name


def _response(response: JSON) -> str:
    """What a function gave back, as a text: the only text in it, or all of it as JSON."""
    if not isinstance(response, dict):
        return ""
    values = list(response.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return msgspec.json.encode(response).decode()


def _media(node: Node, kind: str, where: str) -> Part:
    inner = node.object(kind)
    media_type = inner.optional_text("mimeType") or ""
    if kind == "inlineData" and not media_type:
        raise invalid(f"{where}.inline_data.mime_type", "mime_type must be specified")
    if kind == "fileData" and not inner.optional_text("fileUri"):
        raise invalid(f"{where}.file_data.file_uri", "file_uri must be specified")
    if media_type.startswith("image/"):
        return Part(kind, node, tokens.IMAGE_TOKENS, image=media_type)
    if media_type.startswith("audio/"):
        return Part(kind, node, tokens.AUDIO_TOKENS)
    return Part(kind, node, tokens.DOCUMENT_TOKENS, document=Document())


# --- rules between contents ------------------------------------------------------------------------------------


def _check_calls(contents: Sequence[Content]) -> None:
    """Calls come after the user or after responses, and get their responses, all of them, in the very next content."""
    waiting = 0
    for at, content in enumerate(contents):
        responses = len(content.having("functionResponse"))
        if responses and not waiting:
            raise refuse(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        if responses != waiting:
            raise _miscounted()
        waiting = len(content.having("functionCall")) if content.from_model else 0
        if waiting and (at == 0 or contents[at - 1].from_model):
            raise refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function response "
                "turn."
            )
    if waiting:
        raise _miscounted()


def _miscounted() -> Fault:
    return refuse(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the "
        "function call turn."
    )


def _check_signatures(contents: Sequence[Content], model: str, seed: bytes) -> None:
    """Every signature is the simulator's own, and in the current turn each row of calls has one on its first."""
    for content in contents:
        for part in content.parts:
            signature = part.node.optional_text("thoughtSignature")
            if signature is not None and not _holds(signature, seed):
                raise refuse("Corrupted thought signature.")
    if model.startswith(OLD_MODELS):
        return
    for content in contents[_turn(contents) :]:
        calls = content.having("functionCall")
        if content.from_model and calls and not calls[0].node.has("thoughtSignature"):
            raise refuse(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
                f"function call `default_api:{calls[0].name}` , position {content.at + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )


def _turn(contents: Sequence[Content]) -> int:
    """Where the current turn begins: with what the user said last, other than responses."""
    for content in reversed(contents):
        if not content.from_model and not content.having("functionResponse"):
            return content.at
    return 0


def _holds(signature: str, seed: bytes) -> bool:
    raw = signature.encode()
    return raw in SKIP or decode_bytes(signature) in SKIP or proofs.thought_holds(seed, signature)
