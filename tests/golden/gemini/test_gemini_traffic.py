"""Every recorded Gemini exchange, through every operation of the dialect, in both framings.

What does not hold stands in exceptions.toml with its reason; an exception that is no longer needed fails.
"""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.genai import types
from google.genai._common import _remove_extra_fields
from google.genai.models import _GenerateContentResponse_from_mldev

from bytespike.core import events as e
from bytespike.core.content import ToolCallPart, ToolResultPart
from bytespike.core.dialect import Peek
from bytespike.core.fold import Fold, fold, unfold
from bytespike.core.usage import Usage
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.counting import read_count, write_count
from bytespike.protocols.gemini.request_in import read_count_request
from bytespike.testing.gemini_stream import validate_stream
from tests.support import hub_streams
from tests.support.gemini_traffic import (
    ARRAY_REPLY,
    REPLY,
    Exchange,
    as_array,
    chunks,
    counts,
    exchanges,
    frames,
    same_request,
    same_response,
    target_for,
)
from tests.support.listed_exceptions import Exceptions, each
from tests.support.recordings import present

pytestmark = [
    pytest.mark.traffic,
    pytest.mark.skipif(not present(), reason="the recorded traffic is absent"),
]

ALL = exchanges()
GOOD = [exchange for exchange in ALL if exchange.status == 200]
REQUESTS = [exchange for exchange in GOOD if exchange.request is not None]
STREAMS = [exchange for exchange in GOOD if exchange.stream is not None]
ANSWERS = [exchange for exchange in GOOD if exchange.answer is not None]
ERRORS = [exchange for exchange in ALL if exchange.status >= 400]
LISTED = Exceptions(Path(__file__).with_name("exceptions.toml"))
WATCH = Peek(model="", stream=True)


read_stream = partial(hub_streams.read_stream, DIALECT)


def body_of(exchange: Exchange) -> bytes:
    """The recorded request, of a client whose SDK makes only requests that are valid by its own types."""
    assert exchange.request is not None
    return exchange.request


def test_there_is_traffic_of_every_kind() -> None:
    assert len(REQUESTS) > 200
    assert len(STREAMS) > 45
    assert len(ANSWERS) > 150
    assert len(ERRORS) >= 4


def test_every_exception_names_a_rule_and_an_exchange() -> None:
    LISTED.check(globals(), ALL)


# --- requests --------------------------------------------------------------------------------------------------


@each(REQUESTS)
def test_a_request_read_and_written_means_the_same(exchange: Exchange) -> None:
    target = target_for(exchange.model)
    written = DIALECT.write_request(DIALECT.read_request(body_of(exchange)), target)
    same = same_request(written.body) == same_request(body_of(exchange))
    LISTED.hold("a_request_read_and_written_means_the_same", exchange, same, written.body)


@each(REQUESTS)
def test_a_written_request_validates_with_the_sdk(exchange: Exchange) -> None:
    written = DIALECT.write_request(DIALECT.read_request(body_of(exchange)), target_for(exchange.model))
    told = json.loads(written.body)
    assert told.keys() <= {
        "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent",
        "labels", "serviceTier", "store",
    }  # fmt: skip
    for content in told["contents"]:
        types.Content.model_validate(content)
    for tool in told.get("tools", []):
        types.Tool.model_validate(tool)
    types.Content.model_validate(told.get("systemInstruction", {}))
    types.ToolConfig.model_validate(told.get("toolConfig", {}))
    types.GenerationConfig.model_validate(told.get("generationConfig", {}))


@each(REQUESTS)
def test_peek_sees_what_the_whole_reading_sees(exchange: Exchange) -> None:
    request, seen = DIALECT.read_request(body_of(exchange)), DIALECT.peek(body_of(exchange))
    assert (seen.model, seen.stream, seen.candidates) == ("", False, request.candidates)
    assert seen.max_output_tokens == request.max_output_tokens
    assert seen.web_search == (b"googleSearch" in body_of(exchange))


@each(REQUESTS)
def test_a_request_passes_as_the_same_bytes(exchange: Exchange) -> None:
    body = body_of(exchange)
    assert DIALECT.patch_request(body, DIALECT.peek(body), target_for(exchange.model)) is body


@each(REQUESTS)
def test_every_result_answers_a_call_before_it(exchange: Exchange) -> None:
    open_calls: list[str] = []
    for turn in DIALECT.read_request(body_of(exchange)).turns:
        for part in turn.parts:
            if isinstance(part, ToolCallPart):
                open_calls.append(part.id)
            elif isinstance(part, ToolResultPart):
                assert part.call_id in open_calls
                open_calls.remove(part.call_id)


# --- whole answers ---------------------------------------------------------------------------------------------


def sdk_response(body: Any) -> types.GenerateContentResponse:
    """An answer as the SDK makes it of JSON: what it does not know is taken out, everything else validated."""
    told = _GenerateContentResponse_from_mldev(copy.deepcopy(body))
    _remove_extra_fields(types.GenerateContentResponse, told)
    return types.GenerateContentResponse.model_validate(told)


@each(ANSWERS)
def test_an_answer_written_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    again = DIALECT.read_response(DIALECT.write_response(response, REPLY).body)
    assert again.candidates == response.candidates
    assert again.usage == response.usage


@each(ANSWERS)
def test_a_written_answer_is_the_recorded_one(exchange: Exchange) -> None:
    assert exchange.answer is not None
    written = json.loads(DIALECT.write_response(DIALECT.read_response(exchange.answer), REPLY).body)
    recorded = json.loads(exchange.answer)
    recorded["modelVersion"] = REPLY.model
    for number, candidate in enumerate(recorded["candidates"]):
        candidate.setdefault("index", number)
        for part in candidate.get("content", {}).get("parts", []):
            # The gateway names calls that had no name.
            call = part.get("functionCall", {})
            call.setdefault("args", {})
    for candidate in written["candidates"]:
        for part in candidate["content"].get("parts", []):
            call = part.get("functionCall", {})
            if str(call.get("id")).startswith("call_"):
                del call["id"]
    recorded.get("usageMetadata", {}).setdefault("candidatesTokenCount", 0)
    figures = written.get("usageMetadata", {})
    # Searches stand in the grounding; the written figure says how many are billed.
    figures.pop("webSearchCount", None)
    assert written == recorded


@each(ANSWERS)
def test_a_written_answer_validates_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    parsed = sdk_response(json.loads(DIALECT.write_response(response, REPLY).body))
    recorded = sdk_response(json.loads(exchange.answer))
    assert parsed.model_version == REPLY.model
    assert parsed.text == recorded.text


@each(ANSWERS)
def test_an_answer_streamed_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    for reply in (REPLY, ARRAY_REPLY):
        stream = DIALECT.stream_writer(reply).write(list(unfold(response)))
        validate_stream(stream, array=reply.array)
        again = same_response(fold(read_stream(stream)))
        same = again == same_response(response)
        LISTED.hold("an_answer_streamed_and_read_again_is_equal_in_the_hub", exchange, same, again)


@each(ANSWERS)
def test_an_answer_passes_with_only_the_model_changed(exchange: Exchange) -> None:
    assert exchange.answer is not None
    name = json.loads(exchange.answer)["modelVersion"]
    same, usage = DIALECT.patch_response(exchange.answer, name)
    assert same is exchange.answer
    other, again = DIALECT.patch_response(exchange.answer, "the-clients-name")
    assert other == exchange.answer.replace(
        b'"modelVersion":"%b"' % name.encode(), b'"modelVersion":"the-clients-name"', 1
    ) or json.loads(other) == json.loads(exchange.answer) | {"modelVersion": "the-clients-name"}
    assert usage == again == DIALECT.read_response(exchange.answer).usage


# --- streams ---------------------------------------------------------------------------------------------------


@each(STREAMS)
def test_a_stream_is_complete(exchange: Exchange) -> None:
    assert exchange.stream is not None
    assert isinstance(read_stream(exchange.stream)[-1], e.Done)


@each(STREAMS)
def test_a_stream_reads_the_same_however_it_is_cut_and_framed(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = read_stream(exchange.stream)
    array = as_array(exchange.stream)
    for stream in (exchange.stream, array):
        reader = DIALECT.stream_reader()
        by_byte: list[e.Event] = []
        for at in range(len(stream)):
            by_byte += reader.feed(stream[at : at + 1])
        assert [*by_byte, *reader.end()] == whole
    assert read_stream(exchange.stream.replace(b"\n", b"\r\n")) == whole
    assert fold(whole) == DIALECT.read_response(array)


@each(STREAMS)
def test_trailing_data_changes_nothing(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = read_stream(exchange.stream)
    assert read_stream(exchange.stream + b"\n\n") == whole
    assert read_stream(exchange.stream + b"data: [DONE]\n\n") == whole
    assert read_stream(as_array(exchange.stream) + b"\r\n  ") == whole
    # More of an answer after its end is no part of it.
    more = b'data: {"candidates":[{"content":{"parts":[{"text":"more"}],"role":"model"},"index":0}]}\n\n'
    assert read_stream(exchange.stream + more) == whole


@each(STREAMS)
def test_a_truncated_stream_fails_unless_every_candidate_had_finished(exchange: Exchange) -> None:
    assert exchange.stream is not None
    pieces = frames(exchange.stream)
    for cut in range(len(pieces)):
        seen = b"".join(pieces[:cut])
        finished = b'"finishReason"' in seen
        for stream in (seen, as_array(seen)[:-3] if seen else b"["):
            last = read_stream(stream)[-1]
            assert isinstance(last, e.Done if finished else e.Failed), (cut, last)
            tap = DIALECT.tap(WATCH, "x")
            tap.feed(stream)
            tap.end()
            assert (tap.failure is None) == finished


@each(STREAMS)
def test_a_stream_written_is_a_strict_stream_of_the_wire(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    for reply in (REPLY, ARRAY_REPLY):
        writer = DIALECT.stream_writer(reply)
        written = b"".join([writer.write([event]) for event in events])
        validate_stream(written, array=reply.array)
        assert written == DIALECT.stream_writer(reply).write(events)
        for chunk in json.loads(written) if reply.array else chunks(written):
            sdk_response(chunk)


@each(STREAMS)
def test_a_stream_written_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    response = fold(events)
    for reply in (REPLY, ARRAY_REPLY):
        written = DIALECT.stream_writer(reply).write(events)
        assert same_response(fold(read_stream(written))) == same_response(response)
    unary = DIALECT.read_response(DIALECT.write_response(response, REPLY).body)
    assert same_response(unary) == same_response(response)


def _name_in(stream: bytes) -> str:
    return next((chunk["modelVersion"] for chunk in chunks(stream) if "modelVersion" in chunk), "x")


@each(STREAMS)
def test_a_tap_forwards_every_byte_in_both_framings(exchange: Exchange) -> None:
    assert exchange.stream is not None
    for stream in (exchange.stream, exchange.stream.replace(b"\n", b"\r\n"), as_array(exchange.stream)):
        whole = DIALECT.tap(WATCH, _name_in(exchange.stream))
        assert whole.feed(stream) + whole.end() == stream
        assert whole.complete
        assert whole.failure is None
        assert whole.ended == stream.startswith(b"[")
        bytewise = DIALECT.tap(WATCH, _name_in(exchange.stream))
        pieces = [bytewise.feed(stream[at : at + 1]) for at in range(len(stream))]
        assert b"".join([*pieces, bytewise.end()]) == stream
        assert (bytewise.usage, bytewise.produced_chars) == (whole.usage, whole.produced_chars)


@each(STREAMS)
def test_a_tap_changes_only_the_models_name(exchange: Exchange) -> None:
    assert exchange.stream is not None
    array = as_array(exchange.stream)
    for stream, spelt in ((exchange.stream, chunks), (array, json.loads)):
        tap = DIALECT.tap(WATCH, "the-clients-name")
        out = tap.feed(stream) + tap.end()
        want = [
            chunk | {"modelVersion": "the-clients-name"} if "modelVersion" in chunk else chunk
            for chunk in spelt(stream)
        ]
        assert spelt(out) == want
        assert len(out) - len(stream) == len(want) * (
            len("the-clients-name") - len(_name_in(exchange.stream))
        )


@each(STREAMS)
def test_a_tap_and_the_reader_agree_on_the_figures(exchange: Exchange) -> None:
    assert exchange.stream is not None
    folded = Fold()
    for event in read_stream(exchange.stream):
        folded.add(event)
    for stream in (exchange.stream, as_array(exchange.stream)):
        tap = DIALECT.tap(WATCH, REPLY.model)
        tap.feed(stream)
        tap.end()
        assert tap.usage == folded.usage


# --- usage -----------------------------------------------------------------------------------------------------


@each(GOOD)
def test_usage_equals_the_providers_figures(exchange: Exchange) -> None:
    if exchange.answer is not None:
        told = json.loads(exchange.answer)["usageMetadata"]
        usage: Usage = DIALECT.read_response(exchange.answer).usage
    else:
        told = [chunk["usageMetadata"] for chunk in chunks(exchange.stream or b"")][-1]
        usage = fold(read_stream(exchange.stream or b"")).usage
    prompt = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    assert usage.prompt_total == prompt
    assert usage.cache_read == told.get("cachedContentTokenCount", 0)
    assert usage.prompt_total + usage.output == told["totalTokenCount"]
    assert usage.reasoning == told.get("thoughtsTokenCount", 0)
    assert min(usage.input, usage.cache_read, usage.output - usage.reasoning) >= 0


# --- errors and counts -----------------------------------------------------------------------------------------


@each(ERRORS)
def test_the_recorded_errors_are_all_about_the_channel(exchange: Exchange) -> None:
    # A wrong model name, a bad key, and quotas.
    failure = DIALECT.read_error(exchange.status, exchange.headers, exchange.answer or b"")
    assert failure.about == "channel"
    if exchange.status == 429:
        assert failure.retry_after in (35, 48)
    assert "quota" not in failure.error.message


@pytest.mark.parametrize("exchange", counts(), ids=lambda exchange: exchange.name)
def test_a_count_is_read_and_written_as_recorded(exchange: Exchange) -> None:
    request = read_count_request(body_of(exchange))
    assert request.turns
    assert exchange.answer is not None
    if exchange.status == 200:
        assert json.loads(write_count(read_count(exchange.answer))) == json.loads(exchange.answer)
    else:
        assert DIALECT.read_error(exchange.status, exchange.headers, exchange.answer).about == "channel"
