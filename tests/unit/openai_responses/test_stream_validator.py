"""The strict validator finds what a strict client would stumble over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.fold import unfold
from bytespike.testing.responses_stream import StreamInvalid, validate_stream
from tests.support.responses_bodies import answer, streamed, told

GOOD = told(
    streamed(
        list(
            unfold(
                answer(
                    c.ReasoningPart("hm"),
                    c.TextPart("hi", (c.Citation("web", "u", "t"),)),
                    c.ToolCallPart("c", "f", '{"a":1}'),
                )
            )
        )
    )
)
NAMES = [event["type"] for event in GOOD]


def validate(events: list[dict[str, Any]]) -> None:
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    validate_stream(b"".join(_frame(event) for event in numbered))


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"


def test_a_good_stream_passes() -> None:
    validate(GOOD)


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_no_event_may_be_missing(number: int) -> None:
    with pytest.raises(StreamInvalid):
        validate(GOOD[:number] + GOOD[number + 1 :])


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_no_event_may_come_twice(number: int) -> None:
    with pytest.raises(StreamInvalid):
        validate([*GOOD[: number + 1], *GOOD[number:]])


#: An annotation may come before the text that it cites.
FREE = NAMES.index("response.output_text.annotation.added") - 1


@pytest.mark.parametrize("number", [number for number in range(len(GOOD) - 1) if number != FREE])
def test_no_event_may_change_places_with_the_next(number: int) -> None:
    swapped = [*GOOD]
    swapped[number], swapped[number + 1] = swapped[number + 1], swapped[number]
    with pytest.raises(StreamInvalid):
        validate(swapped)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("response.created", "response.id", "chatcmpl-1"),
        ("response.created", "response.tools", ...),
        ("response.in_progress", "response.model", "other"),
        ("response.output_item.added", "output_index", 1),
        ("response.output_item.added", "item.id", "x"),
        ("response.content_part.added", "content_index", 1),
        ("response.content_part.added", "item_id", "other"),
        ("response.output_text.delta", "delta", "else"),
        ("response.output_text.done", "text", "else"),
        ("response.content_part.done", "part.text", "else"),
        ("response.function_call_arguments.done", "arguments", "{}"),
        ("response.output_item.done", "item.status", "in_progress"),
        ("response.completed", "response.output", []),
        ("response.completed", "response.status", "incomplete"),
        ("response.completed", "response.usage.total_tokens", 1),
        ("response.completed", "response.usage.input_tokens_details.cached_tokens", 99),
    ],
)
def test_members_must_agree(kind: str, path: str, value: Any) -> None:
    events = json.loads(json.dumps(GOOD))
    event = next(event for event in events if event["type"] == kind)
    *steps, last = path.split(".")
    for step in steps:
        event = event[step]
    if value is ...:
        del event[last]
    else:
        event[last] = value
    with pytest.raises(StreamInvalid):
        validate(events)


def test_numbers_names_and_ends_must_be_right() -> None:
    stream = b"".join(_frame(event) for event in GOOD)
    validate_stream(stream)
    for wrong in (
        stream.replace(b'"sequence_number": 3', b'"sequence_number": 9'),
        stream.replace(b"event: response.created", b"event: response.queued"),
        stream[:-1],
        stream + b"data: [DONE]\n\n",
        b"",
    ):
        with pytest.raises(StreamInvalid):
            validate_stream(wrong)
