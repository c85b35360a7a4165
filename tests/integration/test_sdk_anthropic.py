"""The official Anthropic SDK, unchanged but for base URL and key, against models of every family."""

from __future__ import annotations

import asyncio
import base64
import json

import anthropic
import pydantic
import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.pixels import tiny_png
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
WEATHER: dict = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
        "required": ["city"],
    },
}


@pytest.fixture
def client(gateway: RunningGateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


@FAMILIES
def test_a_message_is_answered_and_billed_exactly(client, gateway, model):
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": "Say hello"}]
    )
    message = raw.parse()
    assert message.type == "message"
    assert message.role == "assistant"
    assert message.model == model
    assert message.stop_reason == "end_turn"
    assert "simulator" in message.content[0].text.lower()
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    receipt = gateway.receipt(raw.headers["request-id"])
    assert receipt["credits"] == gateway.price_of(
        model, input=message.usage.input_tokens, output=message.usage.output_tokens
    )
    assert receipt["input_tokens"] == message.usage.input_tokens
    assert receipt["output_tokens"] == message.usage.output_tokens


@FAMILIES
def test_a_stream_folds_into_the_same_answer(client, gateway, model):
    ask = {
        "model": model,
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "Say hello at length"}],
    }
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.content[0].text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.usage.output_tokens == whole.usage.output_tokens


@FAMILIES
def test_tools_make_a_round_trip(client, model):
    messages: list = [{"role": "user", "content": "Use get_weather for Paris"}]
    first = client.messages.create(
        model=model, max_tokens=500, messages=messages, tools=[WEATHER], tool_choice={"type": "any"}
    )
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert call.name == "get_weather"
    assert isinstance(call.input["city"], str)
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": [{"type": "text", "text": "Twenty degrees and marmalade skies"}],
                }
            ],
        },
    ]
    second = client.messages.create(model=model, max_tokens=500, messages=messages, tools=[WEATHER])
    assert second.stop_reason == "end_turn"
    assert "marmalade" in second.content[-1].text


@FAMILIES
def test_streamed_tool_arguments_are_valid_when_put_together(client, model):
    with client.messages.stream(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": "Use get_weather for Oslo"}],
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    ) as stream:
        partial = "".join(event.partial_json for event in stream if event.type == "input_json")
        final = stream.get_final_message()
    call = next(block for block in final.content if block.type == "tool_use")
    assert json.loads(partial) == call.input


@FAMILIES
def test_parallel_calls_can_be_forbidden(client, model):
    def calls(**choice) -> int:
        answer = client.messages.create(
            model=model,
            max_tokens=500,
            messages=[{"role": "user", "content": "Use get_weather twice in parallel"}],
            tools=[WEATHER],
            tool_choice={"type": "any", **choice},
        )
        return sum(block.type == "tool_use" for block in answer.content)

    assert calls() == 2
    # Gemini has no word against parallel calls: the notices say so.
    assert calls(disable_parallel_tool_use=True) == (2 if model == GEMINI else 1)


def test_thinking_comes_back_signed_and_is_accepted_again(client):
    ask = {"model": CLAUDE, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    messages: list = [{"role": "user", "content": "Think about it"}]
    first = client.messages.create(messages=messages, **ask)
    thinking = first.content[0]
    assert thinking.type == "thinking"
    assert thinking.signature
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": "And again"},
    ]
    assert client.messages.create(messages=messages, **ask).content
    messages[1]["content"][0]["signature"] = "forged"
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(messages=messages, **ask)


def test_thinking_of_a_gpt_model_survives_the_next_turn(client):
    ask = {"model": GPT, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    messages: list = [{"role": "user", "content": "Think about it [[sim: reasoning_content]]"}]
    first = client.messages.create(messages=messages, **ask)
    assert first.content[-1].type == "text"
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": "And again"},
    ]
    assert client.messages.create(messages=messages, **ask).content[-1].text


@FAMILIES
def test_images_arrive(client, gateway, model):
    image = {
        "type": "image",
        "source": {
            "type": "base64",
            "media_type": "image/png",
            "data": base64.b64encode(tiny_png()).decode(),
        },
    }
    answer = client.messages.create(
        model=model,
        max_tokens=200,
        messages=[{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}],
    )
    assert "image/png" in answer.content[0].text


@FAMILIES
def test_structured_output_follows_its_schema(client, model):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    answer = client.messages.create(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": "Invent a person"}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    person = json.loads(answer.content[0].text)
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)


@pytest.mark.parametrize("model", [CLAUDE, "gpt-4o"])
def test_stop_sequences_stop(client, model):
    answer = client.messages.create(
        model=model,
        max_tokens=200,
        messages=[{"role": "user", "content": "[[sim: text=one two STOP three]]"}],
        stop_sequences=["STOP"],
    )
    assert "three" not in answer.content[0].text
    # Chat Completions does not say which sequence matched, so a GPT answer just ends.
    assert answer.stop_reason == ("stop_sequence" if model == CLAUDE else "end_turn")


def test_stop_sequences_are_refused_for_a_model_that_has_none(client):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(
            model=GPT, max_tokens=20, messages=[{"role": "user", "content": "hi"}], stop_sequences=["STOP"]
        )
    assert "stop" in caught.value.message


@FAMILIES
def test_max_tokens_are_kept(client, model):
    answer = client.messages.create(
        model=model, max_tokens=5, messages=[{"role": "user", "content": "[[sim: tokens=100]]"}]
    )
    assert answer.stop_reason == "max_tokens"
    # Responses takes no limit under 16.
    assert answer.usage.output_tokens == (16 if model == GPT_RESPONSES else 5)


@FAMILIES
def test_count_tokens_is_free(client, gateway, model):
    before = gateway.balance()
    count = client.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": "How many are these?"}]
    )
    assert count.input_tokens > 0
    assert gateway.balance() == before


def test_models_have_anthropics_shape(client):
    page = client.models.list(limit=1)
    assert page.has_more
    assert len(list(client.models.list(limit=1))) >= 2
    model = client.models.retrieve(CLAUDE)
    assert (model.id, model.type) == (CLAUDE, "model")
    assert model.max_tokens


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("error=400", 400, anthropic.BadRequestError),
        ("error=500", 503, anthropic.InternalServerError),
        ("error=429 retry_after=2", 503, anthropic.InternalServerError),
        ("malformed", 502, anthropic.InternalServerError),
    ],
)
@FAMILIES
def test_upstream_errors_become_the_sdks_own_exceptions_and_cost_nothing(
    client, gateway, model, error, status, expected
):
    before = gateway.balance()
    with pytest.raises(expected) as caught:
        client.messages.create(
            model=model, max_tokens=10, messages=[{"role": "user", "content": f"[[sim: {error}]]"}]
        )
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error"
    assert gateway.balance() == before
    gateway.heal()


@FAMILIES
def test_an_error_in_mid_stream_is_the_sdks_own_exception_and_costs_nothing(client, gateway, model):
    before = gateway.balance()
    with (
        pytest.raises(anthropic.APIStatusError),
        client.messages.stream(
            model=model,
            max_tokens=500,
            messages=[{"role": "user", "content": "[[sim: error_event_after=4 tokens=100 pace=0.02]]"}],
        ) as stream,
    ):
        stream.get_final_message()
    gateway.settled()
    assert gateway.balance() == before
    gateway.heal()


def test_a_wrong_key_is_an_authentication_error(gateway):
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="sk-byts-" + "x" * 40, max_retries=0) as sdk,
        pytest.raises(anthropic.AuthenticationError),
    ):
        sdk.messages.create(model=CLAUDE, max_tokens=5, messages=[{"role": "user", "content": "hi"}])


def test_an_unknown_model_is_not_found_and_the_nearest_are_named(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(
            model="claude-sonet-4-6", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        )
    assert CLAUDE in caught.value.message


def test_the_base_url_may_end_in_v1(gateway):
    with anthropic.Anthropic(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0) as sdk:
        assert sdk.messages.create(
            model=CLAUDE, max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        ).content


def test_mid_conversation_system_turns_are_accepted(client):
    for model in (CLAUDE, GPT):
        answer = client.messages.create(
            model=model,
            max_tokens=50,
            system=[
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
            ],
            messages=[
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello"},
                {"role": "system", "content": "Now be verbose."},
                {"role": "user", "content": "go on"},
            ],
        )
        assert answer.content[0].text


class Person(pydantic.BaseModel):
    name: str
    age: int


@FAMILIES
def test_parse_gives_a_typed_answer(client, model):
    answer = client.messages.parse(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": "Invent a person"}],
        output_format=Person,
    )
    assert isinstance(answer.parsed_output, Person)


@FAMILIES
@pytest.mark.parametrize("threaded", [True, False])
def test_the_tool_runner_calls_functions_by_itself(client, gateway, model, threaded):
    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: The city
        """
        return f"raining frogs in {city}"

    # The runner asks for a message thread unless told not to, and goes on without where it is refused one.
    before = gateway.usage_rows()
    runner = client.beta.messages.tool_runner(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": "Use get_weather"}],
        tools=[get_weather],
        **({} if threaded else {"thread": False}),
    )
    assert "raining frogs" in runner.until_done().content[-1].text
    assert gateway.usage_rows() - before == 2


@FAMILIES
@pytest.mark.parametrize("stream", [False, True])
def test_a_message_thread_is_refused_in_words_that_the_sdk_knows(client, model, stream):
    thread = client.beta.messages.thread(model=model, max_tokens=500)
    with pytest.raises(anthropic.BadRequestError) as refused:
        if stream:
            with thread.stream({"role": "user", "content": "Say hello"}) as events:
                events.get_final_message()
        else:
            thread.send({"role": "user", "content": "Say hello"})
    assert refused.value.body["error"]["details"]["error_code"] == "thread_unsupported_request"
    thread = client.beta.messages.thread(
        model=model, max_tokens=500, unsupported_request_behavior="continue_unthreaded"
    )
    assert thread.send({"role": "user", "content": "Say hello"}).content
    assert thread.send({"role": "user", "content": "And again"}).content


@FAMILIES
def test_the_stream_helper_tells_text_and_calls_apart(client, model):
    with client.messages.stream(
        model=model,
        max_tokens=4000,
        thinking={"type": "enabled", "budget_tokens": 2000},
        messages=[{"role": "user", "content": "[[sim: tool=get_weather text=Let me see]]"}],
        tools=[WEATHER],
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(final.content)
    assert {"text", "input_json"} <= set(kinds)
    shown = [block for block in final.content if block.type == "thinking"]
    # Chat Completions shows no reasoning.
    assert bool(shown) == (model != GPT)
    assert ("thinking" in kinds) == bool(shown)
    assert all(block.signature for block in shown)


@FAMILIES
def test_the_async_client_streams(gateway, model):
    async def text() -> str:
        async with (
            anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk,
            sdk.messages.stream(
                model=model, max_tokens=200, messages=[{"role": "user", "content": "Say hello"}]
            ) as stream,
        ):
            return await stream.get_final_text()

    assert "simulator" in asyncio.run(text())


@FAMILIES
def test_citations_are_claudes_own_and_the_document_reaches_every_model(client, gateway, model):
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Once upon a time"},
        "title": "A tale",
        "citations": {"enabled": True},
    }
    answer = client.messages.create(
        model=model,
        max_tokens=300,
        messages=[{"role": "user", "content": [document, {"type": "text", "text": "How does it begin?"}]}],
    )
    cited = [each for block in answer.content if block.type == "text" for each in block.citations or ()]
    assert [each.cited_text for each in cited] == (["Once upon a time"] if model == CLAUDE else [])
    assert "Once upon a time" in json.dumps(gateway.newest_upstream_request().body)


def test_claudes_own_search_shows_its_call_and_its_results(client):
    answer = client.messages.create(
        model=CLAUDE,
        max_tokens=500,
        messages=[{"role": "user", "content": "search the news"}],
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
    )
    assert [block.type for block in answer.content[:2]] == ["server_tool_use", "web_search_tool_result"]
    assert answer.usage.server_tool_use.web_search_requests == 1
