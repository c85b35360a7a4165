"""The OpenAI Agents SDK, on models of every family, by both of the dialects that it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import agents
import openai
import pydantic
import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT_RESPONSES, RunningGateway
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
DIALECTS = pytest.mark.parametrize("api", ["responses", "chat_completions"])


class Person(pydantic.BaseModel):
    name: str
    age: int


@agents.function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return "raining frogs"


@pytest.fixture
def running(gateway: RunningGateway):
    """Runs what a test does with the SDK's default client set to the gateway; its tracing is off."""
    agents.set_tracing_disabled(True)

    def run(api: str, work: Callable[[], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            async with openai.AsyncOpenAI(
                base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0
            ) as sdk:
                agents.set_default_openai_client(sdk, use_for_tracing=False)
                agents.set_default_openai_api(api)
                return await work()

        return asyncio.run(whole())

    yield run
    agents.set_default_openai_api("responses")


def weather_agent(model: str, **options: Any) -> agents.Agent[Any]:
    return agents.Agent(
        name="forecaster", instructions="Be brief.", model=model, tools=[get_weather], **options
    )


@DIALECTS
@FAMILIES
def test_an_agent_uses_its_tool(running, model, api):
    result = running(api, lambda: agents.Runner.run(weather_agent(model), "Use get_weather"))
    assert "raining frogs" in result.final_output
    assert [type(item).__name__ for item in result.new_items if "Tool" in type(item).__name__] == [
        "ToolCallItem",
        "ToolCallOutputItem",
    ]
    assert result.context_wrapper.usage.requests == 2
    assert result.context_wrapper.usage.output_tokens > 0


@DIALECTS
@FAMILIES
def test_a_streamed_run_tells_text_and_tools(running, model, api):
    async def work() -> tuple[list[str], str, Any]:
        result = agents.Runner.run_streamed(weather_agent(model), "Use get_weather")
        kinds: list[str] = []
        text = ""
        async for event in result.stream_events():
            if event.type == "run_item_stream_event":
                kinds.append(event.name)
            elif event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                text += event.data.delta
        return kinds, text, result.final_output

    kinds, text, final = running(api, work)
    assert [kind for kind in kinds if kind.startswith("tool")] == ["tool_called", "tool_output"]
    assert text == final
    assert "raining frogs" in final


@DIALECTS
@FAMILIES
def test_an_agent_hands_over_to_one_of_another_family(running, gateway, model, api):
    other = CLAUDE if model != CLAUDE else GEMINI
    expert = agents.Agent(name="expert", model=other, instructions="You know everything.")
    first = agents.Agent(name="porter", model=model, instructions="Hand over.", handoffs=[expert])
    result = running(api, lambda: agents.Runner.run(first, "Please use transfer_to_expert"))
    assert result.last_agent.name == "expert"
    assert "simulator" in result.final_output
    assert "You know everything." in str(gateway.newest_upstream_request().body)


@DIALECTS
@FAMILIES
def test_an_agents_output_has_its_type(running, model, api):
    agent = agents.Agent(name="inventor", model=model, output_type=Person)
    result = running(api, lambda: agents.Runner.run(agent, "Invent a person"))
    assert isinstance(result.final_output, Person)


@FAMILIES
def test_runs_go_on_by_previous_response_id(running, gateway, model):
    async def work() -> tuple[Any, Any]:
        agent = weather_agent(model)
        first = await agents.Runner.run(
            agent, "My word is walrus. Use get_weather", auto_previous_response_id=True
        )
        second = await agents.Runner.run(agent, "And now?", previous_response_id=first.last_response_id)
        return first, second

    first, second = running("responses", work)
    assert first.last_response_id.startswith("resp_")
    assert "And now?" in second.final_output
    sent = str(gateway.newest_upstream_request().body)
    # The channel that keeps responses itself is asked by id; the others are sent the whole conversation.
    assert ("walrus" in sent) == (model != GPT_RESPONSES)


@DIALECTS
@FAMILIES
def test_a_session_goes_on_with_another_familys_model(running, gateway, model, api):
    other = CLAUDE if model != CLAUDE else GEMINI

    async def work() -> Any:
        session = agents.SQLiteSession("walrus")
        try:
            settings = agents.ModelSettings(reasoning={"effort": "high"}, max_tokens=8000)
            await agents.Runner.run(
                weather_agent(model, model_settings=settings),
                "My word is walrus. Use get_weather",
                session=session,
            )
            await agents.Runner.run(
                weather_agent(other, model_settings=settings), "And you?", session=session
            )
            return await agents.Runner.run(
                weather_agent(model, model_settings=settings), "Back to you", session=session
            )
        finally:
            session.close()

    assert "Back to you" in running(api, work).final_output
    assert "walrus" in str(gateway.newest_upstream_request().body)
