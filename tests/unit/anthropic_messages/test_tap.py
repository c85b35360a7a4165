"""The tap on a same-dialect stream: what it lets through, what it changes, what it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from bytespike.core.dialect import Peek
from bytespike.core.usage import Usage
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.tap import Tap
from bytespike.wire.limits import EVENT_BYTES_MAX
from tests.support.anthropic_events import (
    END,
    PING,
    TEXT,
    THINKING,
    block,
    delta,
    ending,
    hello,
    sse,
    start,
    stop,
    tool,
)


def tap(model: str = "claude-x") -> Tap:
    return DIALECT.tap(Peek(model, True), model)


def test_every_byte_goes_through_and_is_counted() -> None:
    stream = sse(
        start(),
        PING,
        block(0, THINKING),
        delta(0, "thinking_delta", thinking="hmm"),
        delta(0, "signature_delta", signature="SIGNATURE"),
        stop(0),
        block(1, TEXT),
        delta(1, "text_delta", text="héllo"),
        stop(1),
        block(2, tool()),
        delta(2, "input_json_delta", partial_json='{"a":1}'),
        stop(2),
        {"type": "weather", "delta": [1]},
        ending("tool_use"),
        END,
    )
    watching = tap()
    assert watching.feed(stream) + watching.end() == stream
    assert (watching.complete, watching.ended, watching.failure) == (True, True, None)
    assert watching.usage == Usage(input=10, output=5)
    assert watching.produced_chars == len("hmm") + 6 + len('{"a":1}')


def test_only_the_model_of_the_message_is_renamed() -> None:
    stream = sse(start(usage={"output_tokens": 1, "iterations": [{"model": "claude-x"}]}), *hello()[1:])
    out = tap('my "model"').feed(stream)
    assert out == stream.replace(b'"model": "claude-x", "content"', b'"model": "my \\"model\\"", "content"')


def test_json_over_several_data_lines_is_renamed_too() -> None:
    stream = b'event: message_start\ndata: {"type":"message_start","message":\ndata: {"model":"claude-x",\ndata: "id":"m"}}\n\n'
    assert b'"model":"mine"' in tap("mine").feed(stream)
    watching = tap()
    assert watching.feed(stream) == stream


def test_bytes_are_held_back_only_until_their_event_is_whole() -> None:
    watching = tap()
    assert watching.feed(sse(start())[:-1]) == b""
    assert watching.feed(b"\n") == sse(start())
    assert watching.feed(sse(PING) + b"event: pi") == sse(PING)
    assert watching.feed(b"ng\n") == b""


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("step", [1, 2, 3, 50])
def test_lines_may_end_in_any_way_and_bytes_be_cut_anywhere(ends: bytes, step: int) -> None:
    stream = sse(*hello("ab")).replace(b"\n", ends) + (b"" if ends != b"\r" else b": \r\r")
    watching = tap()
    out = [watching.feed(stream[i : i + step]) for i in range(0, len(stream), step)]
    assert b"".join([*out, watching.end()]) == stream
    assert (watching.complete, watching.produced_chars) == (True, 2)


def test_trailing_data_goes_through_and_counts_for_nothing() -> None:
    stream = (
        sse(*hello(), start(usage={"input_tokens": 99, "output_tokens": 99}), *hello("more")[1:]) + b": x"
    )
    watching = tap()
    assert watching.feed(stream) + watching.end() == stream
    assert (watching.usage, watching.produced_chars) == (Usage(input=10, output=5), 5)
    assert watching.complete


def test_an_error_event_is_withheld_and_told() -> None:
    before = sse(start(), block(0, TEXT))
    error = sse({"type": "error", "error": {"type": "overloaded_error", "message": "host 7 is down"}})
    watching = tap()
    assert watching.feed(before + error + sse(*hello())) == before
    assert watching.failure is not None
    assert (watching.failure.code, watching.failure.about) == ("no_available_channel", "upstream")
    assert "7" not in watching.failure.message
    assert watching.feed(sse(*hello())) == b""
    assert watching.end() == b""


BROKEN: dict[str, bytes] = {
    "no JSON": b"event: content_block_delta\ndata: {]\n\n",
    "no JSON under a new name": b"event: weather\ndata: {]\n\n",
    "a delta of a wrong type": sse(delta(0, "text_delta", text=5)),
    "bad UTF-8": b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"\xff"}}\n\n',
    "a start without a message": b'event: message_start\ndata: {"type":"message_start"}\n\n',
    "a model that is none": b'event: message_start\ndata: {"type":"message_start","message":{"model":5}}\n\n',
    "figures that are none": sse(ending(usage=[1])),
    "figures that are no counts": sse(ending(usage={"output_tokens": -5})),
}


@pytest.mark.parametrize("bad", BROKEN.values(), ids=BROKEN)
def test_a_malformed_event_is_withheld(bad: bytes) -> None:
    watching = tap("mine")
    before = sse(start(model="mine"), block(0, TEXT))
    assert watching.feed(before + sse(PING) + bad + sse(END)) == before + sse(PING)
    assert watching.failure is not None
    assert watching.failure.code == "upstream_error"
    assert not watching.complete


@pytest.mark.parametrize("held", [b"", b"event: mess", b'event: message_stop\ndata: {"type"'])
def test_an_early_end_is_a_failure_and_half_an_event_stays_back(held: bytes) -> None:
    watching = tap()
    assert watching.feed(sse(*hello()[:-1]) + held) == sse(*hello()[:-1])
    assert watching.end() == b""
    assert watching.failure is not None
    assert watching.failure.code == "upstream_error"
    assert watching.usage == Usage(input=10, output=5)


def test_the_last_event_counts_without_its_empty_line() -> None:
    stream = sse(*hello()).rstrip(b"\n")
    watching = tap()
    assert watching.feed(stream) + watching.end() == stream
    assert (watching.complete, watching.failure) == (True, None)


def test_an_event_without_end_is_not_kept() -> None:
    watching = tap()
    for _ in range(3):
        watching.feed(b"data: " + b"x" * (EVENT_BYTES_MAX // 2))
    assert watching.failure is not None


def test_no_figures_are_no_usage() -> None:
    watching = tap()
    watching.feed(sse({"type": "message_start", "message": {"model": "claude-x"}}))
    assert watching.usage is None


def test_the_figures_of_a_cut_stream_are_the_latest_seen() -> None:
    watching = tap()
    watching.feed(sse(*hello()[:3]))
    assert watching.usage == Usage(input=10, output=1)
    assert watching.produced_chars == 5


def test_many_events_in_one_chunk_are_counted_like_many_chunks() -> None:
    events: list[dict[str, Any]] = [delta(0, "text_delta", text="ab")] * 100
    together, apart = tap(), tap()
    head = sse(start(), block(0, TEXT))
    together.feed(head + sse(*events))
    apart.feed(head)
    for event in events:
        apart.feed(sse(event))
    assert together.produced_chars == apart.produced_chars == 200
