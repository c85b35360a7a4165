"""What other providers' opaque data looks like inside of `thoughtSignature`.

A Gemini client sends a part's `thoughtSignature` back as it got it and never looks inside. So it carries what a foreign
provider wants back, and what the part was before it took a form that this wire has: its proof of reasoning, its item
ids, the kind of a call. The field is `bytes`, in base64: clients decode and encode it, into either alphabet and with or
without padding (google-genai sends base64url). So the envelope is the base64 of

    bytespike.v1.<JSON>

and is known by the base64 of its first twelve bytes. It is no secret and not signed: whoever alters it harms only
their own conversation, as with any part of their history.

Some clients leave thought parts out of the history that they send (Gemini CLI does), but keep function calls with
their signatures. So a call that follows foreign reasoning carries a copy of it (`before`); the reader takes the copy only
where the thought parts themselves did not come back.

Google would reject such a signature: `passthrough.patch_request` takes it out, and the writer towards upstreams sends
only proofs of this dialect.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from msgspec import Struct

from bytespike.core.content import Proof, ReasoningPart
from bytespike.protocols.gemini.names import NAME

_MAGIC: Final = b"bytespike.v1."
#: The base64 of the magic's first twelve bytes: four characters for every three bytes, the same in both alphabets.
SEALED_PREFIX: Final = "Ynl0ZXNwaWtlLnYx"
_STANDARD: Final = str.maketrans("-_", "+/")


class Reasoned(Struct, frozen=True, omit_defaults=True):
    """A whole ReasoningPart."""

    text: str = ""
    origin: str = ""
    data: str = ""
    id: str | None = None
    summary: bool = False
    redacted: bool = False


class Sealed(Struct, frozen=True, omit_defaults=True):
    """`origin`, `data`: a proof, or the origin of a provider-side tool's part. `id`, `summary`, `redacted`: of a
    ReasoningPart. `whole`: a piece of reasoning of its own, though it comes in one stream with the piece before it.
    `kind`: what the part is ("refusal", "custom" for a free-form call, or a provider-side result's own kind). `name`: of a
    provider-side tool. `is_error`: of a result. `before`: reasoning that a call carries along. `extras`: the part's."""

    origin: str = ""
    data: str = ""
    id: str | None = None
    summary: bool = False
    redacted: bool = False
    whole: bool = False
    kind: str = ""
    name: str = ""
    is_error: bool = False
    before: tuple[Reasoned, ...] = ()
    extras: dict[str, dict[str, Any]] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Sealed)


def seal(sealed: Sealed) -> str:
    return base64.b64encode(_MAGIC + _encoder.encode(sealed)).decode("ascii")


def is_sealed(signature: str) -> bool:
    return signature.startswith(SEALED_PREFIX)


def open_seal(signature: str) -> Sealed:
    """The content of a signature that is sealed. A damaged one proves nothing to anybody: it reads as empty."""
    text = signature.translate(_STANDARD).rstrip("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        return _decoder.decode(raw.removeprefix(_MAGIC))
    except (binascii.Error, ValueError, RecursionError):
        return Sealed()


def proof_of(signature: str | None) -> Proof | None:
    """The proof in a signature, whoever issued it."""
    if not signature:
        return None
    if not is_sealed(signature):
        return Proof(NAME, signature)
    sealed = open_seal(signature)
    return Proof(sealed.origin, sealed.data) if sealed.origin and sealed.data else None


def reasoned(part: ReasoningPart) -> Reasoned:
    """A copy for a call to carry."""
    proof = part.proof
    return Reasoned(
        part.text,
        proof.origin if proof else "",
        proof.data if proof else "",
        part.id,
        part.summary,
        part.redacted,
    )


def reasoning_of(copy: Reasoned) -> ReasoningPart:
    proof = Proof(copy.origin, copy.data) if copy.origin else None
    return ReasoningPart(copy.text, proof, copy.redacted, copy.summary, copy.id)


def thought_signature(part: ReasoningPart, *, whole: bool = False, ends: bool = False) -> str | None:
    """The signature of a thought part for a client; None where there is nothing to say. Our own proof goes as it is.

    `whole`, for streams: the part has sent no text. `ends`: another piece of reasoning follows, and the client's reader
    must not take the two for one.
    """
    proof = part.proof
    if proof is not None and proof.origin == NAME:
        return proof.data
    if proof is None and not (part.id or part.summary or part.redacted or whole or ends):
        return None
    return seal(
        Sealed(
            proof.origin if proof else "",
            proof.data if proof else "",
            part.id,
            part.summary,
            part.redacted,
            whole,
        )
    )
