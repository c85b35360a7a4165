"""What other providers' opaque data looks like inside this dialect's own opaque fields.

An Anthropic client sends `signature`, `redacted_thinking.data` and `encrypted_index` back exactly as it got them and
never looks inside. So these carry what a foreign provider wants back: its proof of reasoning, its item ids, the
offsets of its citations. The envelope is

    bytespike.v1.<origin>.<base64url of JSON, without padding>

where `origin` is the dialect that issued the proof, or "none" where there is no proof (an Anthropic client requires a
signature on every thinking block). The readers of this dialect open it again, so that a later turn comes home. It is
no secret and not signed: whoever alters it harms only their own conversation, as with any part of their history.

Anthropic itself would reject such a signature: `passthrough.patch_request` takes these blocks out of a request whose
model has changed to a Claude, and the writer sends only proofs of this dialect.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec
from msgspec import Struct

from bytespike.core.content import Citation, Proof, ReasoningPart, ToolCallPart
from bytespike.protocols.anthropic_messages.names import NAME

PREFIX = "bytespike.v1."
NO_ORIGIN = "none"
_FORM = re.compile(r"bytespike\.v1\.([a-z0-9_]{1,40})\.([A-Za-z0-9_-]*)")


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
    text = base64.urlsafe_b64encode(_encoder.encode(envelope)).rstrip(b"=").decode("ascii")
    return f"{PREFIX}{origin}.{text}"


def open_envelope(text: str) -> tuple[str, Envelope] | None:
    """The origin and the content; None for a damaged envelope, or for no envelope at all."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    origin, data = form.groups()
    try:
        raw = base64.b64decode(data + "=" * (-len(data) % 4), b"-_", validate=True)
        return origin, _decoder.decode(raw)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)


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
