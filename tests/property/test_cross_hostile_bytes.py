"""Whatever the bytes, nothing but the errors of the contract comes out of a reader, nor out of any writer behind it; and
whatever a broken stream was read as, a strict client of every dialect accepts what is written of it.

The bodies are those of the written cases (`tests/golden/matrix`), spoilt.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytespike.core.content import ToolCallPart
from bytespike.core.events import Done, Event, Failed
from bytespike.core.fold import Fold, unfold
from bytespike.core.response import ChatResponse
from bytespike.errors import GatewayError, InvalidRequest, UnsupportedFeature
from bytespike.protocols.registry import DIALECTS
from tests.support.hub_ends import CLIENT, able_target, read_stream, validate_stream
from tests.support.mutations import spoilt_bytes, spoilt_json
from tests.support.vendor_wires import anthropic_messages, gemini, openai_chat, openai_responses
from tests.support.vendor_wires.told import Answer

pytestmark = pytest.mark.slow

CASES = Path(__file__).parents[1] / "golden" / "matrix" / "cases"
WIRES: dict[str, Any] = {
    "anthropic_messages": anthropic_messages,
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "gemini": gemini,
}
often = settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@cache
def _cases() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(CASES.glob("*.json"))]


@cache
def _requests(dialect: str) -> list[Any]:
    return [case["request"] for case in _cases() if case["client"] == dialect]


@cache
def _told() -> list[Answer]:
    return [msgspec.convert(case["answer"], Answer) for case in _cases() if "answer" in case]


@cache
def _answers(dialect: str) -> list[Any]:
    return [WIRES[dialect].whole(answer) for answer in _told()]


@cache
def _streams(dialect: str) -> list[bytes]:
    return [b"".join(WIRES[dialect].stream(answer)) for answer in _told()]


def _others(dialect: str) -> list[str]:
    """Between two of one dialect the bytes pass, whatever they are."""
    return [name for name in DIALECTS if name != dialect]


@each_dialect
@often
@given(st.data())
def test_a_spoilt_request_is_read_and_written_or_is_the_callers_fault(
    dialect: str, data: st.DataObject
) -> None:
    body = data.draw(st.sampled_from(_requests(dialect)).flatmap(spoilt_json))
    if data.draw(st.integers(0, 3)) == 0:
        body = data.draw(spoilt_bytes(body, [json.dumps(each).encode() for each in _requests(dialect)]))
    try:
        request = DIALECTS[dialect].read_request(body)
    except InvalidRequest:
        return
    for upstream in _others(dialect):
        try:
            sent = DIALECTS[upstream].write_request(request, able_target(upstream)).body
        except InvalidRequest:
            continue
        json.loads(sent)
        with suppress(InvalidRequest):
            # What is wrong in a value that only the upstream looks at (a URL) may be seen on the other side.
            DIALECTS[upstream].read_request(sent)


@each_dialect
@often
@given(st.data())
def test_a_spoilt_answer_is_read_and_written_or_is_the_upstreams_fault(
    dialect: str, data: st.DataObject
) -> None:
    body = data.draw(st.sampled_from(_answers(dialect)).flatmap(spoilt_json))
    if data.draw(st.integers(0, 3)) == 0:
        body = data.draw(spoilt_bytes(body, [json.dumps(each).encode() for each in _answers(dialect)]))
    try:
        response = DIALECTS[dialect].read_response(body)
    except InvalidRequest as error:
        # An error in a 200, about the request.
        assert not isinstance(error, UnsupportedFeature)
        return
    except GatewayError:
        return
    for client in _others(dialect):
        try:
            told = DIALECTS[client].write_response(response, CLIENT).body
        except UnsupportedFeature:
            continue
        DIALECTS[client].read_response(told)
        _told_strictly(client, list(unfold(response)), response)


@each_dialect
@often
@given(st.data())
def test_a_spoilt_stream_is_one_that_a_strict_client_of_any_dialect_takes(
    dialect: str, data: st.DataObject
) -> None:
    streams = _streams(dialect)
    stream = data.draw(st.sampled_from(streams).flatmap(lambda each: spoilt_bytes(each, streams)))
    events = read_stream(dialect, stream, data.draw(st.sampled_from([0, 0, 1, 7, 100])))
    assert isinstance(events[-1], Done | Failed)
    folded = Fold()
    for event in events:
        folded.add(event)
    for client in _others(dialect):
        _told_strictly(client, events, folded.response())


def _told_strictly(client: str, events: list[Event], response: ChatResponse) -> None:
    told = DIALECTS[client].stream_writer(CLIENT).write(events)
    if client in ("anthropic_messages", "openai_chat") and _has_broken_arguments(response):
        # They are on their way before that is known; the strict readers decode them.
        return
    validate_stream(client, told)


def _has_broken_arguments(response: ChatResponse) -> bool:
    for candidate in response.candidates:
        for part in candidate.parts:
            if isinstance(part, ToolCallPart) and part.kind == "function":
                try:
                    if not isinstance(json.loads(part.arguments or "{}"), dict):
                        return True
                except ValueError:
                    return True
    return False
