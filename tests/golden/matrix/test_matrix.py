"""Each written case, to each dialect and back: as its golden file says, and valid by the vendors' own types.

The files are written by `python -m tests.golden.matrix --write`, and read by whoever commits them.
"""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from bytespike.errors import InvalidRequest
from bytespike.testing import anthropic_stream, chat_stream, gemini_stream, responses_stream
from tests.golden.matrix.crossing import (
    EXPECTED,
    TARGETS,
    Case,
    cases,
    expected_path,
    golden,
    sent,
    upstream_answer,
    upstream_frames,
)
from tests.golden.matrix.layout import pretty
from tests.support import cross_anthropic_messages, cross_gemini, cross_openai_chat, cross_openai_responses
from tests.support.next_turn import next_request
from tests.support.vendor_wires.told import Answer

REQUEST_TYPES: dict[str, list[pydantic.TypeAdapter[Any]]] = {
    "anthropic_messages": cross_anthropic_messages.ADAPTERS,
    "openai_chat": cross_openai_chat.ADAPTERS,
    "openai_responses": cross_openai_responses.ADAPTERS,
    "gemini": cross_gemini.ADAPTERS,
}
ANSWER_TYPES: dict[str, list[type[pydantic.BaseModel]]] = {
    "anthropic_messages": [Message, BetaMessage],
    "openai_chat": [ChatCompletion],
    "openai_responses": [Response],
    "gemini": [GenerateContentResponse],
}
VALIDATORS = {
    "anthropic_messages": anthropic_stream.validate_stream,
    "openai_chat": chat_stream.validate_stream,
    "openai_responses": responses_stream.validate_stream,
    # Google ends its lines in CR LF, which the strict reader of what we write does not take.
    "gemini": lambda data: gemini_stream.validate_stream(data.replace(b"\r\n", b"\n")),
}
#: Requests that the vendor's own SDK has no type for, and why they are sent all the same.
UNTYPED = {
    "chat-audio>openai_responses": "OpenAI's own models take no audio here; models of others that do (OpenRouter) take it so",
}
CROSSINGS = [pytest.param(case, target, id=f"{case.name}>{target}") for case in cases() for target in TARGETS]
ANSWERED = [each for each in CROSSINGS if each.values[0].answer != Answer()]


def test_there_are_forty_cases_with_answers_and_every_dialect_is_a_client() -> None:
    answered = [case for case in cases() if case.answer != Answer()]
    assert len(answered) >= 40
    assert {case.client for case in answered} == set(TARGETS)


def test_no_golden_file_is_left_of_a_case_that_is_gone() -> None:
    known = {expected_path(case, target) for case in cases() for target in TARGETS}
    assert set(EXPECTED.glob("*/*")) == known


@pytest.mark.parametrize(("case", "target"), CROSSINGS)
def test_a_case_crosses_as_its_golden_file_says(case: Case, target: str) -> None:
    assert pretty(golden(case, target)) == expected_path(case, target).read_text("utf-8")


@pytest.mark.parametrize(("case", "target"), CROSSINGS)
def test_what_is_sent_is_valid_by_the_targets_own_types(case: Case, target: str) -> None:
    told = golden(case, target)
    if "sent" not in told or f"{case.name}>{target}" in UNTYPED:
        return
    _valid(REQUEST_TYPES[target], told["sent"])
    if "next" in told and "sent" in told["next"]:
        assert case.then is not None
        follows = next_request(case.client, case.request, told["received"], case.then)
        again = Case(case.name, "", case.client, follows, without=case.without, quirks=case.quirks)
        _valid(REQUEST_TYPES[target], json.loads(sent(again, target)[1].body))


@pytest.mark.parametrize(("case", "target"), ANSWERED)
def test_what_is_received_is_valid_by_the_clients_own_types(case: Case, target: str) -> None:
    told = golden(case, target)
    if "received" not in told:
        return
    if case.client == "gemini":
        # As the SDK itself reads it: members that it does not know are taken out first.
        GenerateContentResponse._from_response(response=told["received"], kwargs={})
    else:
        _valid([pydantic.TypeAdapter(kind) for kind in ANSWER_TYPES[case.client]], told["received"])


@pytest.mark.parametrize(("case", "target"), ANSWERED)
def test_the_upstreams_own_wire_is_what_its_vendor_sends(case: Case, target: str) -> None:
    """The answers of the cases are written by hand: here they are held against the vendor's types and order."""
    try:
        _, written = sent(case, target)
    except InvalidRequest:
        return
    _valid(
        [pydantic.TypeAdapter(kind) for kind in ANSWER_TYPES[target]], upstream_answer(case, target, written)
    )
    stream = b"".join(upstream_frames(case, target, written))
    if target == "openai_responses":
        responses_stream.validate_stream(stream, native_ids=True)
    elif not _follower(case, target):
        VALIDATORS[target](stream)


def _follower(case: Case, target: str) -> bool:
    """Annotations of OpenAI's and images of OpenRouter's streams have no index, which what we write has."""
    told = [part for choice in case.answer.all_choices for part in choice]
    return target == "openai_chat" and any(part.cites for part in told)


def _valid(kinds: list[pydantic.TypeAdapter[Any]], value: Any) -> None:
    problems: list[str] = []
    for kind in kinds:
        try:
            kind.validate_python(value)
        except pydantic.ValidationError as error:
            problems.append(str(error)[:800])
        else:
            return
    pytest.fail("\n".join(problems))
