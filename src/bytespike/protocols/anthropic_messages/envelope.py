"""What other providers' opaque data looks like inside this dialect's own opaque fields.

An Anthropic client sends `signature`, `redacted_thinking.data` and `encrypted_index` back exactly as it got them and
never looks inside. So these carry what a foreign provider wants back: its proof of reasoning, its item ids, the
offsets of its citations. `protocols.sealed_text` has the envelope's form; its `origin` is the dialect that issued the
proof, or "none" where there is no proof (an Anthropic client requires a signature on every thinking block). The readers of this dialect open it again, so that a later turn comes home. It is
no secret and not signed: whoever alters it harms only their own conversation, as with any part of their history.

Anthropic itself would reject such a signature: `passthrough.patch_request` takes these blocks out of a request whose
model has changed to a Claude, and the writer sends only proofs of this dialect.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bytespike.core.content import Citation, Proof, ReasoningPart, ToolCallPart
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.sealed_text import NO_ORIGIN, is_sealed, open_text, seal_text


class Envelope(Struct, frozen=True, omit_defaults=True):
    """`data`: the proof. `id`, `summary`: of the ReasoningPart. `call`: the proof belongs to the call of that id.
    `start`, `end`: of the Citation."""

    data: str = ""
    id: str | None = None
    summary: bool = False
    call: str | None = None
    start: int | None = None
    end: int | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def seal(origin: str, envelope: Envelope) -> str:
    return seal_text(origin, _encoder.encode(envelope))


def open_envelope(text: str) -> tuple[str, Envelope] | None:
    """The origin and the content; None for a damaged envelope, or for no envelope at all."""
    return open_text(text, _decoder)


def opaque_of(part: ReasoningPart) -> str:
    """What goes into `signature` or `redacted_thinking.data` for a client: our own proof as it is, others sealed."""
    proof = part.proof
    if proof is not None and proof.origin == NAME:
        return proof.data
    envelope = Envelope(data=proof.data if proof else "", id=part.id, summary=part.summary)
    return seal(proof.origin if proof else NO_ORIGIN, envelope)


def opaque_of_call(call: ToolCallPart, call_id: str) -> str | None:
    """The sealed proof of a tool call, which this dialect has no field for; None where there is none."""
    if call.proof is None:
        return None
    return seal(call.proof.origin, Envelope(data=call.proof.data, call=call_id))


def read_reasoning(text: str, opaque: str, *, redacted: bool) -> tuple[ReasoningPart, str | None]:
    """The part, and the id of the tool call that the proof belongs to, where it does.

    A damaged envelope proves nothing to anybody: it reads as no proof.
    """
    if not opaque or not is_sealed(opaque):
        return ReasoningPart(text, Proof(NAME, opaque) if opaque else None, redacted=redacted), None
    opened = open_envelope(opaque)
    if opened is None:
        return ReasoningPart(text, redacted=redacted), None
    origin, envelope = opened
    proof = None if origin == NO_ORIGIN else Proof(origin, envelope.data)
    part = ReasoningPart(text, proof, redacted=redacted, summary=envelope.summary, id=envelope.id)
    return part, envelope.call


def index_of(citation: Citation) -> str:
    """What goes into `encrypted_index` of a web citation, for a client."""
    if citation.proof is not None:
        return citation.proof
    return seal(NO_ORIGIN, Envelope(start=citation.start, end=citation.end))


def read_index(opaque: str) -> tuple[str | None, int | None, int | None]:
    """The provider's own index, or the offsets from an envelope."""
    if not is_sealed(opaque):
        return opaque or None, None, None
    opened = open_envelope(opaque)
    if opened is None:
        return None, None, None
    return None, opened[1].start, opened[1].end
