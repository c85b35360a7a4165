"""The recorded traffic of the real provider, through every operation of the dialect."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bytespike.core import events as e
from bytespike.core.dialect import Target
from bytespike.core.fold import Fold, fold, unfold
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_sdk import valid_events, valid_message, valid_request
from tests.support.anthropic_targets import ALL, REPLY
from tests.support.anthropic_traffic import Exchange, plain_message, plain_request, recorded

pytestmark = pytest.mark.traffic

_LISTED = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())["exception"]


def _excepted(test: str, exchange: Exchange) -> bool:
    return any(x["test"] == test and x["exchange"] == exchange.name for x in _LISTED)


def _body(value: Any) -> bytes:
    return json.dumps(value).encode()


def _events_of(stream: bytes) -> list[bytes]:
    return [block + b"\n\n" for block in stream.replace(b"\r\n", b"\n").split(b"\n\n") if block.strip()]


def _read(stream: bytes, step: int | None = None) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    step = step or max(1, len(stream))
    events: list[e.Event] = []
    for start in range(0, len(stream), step):
        events += reader.feed(stream[start : start + step])
    return events + reader.end()


def _renamed(response: ChatResponse) -> ChatResponse:
    """Under the client's name for the model, with arguments as values: their spelling may differ."""
    candidates = [
        structs.replace(
            candidate,
            parts=tuple(
                structs.replace(part, arguments=json.dumps(json.loads(part.arguments), sort_keys=True))
                if hasattr(part, "arguments")
                else part
                for part in candidate.parts
            ),
        )
        for candidate in response.candidates
    ]
    return structs.replace(response, model=REPLY.model, candidates=tuple(candidates))


# --- requests ------------------------------------------------------------------------------------------------------


def _target_of(request: dict[str, Any]) -> Target:
    adaptive = request.get("thinking", {}).get("type") == "adaptive"
    quirks = ALL.quirks | ({"adaptive_thinking"} if adaptive else frozenset())
    return structs.replace(ALL, model=request["model"], quirks=quirks)


@recorded("request")
def test_a_request_is_written_as_it_was_read(exchange: Exchange) -> None:
    assert exchange.request is not None
    hub = DIALECT.read_request(_body(exchange.request))
    result = DIALECT.write_request(hub, _target_of(exchange.request))
    assert plain_request(json.loads(result.body)) == plain_request(exchange.request)
    assert result.notices == ()


@recorded("request")
def test_a_written_request_is_one_that_the_sdk_could_send(exchange: Exchange) -> None:
    assert exchange.request is not None
    hub = DIALECT.read_request(_body(exchange.request))
    valid_request(DIALECT.write_request(hub, _target_of(exchange.request)).body)


@recorded("request")
def test_a_passed_request_keeps_every_byte_but_the_model(exchange: Exchange) -> None:
    assert exchange.request is not None
    body = _body(exchange.request)
    seen = DIALECT.peek(body)
    hub = DIALECT.read_request(body)
    assert (seen.model, seen.stream, seen.max_output_tokens) == (hub.model, hub.stream, hub.max_output_tokens)
    assert DIALECT.patch_request(body, seen, Target(seen.model)) is body
    patched = DIALECT.patch_request(body, seen, Target("another"))
    assert json.loads(patched) == exchange.request | {"model": "another"}
    name = json.dumps(seen.model).encode()
    assert body in {
        patched[:at] + name + patched[at + len(b'"another"') :]
        for at in range(len(patched))
        if patched.startswith(b'"another"', at)
    }


# --- whole answers -------------------------------------------------------------------------------------------------


def _figures(usage: dict[str, Any]) -> Usage:
    """The provider's figures, taken from its own members one by one."""
    longer = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    return Usage(
        input=usage.get("input_tokens") or 0,
        cache_read=usage.get("cache_read_input_tokens") or 0,
        cache_write_5m=(usage.get("cache_creation_input_tokens") or 0) - longer,
        cache_write_1h=longer,
        output=usage["output_tokens"],
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
        web_searches=(usage.get("server_tool_use") or {}).get("web_search_requests", 0),
    )


@recorded("response")
def test_an_answer_is_written_as_it_was_read(exchange: Exchange) -> None:
    assert exchange.response is not None
    hub = DIALECT.read_response(_body(exchange.response))
    result = DIALECT.write_response(hub, REPLY)
    expected = plain_message(exchange.response) | {"model": REPLY.model}
    assert plain_message(json.loads(result.body)) == expected
    assert result.notices == ()


@recorded("response")
def test_an_answer_streams_as_what_it_is(exchange: Exchange) -> None:
    assert exchange.response is not None
    hub = DIALECT.read_response(_body(exchange.response))
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.write(list(unfold(hub)))
    validate_stream(stream)
    assert _renamed(fold(_read(stream))) == _renamed(hub)
    assert writer.notices == ()


@recorded("response")
def test_a_written_answer_is_one_that_the_sdk_knows(exchange: Exchange) -> None:
    assert exchange.response is not None
    if _excepted("sdk_types", exchange):
        return
    valid_message(DIALECT.write_response(DIALECT.read_response(_body(exchange.response)), REPLY).body)


@recorded("response")
def test_the_usage_of_an_answer_is_the_providers(exchange: Exchange) -> None:
    assert exchange.response is not None
    expected = _figures(exchange.response["usage"])
    hub = DIALECT.read_response(_body(exchange.response))
    assert structs.replace(hub.usage, extras={}) == expected
    _, usage = DIALECT.patch_response(_body(exchange.response), "another")
    # What only a writer wants of the figures is not kept where the bytes pass.
    assert usage is not None
    assert structs.replace(usage, extras={}) == expected


@recorded("response")
def test_a_passed_answer_keeps_every_byte_but_the_model(exchange: Exchange) -> None:
    assert exchange.response is not None
    body = _body(exchange.response)
    assert DIALECT.patch_response(body, exchange.response["model"])[0] is body
    patched, _ = DIALECT.patch_response(body, "another")
    assert json.loads(patched) == exchange.response | {"model": "another"}
    assert len(patched) - len(body) == len("another") - len(exchange.response["model"])


# --- streams -------------------------------------------------------------------------------------------------------


@recorded("stream")
def test_a_stream_reads_alike_however_it_is_cut(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = _read(exchange.stream)
    assert isinstance(whole[-1], e.Done)
    assert _read(exchange.stream, 1) == whole
    assert _read(exchange.stream, 7) == whole
    assert _read(exchange.stream.replace(b"\n", b"\r\n"), 11) == whole
    assert _read(exchange.stream + b": trailing\n\nevent: x\ndata: {") == whole


@recorded("stream")
def test_a_stream_that_is_cut_short_fails_at_every_event(exchange: Exchange) -> None:
    assert exchange.stream is not None
    reader, seen, folded = DIALECT.stream_reader(), [], Fold()
    whole = _read(exchange.stream)
    for block in _events_of(exchange.stream):
        (failed,) = copy.deepcopy(reader).end()
        assert isinstance(failed, e.Failed)
        assert failed.code == "upstream_error"
        (failed,) = copy.deepcopy(reader).feed(b"data: {]\n\n")
        assert isinstance(failed, e.Failed)
        seen += reader.feed(block)
        assert seen == whole[: len(seen)]
        if b'"message_stop"' in block:
            break
    for event in seen:
        folded.add(event)
    assert folded.done


@recorded("stream")
def test_a_stream_is_written_as_one_that_reads_the_same(exchange: Exchange) -> None:
    assert exchange.stream is not None
    whole = _read(exchange.stream)
    writer = DIALECT.stream_writer(REPLY)
    stream = b"".join([writer.write([event]) for event in whole])
    validate_stream(stream)
    assert _renamed(fold(_read(stream))) == _renamed(fold(whole))
    if not _excepted("sdk_types", exchange):
        valid_events(stream)
    assert writer.notices == ()


@recorded("stream")
def test_a_streamed_answer_folds_into_a_whole_one(exchange: Exchange) -> None:
    assert exchange.stream is not None
    hub = fold(_read(exchange.stream))
    body = DIALECT.write_response(hub, REPLY).body
    assert _renamed(DIALECT.read_response(body)) == _renamed(hub)


@recorded("stream")
def test_the_usage_of_a_stream_is_the_providers(exchange: Exchange) -> None:
    assert exchange.stream is not None
    figures: dict[str, Any] = {}
    for block in _events_of(exchange.stream):
        event = json.loads(block.partition(b"data:")[2])
        usage = event.get("message", {}).get("usage") or event.get("usage") or {}
        figures |= {key: value for key, value in usage.items() if value is not None}
        if event["type"] == "message_stop":
            break
    hub = fold(_read(exchange.stream))
    assert structs.replace(hub.usage, extras={}) == _figures(figures)


def _tapped(stream: bytes, model: str, step: int) -> tuple[bytes, Any]:
    tap = DIALECT.tap(DIALECT.peek(b'{"model":"m"}'), model)
    out = [tap.feed(stream[start : start + step]) for start in range(0, len(stream), step)]
    return b"".join([*out, tap.end()]), tap


@recorded("stream")
def test_a_tapped_stream_keeps_every_byte_but_the_model(exchange: Exchange) -> None:
    assert exchange.stream is not None
    models = {
        json.loads(block.partition(b"data:")[2])["message"]["model"]
        for block in _events_of(exchange.stream)
        if b"event: message_start" in block
    }
    (model,) = models
    for stream in (exchange.stream, exchange.stream.replace(b"\n", b"\r\n")):
        for step in (1, 5, len(stream)):
            out, tap = _tapped(stream, model, step)
            assert out == stream
            assert (tap.complete, tap.failure) == (True, None)
        out, tap = _tapped(stream, "another", 64)
        assert out.replace(b'"model":"another"', b'"model":"%b"' % model.encode()) == stream.replace(
            b'"model": "', b'"model":"'
        )


@recorded("stream")
def test_a_tap_sees_what_the_reader_sees(exchange: Exchange) -> None:
    assert exchange.stream is not None
    events = _read(exchange.stream)
    _, tap = _tapped(exchange.stream, "another", 100)
    assert tap.usage == fold(events).usage
    written = sum(
        len(event.text) if isinstance(event, e.TextDelta) else len(event.json)
        for event in events
        if isinstance(event, (e.TextDelta, e.InputDelta))
    )
    # Inputs that came whole with their block, and unknown blocks, are not counted by one of the two.
    assert abs(tap.produced_chars - written) <= 0.2 * written + 400


@recorded("stream")
def test_a_tap_fails_where_the_stream_is_cut_short(exchange: Exchange) -> None:
    assert exchange.stream is not None
    tap = DIALECT.tap(DIALECT.peek(b'{"model":"m"}'), "another")
    for block in _events_of(exchange.stream):
        for cut in (b"", block[:9], block[:-9]):
            left = copy.deepcopy(tap)
            assert left.feed(cut) + left.end() == b""
            assert not left.complete
            assert left.failure is not None
        tap.feed(block)
        if b'"message_stop"' in block:
            break
    assert tap.complete
    assert tap.failure is None


@recorded("error")
def test_a_recorded_error_is_about_the_request_or_the_channel(exchange: Exchange) -> None:
    assert exchange.response is not None
    failure = DIALECT.read_error(exchange.status, {}, _body(exchange.response))
    # A model that the upstream does not know is the channel's name for it.
    about_the_channel = exchange.status == 401 or exchange.response["error"]["type"] == "not_found_error"
    assert failure.about == ("channel" if about_the_channel else "request")
    if failure.about == "request":
        assert failure.error.message == exchange.response["error"]["message"]
