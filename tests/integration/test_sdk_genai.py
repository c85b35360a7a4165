"""The official Google GenAI SDK, unchanged but for base URL and key, against models of every family.

What all SDKs have in common is in `test_sdk_matrix`.
"""

from __future__ import annotations

import asyncio
import json

import pydantic
import pytest
from google import genai
from google.genai import errors
from google.genai import types as t

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
#: Whose API gives several answers at once.
SEVERAL = (GPT, GEMINI)


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def client(gateway: RunningGateway):
    made = genai.Client(api_key=gateway.key, http_options=t.HttpOptions(base_url=gateway.url))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def healed(gateway: RunningGateway):
    yield
    gateway.heal()


def ask(client: genai.Client, model: str, contents: object, **config: object) -> t.GenerateContentResponse:
    return client.models.generate_content(
        model=model, contents=contents, config=t.GenerateContentConfig(**config)
    )


@FAMILIES
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_of_the_path_answer(gateway, model, version):
    options = t.HttpOptions(base_url=gateway.url, api_version=version)
    client = genai.Client(api_key=gateway.key, http_options=options)
    assert "simulator" in ask(client, model, "Say hello").text
    chunks = list(client.models.generate_content_stream(model=f"models/{model}", contents="Say hello"))
    assert "simulator" in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].usage_metadata.total_token_count > 0
    client.close()


@FAMILIES
@pytest.mark.parametrize("stream", [False, True])
def test_functions_are_called_by_the_sdk_itself(client, model, stream):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "raining frogs"

    chat = client.chats.create(model=model, config=t.GenerateContentConfig(tools=[get_weather]))
    if stream:
        text = "".join(
            part.text or ""
            for chunk in chat.send_message_stream("Use get_weather")
            for part in chunk.candidates[0].content.parts or ()
        )
    else:
        text = chat.send_message("Use get_weather").text
    assert "raining frogs" in text
    assert len(asked) == 1
    if (model, stream) == (GEMINI, True):
        return  # what the SDK records of a stream is not what Google takes back: see the matrix
    assert "You said" in chat.send_message("And then?").text


@FAMILIES
def test_a_schema_may_be_a_class_or_json_schema(client, model):
    wanted = {"response_mime_type": "application/json"}
    assert isinstance(ask(client, model, "Invent a person", response_schema=Person, **wanted).parsed, Person)
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "nick": {"type": ["string", "null"]}},
        "required": ["name", "nick"],
        "additionalProperties": False,
    }
    person = json.loads(ask(client, model, "Invent a person", response_json_schema=schema, **wanted).text)
    assert set(person) == {"name", "nick"}


@FAMILIES
@pytest.mark.parametrize(
    "config",
    [
        t.ThinkingConfig(include_thoughts=True, thinking_budget=2048),
        t.ThinkingConfig(include_thoughts=True, thinking_level=t.ThinkingLevel.LOW),
        t.ThinkingConfig(include_thoughts=True, thinking_level=t.ThinkingLevel.HIGH),
    ],
    ids=["budget", "low", "high"],
)
def test_thinking_is_asked_for_by_budget_and_by_level(client, model, config):
    response = ask(client, model, "Think about it", thinking_config=config)
    assert response.usage_metadata.thoughts_token_count > 0
    thoughts = [part for part in response.candidates[0].content.parts if part.thought]
    # Chat Completions shows no reasoning.
    assert bool(thoughts) == (model != GPT)


@FAMILIES
def test_thinking_can_be_switched_off(client, model):
    if model == GEMINI:
        return  # these models always think; the level is the provider's to judge
    config = t.ThinkingConfig(thinking_budget=0)
    response = ask(client, model, "Do not think", thinking_config=config)
    assert not response.usage_metadata.thoughts_token_count


@FAMILIES
def test_grounding_says_what_was_searched_and_where_it_stands(client, model):
    response = ask(client, model, "search the news", tools=[t.Tool(google_search=t.GoogleSearch())])
    grounding = response.candidates[0].grounding_metadata
    assert grounding.grounding_chunks[0].web.uri.startswith("https://simulator.example.com/")
    (support, *_) = grounding.grounding_supports
    # A segment counts bytes from the start of its part.
    part = response.candidates[0].content.parts[support.segment.part_index or 0]
    cited = part.text.encode()[support.segment.start_index or 0 : support.segment.end_index]
    assert cited.decode() == support.segment.text
    assert support.grounding_chunk_indices == [0]


@FAMILIES
def test_several_answers_come_from_who_can_and_are_refused_for_others(client, model):
    if model in SEVERAL:
        assert len(ask(client, model, "Say hello", candidate_count=2).candidates) == 2
        return
    with pytest.raises(errors.ClientError) as caught:
        ask(client, model, "Say hello", candidate_count=2)
    assert caught.value.code == 400
    assert caught.value.details["error"]["details"][0]["reason"] == "UNSUPPORTED_FEATURE"


@FAMILIES
def test_counting_is_free(client, gateway, model):
    before = gateway.balance()
    assert client.models.count_tokens(model=model, contents="How many are these?").total_tokens > 0
    assert gateway.balance() == before


def test_models_have_googles_shape(client):
    listed = {model.name: model for model in client.models.list()}
    assert {f"models/{name}" for name in MODELS} <= set(listed)
    model = client.models.get(model="gemini-3.1-pro")
    assert model.name == f"models/{GEMINI}"
    assert model.input_token_limit > model.output_token_limit > 0
    assert "generateContent" in model.supported_actions
    assert [len(page) for page in [client.models.list(config={"page_size": 2}).page]] == [2]


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="nonsense")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@FAMILIES
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "code", "status", "expected"),
    [
        ("error=400", 400, "INVALID_ARGUMENT", errors.ClientError),
        ("error=500", 503, "UNAVAILABLE", errors.ServerError),
        ("error=429 retry_after=3", 503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_errors_are_googles_with_details(client, gateway, model, fault, code, status, expected, stream):
    before = gateway.balance()
    with pytest.raises(expected) as caught:
        if stream:
            list(client.models.generate_content_stream(model=model, contents=f"[[sim: {fault}]]"))
        else:
            ask(client, model, f"[[sim: {fault}]]")
    assert (caught.value.code, caught.value.status) == (code, status)
    if code == 503:
        kinds = {each["@type"]: each for each in caught.value.details["error"]["details"]}
        assert kinds["type.googleapis.com/google.rpc.RetryInfo"]["retryDelay"].endswith("s")
        if "429" in fault:
            assert kinds["type.googleapis.com/google.rpc.RetryInfo"]["retryDelay"] == "3s"
    assert gateway.balance() == before


def test_a_wrong_key_is_unauthenticated(gateway):
    wrong = genai.Client(api_key="sk-byts-" + "x" * 40, http_options=t.HttpOptions(base_url=gateway.url))
    with pytest.raises(errors.ClientError) as caught:
        ask(wrong, GEMINI, "hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    wrong.close()


@FAMILIES
def test_the_async_client_answers_and_streams(gateway, model):
    async def texts() -> tuple[str, str]:
        client = genai.Client(api_key=gateway.key, http_options=t.HttpOptions(base_url=gateway.url))
        async with client.aio as sdk:
            whole = await sdk.models.generate_content(model=model, contents="Say hello")
            stream = await sdk.models.generate_content_stream(model=model, contents="Say hello")
            pieces = [chunk.text or "" async for chunk in stream]
        client.close()
        return whole.text, "".join(pieces)

    whole, streamed = asyncio.run(texts())
    assert "simulator" in whole
    assert streamed == whole


@pytest.mark.parametrize("model", [CLAUDE, GPT, GPT_RESPONSES])
def test_google_words_that_others_lack_are_noticed(client, gateway, model):
    setting = t.SafetySetting(
        category=t.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=t.HarmBlockThreshold.BLOCK_NONE
    )
    assert ask(client, model, "Say hello", safety_settings=[setting], top_k=5).text
    assert any("safetySettings" in notice for notice in gateway.newest_receipt()["notices"])
