"""Server-sent events: framed as the standard says, whatever the cuts, and in time that grows with the bytes alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.wire import sse
from bytespike.wire.sse import EventBuffer, EventTooLarge, SSEParser, SSEvent, event_of, event_spans

STREAM = st.lists(
    st.sampled_from(
        [b"data: x", b"data:y", b"event: e", b": c", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"z"]
    ),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def pieces(data: bytes, steps: list[int]) -> list[bytes]:
    cut: list[bytes] = []
    at = 0
    while at < len(data):
        step = steps[len(cut) % len(steps)]
        cut.append(data[at : at + step])
        at += step
    return cut


@given(STREAM, CUTS)
def test_the_events_do_not_depend_on_the_cuts(data: bytes, steps: list[int]) -> None:
    whole, cut = SSEParser(), SSEParser()
    # What follows settles whether a CR at the end was half of a CR LF.
    end = b"x\n\n"
    expected = whole.feed(data) + whole.feed(end)
    found = [event for piece in pieces(data, steps) for event in cut.feed(piece)] + cut.feed(end)
    assert found == expected


@given(STREAM, CUTS)
def test_a_buffer_gives_every_byte_once_and_cuts_only_between_events(data: bytes, steps: list[int]) -> None:
    buffer = EventBuffer()
    given_out = [buffer.feed(piece) for piece in pieces(data, steps)]
    for whole in filter(None, given_out):
        assert whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").endswith(b"\n\n")
    size = buffer.size
    held = buffer.rest()
    assert b"".join(given_out) + held == data
    assert (size, buffer.size) == (len(held), 0)


@given(STREAM)
def test_spans_hold_the_events_that_a_parser_finds(data: bytes) -> None:
    events = [event_of(data[start:end]) for start, end, _ in event_spans(data + b"\n\n")]
    assert [event for event in events if event is not None] == SSEParser().feed(data + b"\n\nx")


def test_a_byte_order_mark_is_skipped_wherever_it_is_cut() -> None:
    for steps in ([1], [2], [9]):
        parser = SSEParser()
        found = [event for piece in pieces(b"\xef\xbb\xbfdata: x\n\n", steps) for event in parser.feed(piece)]
        assert found == [SSEvent("", b"x")]
        assert parser.pending == 0


@pytest.mark.parametrize("make", [SSEParser, EventBuffer])
def test_a_huge_event_in_small_pieces_costs_its_bytes_and_not_their_square(make) -> None:
    parser = make()
    piece = b"x" * 256
    start = time.process_time()
    parser.feed(b"data: ")
    for _ in range(16_384):
        parser.feed(piece)
    assert parser.feed(b"\n\n")
    # 4 MiB. Copying what is held for each piece would move 32 GiB.
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize("make", [SSEParser, EventBuffer])
def test_an_event_without_an_end_is_bounded(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_BYTES_MAX", 1000)
    parser = make()
    parser.feed(b"x" * 600)
    with pytest.raises(EventTooLarge):
        parser.feed(b"x" * 600)
