"""Strategies for values of the hub, and every way in which the parts of a stream may overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Dialect, Reply
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage


def made(
    kind: Any, *members: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Values of a hub type. (`st.builds` would evaluate its annotations.)"""
    return st.tuples(st.tuples(*members), st.fixed_dictionaries(named)).map(
        lambda given_: kind(*given_[0], **given_[1])
    )


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
some_words = words.filter(bool)
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
counts = st.integers(0, 10**6)
usages = made(
    Usage,
    input=counts,
    cache_read=counts,
    cache_write_5m=counts,
    cache_write_1h=counts,
    output=st.integers(10**6, 10**7),
    reasoning=counts,
    web_searches=counts,
)


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def overlapping(draw: st.DrawFn, answer: ChatResponse) -> list[e.Event]:
    """Events that fold into the answer, whose parts overlap in any way that the grammar allows."""
    lanes: list[list[e.Event]] = []
    for index, part in enumerate(answer.candidates[0].parts):
        lane: list[e.Event] = []
        match part:
            case c.TextPart():
                lane = [e.PartStart(index, c.TextPart(""))]
                lane += [e.TextDelta(index, piece) for piece in pieces(draw, part.text)]
                lane += [e.CitationDelta(index, citation) for citation in part.citations]
            case c.ReasoningPart(redacted=False):
                lane = [e.PartStart(index, c.ReasoningPart("", summary=part.summary))]
                lane += [e.TextDelta(index, piece) for piece in pieces(draw, part.text)]
                lane += [e.ProofDelta(index, part.proof)] if part.proof else []
            case c.ToolCallPart():
                lane = [e.PartStart(index, structs.replace(part, arguments="", proof=None))]
                lane += [e.ProofDelta(index, part.proof)] if part.proof else []
                lane += [e.InputDelta(index, piece) for piece in pieces(draw, part.arguments)]
            case _:
                lane = [e.PartStart(index, part)]
        lanes.append([*lane, e.PartEnd(index)])
    events: list[e.Event] = [e.Started(answer.id, answer.model)]
    started = 0
    while any(lanes):
        # Parts start in the order of their numbers; everything else may come in any order.
        ready = [i for i, lane in enumerate(lanes) if lane and i <= started]
        chosen = draw(st.sampled_from(ready))
        started = max(started, chosen + 1)
        events.append(lanes[chosen].pop(0))
        if draw(st.integers(0, 9)) == 0:
            events.append(draw(st.sampled_from([e.Ping(), e.UsageUpdate(answer.usage)])))
    return [*events, e.Finished(answer.candidates[0].finish), e.Done(answer.usage)]


def written_in_pieces(
    draw: Callable[[st.SearchStrategy[int]], int], dialect: Dialect, reply: Reply, events: list[e.Event]
) -> bytes:
    """What the dialect's writer makes of the events, given any number of them at a time."""
    writer = dialect.stream_writer(reply)
    out, rest = b"", events
    while rest:
        count = draw(st.integers(1, len(rest)))
        out, rest = out + writer.write(rest[:count]), rest[count:]
    return out
