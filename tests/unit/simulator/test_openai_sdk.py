"""The official `openai` SDK against the simulator itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from pydantic import BaseModel

from bytespike.providers.simulator.server import Simulator
from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count
from tests.support.json_schema_check import violations

PIXEL = base64.b64encode(b"not really a picture").decode()
PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": PARAMETERS, "strict": True},
}
CLOCK: ChatCompletionFunctionToolParam = {"type": "function", "function": {"name": "get_time"}}


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def ask(gpt: OpenAI, text: str, **more: Any) -> ChatCompletion:
    return gpt.chat.completions.create(model="gpt-x", messages=user(text), **more)


def said(completion: ChatCompletion) -> str:
    return completion.choices[0].message.content or ""


def test_an_answer_says_that_it_is_the_simulators_and_quotes_the_question(gpt: OpenAI) -> None:
    completion = ask(gpt, "How are you?")
    assert "simulator" in said(completion)
    assert "How are you?" in said(completion)
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-x"


def test_usage_is_what_the_counting_rule_says(gpt: OpenAI) -> None:
    completion = gpt.chat.completions.create(
        model="m",
        messages=[{"role": "developer", "content": "y" * 9}, {"role": "user", "content": "x" * 41}],
    )
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens == 11 + 3
    assert usage.completion_tokens == count(said(completion))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("text", ["Hello", "get_weather, please", "[[sim: refusal]]"])
def test_the_stream_helper_ends_with_the_completion_of_the_unary_call(gpt: OpenAI, text: str) -> None:
    unary = ask(gpt, text, tools=[WEATHER], logprobs=True, top_logprobs=2)
    with gpt.chat.completions.stream(
        model="gpt-x",
        messages=user(text),
        tools=[WEATHER],
        logprobs=True,
        top_logprobs=2,
        stream_options={"include_usage": True},
    ) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion()
    expected, got = unary.choices[0], streamed.choices[0]
    assert (got.message.content or None) == (expected.message.content or None)
    assert got.message.refusal == expected.message.refusal
    assert got.finish_reason == expected.finish_reason
    assert got.logprobs == expected.logprobs
    calls = [
        (call.id, call.function.name, call.function.arguments)
        for call in expected.message.tool_calls or []
        if call.type == "function"
    ]
    assert [(c.id, c.function.name, c.function.arguments) for c in got.message.tool_calls or []] == calls
    assert streamed.usage == unary.usage
    assert streamed.id == unary.id


def test_usage_is_streamed_only_when_asked_for(gpt: OpenAI) -> None:
    plain = list(gpt.chat.completions.create(model="m", messages=user("Hi"), stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    asked = list(
        gpt.chat.completions.create(
            model="m", messages=user("Hi"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert asked[-1].choices == []
    assert asked[-1].usage is not None


def test_a_tool_round_trip(gpt: OpenAI) -> None:
    first = ask(gpt, "What is the weather? Use get_weather.", tools=[WEATHER, CLOCK])
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.content is None
    (call,) = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert violations(json.loads(call.function.arguments), PARAMETERS) == []
    history: list[Any] = [
        *user("What is the weather? Use get_weather."),
        first.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"},
    ]
    second = gpt.chat.completions.create(model="gpt-x", messages=history, tools=[WEATHER, CLOCK])
    assert second.choices[0].finish_reason == "stop"
    assert 'get_weather gave: "sunny, 21 degrees"' in said(second)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_time"}}],
                },
            },
            ["get_time"],
        ),
    ],
)
def test_tool_choice_is_obeyed(gpt: OpenAI, choice: Any, names: list[str]) -> None:
    message = ask(gpt, "Hello", tools=[WEATHER, CLOCK], tool_choice=choice).choices[0].message
    assert [call.function.name for call in message.tool_calls or [] if call.type == "function"] == names


@pytest.mark.parametrize(("parallel", "calls"), [(True, 2), (False, 1)])
def test_parallel_calls_unless_they_are_disabled(gpt: OpenAI, parallel: bool, calls: int) -> None:
    completion = ask(
        gpt, "In parallel, get_weather and get_time", tools=[WEATHER, CLOCK], parallel_tool_calls=parallel
    )
    assert len({call.id for call in completion.choices[0].message.tool_calls or []}) == calls


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool_is_called_with_plain_text(gpt: OpenAI, stream: bool) -> None:
    tool: Any = {"type": "custom", "custom": {"name": "shell", "description": "Run it"}}
    if not stream:
        (call,) = ask(gpt, "shell", tools=[tool]).choices[0].message.tool_calls or []
        assert call.type == "custom"
        assert call.custom.input == "input of the simulator for shell"
        return
    chunks = list(ask(gpt, "shell", tools=[tool], stream=True))
    deltas = [call.to_dict() for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert deltas[0]["type"] == "custom"
    assert "".join(delta["custom"]["input"] for delta in deltas) == "input of the simulator for shell"


def test_reasoning_is_billed_and_not_shown(gpt: OpenAI) -> None:
    quiet = ask(gpt, "Hello", reasoning_effort="none")
    loud = ask(gpt, "Hello", reasoning_effort="high")
    assert quiet.usage is not None
    assert loud.usage is not None
    assert quiet.usage.completion_tokens_details is not None
    assert quiet.usage.completion_tokens_details.reasoning_tokens == 0
    assert loud.usage.completion_tokens_details is not None
    reasoning = loud.usage.completion_tokens_details.reasoning_tokens or 0
    assert reasoning > 0
    assert loud.usage.completion_tokens == reasoning + count(said(loud))
    assert "reasoning_content" not in loud.choices[0].message.to_dict()


def test_a_compatible_vendor_shows_its_reasoning_and_ignores_unknown_fields(gpt: OpenAI) -> None:
    text = "Hello [[sim: reasoning_content]]"
    message = ask(gpt, text, extra_body={"thinking": {"type": "enabled"}}).choices[0].message.to_dict()
    thought = str(message["reasoning_content"])
    assert "simulator" in thought
    chunks = list(ask(gpt, text, stream=True))
    deltas = [chunk.choices[0].delta.to_dict() for chunk in chunks]
    assert "".join(str(delta.get("reasoning_content", "")) for delta in deltas) == thought
    off = ask(gpt, text, extra_body={"thinking": {"type": "disabled"}}).choices[0].message.to_dict()
    assert "reasoning_content" not in off


class Person(BaseModel):
    name: str
    age: int
    friends: list[str]


def test_structured_output_is_parsed_by_the_sdk(gpt: OpenAI) -> None:
    completion = gpt.chat.completions.parse(model="m", messages=user("A person"), response_format=Person)
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_json_mode_gives_an_object(gpt: OpenAI) -> None:
    completion = ask(gpt, "Some JSON, please", response_format={"type": "json_object"})
    assert json.loads(said(completion))["simulator"] is True


def test_images_are_counted_and_named_by_type(gpt: OpenAI) -> None:
    completion = gpt.chat.completions.create(
        model="m",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{PIXEL}"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg", "detail": "low"}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ],
    )
    assert "2 image(s): image/webp, image/*" in said(completion)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 2 * IMAGE_TOKENS + count("What is this?")


def test_several_choices_differ_and_are_all_billed(gpt: OpenAI) -> None:
    completion = ask(gpt, "Hello", n=3)
    texts = [choice.message.content or "" for choice in completion.choices]
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert completion.usage is not None
    assert completion.usage.completion_tokens == sum(map(count, texts))
    streamed = ["", "", ""]
    for chunk in ask(gpt, "Hello", n=3, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_logprobs_cover_the_text_token_by_token(gpt: OpenAI) -> None:
    completion = ask(gpt, "[[sim: text=grüße!]]", logprobs=True, top_logprobs=3)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == "grüße!"
    for token in logprobs.content:
        assert token.logprob <= 0
        assert bytes(token.bytes or []).decode() == token.token
        assert next(top.token for top in token.top_logprobs) == token.token
        assert len(token.top_logprobs) == 3
        values = [top.logprob for top in token.top_logprobs]
        assert values == sorted(values, reverse=True)
    assert ask(gpt, "Hi").choices[0].logprobs is None


def test_a_search_is_cited_at_the_right_place(gpt: OpenAI) -> None:
    completion = ask(gpt, "News?", web_search_options={})
    message = completion.choices[0].message
    (annotation,) = message.annotations or []
    cited = annotation.url_citation
    assert (message.content or "")[cited.start_index : cited.end_index] == "its page has an answer"
    streamed = [
        chunk.choices[0].delta.to_dict().get("annotations")
        for chunk in ask(gpt, "News?", web_search_options={}, stream=True)
    ]
    assert [annotation.to_dict()] in streamed


def test_a_refusal_is_a_field_of_its_own(gpt: OpenAI) -> None:
    message = ask(gpt, "[[sim: refusal=No, thank you]]").choices[0].message
    assert (message.content, message.refusal) == (None, "No, thank you")


def test_stop_sequences_cut_the_text(gpt: OpenAI) -> None:
    completion = ask(gpt, "[[sim: text=one two three four]]", stop="three")
    assert said(completion) == "one two "
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_cuts_the_answer(gpt: OpenAI, field: str) -> None:
    completion = ask(gpt, "[[sim: tokens=50]]", **{field: 10})
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 10


def test_cache_breakpoints_write_first_and_read_afterwards(gpt: OpenAI) -> None:
    messages: list[Any] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "q" * 400, "prompt_cache_breakpoint": {"mode": "explicit"}}],
        }
    ]
    details = []
    for _ in range(2):
        usage = gpt.chat.completions.create(model="m", messages=messages).usage
        assert usage is not None
        assert usage.prompt_tokens == 100
        details.append(usage.prompt_tokens_details)
    assert [(d.cached_tokens, d.cache_write_tokens) for d in details if d is not None] == [(0, 100), (100, 0)]


def test_cache_figures_by_directive_are_inside_the_prompt_tokens(gpt: OpenAI) -> None:
    text = "[[sim: cache_read=1000 cache_write=500]]"
    usage = ask(gpt, text).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens == count(text) + 1500
    assert usage.prompt_tokens_details.cached_tokens == 1000
    assert usage.prompt_tokens_details.cache_write_tokens == 500


def test_usage_can_be_left_out(gpt: OpenAI) -> None:
    assert ask(gpt, "[[sim: no_usage]]").usage is None
    chunks = list(ask(gpt, "[[sim: no_usage]]", stream=True, stream_options={"include_usage": True}))
    assert all(chunk.usage is None for chunk in chunks)


def test_models_are_listed_and_any_model_exists(gpt: OpenAI) -> None:
    assert [model.owned_by for model in gpt.models.list()] == ["simulator", "simulator"]
    assert gpt.models.retrieve("gpt-whatever").id == "gpt-whatever"


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, openai.BadRequestError, "invalid_request_error", None),
        (401, openai.AuthenticationError, "invalid_request_error", "invalid_api_key"),
        (402, openai.APIStatusError, "unknown_error", "invalid_request_error"),
        (403, openai.PermissionDeniedError, "invalid_request_error", None),
        (404, openai.NotFoundError, "invalid_request_error", "model_not_found"),
        (429, openai.RateLimitError, "requests", "rate_limit_exceeded"),
        (500, openai.InternalServerError, "server_error", None),
        (503, openai.InternalServerError, "server_error", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own_classes(
    gpt: OpenAI, status: int, error: type[openai.APIStatusError], kind: str, code: str | None, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        ask(gpt, f"[[sim: error={status} retry_after=3 error_text=out of order]]", stream=stream)
    assert (caught.value.type, caught.value.code) == (kind, code)
    assert "out of order" in caught.value.message
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("key", "error", "code"),
    [
        ("sim-bad", openai.AuthenticationError, "invalid_api_key"),
        ("sim-poor", openai.RateLimitError, "insufficient_quota"),
        ("sim-limited", openai.RateLimitError, "rate_limit_exceeded"),
    ],
)
def test_some_keys_do_not_work(
    sim: Simulator, key: str, error: type[openai.APIStatusError], code: str
) -> None:
    with (
        OpenAI(base_url=f"{sim.base_url}/v1", api_key=key, max_retries=0) as client,
        pytest.raises(error) as caught,
    ):
        ask(client, "Hello")
    assert caught.value.code == code
    assert (caught.value.response.headers.get("retry-after") == "2") == (key == "sim-limited")


def test_an_error_in_the_stream_is_the_sdks_own_exception(gpt: OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(ask(gpt, "[[sim: error_event_after=3]]", stream=True))
    assert caught.value.type == "server_error"


def test_the_plain_path_serves_the_same(sim: Simulator) -> None:
    with OpenAI(base_url=f"{sim.base_url}/v1", api_key="any", max_retries=0) as client:
        assert "simulator" in said(ask(client, "Hello"))
        assert [model.id for model in client.models.list()] == ["simulator-large", "simulator-small"]
