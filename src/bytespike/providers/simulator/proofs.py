"""The proofs that come with thinking, and that a later turn must bring home unchanged.

A signature is 12 bytes that name the answer, then an HMAC-SHA256, keyed by the seed, over those bytes and the text that
was shown. So it cannot be made without the seed, and a changed text or a changed signature is found out. Redacted
thinking is sealed the same way, and so are the encrypted reasoning of OpenAI's Responses and the thought signatures of
Gemini: over no text, since theirs are not bound to what is shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_NONCE_BYTES = 12
_SIGNATURE = b"signature"
_REDACTED = b"redacted"
_REASONING = b"reasoning"
_THOUGHT = b"thought"


def sign(seed: bytes, digest: bytes, shown: str) -> str:
    """The signature of a thinking block that shows `shown`, in an answer known by `digest`."""
    return _seal(seed, _SIGNATURE, digest[:_NONCE_BYTES], shown.encode("utf-8", "surrogatepass"))


def signature_holds(seed: bytes, signature: str, shown: str) -> bool:
    """Whether this simulator signed just this text."""
    return _opens(seed, _SIGNATURE, signature, shown.encode("utf-8", "surrogatepass"))


def redact(seed: bytes, digest: bytes) -> str:
    """The opaque data of a redacted thinking block."""
    return _seal(seed, _REDACTED, digest[:_NONCE_BYTES], b"")


def redacted_holds(seed: bytes, data: str) -> bool:
    """Whether this simulator made that data."""
    return _opens(seed, _REDACTED, data, b"")


def encrypt_reasoning(seed: bytes, nonce: bytes) -> str:
    """The encrypted content of a reasoning item known by `nonce`, of which 12 bytes count."""
    return _seal(seed, _REASONING, nonce[:_NONCE_BYTES], b"")


def reasoning_nonce(seed: bytes, sealed: str) -> bytes | None:
    """The nonce of encrypted content that this simulator made; None if it did not."""
    return _nonce(sealed) if _opens(seed, _REASONING, sealed, b"") else None


def sign_thought(seed: bytes, digest: bytes) -> str:
    """The thought signature of a part of an answer known by `digest`."""
    return _seal(seed, _THOUGHT, digest[:_NONCE_BYTES], b"")


def thought_holds(seed: bytes, signature: str) -> bool:
    """Whether this simulator made that thought signature; in base64 of either alphabet, as Google's clients send it."""
    return _opens(seed, _THOUGHT, signature.replace("-", "+").replace("_", "/"), b"")


def _nonce(sealed: str) -> bytes:
    return base64.b64decode(sealed)[:_NONCE_BYTES]


def _seal(seed: bytes, purpose: bytes, nonce: bytes, content: bytes) -> str:
    mac = hmac.digest(seed, purpose + nonce + content, hashlib.sha256)
    return base64.b64encode(nonce + mac).decode()


def _opens(seed: bytes, purpose: bytes, sealed: str, content: bytes) -> bool:
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        return False
    nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    return hmac.compare_digest(mac, hmac.digest(seed, purpose + nonce + content, hashlib.sha256))
