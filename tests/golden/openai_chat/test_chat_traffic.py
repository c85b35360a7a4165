"""Every recorded chat exchange, through every operation of the dialect.

What does not hold stands in exceptions.toml with its reason; an exception that is no longer needed fails.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from bytespike.core import events as e
from bytespike.core.dialect import Peek, Target
from bytespike.core.fold import Fold, fold, unfold
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat import DIALECT
from bytespike.testing.chat_stream import validate_stream
from bytespike.wire.sse import SSEParser
from tests.support import hub_streams
from tests.support.chat_traffic import (
    REPLY,
    Exchange,
    exchanges,
    same_request,
    same_response,
    target_for,
)
from tests.support.listed_exceptions import Exceptions, each
from tests.support.recordings import frames, present

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

PARAMS = TypeAdapter(CompletionCreateParams)
COMPLETION = TypeAdapter(ChatCompletion)
CHUNK = TypeAdapter(ChatCompletionChunk)


read_stream = partial(hub_streams.read_stream, DIALECT)
written_stream = partial(hub_streams.written_stream, DIALECT, REPLY)


def peek_of(exchange: Exchange) -> Peek:
    if exchange.request is not None:
        return DIALECT.peek(exchange.request)
    return Peek(model=REPLY.model, stream=True, stream_usage=True)


def test_there_is_traffic_of_every_vendor() -> None:
    vendors = {exchange.vendor for exchange in GOOD}
    assert vendors >= {
        "openai", "deepseek", "zhipu", "groq", "mistral", "openrouter", "gemini", "xai", "alibaba", "moonshotai",
    }  # fmt: skip
    assert len(REQUESTS) > 250
    assert len(STREAMS) > 120
    assert len(ANSWERS) > 250
    assert len(ERRORS) > 20


def test_every_exception_names_a_rule_and_an_exchange() -> None:
    LISTED.check(globals(), ALL)


# --- requests --------------------------------------------------------------------------------------------------


@each(REQUESTS)
def test_a_request_read_and_written_means_the_same(exchange: Exchange) -> None:
    assert exchange.request is not None
    request = DIALECT.read_request(exchange.request)
    written = DIALECT.write_request(request, target_for(exchange.request))
    same = same_request(written.body) == same_request(exchange.request)
    LISTED.hold("a_request_read_and_written_means_the_same", exchange, same, written.body)


@each(REQUESTS)
def test_a_written_request_validates_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.request is not None
    written = DIALECT.write_request(DIALECT.read_request(exchange.request), target_for(exchange.request))
    rule = "a_written_request_validates_with_the_sdk"
    LISTED.hold(rule, exchange, _validates(PARAMS, json.loads(written.body)), written.body)


@each(REQUESTS)
def test_peek_sees_what_the_whole_reading_sees(exchange: Exchange) -> None:
    assert exchange.request is not None
    request, seen = DIALECT.read_request(exchange.request), DIALECT.peek(exchange.request)
    assert (seen.model, seen.stream, seen.candidates) == (request.model, request.stream, request.candidates)
    assert seen.max_output_tokens == request.max_output_tokens
    assert seen.stream_usage == request.stream_usage
    assert (seen.end_user, seen.prompt_cache_key) == (request.user_id, request.prompt_cache_key)


@each(REQUESTS)
def test_a_request_passes_with_only_the_model_changed(exchange: Exchange) -> None:
    assert exchange.request is not None
    seen = DIALECT.peek(exchange.request)
    plain = Target(model=seen.model, quirks=frozenset({"no_stream_options"}))
    assert DIALECT.patch_request(exchange.request, seen, plain) is exchange.request

    other = DIALECT.patch_request(exchange.request, seen, Target(model='other "one"', quirks=plain.quirks))
    assert json.loads(other) == json.loads(exchange.request) | {"model": 'other "one"'}
    back = DIALECT.patch_request(other, DIALECT.peek(other), plain)
    assert back == exchange.request

    asked = DIALECT.patch_request(exchange.request, seen, Target(model=seen.model))
    told = json.loads(asked)
    if not seen.stream or seen.stream_usage:
        assert asked is exchange.request
    else:
        assert told["stream_options"]["include_usage"] is True
        assert told | {"stream_options": None} == json.loads(exchange.request) | {"stream_options": None}


# --- whole answers ---------------------------------------------------------------------------------------------


@each(ANSWERS)
def test_an_answer_written_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    again = DIALECT.read_response(DIALECT.write_response(response, REPLY).body)
    assert same_response(again) == same_response(response)


@each(ANSWERS)
def test_a_written_answer_validates_with_the_sdk(exchange: Exchange) -> None:
    assert exchange.answer is not None
    body = DIALECT.write_response(DIALECT.read_response(exchange.answer), REPLY).body
    rule = "a_written_answer_validates_with_the_sdk"
    LISTED.hold(rule, exchange, _validates(COMPLETION, json.loads(body)), body)
    assert json.loads(body)["model"] == REPLY.model


def _validates(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValueError:
        return False
    return True


@each(ANSWERS)
def test_an_answer_streamed_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.answer is not None
    response = DIALECT.read_response(exchange.answer)
    stream = written_stream(list(unfold(response)))
    validate_stream(stream)
    assert same_response(fold(read_stream(stream))) == same_response(response)


@each(ANSWERS)
def test_an_answer_passes_with_only_the_model_changed(exchange: Exchange) -> None:
    assert exchange.answer is not None
    name = json.loads(exchange.answer)["model"]
    same, usage = DIALECT.patch_response(exchange.answer, name)
    assert same is exchange.answer
    other, again = DIALECT.patch_response(exchange.answer, "the-clients-name")
    assert json.loads(other) == json.loads(exchange.answer) | {"model": "the-clients-name"}
    # The figures are the reader's; what only a writer wants of them is not kept.
    assert usage == again
    assert usage == structs.replace(DIALECT.read_response(exchange.answer).usage, extras={})


# --- streams ---------------------------------------------------------------------------------------------------


@each(STREAMS)
def test_a_stream_is_complete(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    LISTED.hold("a_stream_is_complete", exchange, isinstance(events[-1], e.Done), events[-1])


@each(STREAMS)
def test_a_stream_reads_the_same_however_it_is_cut(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = read_stream(exchange.stream)
    reader = DIALECT.stream_reader()
    stream = exchange.stream
    by_byte: list[e.Event] = []
    for at in range(len(stream)):
        by_byte += reader.feed(stream[at : at + 1])
    by_byte += reader.end()
    assert by_byte == whole
    assert read_stream(stream.replace(b"\n", b"\r\n")) == whole
    trailing = DIALECT.stream_reader()
    got = [*trailing.feed(stream + b'data: {"choices":[]}\n\ndata: junk\n\n'), *trailing.end()]
    if b"[DONE]" in stream:
        assert got == whole


@each(STREAMS)
def test_a_truncated_stream_fails_unless_it_was_complete(exchange: Exchange) -> None:
    assert exchange.stream is not None
    reader = DIALECT.stream_reader()
    folded = Fold()
    finished: set[int] = set()
    seen: set[int] = set()
    for frame in frames(exchange.stream):
        for event in reader.feed(frame):
            folded.add(event)
        if folded.done or folded.failed:
            break
        payload = frame.removeprefix(b"data: ").strip()
        for choice in (json.loads(payload).get("choices") or []) if payload.startswith(b"{") else []:
            seen.add(choice["index"])
            if choice.get("finish_reason"):
                finished.add(choice["index"])
        ended = read_stream(exchange.stream[: exchange.stream.index(frame) + len(frame)])[-1]
        complete = bool(seen) and seen == finished
        assert isinstance(ended, e.Done if complete else e.Failed), ended


@each(STREAMS)
def test_a_stream_written_is_a_strict_stream_of_the_wire(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    written = written_stream(events)
    validate_stream(written)
    assert written == DIALECT.stream_writer(REPLY).write(events)


@each(STREAMS)
def test_a_stream_written_and_read_again_is_equal_in_the_hub(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    if isinstance(events[-1], e.Failed):
        again = read_stream(written_stream(events))[-1]
        assert isinstance(again, e.Failed)
        return
    response = fold(events)
    assert same_response(fold(read_stream(written_stream(events)))) == same_response(response)
    unary = DIALECT.read_response(DIALECT.write_response(response, REPLY).body)
    assert same_response(unary) == same_response(response)


@each(STREAMS)
def test_written_chunks_validate_with_the_sdk_and_its_helper_merges_them(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = read_stream(exchange.stream)
    if isinstance(events[-1], e.Failed):
        return
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for event in SSEParser().feed(written_stream(events)):
        if event.data != b"[DONE]":
            state.handle_chunk(CHUNK.validate_json(event.data))
    merged = state.current_completion_snapshot
    expected = json.loads(DIALECT.write_response(fold(events), REPLY).body)["choices"]
    for choice, whole in zip(merged.choices, expected, strict=True):
        assert (choice.message.content or "") == (whole["message"]["content"] or "")
        assert choice.finish_reason == whole["finish_reason"]
        calls = [call.to_dict()["function"] for call in choice.message.tool_calls or []]
        for call in calls:
            call.pop("parsed_arguments", None)
        assert calls == [call["function"] for call in whole["message"].get("tool_calls", [])]
        echoed = choice.message.to_dict()
        for name in ("reasoning_details", "server_tool_calls", "annotations"):
            got = [{k: v for k, v in entry.items() if k != "index"} for entry in echoed.get(name) or []]
            want = [
                {k: v for k, v in entry.items() if k != "index"} for entry in whole["message"].get(name) or []
            ]
            assert got == want, name


@each(STREAMS)
def test_a_tap_forwards_every_byte(exchange: Exchange) -> None:
    assert exchange.stream is not None
    stream = exchange.stream
    seen = Peek(model="x", stream=True, stream_usage=True)
    name = next((model for frame in frames(stream) if (model := _model(frame))), "x")
    whole = DIALECT.tap(seen, name)
    out = whole.feed(stream) + whole.end()
    if whole.failure is not None:
        LISTED.hold("a_tap_forwards_every_byte", exchange, False)
        assert stream.startswith(out)
        return
    names = {model for frame in frames(stream) if (model := _model(frame)) is not None}
    if len(names) == 1:
        assert out == stream
    assert whole.complete
    bytewise = DIALECT.tap(seen, name)
    pieces = [bytewise.feed(stream[at : at + 1]) for at in range(len(stream))]
    assert b"".join([*pieces, bytewise.end()]) == out
    assert bytewise.usage == whole.usage
    assert bytewise.produced_chars == whole.produced_chars


def _model(frame: bytes) -> str | None:
    return json.loads(frame[6:]).get("model") if frame.startswith(b"data: {") else None


@each(STREAMS)
def test_a_tap_changes_only_the_models_name(exchange: Exchange) -> None:
    assert exchange.stream is not None
    tap = DIALECT.tap(Peek(model="x", stream=True, stream_usage=True), "the-clients-name")
    out = tap.feed(exchange.stream) + tap.end()
    if tap.failure is not None:
        return
    for before, after in zip(frames(exchange.stream), frames(out), strict=True):
        if (named := _model(before)) is None:
            assert after == before
        else:
            old, new = b'"model":"%b"' % named.encode(), b'"model":"the-clients-name"'
            assert after == before.replace(old, new, 1)


@each(STREAMS)
def test_a_tap_hides_what_the_client_had_not_asked_for(exchange: Exchange) -> None:
    assert exchange.stream is not None
    shown = DIALECT.tap(Peek(model="x", stream=True, stream_usage=True), "the-clients-name")
    hidden = DIALECT.tap(Peek(model="x", stream=True, stream_usage=False), "the-clients-name")
    every = shown.feed(exchange.stream) + shown.end()
    fewer = hidden.feed(exchange.stream) + hidden.end()
    assert (hidden.usage, hidden.complete, hidden.produced_chars) == (
        shown.usage,
        shown.complete,
        shown.produced_chars,
    )
    if shown.failure is not None:
        return
    kept = [frame for frame in frames(every) if not _only_usage(frame)]
    assert len(kept) == len(frames(fewer))
    for before, after in zip(kept, frames(fewer), strict=True):
        payload, edited = (frame.strip().removeprefix(b"data: ") for frame in (before, after))
        if payload.startswith(b"{"):
            told = json.loads(payload)
            if told.get("usage", 0) is None:
                del told["usage"]
            assert json.loads(edited) == told
        else:
            assert after == before


def _only_usage(frame: bytes) -> bool:
    payload = frame.strip().removeprefix(b"data: ")
    told = json.loads(payload) if payload.startswith(b"{") else {}
    return told.get("choices") == [] and bool(told.get("usage"))


@each(STREAMS)
def test_a_tap_and_the_reader_agree_on_usage_and_completeness(exchange: Exchange) -> None:
    assert exchange.stream is not None
    tap = DIALECT.tap(peek_of(exchange), REPLY.model)
    tap.feed(exchange.stream)
    tap.end()
    folded = Fold()
    for event in read_stream(exchange.stream):
        folded.add(event)
    assert tap.complete == folded.done or tap.failure is not None
    assert (tap.failure is None) == (folded.failed is None)
    if tap.usage is not None:
        assert tap.usage == folded.usage


# --- usage -----------------------------------------------------------------------------------------------------


def _figures(exchange: Exchange) -> dict[str, Any] | None:
    """The provider's last figures, found without the dialect's help."""
    if exchange.answer is not None:
        return json.loads(exchange.answer).get("usage")
    found = None
    for frame in frames(exchange.stream or b""):
        payload = frame.strip().removeprefix(b"data: ")
        if payload.startswith(b"{"):
            told = json.loads(payload)
            found = told.get("usage") or (told.get("x_groq") or {}).get("usage") or found
    return found


def _usage(exchange: Exchange) -> Usage:
    if exchange.answer is not None:
        return DIALECT.read_response(exchange.answer).usage
    folded = Fold()
    for event in read_stream(exchange.stream or b""):
        folded.add(event)
    return folded.usage


@each(GOOD)
def test_usage_equals_the_providers_figures(exchange: Exchange) -> None:
    figures = _figures(exchange)
    usage = _usage(exchange)
    if figures is None:
        assert not usage.exact or usage.prompt_total == 0
        return
    prompt_details = figures.get("prompt_tokens_details") or {}
    completion_details = figures.get("completion_tokens_details") or {}
    assert usage.prompt_total == figures["prompt_tokens"]
    assert usage.prompt_total + usage.output == figures["total_tokens"]
    assert usage.output >= figures["completion_tokens"]
    assert min(usage.input, usage.cache_read, usage.cache_write_5m, usage.output, usage.reasoning) >= 0
    cached = [
        prompt_details.get("cached_tokens"),
        *(figures.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")),
    ]
    assert usage.cache_read == next((count for count in cached if count is not None), 0)
    written = usage.cache_write_5m + usage.cache_write_1h == prompt_details.get("cache_write_tokens", 0)
    reasoned = usage.reasoning == completion_details.get("reasoning_tokens", usage.reasoning)
    LISTED.hold("usage_equals_the_providers_figures", exchange, written and reasoned, (usage, figures))


@each(GOOD)
def test_written_usage_adds_up(exchange: Exchange) -> None:
    response = (
        DIALECT.read_response(exchange.answer)
        if exchange.answer is not None
        else fold([*_until_done(read_stream(exchange.stream or b""))])
    )
    usage = json.loads(DIALECT.write_response(response, REPLY).body).get("usage")
    if usage is None:
        assert not response.usage.exact
        return
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] <= usage["completion_tokens"]


def _until_done(events: list[e.Event]) -> list[e.Event]:
    return [event for event in events if not isinstance(event, e.Failed)]


# --- errors ----------------------------------------------------------------------------------------------------


@each(ERRORS)
def test_an_error_is_about_the_request_the_channel_or_the_upstream(exchange: Exchange) -> None:
    failure = DIALECT.read_error(exchange.status, exchange.headers, exchange.answer or b"")
    expected = {401: "channel", 403: "channel", 429: "channel"}.get(exchange.status, "request")
    model_is_wrong = exchange.status == 404 and b"tools is not supported" not in (exchange.answer or b"")
    assert failure.about == ("channel" if model_is_wrong else expected)
    if failure.about == "request" and exchange.answer not in (None, b"null"):
        message = json.loads(exchange.answer)["error"]
        assert failure.error.message == (message["message"] if isinstance(message, dict) else message)
