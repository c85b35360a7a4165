"""What a cut or unreported answer is billed by: everything that is known of it, by what its script costs."""

from __future__ import annotations

import json

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Peek, Reply
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage, estimated_chars
from bytespike.pipeline.settle import usage_of_answer, usage_so_far
from bytespike.pipeline.translation import Translation
from bytespike.pricing.estimate import tokens_of_chars, tokens_of_text
from bytespike.protocols import anthropic_messages, openai_chat

SCRIPTS = {
    "English": ("The quick brown fox jumps over the lazy dog. " * 20, 0.7, 1.5),
    "Chinese": ("人工智能正在改变我们的生活方式" * 20, 0.9, 1.1),
    "Korean": ("인공지능은우리의삶을바꾸고" * 20, 0.9, 1.1),
    "Russian": ("Искусственныйинтеллектменяет" * 20, 0.9, 1.5),
    "emoji": ("😀🎉" * 50, 0.6, 1.1),
}


class Asked:
    """A request whose prompt has ten tokens."""

    def prompt_tokens(self) -> int:
        return 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_counts_by_what_its_characters_cost(script: str) -> None:
    text, least, most = SCRIPTS[script]
    ratio = tokens_of_chars(estimated_chars(text)) / tokens_of_text(text)
    assert least <= ratio <= most


def test_half_a_pair_counts() -> None:
    assert estimated_chars("\ud83d") > 0
    assert estimated_chars("") == 0


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        ({"content": "人工"}, "人工"),
        ({"reasoning_content": "hm"}, "hm"),
        ({"reasoning": "hm"}, "hm"),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "so it is"}]}, "so it is"),
        ({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hm"),
        ({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":"人"}'}}]}, '{"a":"人"}'),
    ],
)
def test_the_chat_tap_counts_what_is_known(delta: dict[str, object], said: str) -> None:
    tap = openai_chat.DIALECT.tap(Peek("gpt", True), "gpt")
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    tap.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert tap.produced_chars == estimated_chars(said)


@pytest.mark.parametrize("delta", [{"text": "人工"}, {"thinking": "人工"}, {"partial_json": "人工"}])
def test_the_messages_tap_counts_what_is_known(delta: dict[str, str]) -> None:
    tap = anthropic_messages.DIALECT.tap(Peek("claude", True), "claude")
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "x", **delta}}
    tap.feed(b"event: content_block_delta\ndata: " + json.dumps(event).encode() + b"\n\n")
    assert tap.produced_chars == 8


def translated(*events: e.Event) -> Translation:
    writer = openai_chat.DIALECT.stream_writer(Reply("m", "r"))
    translation = Translation(openai_chat.DIALECT.stream_reader(), writer)
    translation.take([e.Started("x", "m"), *events])
    return translation


def test_a_translated_stream_counts_reasoning_and_summaries() -> None:
    summary = c.ReasoningPart("人工智能", summary=True)
    cut = translated(e.PartStart(0, summary), e.TextDelta(0, "改变"), e.PartEnd(0))
    usage = usage_so_far(cut, Asked())
    assert usage == Usage(input=10, output=6, exact=False)


def test_a_count_above_the_figures_so_far_is_an_estimate() -> None:
    early = Usage(input=7, output=1)
    cut = translated(e.UsageUpdate(early), e.PartStart(0, c.TextPart("")), e.TextDelta(0, "x" * 400))
    assert usage_so_far(cut, Asked()) == Usage(input=7, output=100, exact=False)
    assert usage_so_far(translated(e.UsageUpdate(early)), Asked()) == early


def test_an_answer_without_figures_is_counted_by_its_text() -> None:
    parts = (
        c.ReasoningPart("人工智能"),
        c.TextPart("改变"),
        c.ToolCallPart("call_with_a_long_id", "f", "{}"),
        c.ImagePart(c.Base64Source("image/png", "A" * 10_000)),
    )
    answer = ChatResponse("id", "m", (Candidate(parts, Finish("stop")),))
    expected = sum(map(tokens_of_text, ("人工智能", "改变", "f", "{}")))
    assert usage_of_answer(answer, Asked()) == Usage(input=10, output=expected, exact=False)
