"""Parts of a content, read: the same for a request's history and for an upstream's answer.

A signature on a part that is no thought and no call has no place in the hub's parts. On text it becomes a piece of
reasoning of its own, without text, before the text (in a stream: after it, where it stands); so it travels through every
dialect that carries proofs, and the writer puts it back onto the text that follows. On other parts it stays in the extras.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core.content import (
    ForeignPart,
    Part,
    Proof,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.gemini.call_ids import CallIds
from bytespike.protocols.gemini.envelope import Sealed, is_sealed, open_seal, proof_of, reasoning_of
from bytespike.protocols.gemini.media_in import read_media
from bytespike.protocols.gemini.names import NAME, aside, own
from bytespike.protocols.gemini.proto_json import camel_keys, optional_word
from bytespike.wire import fields as f
from bytespike.wire import json

_TEXT: Final = frozenset({"text", "thought", "thoughtSignature"})
_CALL: Final = frozenset({"functionCall", "thoughtSignature"})
_CALL_MEMBERS: Final = frozenset({"id", "name", "args"})
_RESULT: Final = frozenset({"functionResponse"})
_RESULT_MEMBERS: Final = frozenset({"id", "name", "response", "parts"})
_MEDIA: Final = frozenset({"inlineData", "fileData"})
#: google-genai, ToolType; the hub's names for what it knows.
TOOL_NAMES: Final = {
    "GOOGLE_SEARCH_WEB": "web_search",
    "URL_CONTEXT": "web_fetch",
}
CODE_EXECUTION: Final = "code_execution"
CODE_RESULT: Final = "codeExecutionResult"
TOOL_RESPONSE: Final = "toolResponse"
#: Members of a function response that mean its text: the first is Google's own, the second its SDK's.
_OUTPUTS: Final = ("output", "result")
#: Put aside on a piece of reasoning without a proof that has ended.
_ENDED: Final = "_ended"
#: Arguments that are no JSON object are wrapped in one under this name, and unwrapped when they come back.
INVALID_ARGUMENTS: Final = "invalid_arguments"
#: The one argument of a free-form tool, once it is a function.
CUSTOM_INPUT: Final = "input"


def read_part(part: JSONObject, ids: CallIds, parts: list[Part]) -> None:
    """One part, put behind the `parts` read so far: it may become several. Raises `Wrong`."""
    part = camel_keys(part)
    if "functionCall" in part:
        _call(part, ids, parts)
    elif "functionResponse" in part:
        parts.append(_result(part, ids))
    elif "text" in part and part["text"] is not None:
        _text(part, parts)
    elif not _MEDIA.isdisjoint(part):
        parts.append(_media(part))
    else:
        parts.append(_server_part(part))


def _text(part: JSONObject, parts: list[Part]) -> None:
    text = f.text(part, "text")
    if len(part) == 1:
        parts.append(TextPart(text))
        return
    signature = f.optional_text(part, "thoughtSignature")
    kept = aside(f.rest(part, _TEXT))
    sealed = open_seal(signature) if signature and is_sealed(signature) else None
    proof = proof_of(signature)
    if f.optional_flag(part, "thought"):
        _thought(ReasoningPart(text, proof, extras=kept), sealed, parts)
        return
    if sealed is not None and sealed.kind == "refusal":
        parts.append(RefusalPart(text))
        return
    if proof is not None:
        parts.append(ReasoningPart(proof=proof))
        if not text and not kept:
            return
    parts.append(TextPart(text, extras=kept))


def _thought(part: ReasoningPart, sealed: Sealed | None, parts: list[Part]) -> None:
    """A thought, or a piece of one: whoever has read a stream gives its pieces back as they came."""
    if sealed is not None:
        part = structs.replace(part, redacted=sealed.redacted, summary=sealed.summary, id=sealed.id)
        if _goes_on(part):
            # Nothing but the end of a piece of reasoning that nobody signed.
            part = structs.replace(part, extras=aside({**own(part.extras), _ENDED: True}))
    elif not part.text and part.proof is None:
        return
    before = parts[-1] if parts else None
    if isinstance(before, ReasoningPart) and _goes_on(before) and not (sealed is not None and sealed.whole):
        parts[-1] = structs.replace(part, text=before.text + part.text)
    else:
        parts.append(part)


def _goes_on(part: ReasoningPart) -> bool:
    """Whether the next thought is more of this one: a signature of any kind ends it."""
    facts = part.proof or part.id or part.summary or part.redacted
    return not facts and _ENDED not in own(part.extras)


def _media(part: JSONObject) -> Part:
    if part.get("thought"):
        # A draft of an image that the model thought about: nobody else's reasoning has pictures.
        return ForeignPart(NAME, "thought", part)
    return read_media(part, f.rest(part, _MEDIA))


# --- functions -------------------------------------------------------------------------------------------------


def _call(part: JSONObject, ids: CallIds, parts: list[Part]) -> None:
    try:
        told = camel_keys(f.object_at(part, "functionCall"))
        name = f.some_text(told, "name")
        call_id = ids.call(f.optional_text(told, "id"), name)
        args = f.optional_object(told, "args")
        beside = f.rest(told, _CALL_MEMBERS)
    except f.Wrong as wrong:
        raise (wrong.under("functionCall") if isinstance(part.get("functionCall"), dict) else wrong) from None
    signature = f.optional_text(part, "thoughtSignature")
    kept = f.rest(part, _CALL)
    if beside:
        kept["_call"] = beside
    if signature and is_sealed(signature):
        sealed = open_seal(signature)
        add_reasoning(sealed, parts)
        custom = sealed.kind == "custom"
        arguments = _custom_input(args) if custom else arguments_of(args)
        proof = Proof(sealed.origin, sealed.data) if sealed.origin else None
        parts.append(
            ToolCallPart(
                call_id, name, arguments, "custom" if custom else "function", proof, extras=aside(kept)
            )
        )
        return
    proof = Proof(NAME, signature) if signature else None
    parts.append(ToolCallPart(call_id, name, arguments_of(args), proof=proof, extras=aside(kept)))


def add_reasoning(sealed: Sealed, parts: list[Part]) -> None:
    """The reasoning that a call carries along, as far as its own parts have not come."""
    if not sealed.before:
        return
    known = {(part.proof, part.id) for part in parts if isinstance(part, ReasoningPart)}
    for copy in sealed.before:
        part = reasoning_of(copy)
        if (part.proof, part.id) not in known:
            parts.append(part)


def arguments_of(args: JSONObject | None) -> str:
    """The arguments as JSON text."""
    if not args:
        return "{}"
    wrapped = args.get(INVALID_ARGUMENTS)
    if len(args) == 1 and isinstance(wrapped, str):
        return wrapped
    return json.encode(args).decode()


def _custom_input(args: JSONObject | None) -> str:
    text = (args or {}).get(CUSTOM_INPUT)
    return text if isinstance(text, str) else arguments_of(args)


def _result(part: JSONObject, ids: CallIds) -> ToolResultPart:
    try:
        told = camel_keys(f.object_at(part, "functionResponse"))
        name = f.text(told, "name")
        call_id = ids.result(f.optional_text(told, "id"), name)
        response = f.optional_object(told, "response") or {}
        media = [_result_media(inner) for inner in _inner_parts(told)]
    except f.Wrong as wrong:
        where = isinstance(part.get("functionResponse"), dict)
        raise (wrong.under("functionResponse") if where else wrong) from None
    kept: JSONObject = {"_response": response, **f.rest(part, _RESULT)}
    beside = f.rest(told, _RESULT_MEMBERS)
    if beside:
        kept["_result"] = beside
    text, failed = _outcome(response)
    content: list[Part] = [TextPart(text)] if text or not media else []
    return ToolResultPart(call_id, (*content, *media), failed, name, extras=aside(kept))


def _inner_parts(told: JSONObject) -> list[JSONObject]:
    values = f.optional_array(told, "parts")
    return f.objects(values, "parts") if values else []


def _result_media(inner: JSONObject) -> Part:
    inner = camel_keys(inner)
    if _MEDIA.isdisjoint(inner):
        raise f.Wrong("must hold inlineData or fileData", "parts")
    return read_media(inner, f.rest(inner, _MEDIA))


def _outcome(response: JSONObject) -> tuple[str, bool]:
    """The text of a function's response, and whether it failed (google-genai, FunctionResponse.response)."""
    if not response:
        return "", False
    if len(response) == 1:
        (key, value), *_ = response.items()
        if key in _OUTPUTS or key == "error":
            return value if isinstance(value, str) else json.encode(value).decode(), key == "error"
    return json.encode(response).decode(), "error" in response and "output" not in response


# --- the provider's own tools ----------------------------------------------------------------------------------


def _server_part(part: JSONObject) -> Part:
    if "executableCode" in part:
        code = camel_keys(f.object_at(part, "executableCode"))
        kept = aside(f.rest(part, frozenset({"executableCode"})))
        told: JSONObject = {key: value for key, value in code.items() if key != "id"}
        call_id = f.optional_text(code, "id") or ""
        return ServerToolCallPart(call_id, CODE_EXECUTION, json.encode(told).decode(), NAME, extras=kept)
    if CODE_RESULT in part:
        outcome = camel_keys(f.object_at(part, CODE_RESULT))
        kept = aside(f.rest(part, frozenset({CODE_RESULT})))
        content: JSON = {key: value for key, value in outcome.items() if key != "id"}
        failed = optional_word(outcome, "outcome") not in (None, "OUTCOME_OK")
        call_id = f.optional_text(outcome, "id") or ""
        return ServerToolResultPart(call_id, CODE_RESULT, content, NAME, failed, extras=kept)
    if "toolCall" in part:
        return _tool_call(part)
    if TOOL_RESPONSE in part:
        return _tool_response(part)
    kind = next((key for key in part if key != "thoughtSignature"), "part")
    return ForeignPart(NAME, kind[:60], part)


def _sealed_of(part: JSONObject) -> Sealed | None:
    signature = f.optional_text(part, "thoughtSignature")
    return open_seal(signature) if signature and is_sealed(signature) else None


def _tool_call(part: JSONObject) -> Part:
    told = camel_keys(f.object_at(part, "toolCall"))
    call_id = f.optional_text(told, "id") or ""
    args = f.optional_object(told, "args")
    kind = optional_word(told, "toolType") or ""
    sealed = _sealed_of(part)
    if sealed is not None and sealed.name:
        arguments = sealed.data or arguments_of(args)
        return ServerToolCallPart(call_id, sealed.name, arguments, sealed.origin, extras=sealed.extras)
    kept: JSONObject = {**f.rest(part, frozenset({"toolCall"})), "_toolType": kind}
    arguments = "" if args is None else json.encode(args).decode()
    return ServerToolCallPart(
        call_id, TOOL_NAMES.get(kind, kind.lower()), arguments, NAME, extras=aside(kept)
    )


def _tool_response(part: JSONObject) -> Part:
    told = camel_keys(f.object_at(part, TOOL_RESPONSE))
    call_id = f.optional_text(told, "id") or ""
    response = f.optional_object(told, "response")
    sealed = _sealed_of(part)
    if sealed is not None and sealed.kind:
        content = (response or {}).get("content")
        return ServerToolResultPart(
            call_id, sealed.kind, content, sealed.origin, sealed.is_error, extras=sealed.extras
        )
    kept: JSONObject = f.rest(part, frozenset({TOOL_RESPONSE}))
    return ServerToolResultPart(
        call_id,
        TOOL_RESPONSE,
        {"toolType": optional_word(told, "toolType") or "", "response": response},
        NAME,
        extras=aside(kept),
    )
