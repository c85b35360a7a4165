"""A stream may be ended behind any of its events: what its client then has is a whole stream of its dialect."""

from __future__ import annotations

import json

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Dialect, Peek, Reply
from bytespike.core.finish import Finish
from bytespike.core.usage import Usage
from bytespike.pipeline.translation import Translation
from bytespike.protocols.registry import DIALECTS
from bytespike.testing import anthropic_stream, chat_stream, gemini_stream, responses_stream

USAGE = Usage(input=50, cache_read=7, output=23, exact=False)
REPLY = Reply(model="asked-for", response_id="r1", created=5)
ARGUMENTS = '{"city":"Paris"}'
REASONING = e.PartStart(0, c.ReasoningPart(summary=True))
STREAM: tuple[e.Event, ...] = (
    e.Started("up_1", "upstream-name", 5),
    REASONING,
    e.TextDelta(0, "I think, "),
    e.TextDelta(0, "so."),
    e.PartEnd(0),
    e.PartStart(1, c.TextPart("")),
    e.TextDelta(1, "Good "),
    e.TextDelta(1, "day."),
    e.PartEnd(1),
    e.PartStart(2, c.ToolCallPart("call_1", "weather", "")),
    e.InputDelta(2, ARGUMENTS[:5]),
    e.InputDelta(2, ARGUMENTS[5:]),
    e.PartEnd(2),
    e.PartStart(3, c.ToolCallPart("call_2", "time", "")),
    e.InputDelta(3, "{}"),
    e.PartEnd(3),
    e.Finished(Finish("tool_calls")),
    e.Done(Usage(input=50, output=20)),
)
#: Behind these a call's arguments are incomplete, and the strict readers know only whole ones.
INSIDE_ARGUMENTS = frozenset({10, 11})
#: Behind these there is nothing left that could be cut.
LAST = len(STREAM) - 2


def validate(name: str, data: bytes) -> None:
    match name:
        case "anthropic_messages":
            anthropic_stream.validate_stream(data)
        case "openai_chat":
            chat_stream.validate_stream(data)
        case "openai_responses":
            responses_stream.validate_stream(data)
        case _:
            gemini_stream.validate_stream(data)


def ends_at_a_limit(name: str, data: bytes) -> bool:
    word = {
        "anthropic_messages": b'"stop_reason":"max_tokens"',
        "openai_chat": b'"finish_reason":"length"',
        "openai_responses": b'"incomplete_details":{"reason":"max_output_tokens"}',
        "gemini": b'"finishReason":"MAX_TOKENS"',
    }
    return word[name] in data


def frames(dialect: Dialect) -> list[bytes]:
    """What each event of the stream is in a dialect."""
    writer = dialect.stream_writer(REPLY)
    return [writer.write([event]) for event in STREAM]


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_stream_that_passes_through_ends_behind_any_event(name: str) -> None:
    dialect = DIALECTS[name]
    told = frames(dialect)
    for number in range(1, LAST):
        tap = dialect.tap(Peek(model="asked-for", stream=True), "asked-for")
        out = b"".join(tap.feed(frame) for frame in told[:number])
        if not out or tap.complete:
            continue
        ended = out + tap.cut(USAGE)
        assert ends_at_a_limit(name, ended), number
        if number not in INSIDE_ARGUMENTS or name != "anthropic_messages":
            validate(name, ended)


@pytest.mark.parametrize("client", sorted(DIALECTS))
@pytest.mark.parametrize("upstream", sorted(DIALECTS))
def test_a_translated_stream_ends_behind_any_event(upstream: str, client: str) -> None:
    told = frames(DIALECTS[upstream])
    for number in range(1, LAST):
        relay = Translation(DIALECTS[upstream].stream_reader(), DIALECTS[client].stream_writer(REPLY))
        out = b"".join(relay.feed(frame) for frame in told[:number])
        if relay.complete:
            continue
        ended = out + relay.cut(USAGE)
        assert ends_at_a_limit(client, ended), number
        if number not in INSIDE_ARGUMENTS or client != "anthropic_messages":
            validate(client, ended)


def test_incomplete_arguments_stay_incomplete() -> None:
    """Nobody must run a tool with half of its arguments."""
    dialect = DIALECTS["anthropic_messages"]
    tap = dialect.tap(Peek(model="asked-for", stream=True), "asked-for")
    out = b"".join(tap.feed(frame) for frame in frames(dialect)[:11]) + tap.cut(USAGE)
    events = [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: ")]
    said = "".join(
        event["delta"].get("partial_json", "") for event in events if "index" in event and "delta" in event
    )
    assert said == ARGUMENTS[:5]
    assert [event["type"] for event in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]


def test_events_of_one_read_and_pieces_of_events_make_no_difference() -> None:
    dialect = DIALECTS["openai_responses"]
    whole = b"".join(frames(dialect)[:8])
    ends = set()
    for size in (1, 7, len(whole)):
        tap = dialect.tap(Peek(model="asked-for", stream=True), "asked-for")
        out = b"".join(tap.feed(whole[at : at + size]) for at in range(0, len(whole), size))
        assert out == whole
        ends.add(tap.cut(USAGE))
    assert len(ends) == 1


def test_a_text_of_many_pieces_is_told_whole_at_the_end() -> None:
    dialect = DIALECTS["openai_responses"]
    writer = dialect.stream_writer(REPLY)
    tap = dialect.tap(Peek(model="asked-for", stream=True), "asked-for")
    out = tap.feed(writer.write([e.Started("", ""), e.PartStart(0, c.TextPart(""))]))
    for number in range(2000):
        out += tap.feed(writer.write([e.TextDelta(0, f"{number} ")]))
    validate("openai_responses", out + tap.cut(USAGE))
