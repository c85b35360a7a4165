"""Whatever an upstream says, each of the sixteen pairs tells it: what one dialect makes of a random answer is read, written
for the client's dialect, accepted by a strict client, and reads there as the same answer.

The dialects order and cut parts differently, so it is the essence that counts (`tests/support/essence.py`). What is not
carried everywhere is in `_alike`, a reason each.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytespike.core import events as e
from bytespike.core.content import ReasoningPart, ToolCallPart
from bytespike.core.fold import Fold, fold
from bytespike.core.response import ChatResponse
from bytespike.errors import UpstreamError
from bytespike.protocols.registry import DIALECTS
from tests.support.essence import essence
from tests.support.hub_answers import answers, streamed
from tests.support.hub_ends import CLIENT, PAIR_IDS, PAIRS, UPSTREAM, read_stream, validate_stream

pytestmark = pytest.mark.slow

each_pair = pytest.mark.parametrize(("upstream", "client"), PAIRS, ids=PAIR_IDS)
often = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _alike(response: ChatResponse, through: set[str]) -> dict[str, Any]:
    """The essence, as far as these dialects carry it."""
    told = essence(response)
    (choice,), (candidate,) = told["choices"], response.candidates
    # A call's proof may stand beside the call, and one of no text anywhere: where a dialect has a place for it.
    choice["proofs"] = sorted(
        (part.proof.origin, part.proof.data)
        for part in candidate.parts
        if isinstance(part, ReasoningPart | ToolCallPart) and part.proof
    )
    choice["reasoning"] = [each for each in choice["reasoning"] if each[0]]
    # Chat lists citations of the web and of documents apart.
    choice["citations"] = sorted(choice["citations"], key=repr)
    if "anthropic_messages" in through:
        # It has no free-form calls: the text becomes the one argument. And no refusals besides the reason.
        choice["calls"] = [
            (id_, name, {"input": given_} if kind == "custom" else given_, "function")
            for id_, name, given_, kind in choice["calls"]
        ]
        choice["text"] += choice.pop("refusal")
    return told


@each_pair
@often
@given(answers())
def test_a_whole_answer_is_told_by_every_pair(upstream: str, client: str, answer: ChatResponse) -> None:
    body = DIALECTS[upstream].write_response(answer, UPSTREAM).body
    came = DIALECTS[upstream].read_response(body)
    told = DIALECTS[client].write_response(came, CLIENT).body
    through = {upstream, client}
    assert _alike(DIALECTS[client].read_response(told), through) == _alike(answer, through)


@each_pair
@often
@given(streamed(), st.integers(1, 200))
def test_a_stream_is_told_by_every_pair(
    upstream: str, client: str, stream: tuple[list[e.Event], ChatResponse], size: int
) -> None:
    events, answer = stream
    body = DIALECTS[upstream].stream_writer(UPSTREAM).write(events)
    validate_stream(upstream, body)
    writer = DIALECTS[client].stream_writer(CLIENT)
    told = b"".join([writer.write([event]) for event in read_stream(upstream, body, size)])
    validate_stream(client, told)
    through = {upstream, client}
    assert _alike(fold(read_stream(client, told)), through) == _alike(answer, through)


@each_pair
@often
@given(streamed(), st.data())
def test_a_stream_that_breaks_anywhere_ends_in_the_clients_error(
    upstream: str, client: str, stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    body = DIALECTS[upstream].stream_writer(UPSTREAM).write(stream[0])
    events = read_stream(upstream, body[: data.draw(st.integers(0, len(body) - 1))])
    writer = DIALECTS[client].stream_writer(CLIENT)
    if isinstance(events[-1], e.Done):
        # What was cut off says nothing any more.
        validate_stream(client, writer.write(events))
        return
    assert isinstance(events[-1], e.Failed)
    if data.draw(st.booleans()):
        told = writer.write(events)
    else:
        told = writer.write(events[:-1]) + writer.fail(UpstreamError("the upstream's connection broke"))
    validate_stream(client, told)
    assert isinstance(read_stream(client, told)[-1], e.Failed)
    folded = Fold()
    for event in events:
        folded.add(event)
