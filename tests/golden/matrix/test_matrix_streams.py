"""The stream of each written case, however it is cut: no crash, nothing that a strict client would refuse, and an answer
that breaks off ends in the error of the client's dialect."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from bytespike.core.content import ReasoningPart, ToolCallPart
from bytespike.core.events import Done, Event, Failed
from bytespike.core.fold import Fold
from bytespike.core.response import ChatResponse
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.registry import DIALECTS
from bytespike.testing import anthropic_stream, chat_stream, gemini_stream, responses_stream
from tests.golden.matrix.crossing import TARGETS, Case, cases, renamed, sent, streamed, upstream_frames
from tests.support.essence import essence
from tests.support.vendor_wires.told import Answer

#: Where it ends, the error of each dialect.
ERRORS = {
    "anthropic_messages": b"event: error\n",
    "openai_chat": b'data: {"error":',
    "openai_responses": b"event: error\n",
    "gemini": b'data: {"error":',
}


class Flow(NamedTuple):
    """The frames of an upstream on their way to a client."""

    case: Case
    target: str
    written: Any
    frames: list[bytes]

    def events(self, pieces: list[bytes]) -> list[Event]:
        """What is read of these bytes, and then the upstream closes."""
        reader = DIALECTS[self.target].stream_reader()
        found = [event for piece in pieces for event in reader.feed(piece)]
        return renamed([*found, *reader.end()], self.written)

    def write(self, events: list[Event]) -> bytes:
        return DIALECTS[self.case.client].stream_writer(self.case.reply).write(events)

    def validate(self, stream: bytes) -> None:
        match self.case.client:
            case "anthropic_messages":
                anthropic_stream.validate_stream(stream)
            case "openai_chat":
                chat_stream.validate_stream(stream)
            case "openai_responses":
                # A proof of OpenAI's is held against the id that it came with.
                responses_stream.validate_stream(stream, native_ids=self.target == "openai_responses")
            case _:
                gemini_stream.validate_stream(stream)


def _flow(case: Case, target: str) -> Flow | None:
    try:
        _, written = sent(case, target)
    except InvalidRequest:
        return None
    return Flow(case, target, written, upstream_frames(case, target, written))


FLOWS = [
    flow
    for case in cases()
    if case.answer != Answer()
    for target in TARGETS
    if (flow := _flow(case, target)) is not None
]
EACH = [pytest.param(flow, id=f"{flow.case.name}>{flow.target}") for flow in FLOWS]


def _folded(events: list[Event]) -> ChatResponse:
    folded = Fold()
    for event in events:
        folded.add(event)
    return folded.response()


def _read(dialect: str, stream: bytes) -> list[Event]:
    reader = DIALECTS[dialect].stream_reader()
    return [*reader.feed(stream), *reader.end()]


def _is_complete(events: list[Event]) -> bool:
    return isinstance(events[-1], Done) if events else False


@pytest.mark.parametrize("flow", EACH)
def test_a_streamed_answer_is_the_whole_one(flow: Flow) -> None:
    stream = streamed(flow.case, flow.target, flow.written)
    flow.validate(stream)
    back = _read(flow.case.client, stream)
    try:
        whole = DIALECTS[flow.case.client].write_response(_folded(flow.events(flow.frames)), flow.case.reply)
    except InvalidRequest:
        # What the client's wire cannot show ends the stream, too.
        assert isinstance(back[-1], Failed)
        return
    assert _comparable(_folded(back)) == _comparable(DIALECTS[flow.case.client].read_response(whole.body))


def _comparable(response: ChatResponse) -> dict[str, Any]:
    """In the hub's terms. A call's proof may stand beside the call: where it came behind a call that had ended."""
    told = essence(response)
    for choice, candidate in zip(told["choices"], response.candidates, strict=True):
        choice["reasoning"] = [each for each in choice["reasoning"] if each[0]]
        choice["proofs"] = sorted(
            (part.proof.origin, part.proof.data)
            for part in candidate.parts
            if isinstance(part, ReasoningPart | ToolCallPart) and part.proof
        )
    return told


@pytest.mark.parametrize("flow", EACH)
def test_a_stream_that_comes_byte_by_byte_is_read_the_same(flow: Flow) -> None:
    stream = b"".join(flow.frames)
    bytewise = flow.events([stream[at : at + 1] for at in range(len(stream))])
    assert bytewise == flow.events([stream])
    writer = DIALECTS[flow.case.client].stream_writer(flow.case.reply)
    flow.validate(b"".join(writer.write([event]) for event in bytewise))


@pytest.mark.parametrize("flow", EACH)
def test_a_stream_that_is_cut_behind_any_event_ends_in_the_clients_own_error(flow: Flow) -> None:
    error = ERRORS[flow.case.client]
    for count in range(len(flow.frames)):
        events = flow.events(flow.frames[:count])
        if _is_complete(events):
            # What is missing says nothing any more: figures of chat, or `[DONE]`.
            flow.validate(flow.write(events))
            continue
        assert isinstance(events[-1], Failed)
        told = flow.write(events)
        flow.validate(told)
        assert error in told
        assert isinstance(_read(flow.case.client, told)[-1], Failed)
        # The gateway itself ends it where the connection broke.
        writer = DIALECTS[flow.case.client].stream_writer(flow.case.reply)
        broken = writer.write(events[:-1]) + writer.fail(UpstreamError("the upstream's connection broke"))
        flow.validate(broken)


@pytest.mark.parametrize("flow", EACH)
def test_a_stream_that_is_cut_inside_of_an_event_ends_in_an_error(flow: Flow) -> None:
    for count, frame in enumerate(flow.frames):
        events = flow.events([*flow.frames[:count], frame[: len(frame) // 2]])
        told = flow.write(events)
        flow.validate(told)
        assert _is_complete(events) or ERRORS[flow.case.client] in told


@pytest.mark.parametrize("flow", EACH)
def test_a_stream_that_goes_on_as_another_is_no_crash(flow: Flow) -> None:
    """The second half is that of the next case with the same upstream."""
    mine = [other for other in FLOWS if other.target == flow.target]
    other = mine[(mine.index(flow) + 1) % len(mine)]
    half = len(flow.frames) // 2
    events = flow.events([*flow.frames[:half], *other.frames[len(other.frames) // 2 :]])
    assert isinstance(events[-1], Done | Failed)
    told = flow.write(events)
    if not _has_broken_arguments(_folded(events)):
        flow.validate(told)


def _has_broken_arguments(response: ChatResponse) -> bool:
    """Arguments of two calls, glued together, are the upstream's fault and are passed on, as the model's own would be; a
    strict validator of JSON sees them."""
    for candidate in response.candidates:
        for part in candidate.parts:
            if isinstance(part, ToolCallPart) and part.kind == "function":
                try:
                    json.loads(part.arguments or "{}")
                except ValueError:
                    return True
    return False


@pytest.mark.parametrize("flow", [flow for flow in EACH if flow.values[0].case.client == "gemini"])
def test_a_client_of_gemini_may_want_an_array(flow: Flow) -> None:
    reply = structs.replace(flow.case.reply, array=True)
    events = flow.events(flow.frames)
    for count in range(len(events) + 1):
        writer = DIALECTS["gemini"].stream_writer(reply)
        told = writer.write(events[:count])
        if count < len(events):
            told += writer.fail(UpstreamError("the upstream's connection broke"))
        gemini_stream.validate_stream(told, array=True)
    assert isinstance(json.loads(told), list)
