"""Every recorded Responses exchange, through every operation of the dialect.

What does not hold stands in exceptions.toml with its reason; an exception that is no longer needed fails.
"""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from openai import omit
from openai._models import construct_type_unchecked
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Peek, Target
from bytespike.core.fold import Fold, fold, unfold
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_responses import DIALECT
from bytespike.protocols.openai_responses.stored import Keeper
from bytespike.testing.responses_stream import validate_stream
from tests.support import hub_streams
from tests.support.listed_exceptions import Exceptions, each
from tests.support.recordings import frames, present
from tests.support.responses_traffic import (
    REPLY,
    Exchange,
    data_of,
    exchanges,
    same_request,
    same_response,
    target_for,
)
from tests.support.sdk_shapes import exactly

pytestmark = [
    pytest.mark.traffic,
    pytest.mark.skipif(not present(), reason="the recorded traffic is absent"),
]

ALL = exchanges()
GOOD = [exchange for exchange in ALL if exchange.status == 200]
REQUESTS = [exchange for exchange in GOOD if exchange.request is not None]
CARRIED = [exchange for exchange in REQUESTS if not exchange.kept_elsewhere]
STREAMS = [exchange for exchange in GOOD if exchange.stream is not None]
LISTED = Exceptions(Path(__file__).with_name("exceptions.toml"))
ANSWERS = [
    exchange
    for exchange in GOOD
    if exchange.answer is not None and json.loads(exchange.answer)["status"] not in ("queued", "in_progress")
]
ERRORS = [exchange for exchange in ALL if exchange.status >= 400]

PARAMS = TypeAdapter(ResponseCreateParamsNonStreaming | ResponseCreateParamsStreaming)
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


read_stream = partial(hub_streams.read_stream, DIALECT)
written_stream = partial(hub_streams.written_stream, DIALECT, REPLY)


def whole_of(stream: bytes) -> dict[str, Any]:
    """The response of a written stream's last event."""
    return data_of([frame for frame in frames(stream) if frame][-1])["response"]


def test_there_is_traffic_of_every_vendor() -> None:
    vendors = {exchange.vendor for exchange in GOOD}
    assert vendors >= {"openai", "deepseek", "openrouter", "xai", "azure", "open-responses"}
    assert (len(REQUESTS) > 200, len(STREAMS) > 90, len(ANSWERS) > 170, len(ERRORS) > 10) == (True,) * 4


def test_every_exception_names_a_rule_and_an_exchange() -> None:
    LISTED.check(globals(), ALL)


# --- requests --------------------------------------------------------------------------------------------------


@each(CARRIED)
def test_a_request_read_and_written_means_the_same(exchange: Exchange) -> None:
    assert exchange.request is not None
    request = DIALECT.read_request(exchange.request)
    written = DIALECT.write_request(request, target_for(exchange.request))
    assert same_request(written.body) == same_request(exchange.request)
    assert written.notices == ()


@each(CARRIED)
def test_a_written_request_validates_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.request is not None
    written = DIALECT.write_request(DIALECT.read_request(exchange.request), target_for(exchange.request))
    told = json.loads(written.body)
    for item in told["input"] if isinstance(told["input"], list) else ():
        if item.get("type") == "reasoning":
            # The API takes reasoning without an id, whatever the SDK's type says; one of ours would not fit its proof.
            item.setdefault("id", "rs_none")
    try:
        PARAMS.validate_python(told)
        holds, why = True, ""
    except ValueError as error:
        holds, why = False, str(error)[:1500]
    LISTED.hold("a_written_request_validates_with_the_sdk", exchange, holds, why)


@each([exchange for exchange in REQUESTS if exchange.kept_elsewhere])
def test_a_request_for_what_one_account_keeps_is_refused(exchange: Exchange) -> None:
    assert exchange.request is not None
    with pytest.raises(UnsupportedFeature):
        DIALECT.read_request(exchange.request)


@each(CARRIED)
def test_peek_sees_what_the_whole_reading_sees(exchange: Exchange) -> None:
    assert exchange.request is not None
    request, seen = DIALECT.read_request(exchange.request), DIALECT.peek(exchange.request)
    assert (seen.model, seen.stream, seen.candidates) == (request.model, request.stream, 1)
    assert seen.max_output_tokens == request.max_output_tokens
    assert seen.stream_usage
    assert (seen.end_user, seen.prompt_cache_key) == (request.user_id, request.prompt_cache_key)


@each(CARRIED)
def test_a_request_passes_with_only_the_model_changed(exchange: Exchange) -> None:
    assert exchange.request is not None
    seen = DIALECT.peek(exchange.request)
    assert DIALECT.patch_request(exchange.request, seen, Target(model=seen.model)) is exchange.request
    other = DIALECT.patch_request(exchange.request, seen, Target(model='other "one"'))
    assert json.loads(other) == json.loads(exchange.request) | {"model": 'other "one"'}
    back = DIALECT.patch_request(other, DIALECT.peek(other), Target(model=seen.model))
    assert back == exchange.request


# --- whole answers ---------------------------------------------------------------------------------------------


def figures(response: dict[str, Any]) -> Usage:
    """The provider's figures, taken from its own members one by one."""
    usage = response["usage"]
    read = usage["input_tokens_details"]["cached_tokens"]
    written = usage["input_tokens_details"].get("cache_write_tokens") or 0
    told = ((response.get("tool_usage") or {}).get("web_search") or {}).get("num_requests")
    if told is None:
        told = sum(
            item["type"] == "web_search_call"
            and item["status"] != "failed"
            and (item.get("action") or {"type": "search"})["type"] == "search"
            for item in response["output"]
        )
    return Usage(
        input=usage["input_tokens"] - read - written,
        cache_read=read,
        cache_write_5m=written,
        output=usage["output_tokens"],
        reasoning=usage["output_tokens_details"]["reasoning_tokens"],
        web_searches=told,
    )


@each(ANSWERS)
def test_an_answer_written_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    written = DIALECT.write_response(response, REPLY)
    assert same_response(DIALECT.read_response(written.body)) == same_response(response)
    assert written.notices == ()


@each(ANSWERS)
def test_the_usage_of_an_answer_is_the_providers(exchange: Exchange) -> None:
    assert exchange.answer is not None
    told = json.loads(exchange.answer)
    usage = DIALECT.read_response(exchange.answer).usage
    LISTED.hold(
        "the_usage_of_an_answer_is_the_providers", exchange, same_usage(usage) == figures(told), usage
    )
    assert DIALECT.patch_response(exchange.answer, "another")[1] == usage


def same_usage(usage: Usage) -> Usage:
    return Usage(
        usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output, usage.reasoning,
        usage.web_searches,
    )  # fmt: skip


@each(ANSWERS)
def test_a_written_answer_validates_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.answer is not None
    body = DIALECT.write_response(DIALECT.read_response(exchange.answer), REPLY).body
    told = json.loads(body)
    try:
        TypeAdapter(Response).validate_python(told)
        holds, why = True, ""
    except ValueError as error:
        holds, why = False, str(error)[:1500]
    LISTED.hold("a_written_answer_validates_with_the_sdk", exchange, holds, why)
    assert told["model"] == REPLY.model
    assert told["usage"]["reasoning_tokens"] == told["usage"]["output_tokens_details"]["reasoning_tokens"]


@each(ANSWERS)
def test_an_answer_streamed_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    stream = written_stream(list(unfold(response)))
    validate_stream(stream, native_ids=True)
    assert same_response(fold(read_stream(stream))) == same_response(response)
    if response.candidates[0].logprobs is None:
        assert whole_of(stream) == json.loads(DIALECT.write_response(response, REPLY).body)


@each(ANSWERS)
def test_an_answer_passes_with_only_the_model_changed(exchange: Exchange) -> None:
    assert exchange.answer is not None
    name = json.loads(exchange.answer)["model"]
    assert DIALECT.patch_response(exchange.answer, name)[0] is exchange.answer
    other, _ = DIALECT.patch_response(exchange.answer, "another")
    assert json.loads(other) == json.loads(exchange.answer) | {"model": "another"}
    assert len(other) - len(exchange.answer) == len("another") - len(name)


# --- streams ---------------------------------------------------------------------------------------------------


@each(STREAMS)
def test_a_stream_is_complete(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    LISTED.hold("a_stream_is_complete", exchange, isinstance(events[-1], e.Done), events[-1])


WHOLE = [exchange for exchange in STREAMS if not LISTED.has("a_stream_is_complete", exchange)]


@each(WHOLE)
def test_a_stream_folds_into_what_its_last_event_says(exchange: Exchange) -> None:
    assert exchange.stream is not None
    last = data_of(frames(exchange.stream)[-1])["response"]
    told = DIALECT.read_response(json.dumps(last).encode())
    streamed = fold(read_stream(exchange.stream))
    same = comparable(streamed) == comparable(told)
    LISTED.hold("a_stream_folds_into_what_its_last_event_says", exchange, same, (streamed, told))


def comparable(response: ChatResponse) -> ChatResponse:
    """OpenAI encrypts a proof anew in each event, and the deltas' log probabilities are rounded differently."""
    (candidate,) = same_response(response).candidates
    parts = tuple(
        structs.replace(part, proof=structs.replace(part.proof, data=""))
        if isinstance(part, c.ReasoningPart) and part.proof
        else part
        for part in candidate.parts
    )
    candidate = structs.replace(candidate, parts=parts, logprobs=None)
    return structs.replace(same_response(response), candidates=(candidate,))


@each(STREAMS)
def test_a_stream_reads_alike_however_it_is_cut(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = read_stream(exchange.stream)
    assert read_stream(exchange.stream, 1) == whole
    assert read_stream(exchange.stream, 7) == whole
    assert read_stream(exchange.stream.replace(b"\n", b"\r\n"), 11) == whole
    assert read_stream(exchange.stream + b": trailing\n\nevent: x\ndata: {") == whole
    assert read_stream(exchange.stream + b"data: [DONE]\n\n") == whole


@each(WHOLE)
def test_a_stream_that_is_cut_short_fails_at_every_event(exchange: Exchange) -> None:
    assert exchange.stream is not None
    reader, seen = DIALECT.stream_reader(), []
    whole = read_stream(exchange.stream)
    folded = Fold()
    for frame in frames(exchange.stream):
        (failed,) = copy.deepcopy(reader).end()
        assert isinstance(failed, e.Failed)
        assert failed.code == "upstream_error"
        (failed,) = copy.deepcopy(reader).feed(b"data: {]\n\n")
        assert isinstance(failed, e.Failed)
        found = reader.feed(frame)
        for event in found:
            folded.add(event)
        seen += found
        assert seen == whole[: len(seen)]
        if folded.done:
            break
    assert folded.done


@each(WHOLE)
def test_a_stream_written_is_a_strict_stream_and_reads_the_same(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    written = written_stream(events)
    validate_stream(written, native_ids=True)
    assert written == DIALECT.stream_writer(REPLY).write(events)
    assert same_response(fold(read_stream(written))) == same_response(fold(events))
    # The last event says what the whole answer would.
    assert whole_of(written) == json.loads(DIALECT.write_response(fold(events), REPLY).body)


@each(WHOLE)
def test_written_events_validate_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.stream is not None
    problems: list[str] = []
    for frame in frames(written_stream(read_stream(exchange.stream))):
        try:
            EVENT.validate_python(data_of(frame))
        except ValueError as error:
            problems.append(str(error)[:300])
    LISTED.hold("written_events_validate_with_the_sdk", exchange, not problems, problems[:3])


@each(WHOLE)
def test_the_sdks_stream_helper_merges_written_events(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for frame in frames(written_stream(events)):
        for event in state.handle_event(
            construct_type_unchecked(value=data_of(frame), type_=ResponseStreamEvent)
        ):
            last = event
    whole = json.loads(DIALECT.write_response(fold(events), REPLY).body)
    assert last.type == f"response.{whole['status']}"
    got = last.response.to_dict()
    assert [item["id"] for item in got["output"]] == [item["id"] for item in whole["output"]]
    texts = [
        part.get("text", "")
        for item in whole["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
    assert last.response.output_text == "".join(texts)


@each(WHOLE)
def test_the_usage_of_a_stream_is_the_providers(exchange: Exchange) -> None:
    assert exchange.stream is not None
    last = data_of(frames(exchange.stream)[-1])["response"]
    usage = fold(read_stream(exchange.stream)).usage
    assert same_usage(usage) == figures(last)


def tapped(stream: bytes, model: str, step: int) -> tuple[bytes, Any]:
    tap = DIALECT.tap(Peek(model="x", stream=True), model)
    out = [tap.feed(stream[at : at + step]) for at in range(0, len(stream), step)]
    return b"".join([*out, tap.end()]), tap


@each(WHOLE)
def test_a_tapped_stream_keeps_every_byte_but_the_model(exchange: Exchange) -> None:
    assert exchange.stream is not None
    found = {data_of(frame).get("response", {}).get("model") for frame in frames(exchange.stream)} - {None}
    (model,) = found
    for stream in (exchange.stream, exchange.stream.replace(b"\n", b"\r\n")):
        for step in (1, 997, len(stream)):
            out, tap = tapped(stream, model, step)
            assert out == stream
            assert (tap.complete, tap.failure) == (True, None)
    out, _ = tapped(exchange.stream, "another", 1000)
    for before, after in zip(frames(exchange.stream), frames(out), strict=True):
        told = data_of(before)
        if "model" in told.get("response", {}):
            told["response"]["model"] = "another"
            assert len(after) - len(before) == len("another") - len(model)
        else:
            assert after == before
        assert data_of(after) == told


@each(WHOLE)
def test_a_tap_sees_what_the_reader_sees(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    _, tap = tapped(exchange.stream, "another", 100)
    assert tap.usage == fold(events).usage
    deltas = [data_of(frame).get("delta") for frame in frames(exchange.stream)]
    assert tap.produced_chars == sum(estimated_chars(delta) for delta in deltas if isinstance(delta, str))


@each(WHOLE)
def test_a_tap_fails_where_the_stream_is_cut_short(exchange: Exchange) -> None:
    assert exchange.stream is not None
    tap = DIALECT.tap(Peek(model="x", stream=True), "another")
    for frame in frames(exchange.stream):
        for cut in (b"", frame[:9], frame[:-9]):
            left = copy.deepcopy(tap)
            assert left.feed(cut) + left.end() == b""
            assert not left.complete
            assert left.failure is not None
        tap.feed(frame)
        if tap.complete:
            break
    assert tap.complete


@each(WHOLE)
def test_a_keeper_keeps_the_last_response_however_the_stream_is_cut(exchange: Exchange) -> None:
    assert exchange.stream is not None
    last = data_of(frames(exchange.stream)[-1])["response"]
    for stream in (exchange.stream, exchange.stream.replace(b"\n", b"\r\n")):
        for step in (1, 900, len(stream)):
            keeper = Keeper()
            for at in range(0, len(stream), step):
                keeper.feed(stream[at : at + step])
            keeper.end()
            assert keeper.response == last


# --- errors ----------------------------------------------------------------------------------------------------


@each(ERRORS)
def test_a_recorded_error_is_about_the_request_or_the_channel(exchange: Exchange) -> None:
    body = exchange.answer or exchange.stream or b""
    failure = DIALECT.read_error(exchange.status, {}, body)
    told = json.loads(body.removeprefix(b"data: ")) if body.lstrip().startswith(b"{") else {}
    message = (
        told.get("error") if isinstance(told.get("error"), str) else told.get("error", {}).get("message", "")
    )
    about_key = "API key" in message or "quota" in message or "model_not_found" in json.dumps(told)
    assert failure.about == ("channel" if about_key else "request"), told
    if failure.about == "request":
        assert failure.error.message == message
    else:
        assert "API key" not in failure.error.message


def test_the_sdk_knows_every_member_of_a_plain_answer() -> None:
    body = DIALECT.write_response(DIALECT.read_response(ANSWERS[0].answer or b""), REPLY).body
    # One of ours; and what OpenAI answers though the SDK's type lacks it.
    also = frozenset(
        {"reasoning_tokens", "store", "billing", "frequency_penalty", "presence_penalty", "content_filters"}
    )
    exactly(Response, json.loads(body), also)
