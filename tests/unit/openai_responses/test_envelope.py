"""Other providers' data in this dialect's opaque field."""

from __future__ import annotations

import base64
import json

import pytest

from bytespike.core import content as c
from bytespike.protocols.openai_responses.envelope import (
    CallProof,
    Envelope,
    Hidden,
    open_sealed,
    seal,
    seal_call_proof,
    seal_part,
    seal_reasoning,
)
from bytespike.protocols.sealed_text import is_sealed

PROOF = c.Proof("anthropic_messages", 'sig/+="')


@pytest.mark.parametrize(
    "part",
    [
        c.ReasoningPart("hm", PROOF),
        c.ReasoningPart("", PROOF, redacted=True),
        c.ReasoningPart("s", c.Proof("vendor-x.v1", "p"), summary=True, id="id"),
        c.ReasoningPart("no proof at all"),
    ],
)
def test_reasoning_comes_home(part: c.ReasoningPart) -> None:
    sealed = seal_reasoning(part)
    assert sealed is not None
    assert is_sealed(sealed)
    assert open_sealed(sealed) == part


def test_our_own_proof_is_not_sealed_and_nothing_is_nothing() -> None:
    own = c.ReasoningPart("s", c.Proof("openai_responses", "enc"))
    assert seal_reasoning(own) == "enc"
    assert seal_reasoning(c.ReasoningPart("")) is None
    assert seal_reasoning(c.ReasoningPart("shown by OpenAI", extras={"openai_responses": {}})) is None


def test_the_proof_of_a_call_knows_its_call() -> None:
    sealed = seal_call_proof(c.ToolCallPart("x", "f", "", proof=PROOF), "c1")
    assert sealed is not None
    assert open_sealed(sealed) == CallProof("c1", PROOF)
    assert seal_call_proof(c.ToolCallPart("x", "f", ""), "c1") is None


@pytest.mark.parametrize(
    "part",
    [
        c.ServerToolCallPart("s", "web_search", "{}", "groq", extras={"groq": {"a": [1]}}),
        c.ServerToolCallPart("s", "x", "", ""),
        c.ServerToolResultPart("s", "k", {"a": None}, "groq", is_error=True),
        c.ForeignPart("gemini", "k", [1, "é"]),
    ],
)
def test_parts_come_home_whole(part: c.ServerToolCallPart | c.ServerToolResultPart | c.ForeignPart) -> None:
    assert open_sealed(seal_part(part, None)) == Hidden(part)
    if isinstance(part, c.ServerToolCallPart):
        assert open_sealed(seal_part(part, "ws_1")) == Hidden(part, "ws_1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gAAAA",
        "bytespike.v1.",
        "bytespike.v1.gemini.",
        "bytespike.v1.gemini.!",
        "bytespike.v1.GEMINI.e30",
        "bytespike.v2.gemini.e30",
        "bytespike.v1.gemini.e3",
        "bytespike.v1.gemini." + base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("="),
        "bytespike.v1.gemini."
        + base64.urlsafe_b64encode(json.dumps({"proof": 3}).encode()).decode().rstrip("="),
        "bytespike.v1.gemini." + base64.urlsafe_b64encode(b'{"text":"\xff"}').decode().rstrip("="),
    ],
)
def test_a_damaged_envelope_proves_nothing(text: str) -> None:
    assert open_sealed(text) is None


def test_what_nests_too_deeply_is_not_opened() -> None:
    raw: object = []
    for _ in range(200):
        raw = [raw]
    text = json.dumps({"foreign": {"kind": "k", "raw": raw}}).encode()
    assert open_sealed("bytespike.v1.gemini." + base64.urlsafe_b64encode(text).decode().rstrip("=")) is None


def test_a_call_without_a_proof_is_none() -> None:
    assert open_sealed(seal("none", Envelope(proof="x", call="c"))) is None
