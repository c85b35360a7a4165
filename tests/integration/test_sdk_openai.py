"""The official OpenAI SDK, unchanged but for base URL and key, against models of every family."""

from __future__ import annotations

import asyncio
import base64
import json

import openai
import pydantic
import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.pixels import tiny_png
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
WEATHER: dict = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def client(gateway: RunningGateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


@FAMILIES
def test_a_completion_is_answered_and_billed_exactly(client, gateway, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Say hello"}]
    )
    completion = raw.parse()
    assert completion.object == "chat.completion"
    assert completion.model == model
    choice = completion.choices[0]
    assert choice.finish_reason == "stop"
    assert "simulator" in choice.message.content.lower()
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    receipt = gateway.receipt(raw.headers["x-request-id"])
    assert receipt["credits"] == gateway.price_of(
        model, input=usage.prompt_tokens, output=usage.completion_tokens
    )


@FAMILIES
def test_a_stream_folds_into_the_same_answer(client, model):
    ask = {"model": model, "messages": [{"role": "user", "content": "Say hello at length"}]}
    whole = client.chat.completions.create(**ask)
    text = ""
    finishes = []
    usages = []
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask):
        assert chunk.model == model
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.finish_reason:
                finishes.append(choice.finish_reason)
        if chunk.usage:
            usages.append(chunk.usage)
    assert text == whole.choices[0].message.content
    assert finishes == ["stop"]
    assert len(usages) == 1
    assert usages[0].prompt_tokens == whole.usage.prompt_tokens
    assert usages[0].completion_tokens == whole.usage.completion_tokens


@FAMILIES
def test_a_stream_that_did_not_ask_for_usage_has_none_and_is_billed_all_the_same(client, gateway, model):
    stream = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Say hello"}], stream=True
    )
    for chunk in stream.parse():
        assert chunk.usage is None
        assert chunk.choices
    assert gateway.receipt(stream.headers["x-request-id"])["output_tokens"] > 0


@FAMILIES
def test_the_streaming_helper_works(client, model):
    with client.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "Say hello"}]
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert "simulator" in final.choices[0].message.content.lower()


@FAMILIES
def test_tools_make_a_round_trip(client, model):
    messages: list = [{"role": "user", "content": "Use get_weather for Paris"}]
    first = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER], tool_choice="required"
    ).choices[0]
    assert first.finish_reason == "tool_calls"
    call = first.message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    messages += [
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Twenty degrees and marmalade skies"},
    ]
    second = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER]).choices[0]
    assert second.finish_reason == "stop"
    assert "marmalade" in second.message.content


@FAMILIES
def test_streamed_tool_arguments_are_valid_when_put_together(client, model):
    with client.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": "Use get_weather for Oslo"}],
        tools=[{**WEATHER, "function": {**WEATHER["function"], "strict": True}}],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    arguments = json.loads(final.choices[0].message.tool_calls[0].function.arguments)
    assert isinstance(arguments["city"], str)


@FAMILIES
def test_parallel_calls_can_be_forbidden(client, model):
    def calls(**extra) -> int:
        answer = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Use get_weather twice in parallel"}],
            tools=[WEATHER],
            tool_choice="required",
            **extra,
        )
        return len(answer.choices[0].message.tool_calls)

    assert calls() == 2
    # Gemini has no word against parallel calls: the notices say so.
    assert calls(parallel_tool_calls=False) == (2 if model == GEMINI else 1)


class Person(pydantic.BaseModel):
    name: str
    age: int


@FAMILIES
def test_parse_gives_a_typed_answer(client, model):
    completion = client.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "Invent a person"}], response_format=Person
    )
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_reasoning_effort_reaches_both_families(client):
    ask = {"messages": [{"role": "user", "content": "Think about it"}], "reasoning_effort": "high"}
    gpt = client.chat.completions.create(model=GPT, **ask)
    assert gpt.usage.completion_tokens_details.reasoning_tokens > 0
    claude = client.chat.completions.create(model=CLAUDE, max_completion_tokens=30_000, **ask)
    message = claude.choices[0].message
    assert message.model_extra["reasoning_content"]
    details = message.model_extra["reasoning_details"]
    assert details[0]["signature"]


@pytest.mark.parametrize("stream", [False, True])
def test_claudes_signature_comes_home_through_chat(client, stream):
    """A conversation with Claude held through Chat Completions still sends Anthropic its signatures."""
    ask = {"model": CLAUDE, "max_completion_tokens": 30_000, "reasoning_effort": "high"}
    messages: list = [{"role": "user", "content": "Think about it"}]
    if stream:
        reasoning, details, text = "", [], ""
        for chunk in client.chat.completions.create(messages=messages, stream=True, **ask):
            for choice in chunk.choices:
                extra = choice.delta.model_extra or {}
                text += choice.delta.content or ""
                reasoning += extra.get("reasoning_content") or ""
                details += extra.get("reasoning_details") or []
        assert reasoning
        turn = {"role": "assistant", "content": text, "reasoning_details": details}
    else:
        message = client.chat.completions.create(messages=messages, **ask).choices[0].message
        turn = message.model_dump(exclude_none=True)
    messages += [turn, {"role": "user", "content": "And again"}]
    assert client.chat.completions.create(messages=messages, **ask).choices[0].message.content
    forged = json.loads(json.dumps(messages).replace('"signature": "', '"signature": "forged'))
    assert forged != messages
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(messages=forged, **ask)


@FAMILIES
def test_images_arrive(client, model):
    url = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
                ],
            }
        ],
    )
    assert "image/png" in answer.choices[0].message.content


#: Whose API gives several answers at once.
SEVERAL = (GPT, GEMINI)
#: The catalog has log probabilities for none of these models, as OpenAI has none for its reasoning models; passed through,
#: it is for the provider to say.
LOGPROBS = (GPT,)


@FAMILIES
def test_several_answers_come_from_who_can_and_are_refused_for_others(client, model):
    ask = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], "n": 2}
    if model in SEVERAL:
        answers = [choice.message.content for choice in client.chat.completions.create(**ask).choices]
        assert len(set(answers)) == 2
        return
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ask)
    assert caught.value.code == "unsupported_feature"


@FAMILIES
def test_logprobs_come_from_who_can_and_are_noticed_for_others(client, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "hi"}], logprobs=True, top_logprobs=2
    )
    logprobs = raw.parse().choices[0].logprobs
    if model in LOGPROBS:
        assert len(logprobs.content[0].top_logprobs) == 2
    else:
        assert logprobs is None
        assert "logprobs" in raw.headers["x-bytespike-notices"]


@FAMILIES
def test_free_form_tools_are_called(client, model):
    tools = [{"type": "custom", "custom": {"name": "shell", "description": "Runs a command"}}]
    messages = [{"role": "user", "content": "Use the tool shell"}]
    raw = client.chat.completions.with_raw_response.create(model=model, messages=messages, tools=tools)
    message = raw.parse().choices[0].message
    (call,) = message.tool_calls
    assert (call.type, call.custom.name) == ("custom", "shell")
    assert call.custom.input
    assert not call.custom.input.startswith("{")
    if model not in (GPT, GPT_RESPONSES):
        # To the model it was a function.
        assert "free-form tool" in raw.headers["x-bytespike-notices"]
    chunks = client.chat.completions.create(model=model, messages=messages, tools=tools, stream=True)
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert {piece.type for piece in pieces} <= {"custom", None}
    assert "".join(piece.custom["input"] for piece in pieces) == call.custom.input
    result = {"role": "tool", "tool_call_id": call.id, "content": "marmalade"}
    messages += [message.to_dict(), result]
    answer = client.chat.completions.create(model=model, messages=messages, tools=tools)
    assert "marmalade" in answer.choices[0].message.content


@FAMILIES
def test_the_stream_helper_parses_tools_and_answers(client, model):
    with client.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "Invent a person"}], response_format=Person
    ) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)
    tool = openai.pydantic_function_tool(Person, name="invent")
    with client.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "Use invent"}], tools=[tool]
    ) as stream:
        for _ in stream:
            pass
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Person)


@FAMILIES
def test_the_async_client_streams(gateway, model):
    async def text() -> str:
        async with openai.AsyncOpenAI(
            base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0
        ) as sdk:
            stream = await sdk.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Say hello"}], stream=True
            )
            return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])

    assert "simulator" in asyncio.run(text())


def test_models_have_openais_shape_and_the_catalogs_fields(client):
    models = {model.id: model for model in client.models.list()}
    assert {CLAUDE, GPT} <= set(models)
    assert models[CLAUDE].object == "model"
    assert "vision" in models[CLAUDE].model_extra["capabilities"]
    assert client.models.retrieve("gpt-5.5").id == GPT


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("error=400", 400, openai.BadRequestError),
        ("error=500", 503, openai.InternalServerError),
        ("error=429 retry_after=2", 503, openai.InternalServerError),
        ("malformed", 502, openai.InternalServerError),
    ],
)
@FAMILIES
def test_upstream_errors_become_the_sdks_own_exceptions_and_cost_nothing(
    client, gateway, model, error, status, expected
):
    before = gateway.balance()
    with pytest.raises(expected) as caught:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": f"[[sim: {error}]]"}]
        )
    assert caught.value.status_code == status
    assert gateway.balance() == before
    gateway.heal()


@FAMILIES
def test_an_error_in_mid_stream_is_the_sdks_own_exception_and_costs_nothing(client, gateway, model):
    before = gateway.balance()
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "[[sim: error_event_after=4 tokens=100 pace=0.02]]"}],
        stream=True,
    )
    with pytest.raises(openai.APIError):
        for _ in stream:
            pass
    gateway.settled()
    assert gateway.balance() == before
    gateway.heal()


def test_a_wrong_key_is_an_authentication_error(gateway):
    with (
        openai.OpenAI(base_url=gateway.url + "/v1", api_key="nonsense", max_retries=0) as sdk,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        sdk.chat.completions.create(model=GPT, messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "invalid_api_key"


def test_an_unserved_surface_says_so(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="hi")
    assert "does not serve" in caught.value.message
