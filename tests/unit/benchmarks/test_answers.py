"""The upstream's canned answers are what the dialects' own readers take, and what the harness checks for."""

from __future__ import annotations

import msgspec
import pytest
from anthropic.types import Message, MessageCreateParams, RawMessageStreamEvent
from google.genai.types import Content, GenerateContentResponse, GenerationConfig, Tool
from openai.types.chat import ChatCompletion, ChatCompletionChunk, CompletionCreateParams
from openai.types.responses import Response, ResponseCreateParams, ResponseStreamEvent
from pydantic import TypeAdapter

from benchmarks import answers, check, prompts, stream_upstream
from benchmarks.processes import NotMeasured
from benchmarks.work import DIALECTS, STATIC, WHOLE, Dialect, Manner, Prompt, Work, path


def _whole_stream(dialect: Dialect, events: int, *, stamped: bool = False) -> bytes:
    script = answers.script(dialect, events, stamped=stamped)
    turns = b"".join(script.turns[number % len(script.turns)] for number in range(events))
    return script.opening + turns + script.closing


def test_whole_answers_validate_against_the_vendors_types() -> None:
    Message.model_validate_json(answers.whole("anthropic"), strict=True)
    ChatCompletion.model_validate_json(answers.whole("chat"), strict=True)
    response = Response.model_validate_json(answers.whole("responses"), strict=True)
    assert response.output_text == answers.WHOLE_TEXT
    generated = GenerateContentResponse.model_validate_json(answers.whole("gemini"))
    assert generated.text == answers.WHOLE_TEXT


@pytest.mark.parametrize(
    ("dialect", "low", "high"),
    [("anthropic", 350, 450), ("chat", 350, 450), ("responses", 1100, 1300), ("gemini", 500, 800)],
)
def test_whole_answers_have_the_sizes_that_are_told(dialect: Dialect, low: int, high: int) -> None:
    assert low <= len(answers.whole(dialect)) <= high


def test_streams_validate_against_the_vendors_types() -> None:
    event: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    for line in _whole_stream("anthropic", 3).splitlines():
        if line.startswith(b"data: ") and b'"ping"' not in line:
            event.validate_json(line.removeprefix(b"data: "))
    for line in _whole_stream("chat", 3).splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            ChatCompletionChunk.model_validate_json(line.removeprefix(b"data: "))
    response_event: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for line in _whole_stream("responses", 3).splitlines():
        if line.startswith(b"data: "):
            response_event.validate_json(line.removeprefix(b"data: "))
    for line in _whole_stream("gemini", 3).splitlines():
        if line.startswith(b"data: "):
            GenerateContentResponse.model_validate_json(line.removeprefix(b"data: "))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_text_event_is_about_150_to_350_bytes(dialect: Dialect) -> None:
    assert all(120 <= len(turn) <= 370 for turn in answers.script(dialect, 200, stamped=False).turns)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_has_its_mark_once_for_each_text_event(dialect: Dialect) -> None:
    mark = answers.mark(dialect).encode()
    script = answers.script(dialect, 7, stamped=False)
    assert _whole_stream(dialect, 7).count(mark) == 7
    assert all(turn.count(mark) == 1 for turn in script.turns)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_right_answer_passes_the_check_and_a_wrong_one_does_not(dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", STATIC)
    body = answers.whole(dialect)
    assert check.wrong(work, body) == ""
    assert "text" in check.wrong(work, body.replace(b"five hours", b"six hours"))
    other = body.replace(b'tokens":24', b'tokens":25').replace(
        b'candidatesTokenCount": 24', b'candidatesTokenCount": 25'
    )
    assert "usage" in check.wrong(work, other)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_lacks_an_event_or_its_end_does_not_pass(dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", Manner(events=5))
    assert check.wrong(work, _whole_stream(dialect, 5)) == ""
    script = answers.script(dialect, 5, stamped=False)
    lacking = _whole_stream(dialect, 5).replace(script.turns[1], b"", 1)
    # Responses numbers its events, so there the gap is seen before the text is.
    assert ("not numbered" if dialect == "responses" else "4 events") in check.wrong(work, lacking)
    assert "does not end" in check.wrong(work, _whole_stream(dialect, 5).removesuffix(script.closing))


def test_a_stream_of_responses_whose_end_says_something_else_does_not_pass() -> None:
    work = Work("responses", "responses", "short", Manner(events=5))
    closing = answers.script("responses", 5, stamped=False).closing
    other = closing.replace(b"four", b"five")
    assert "final text" in check.wrong(work, _whole_stream("responses", 5).replace(closing, other))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_with_other_figures_does_not_pass(dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", Manner(events=5))
    figures = {
        "anthropic": b'"output_tokens":5',
        "chat": b'"completion_tokens":5',
        "responses": b'"output_tokens":5',
        "gemini": b'"candidatesTokenCount": 5',
    }[dialect]
    stream = _whole_stream(dialect, 5)
    assert figures in stream
    assert "usage" in check.wrong(work, stream.replace(figures, figures[:-1] + b"6"))


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
    work = Work(dialect, dialect, prompt, WHOLE)
    body = prompts.body(work, "a-model")
    assert low <= len(body) <= high
    assert body == prompts.body(work, "a-model")


@pytest.mark.parametrize("prompt", ["short", "2k", "agent"])
@pytest.mark.parametrize("manner", [WHOLE, Manner(2)])
def test_bodies_are_what_the_vendors_types_take(prompt: Prompt, manner: Manner) -> None:
    taken: dict[Dialect, object] = {
        "anthropic": MessageCreateParams,
        "chat": CompletionCreateParams,
        "responses": ResponseCreateParams,
    }
    for dialect, kind in taken.items():
        body = msgspec.json.decode(prompts.body(Work(dialect, dialect, prompt, manner), "a-model"))
        TypeAdapter(kind).validate_python(body)
        assert bool(body.get("stream")) == manner.stream
    body = msgspec.json.decode(prompts.body(Work("gemini", "gemini", prompt, manner), "a-model"))
    TypeAdapter(list[Content]).validate_python(body["contents"])
    TypeAdapter(list[Tool]).validate_python(body.get("tools", []))
    GenerationConfig.model_validate(body["generationConfig"])
    Content.model_validate(body["systemInstruction"])
    assert "stream" not in body


def test_responses_are_not_to_be_kept_unless_the_work_is_that() -> None:
    for prompt in ("short", "2k", "agent"):
        body = prompts.body(Work("responses", "gemini", prompt, STATIC), "a-model")
        assert msgspec.json.decode(body)["store"] is False
    kept = prompts.body(Work("responses", "responses", "short", STATIC, store=True), "a-model")
    assert msgspec.json.decode(kept)["store"] is True


def test_the_agents_calls_carry_googles_signatures_where_google_is_asked() -> None:
    for upstream in DIALECTS:
        body = prompts.body(Work("gemini", upstream, "agent", WHOLE), "a-model")
        calls, signatures = body.count(b'"functionCall"'), body.count(b'"thoughtSignature"')
        assert calls > 50
        assert signatures == (calls if upstream == "gemini" else 0)


def test_the_streaming_upstream_reads_its_manner_from_the_path() -> None:
    plan = stream_upstream.plan(b"/200x10/v1/messages?beta=true")
    assert plan is not None
    assert (plan.events, plan.interval_ms, plan.stamp_at) == (200, 10, -1)
    assert b"message_start" in plan.opening
    whole = stream_upstream.plan(b"/0x0/v1/chat/completions")
    assert whole is not None
    assert whole.opening.endswith(answers.whole("chat"))
    assert stream_upstream.plan(b"/v1/messages") is None


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("events", [0, 3])
def test_the_streaming_upstream_answers_in_the_dialect_of_the_path(dialect: Dialect, events: int) -> None:
    where = path(dialect, "some-model", stream=bool(events))
    plan = stream_upstream.plan(f"/{events}x0{where}".encode())
    assert plan is not None
    assert plan.events == events
    expected = answers.script(dialect, 3, stamped=False).closing if events else answers.whole(dialect)
    assert expected in (plan.closing if events else plan.opening)


def test_a_path_of_gemini_that_does_not_agree_with_the_manner_is_not_found() -> None:
    assert stream_upstream.plan(b"/3x0/v1beta/models/m:generateContent") is None
    assert stream_upstream.plan(b"/0x0/v1beta/models/m:streamGenerateContent?alt=sse") is None
    assert stream_upstream.plan(b"/3x0/v1beta/models/m:streamGenerateContent") is None


def test_a_stream_of_responses_is_not_stamped() -> None:
    assert stream_upstream.plan(b"/3x0s/v1/responses") is None


def test_no_chunk_is_empty_before_the_end() -> None:
    """An empty one would end the body; Gemini's streams have no opening."""
    plan = stream_upstream.plan(b"/3x0/v1beta/models/m:streamGenerateContent?alt=sse")
    assert plan is not None
    assert plan.opening.endswith(b"chunked\r\n\r\n")


def test_a_stamped_event_tells_its_time_and_keeps_its_length() -> None:
    plan = stream_upstream.plan(b"/3x1000s/v1/messages")
    assert plan is not None
    event = plan.event(0)
    assert len(event) == len(plan.turns[0])
    stamp = event.split(answers.STAMP_MARK.encode())[1]
    assert len(stamp) == len(answers.STAMP)
    assert int(stamp) > 0
