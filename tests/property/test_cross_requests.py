"""Whatever a client asks, each of the sixteen pairs passes it on: what its dialect makes of a random request is read, written
for the upstream's dialect, and reads there as the same request.

Proofs of reasoning go to the provider that issued them, and to nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bytespike.core.content import Part, ReasoningPart, ToolCallPart
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.protocols.registry import DIALECTS
from tests.support.fidelity import HELLO
from tests.support.hub_answers import answers
from tests.support.hub_ends import CLIENT, PAIR_IDS, PAIRS, able_target
from tests.support.hub_requests import kept, requests
from tests.support.next_turn import Then, next_request

pytestmark = pytest.mark.slow

each_pair = pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=PAIR_IDS)
often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def expected(request: ChatRequest, through: set[str]) -> dict[str, Any]:
    told = kept(request)
    if "openai_responses" in through:
        # `instructions` is one text.
        told["system"] = ["\n\n".join(told["system"])] if told["system"] else []
    if "anthropic_messages" in through and told["max"] is None:
        # There it must be said: the model's own limit is.
        told["max"] = 64_000
    return told


@each_pair
@often
@given(requests())
def test_a_request_reaches_every_upstream(client: str, upstream: str, request: ChatRequest) -> None:
    asked = DIALECTS[client].write_request(request, able_target(client)).body
    came = DIALECTS[client].read_request(asked)
    sent = DIALECTS[upstream].write_request(came, able_target(upstream)).body
    through = {client, upstream}
    got = kept(DIALECTS[upstream].read_request(sent))
    if "openai_responses" in through:
        got["system"] = ["\n\n".join(got["system"])] if got["system"] else []
    assert got == expected(request, through)


@pytest.mark.parametrize("client", DIALECTS)
@often
@given(answers())
def test_a_proof_comes_home_through_any_client_and_goes_to_nobody_else(
    client: str, answer: ChatResponse
) -> None:
    """The client gives back what it was told; whoever answers next gets its own proofs, all of them, and no other's."""
    told = json.loads(DIALECTS[client].write_response(answer, CLIENT).body)
    body = next_request(client, HELLO[client], told, Then("done", "And?"))
    request = DIALECTS[client].read_request(json.dumps(body).encode())
    issued = _proofs(answer.candidates[0].parts)
    for upstream in ("anthropic_messages", "openai_responses", "gemini"):
        sent = DIALECTS[upstream].write_request(request, able_target(upstream)).body
        came = DIALECTS[upstream].read_request(sent)
        given_back = _proofs([part for turn in came.turns for part in turn.parts])
        assert given_back == sorted(proof for proof in issued if proof[0] == upstream)


def _proofs(parts: Sequence[Part]) -> list[tuple[str, str]]:
    found = [
        part.proof
        for part in parts
        if isinstance(part, ReasoningPart | ToolCallPart) and part.proof is not None
    ]
    # Gemini takes a stand-in for the proof of a call that another model made.
    return sorted(
        (proof.origin, proof.data) for proof in found if proof.data != "skip_thought_signature_validator"
    )
