"""What an upstream was sent, looked at without regard to its dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: What our own envelopes begin with: in Anthropic's signatures as it stands, in Google's as base64.
_OURS = ("bytespike.", "Ynl0ZXNwaWtl")
_PROOFS = frozenset({"signature", "encrypted_content", "thoughtSignature", "thought_signature"})
#: Google's words in place of a signature.
_STAND_INS = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object in `value`, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner)


def proofs(body: Any) -> list[str]:
    """The proofs of reasoning in a request. None of them may be of our own making: a provider would refuse it."""
    found = [value for key, value in members(body) if key in _PROOFS and value and value not in _STAND_INS]
    assert not [proof for proof in found if proof.startswith(_OURS)], "an envelope left the gateway"
    return found


def texts(body: Any) -> list[str]:
    """Every string in a request, in order."""
    if isinstance(body, str):
        return [body]
    if isinstance(body, dict):
        return [text for value in body.values() for text in texts(value)]
    if isinstance(body, list):
        return [text for value in body for text in texts(value)]
    return []
