"""The official OpenAI SDK through Responses, unchanged but for base URL and key, against models of every family.

What all SDKs have in common is in `test_sdk_matrix`; kept responses are in `test_responses_kept`.
"""

from __future__ import annotations

import asyncio
import base64
import json

import openai
import pydantic
import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, RunningGateway
from tests.support.pixels import tiny_png
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
TRANSLATED = pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
WEATHER: dict = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def client(gateway: RunningGateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0) as sdk:
        yield sdk


@pytest.fixture(autouse=True)
def healed(gateway: RunningGateway):
    yield
    gateway.heal()


@FAMILIES
def test_a_response_has_all_that_the_sdk_shows(client, gateway, model):
    raw = client.responses.with_raw_response.create(
        model=model, input="Say hello", metadata={"trip": "7"}, reasoning={"effort": "high"}
    )
    response = raw.parse()
    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert response.metadata == {"trip": "7"}
    assert "simulator" in response.output_text
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens_details.reasoning_tokens > 0
    assert gateway.receipt(raw.headers["x-request-id"])["output_tokens"] == usage.output_tokens


@TRANSLATED
def test_reasoning_tokens_stand_at_the_top_of_usage_too(client, model):
    response = client.responses.create(model=model, input="Think", reasoning={"effort": "high"})
    assert (
        response.usage.model_extra["reasoning_tokens"]
        == response.usage.output_tokens_details.reasoning_tokens
    )


@FAMILIES
def test_events_come_in_order_with_matching_numbers(client, model):
    events = list(
        client.responses.create(
            model=model,
            input="[[sim: tool=get_weather text=Let me see]]",
            tools=[WEATHER],
            reasoning={"effort": "high", "summary": "auto"},
            stream=True,
        )
    )
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    output = events[-1].response.output
    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == list(range(len(output)))
    assert [event.item.id for event in added] == [item.id for item in output]
    assert [event.item for event in sorted(done, key=lambda each: each.output_index)] == output
    for event in events:
        if getattr(event, "item_id", None) is not None:
            assert output[event.output_index].id == event.item_id
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "Let me see"


@FAMILIES
def test_parse_and_the_stream_helper_give_typed_answers(client, model):
    assert isinstance(
        client.responses.parse(model=model, input="Invent a person", text_format=Person).output_parsed, Person
    )
    with client.responses.stream(model=model, input="Invent a person", text_format=Person) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Person)


@FAMILIES
def test_the_contracts_own_response_format_works_as_text_format_does(client, model):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    response = client.responses.create(
        model=model, input="Invent a person", extra_body={"response_format": wanted}
    )
    assert list(json.loads(response.output_text)) == ["name"]
    response = client.responses.create(
        model=model, input="Answer in JSON", text={"format": {"type": "json_object"}}
    )
    assert response.status == "completed"
    if model != CLAUDE:  # which has no such mode: there it is an instruction, and the simulator takes none
        assert isinstance(json.loads(response.output_text), dict)


@FAMILIES
@pytest.mark.parametrize("stream", [False, True])
def test_free_form_tools_make_a_round_trip(client, model, stream):
    ask = {
        "model": model,
        "tools": [{"type": "custom", "name": "shell", "description": "Runs a command"}],
        "store": False,
    }
    question = {"role": "user", "content": "Use the tool shell"}
    if stream:
        response = list(client.responses.create(input=[question], stream=True, **ask))[-1].response
    else:
        response = client.responses.create(input=[question], **ask)
    (call,) = [item for item in response.output if item.type == "custom_tool_call"]
    assert call.name == "shell"
    assert call.input
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "marmalade"}
    history = [item.model_dump(exclude_none=True) for item in response.output]
    answer = client.responses.create(input=[question, *history, result], **ask)
    assert "marmalade" in answer.output_text


@FAMILIES
@pytest.mark.parametrize("stream", [False, True])
def test_tools_in_a_namespace_are_called_by_it(client, model, stream):
    tool = {k: v for k, v in WEATHER.items() if k != "strict"}
    ask = {
        "model": model,
        "tools": [{"type": "namespace", "name": "outside", "description": "Out there", "tools": [tool]}],
        "tool_choice": "required",
    }
    if stream:
        response = list(client.responses.create(input="Look", stream=True, **ask))[-1].response
    else:
        response = client.responses.create(input="Look", **ask)
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.namespace, call.name) == ("outside", "get_weather")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "marmalade"}
    ask["tool_choice"] = "auto"
    answer = client.responses.create(input=[result], previous_response_id=response.id, **ask)
    assert "marmalade" in answer.output_text


@FAMILIES
def test_results_may_hold_images(client, gateway, model):
    first = client.responses.create(model=model, input="Use get_weather", tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    data = base64.b64encode(tiny_png()).decode()
    output = [
        {"type": "input_text", "text": "a picture of it"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"},
    ]
    second = client.responses.create(
        model=model,
        previous_response_id=first.id,
        tools=[WEATHER],
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": output}],
    )
    assert second.status == "completed"
    assert data in json.dumps(gateway.newest_upstream_request().body)


@FAMILIES
def test_encrypted_reasoning_is_there_when_it_is_asked_for(client, model):
    def reasoning(**ask) -> list:
        response = client.responses.create(
            model=model, input="Think about it", reasoning={"effort": "high"}, store=False, **ask
        )
        return [item for item in response.output if item.type == "reasoning"]

    shown = reasoning(include=["reasoning.encrypted_content"])
    # Chat Completions has no proofs of reasoning.
    assert bool(shown and shown[0].encrypted_content) == (model != GPT)


@TRANSLATED
def test_a_file_of_one_provider_is_refused_for_another(client, model):
    content = [{"type": "input_file", "file_id": "file-abc"}, {"type": "input_text", "text": "Read it"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert caught.value.code == "unsupported_feature"


@FAMILIES
def test_a_response_in_the_background_is_refused_clearly(client, model):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input="later", background=True)
    assert caught.value.param == "background"


@FAMILIES
@pytest.mark.parametrize(
    ("fault", "status", "expected"),
    [
        ("error=400", 400, openai.BadRequestError),
        ("error=500", 503, openai.InternalServerError),
        ("error=429 retry_after=2", 503, openai.InternalServerError),
        ("malformed", 502, openai.InternalServerError),
    ],
)
def test_upstream_errors_become_the_sdks_own_exceptions_and_cost_nothing(
    client, gateway, model, fault, status, expected
):
    before = gateway.balance()
    with pytest.raises(expected) as caught:
        client.responses.create(model=model, input=f"[[sim: {fault}]]")
    assert caught.value.status_code == status
    assert gateway.balance() == before


@FAMILIES
def test_the_async_client_streams(gateway, model):
    async def text() -> str:
        async with openai.AsyncOpenAI(
            base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0
        ) as sdk:
            stream = await sdk.responses.create(model=model, input="Say hello", stream=True)
            return "".join(
                [event.delta async for event in stream if event.type == "response.output_text.delta"]
            )

    assert "simulator" in asyncio.run(text())
