"""The upstream's canned answers are what the dialects' own readers take, and what the harness checks for."""

from __future__ import annotations

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from benchmarks import answers, check, prompts, stream_upstream
from benchmarks.processes import NotMeasured
from benchmarks.work import STATIC, Dialect, Manner, Prompt, Work

DIALECTS: tuple[Dialect, ...] = ("anthropic", "chat")


def _whole_stream(dialect: Dialect, events: int, *, stamped: bool = False) -> bytes:
    script = answers.script(dialect, events, stamped=stamped)
    turns = b"".join(script.turns[number % len(script.turns)] for number in range(events))
    return script.opening + turns + script.closing


def test_whole_answers_validate_against_the_vendors_types_and_are_about_400_bytes() -> None:
    Message.model_validate_json(answers.whole("anthropic"), strict=True)
    ChatCompletion.model_validate_json(answers.whole("chat"), strict=True)
    assert all(350 <= len(answers.whole(dialect)) <= 450 for dialect in DIALECTS)


def test_streams_validate_against_the_vendors_types() -> None:
    event: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    for line in _whole_stream("anthropic", 3).splitlines():
        if line.startswith(b"data: ") and b'"ping"' not in line:
            event.validate_json(line.removeprefix(b"data: "))
    for line in _whole_stream("chat", 3).splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            ChatCompletionChunk.model_validate_json(line.removeprefix(b"data: "))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_text_event_is_about_150_to_250_bytes(dialect: Dialect) -> None:
    assert all(120 <= len(turn) <= 250 for turn in answers.script(dialect, 1, stamped=False).turns)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_right_answer_passes_the_check_and_a_wrong_one_does_not(dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", STATIC)
    body = answers.whole(dialect)
    assert check.wrong(work, body) == ""
    assert "text" in check.wrong(work, body.replace(b"five hours", b"six hours"))
    assert "usage" in check.wrong(work, body.replace(b'tokens":24', b'tokens":25'))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_lacks_an_event_or_its_end_does_not_pass(dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", Manner(events=5))
    assert check.wrong(work, _whole_stream(dialect, 5)) == ""
    assert "4 events" in check.wrong(work, _whole_stream(dialect, 4))
    closing = answers.script(dialect, 5, stamped=False).closing
    assert "does not end" in check.wrong(work, _whole_stream(dialect, 5).removesuffix(closing))


def test_what_does_not_listen_is_not_measured() -> None:
    target = check.Target(1, "/", (), b"")
    with pytest.raises(NotMeasured, match="no answer"):
        check.ask(target)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("prompt", "low", "high"), [("short", 300, 450), ("2k", 2_048, 2_500), ("agent", 500_000, 540_000)]
)
def test_bodies_have_their_sizes_and_are_the_same_every_time(
    dialect: Dialect, prompt: Prompt, low: int, high: int
) -> None:
    body = prompts.body(dialect, prompt, "a-model", stream=False)
    assert low <= len(body) <= high
    assert body == prompts.body(dialect, prompt, "a-model", stream=False)


def test_the_streaming_upstream_reads_its_manner_from_the_path() -> None:
    plan = stream_upstream.plan(b"/200x10/v1/messages?beta=true")
    assert plan is not None
    assert (plan.events, plan.interval_ms, plan.stamp_at) == (200, 10, -1)
    assert b"message_start" in plan.opening
    whole = stream_upstream.plan(b"/0x0/v1/chat/completions")
    assert whole is not None
    assert whole.opening.endswith(answers.whole("chat"))
    assert stream_upstream.plan(b"/v1/messages") is None


def test_a_stamped_event_tells_its_time_and_keeps_its_length() -> None:
    plan = stream_upstream.plan(b"/3x1000s/v1/messages")
    assert plan is not None
    event = plan.event(0)
    assert len(event) == len(plan.turns[0])
    stamp = event.split(answers.STAMP_MARK.encode())[1]
    assert len(stamp) == len(answers.STAMP)
    assert int(stamp) > 0
