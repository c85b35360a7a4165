"""What the caller is told of envelopes that a body of his own dialect goes on without."""

from __future__ import annotations

import base64

from bytespike.core.notices import Notice
from bytespike.protocols.sealed_text import SEALED_BYTES_MIN, removed, seal_text

PROOF = seal_text("gemini", b"{}").encode()
THOUGHT = b'{"type":"thinking","thinking":"","signature":"%b"}' % PROOF
CITED = b'{"type":"web_search_result_location","encrypted_index" : "%b"}' % PROOF
REASONING = Notice("reasoning", "dropped", "not made by this provider")
CITATIONS = Notice("citations", "dropped", "not made by this provider")


def test_what_stays_is_not_told_of() -> None:
    assert removed(b"{}", b"{}") == ()
    assert removed(THOUGHT, THOUGHT) == ()
    assert removed(THOUGHT + CITED, CITED + THOUGHT) == ()


def test_reasoning_and_citations_are_told_apart() -> None:
    assert removed(THOUGHT, b"") == (REASONING,)
    assert removed(CITED, b"") == (CITATIONS,)
    assert removed(THOUGHT + CITED, b"") == (REASONING, CITATIONS)
    assert removed(THOUGHT + CITED, THOUGHT) == (CITATIONS,)
    assert removed(THOUGHT + THOUGHT + CITED, THOUGHT + CITED) == (REASONING,)


def test_envelopes_in_base64_are_told_of_too() -> None:
    signature = base64.b64encode(PROOF)
    assert removed(b'{"thoughtSignature":"%b"}' % signature, b"{}") == (REASONING,)


def test_whatever_carries_an_envelope_is_long_enough_to_be_noticed() -> None:
    assert len(b'"signature":"%b"' % PROOF) >= SEALED_BYTES_MIN
