"""What other providers' opaque data looks like inside this dialect's own opaque field.

A Responses client that keeps its own history sends reasoning items back as it got them, `encrypted_content` unread. So
that one field carries whatever a foreign provider wants back and this wire has no member for:

    reasoning   its proof, its text (a client may send only the summary back), whether it was redacted
    call        the proof of a tool call (Gemini signs calls): a reasoning item without text, before the call
    parts       provider-side tool calls, their results, and parts that only another dialect knows, whole

`protocols.sealed_text` has the envelope's form; its `origin` is the dialect that issued what is inside, or "none" where
there is no proof. `read_request` opens it, so that a later
turn comes home. It is no secret and not signed: whoever alters it harms only their own conversation, as with any part of
their history. A damaged one proves nothing to anybody and reads as no proof.

OpenAI itself would refuse such content: `passthrough.patch_request` takes these items out of a body on its way to a
native upstream, and the writer sends only proofs of this dialect.
"""

from __future__ import annotations

from typing import Any, final

import msgspec
from msgspec import Struct

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_responses.names import NAME
from bytespike.protocols.sealed_text import NO_ORIGIN, open_text, seal_text
from bytespike.wire import json


class ServerCall(Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    arguments: str
    #: The id of the item that shows the call to the client, if there is one: it says the same and is dropped.
    shown: str | None = None
    extras: dict[str, dict[str, Any]] = {}


class ServerResult(Struct, frozen=True, omit_defaults=True):
    call_id: str
    kind: str
    content: Any = None
    is_error: bool = False
    extras: dict[str, dict[str, Any]] = {}


class Foreign(Struct, frozen=True, omit_defaults=True):
    kind: str
    raw: Any = None


class Envelope(Struct, frozen=True, omit_defaults=True):
    """`proof`: the provider's string (None: there was none). `id`, `text`, `summary`, `redacted`: of the ReasoningPart.
    `call`: the proof belongs to the tool call of that id. The others hold a part whole."""

    proof: str | None = None
    id: str | None = None
    text: str = ""
    summary: bool = False
    redacted: bool = False
    call: str | None = None
    server_call: ServerCall | None = None
    server_result: ServerResult | None = None
    foreign: Foreign | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def seal(origin: str, envelope: Envelope) -> str:
    """Text for `encrypted_content`."""
    return seal_text(origin, _encoder.encode(envelope))


def open_envelope(text: str) -> tuple[str, Envelope] | None:
    """The origin and the content; None for a damaged envelope, or for no envelope at all."""
    opened = open_text(text, _decoder)
    if opened is None:
        return None
    envelope = opened[1]
    held = (envelope.server_result, envelope.foreign, envelope.server_call)
    return None if any(part is not None and _too_deep(part) for part in held) else opened


def _too_deep(part: Struct) -> bool:
    return any(json.nests_deeper(getattr(part, name)) for name in part.__struct_fields__)


# --- sealing parts ---------------------------------------------------------------------------------------------


def seal_reasoning(part: c.ReasoningPart) -> str | None:
    """What `encrypted_content` of a reasoning part holds: our own proof as it is, anything else sealed; None where
    there is nothing to give back."""
    proof = part.proof
    if proof is None and (NAME in part.extras or not part.text):
        return None
    if proof is not None and proof.origin == NAME:
        return proof.data
    envelope = Envelope(
        proof=proof.data if proof else None,
        id=part.id,
        text=part.text,
        summary=part.summary,
        redacted=part.redacted,
    )
    return seal(proof.origin if proof else NO_ORIGIN, envelope)


def seal_call_proof(call: c.ToolCallPart, call_id: str) -> str | None:
    """The sealed proof of a tool call, which the client knows by `call_id`; None where it has none."""
    if call.proof is None:
        return None
    return seal(call.proof.origin, Envelope(proof=call.proof.data, call=call_id))


def seal_part(part: c.ServerToolCallPart | c.ServerToolResultPart | c.ForeignPart, shown: str | None) -> str:
    """A part that this wire has no item for, whole. `shown`: the id of the item that shows it all the same."""
    match part:
        case c.ServerToolCallPart():
            call = ServerCall(part.id, part.name, part.arguments, shown, dict(part.extras))
            return seal(part.origin, Envelope(server_call=call))
        case c.ServerToolResultPart():
            result = ServerResult(part.call_id, part.kind, part.content, part.is_error, dict(part.extras))
            return seal(part.origin, Envelope(server_result=result))
        case c.ForeignPart():
            return seal(part.dialect, Envelope(foreign=Foreign(part.kind, part.raw)))


# --- opening ---------------------------------------------------------------------------------------------------


@final
class CallProof(Struct, frozen=True):
    """A proof that belongs to the tool call of that id, wherever in the conversation the call stands."""

    call_id: str
    proof: c.Proof


@final
class Hidden(Struct, frozen=True):
    """A part that came whole. `shown`: the id of the item that says the same and must not count twice."""

    part: c.Part
    shown: str | None = None


def open_sealed(text: str) -> c.ReasoningPart | CallProof | Hidden | None:
    """What an envelope holds; None for a damaged one."""
    opened = open_envelope(text)
    if opened is None:
        return None
    origin, held = opened
    proof = None if held.proof is None or origin == NO_ORIGIN else c.Proof(origin, held.proof)
    if held.call is not None:
        return None if proof is None else CallProof(held.call, proof)
    known = "" if origin == NO_ORIGIN else origin
    if held.server_call is not None:
        call = held.server_call
        part = c.ServerToolCallPart(call.id, call.name, call.arguments, known, extras=_extras(call.extras))
        return Hidden(part, call.shown)
    if held.server_result is not None:
        result = held.server_result
        content: JSON = result.content
        return Hidden(
            c.ServerToolResultPart(
                result.call_id, result.kind, content, known, result.is_error, extras=_extras(result.extras)
            )
        )
    if held.foreign is not None:
        raw: JSON = held.foreign.raw
        return Hidden(c.ForeignPart(origin, held.foreign.kind, raw))
    return c.ReasoningPart(held.text, proof, held.redacted, held.summary, held.id)


def _extras(held: dict[str, dict[str, Any]]) -> dict[str, JSONObject]:
    return {dialect: dict(members) for dialect, members in held.items()}
