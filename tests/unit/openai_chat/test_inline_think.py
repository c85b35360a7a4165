"""Reasoning in the content (`<think>...</think>`) is reasoning to every other dialect, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.core import content as c
from bytespike.core.events import Event
from bytespike.core.fold import fold
from bytespike.protocols.openai_chat import DIALECT, INLINE_THINKING
from bytespike.protocols.openai_chat.inline_think import ThinkSplitter, inlined, split_think
from bytespike.providers.abilities import spoken

#: A content, its reasoning and its answer.
CONTENTS = {
    "reasoning and an answer": ("<think>\nhm\n</think>\n\nhi", "hm", "hi"),
    "on one line": ("<think>hm</think>hi", "hm", "hi"),
    "after white space": ("\n <think>hm</think>hi", "hm", "hi"),
    "lines within are kept": ("<think>\na\n\nb\n</think>\nc\n\nd\n", "a\n\nb", "c\n\nd\n"),
    "a tag within": ("<think>a <b> </thin </think>c", "a <b> </thin ", "c"),
    "no answer yet": ("<think>\nhm", "hm", ""),
    "cut within the closing tag": ("<think>hm</thi", "hm</thi", ""),
    "empty reasoning": ("<think>\n\n</think>\n\nhi", "", "hi"),
    "no reasoning": ("hi", "", "hi"),
    "a tag that is spoken of": ("the tag <think>x</think> means", "", "the tag <think>x</think> means"),
    "another tag": ("<thinker>x", "", "<thinker>x"),
    "a part of the tag": ("<thi", "", "<thi"),
    "a second one is text": ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    "only white space": ("  \n", "", "  \n"),
}


def parts_of(reasoning: str, answer: str) -> tuple[c.Part, ...]:
    parts: list[c.Part] = []
    if reasoning:
        parts.append(c.ReasoningPart(reasoning))
    if answer:
        parts.append(c.TextPart(answer))
    return tuple(parts)


def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def streamed(pieces: list[str], *more: dict[str, Any]) -> tuple[c.Part, ...]:
    reader = INLINE_THINKING.stream_reader()
    events: list[Event] = []
    for piece in pieces:
        events += reader.feed(frame({"content": piece}))
    for delta in more:
        events += reader.feed(frame(delta))
    events += reader.feed(frame({}, "stop") + b"data: [DONE]\n\n")
    return fold(events).candidates[0].parts


@pytest.mark.parametrize("name", CONTENTS)
def test_a_whole_content_is_taken_apart(name: str) -> None:
    content, reasoning, answer = CONTENTS[name]
    assert split_think(content) == (reasoning, answer)
    body = {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    read = INLINE_THINKING.read_response(json.dumps(body).encode())
    # What held no reasoning stays as it came.
    expected = parts_of(reasoning, answer if reasoning else content)
    assert read.candidates[0].parts == expected


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 100])
def test_a_streamed_content_is_taken_apart_wherever_it_is_cut(name: str, step: int) -> None:
    content, reasoning, answer = CONTENTS[name]
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    assert streamed(pieces) == parts_of(reasoning, answer)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "ink>", "\n", " ", "a", "</"]), max_size=12),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_the_cuts_never_matter_and_nothing_but_tags_and_line_ends_is_lost(
    words: list[str], steps: list[int]
) -> None:
    content = "".join(words)
    splitter = ThinkSplitter()
    found = {"reasoning": "", "text": ""}
    at = turn = 0
    while at < len(content):
        step = steps[turn % len(steps)]
        for piece in splitter.feed(content[at : at + step]):
            found[piece.kind] += piece.text
        at, turn = at + step, turn + 1
    for piece in splitter.end():
        found[piece.kind] += piece.text
    assert (found["reasoning"], found["text"]) == split_think(content)

    def bare(text: str) -> str:
        return "".join(text.split())

    # What is lost is at most a tag of each kind, the first one, and line ends.
    opened = content.replace("<think>", "", 1)
    possible = {content, opened, opened.replace("</think>", "", 1)}
    assert bare("".join(found.values())) in {bare(text) for text in possible}


def test_a_call_ends_the_content() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert streamed(["<think>hm</thi"], {"tool_calls": [call]}) == (
        c.ReasoningPart("hm</thi"),
        c.ToolCallPart("c", "f", "{}"),
    )


def test_what_is_given_back_is_read_as_it_was() -> None:
    assert split_think(inlined("a\n\nb") + "c") == ("a\n\nb", "c")


def test_without_the_quirk_the_tag_is_text() -> None:
    body = {"choices": [{"message": {"role": "assistant", "content": "<think>hm</think>hi"}}]}
    read = DIALECT.read_response(json.dumps(body).encode())
    assert read.candidates[0].parts == (c.TextPart("<think>hm</think>hi"),)
    assert spoken(DIALECT, frozenset()) is DIALECT
    assert spoken(DIALECT, frozenset({"inline_think"})) is INLINE_THINKING
