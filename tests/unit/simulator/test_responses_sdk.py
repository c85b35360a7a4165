"""The official `openai` SDK's Responses against the simulator itself."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseOutputMessage, ResponseReasoningItem
from pydantic import BaseModel

from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count
from tests.support.json_schema_check import violations

PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
CLOCK: Any = {
    "type": "function",
    "name": "get_time",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
SHELL: Any = {"type": "custom", "name": "shell", "description": "Run it"}
MAPS: Any = {
    "type": "namespace",
    "name": "maps",
    "description": "Maps",
    "tools": [{**CLOCK, "name": "find_way"}],
}
ENCRYPTED: Any = ["reasoning.encrypted_content"]
THINKING: Any = {"effort": "high", "summary": "auto"}


def ask(gpt: OpenAI, asked: Any, **more: Any) -> Response:
    return gpt.responses.create(model="gpt-x", input=asked, **more)


def events(gpt: OpenAI, text: Any, **more: Any) -> list[Any]:
    return list(gpt.responses.create(model="gpt-x", input=text, stream=True, **more))


def kinds(response: Response) -> list[str]:
    return [item.type for item in response.output]


def test_an_answer_says_that_it_is_the_simulators_and_quotes_the_question(gpt: OpenAI) -> None:
    response = ask(gpt, "How are you?")
    assert "simulator" in response.output_text
    assert "How are you?" in response.output_text
    assert (response.status, response.model, response.object) == ("completed", "gpt-x", "response")
    assert response.id.startswith("resp_")


def test_usage_is_what_the_counting_rule_says(gpt: OpenAI) -> None:
    response = ask(gpt, "x" * 41, instructions="y" * 9)
    assert response.usage is not None
    assert response.usage.input_tokens == 11 + 3
    assert response.usage.output_tokens == count(response.output_text)
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "get_weather, please",
        "shell",
        "search the news",
        "[[sim: refusal]]",
        "[[sim: thinking]]",
        "find_way",
    ],
)
def test_the_stream_ends_with_the_response_of_the_unary_call(gpt: OpenAI, text: str) -> None:
    tools: Any = [WEATHER, SHELL, MAPS, {"type": "web_search"}]
    unary = ask(gpt, text, tools=tools, include=ENCRYPTED)
    with gpt.responses.stream(model="gpt-x", input=text, tools=tools, include=ENCRYPTED) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_response()
    left, right = streamed.to_dict(), unary.to_dict()
    for parsed in left["output"]:  # what the helper itself adds
        parsed.pop("parsed_arguments", None)
        for part in parsed.get("content") or ():
            part.pop("parsed", None)
    assert left["output"] == right["output"]
    assert left["usage"] == right["usage"]


@pytest.mark.parametrize(
    "text", ["Hello", "get_weather", "shell", "search it", "[[sim: refusal]]", "[[sim: thinking]]"]
)
def test_events_come_in_order_numbered_and_with_matching_indices(gpt: OpenAI, text: str) -> None:
    found = events(gpt, text, tools=[WEATHER, SHELL, {"type": "web_search"}])
    assert [event.sequence_number for event in found] == list(range(len(found)))
    assert [event.type for event in found[:2]] == ["response.created", "response.in_progress"]
    final = found[-1].response
    assert found[-1].type == "response.completed"
    added = [event for event in found if event.type == "response.output_item.added"]
    done = [event for event in found if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == list(range(len(final.output)))
    assert [event.item.to_dict() for event in done] == [item.to_dict() for item in final.output]
    for event in found:
        if getattr(event, "item_id", None) is not None:
            assert final.output[event.output_index].id == event.item_id


def test_deltas_add_up_to_what_is_done(gpt: OpenAI) -> None:
    for text, delta, done, field in (
        ("Hello", "output_text.delta", "output_text.done", "text"),
        ("get_weather", "function_call_arguments.delta", "function_call_arguments.done", "arguments"),
        ("shell", "custom_tool_call_input.delta", "custom_tool_call_input.done", "input"),
        ("[[sim: refusal]]", "refusal.delta", "refusal.done", "refusal"),
        ("[[sim: thinking]]", "reasoning_summary_text.delta", "reasoning_summary_text.done", "text"),
    ):
        found = events(gpt, text, tools=[WEATHER, SHELL])
        parts = [event.delta for event in found if event.type == f"response.{delta}"]
        (whole,) = [getattr(event, field) for event in found if event.type == f"response.{done}"]
        assert "".join(parts) == whole
        assert len(parts) > 1


def test_a_tool_round_trip_by_items(gpt: OpenAI) -> None:
    first = ask(gpt, "Use get_weather", tools=[WEATHER, CLOCK])
    (call,) = first.output
    assert call.type == "function_call"
    assert violations(json.loads(call.arguments), PARAMETERS) == []
    history: Any = [
        {"role": "user", "content": "Use get_weather"},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    assert 'get_weather gave: "sunny"' in ask(gpt, history, tools=[WEATHER, CLOCK]).output_text


def test_a_tool_round_trip_by_previous_response(gpt: OpenAI) -> None:
    first = ask(gpt, "Use get_weather", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    second = ask(gpt, output, previous_response_id=first.id, tools=[WEATHER])
    assert 'get_weather gave: "rain"' in second.output_text
    assert second.previous_response_id == first.id
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        ask(gpt, "Never mind", previous_response_id=first.id)


def test_a_chain_counts_all_that_came_before(gpt: OpenAI) -> None:
    first = ask(gpt, "x" * 40)
    second = ask(gpt, "y" * 40, previous_response_id=first.id)
    third = ask(gpt, "z" * 40, previous_response_id=second.id)
    assert second.usage is not None
    assert second.usage.input_tokens == 10 + count(first.output_text) + 10
    assert third.usage is not None
    assert third.usage.input_tokens == second.usage.input_tokens + count(second.output_text) + 10


def test_what_was_not_stored_cannot_be_gone_on_from(gpt: OpenAI) -> None:
    for name in (ask(gpt, "Hello", store=False).id, "resp_never"):
        with pytest.raises(openai.BadRequestError) as told:
            ask(gpt, "More", previous_response_id=name)
        assert told.value.code == "previous_response_not_found"
        assert told.value.param == "previous_response_id"
    stored = events(gpt, "Hello there")[-1].response
    assert ask(gpt, "More", previous_response_id=stored.id).status == "completed"
    with pytest.raises(openai.BadRequestError, match="not found"):
        gpt.with_options(api_key="another").responses.create(
            model="m", input="More", previous_response_id=stored.id
        )


def test_custom_and_namespaced_tools_are_called_as_such(gpt: OpenAI) -> None:
    (custom,) = ask(gpt, "shell", tools=[SHELL]).output
    assert custom.type == "custom_tool_call"
    assert custom.input == "input of the simulator for shell"
    (inner,) = ask(gpt, "find_way", tools=[MAPS]).output
    assert inner.type == "function_call"
    assert (inner.name, inner.namespace) == ("find_way", "maps")
    history: Any = [
        {"role": "user", "content": "shell"},
        custom.to_dict(),
        {"type": "custom_tool_call_output", "call_id": custom.call_id, "output": "done that"},
    ]
    assert 'shell gave: "done that"' in ask(gpt, history, tools=[SHELL]).output_text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather"]),
        ({"type": "function", "name": "get_time"}, ["get_time"]),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_time"}]}, ["get_time"]),
    ],
)  # fmt: skip
def test_tool_choice_is_obeyed(gpt: OpenAI, choice: Any, names: list[str]) -> None:
    response = ask(gpt, "Hello", tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [item.name for item in response.output if item.type == "function_call"] == names


@pytest.mark.parametrize(("parallel", "calls"), [(True, 2), (False, 1)])
def test_parallel_calls_unless_they_are_disabled(gpt: OpenAI, parallel: bool, calls: int) -> None:
    tools: Any = [WEATHER, CLOCK]
    response = ask(gpt, "In parallel, get_weather and get_time", tools=tools, parallel_tool_calls=parallel)
    assert len({item.call_id for item in response.output if item.type == "function_call"}) == calls


def test_reasoning_shows_what_was_asked_for(gpt: OpenAI) -> None:
    def reasoning(**more: Any) -> ResponseReasoningItem | None:
        item = ask(gpt, "Hello", **more).output[0]
        return item if item.type == "reasoning" else None

    assert reasoning() is None
    assert reasoning(reasoning={"effort": "none"}) is None
    quiet = reasoning(reasoning={"effort": "low"})
    assert quiet is not None
    assert (quiet.summary, quiet.encrypted_content) == ([], None)
    loud = reasoning(reasoning=THINKING, include=ENCRYPTED)
    assert loud is not None
    assert "thinks about" in loud.summary[0].text
    assert loud.encrypted_content
    usage = ask(gpt, "Hello", reasoning=THINKING).usage
    assert usage is not None
    assert usage.output_tokens_details.reasoning_tokens == count(loud.summary[0].text)


def test_encrypted_reasoning_comes_home(gpt: OpenAI) -> None:
    settings: Any = {"reasoning": THINKING, "include": ENCRYPTED, "store": False, "tools": [WEATHER]}
    first = ask(gpt, "Use get_weather", **settings)
    assert kinds(first) == ["reasoning", "function_call"]
    thought, call = (item.to_dict() for item in first.output)
    answered: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    question = {"role": "user", "content": "Use get_weather"}
    assert "sunny" in ask(gpt, [question, thought, call, answered], **settings).output_text
    nameless = {name: value for name, value in thought.items() if name != "id"}
    assert "sunny" in ask(gpt, [question, nameless, call, answered], **settings).output_text
    for wrong in ({"encrypted_content": "Zm9yZ2Vk"}, {"id": "rs_sim000000000000000000000000"}):
        with pytest.raises(openai.BadRequestError) as told:
            ask(gpt, [question, {**thought, **wrong}, call, answered], **settings)
        assert told.value.code == "invalid_encrypted_content"


def test_stored_reasoning_may_come_home_by_its_id_with_its_own_follower_only(gpt: OpenAI) -> None:
    first = ask(gpt, "Hello", reasoning=THINKING)
    thought, message = (item.to_dict() for item in first.output)
    question = {"role": "user", "content": "Hello"}
    assert ask(gpt, [question, thought, message, question]).status == "completed"
    reference = {"type": "item_reference", "id": message["id"]}
    assert ask(gpt, [question, thought, reference, question]).status == "completed"
    with pytest.raises(openai.BadRequestError, match="without its required following item"):
        ask(gpt, [question, thought, {"role": "assistant", "content": "Something else"}, question])
    with pytest.raises(openai.NotFoundError, match="not persisted"):
        ask(gpt, [question, {**thought, "id": "rs_other"}, message])


class Person(BaseModel):
    name: str
    age: int
    friends: list[str]


def test_structured_output_is_parsed_by_the_sdk(gpt: OpenAI) -> None:
    parsed = gpt.responses.parse(model="m", input="A person", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)


def test_json_mode_gives_an_object(gpt: OpenAI) -> None:
    response = ask(gpt, "Some JSON, please", text={"format": {"type": "json_object"}})
    assert json.loads(response.output_text)["simulator"] is True


def test_a_search_is_an_item_and_cited_at_the_right_place(gpt: OpenAI) -> None:
    tools: Any = [{"type": "web_search"}]
    response = ask(gpt, "search the news", tools=tools, include=["web_search_call.action.sources"])
    search, message = response.output
    assert search.type == "web_search_call"
    assert search.action.type == "search"
    assert search.action.query == "search the news"
    assert len(search.action.sources or []) == 2
    assert isinstance(message, ResponseOutputMessage)
    (part,) = message.content
    assert part.type == "output_text"
    (cited,) = part.annotations
    assert cited.type == "url_citation"
    assert part.text[cited.start_index : cited.end_index] == "its page has an answer"
    assert response.tool_usage is not None
    assert response.tool_usage.web_search.num_requests == 1
    assert kinds(ask(gpt, "Hello", tools=tools)) == ["message"]
    forced: Any = {"type": "web_search_preview"}
    assert kinds(ask(gpt, "Hello", tools=[forced], tool_choice=forced))[0] == "web_search_call"


def test_a_refusal_is_a_part_of_its_own(gpt: OpenAI) -> None:
    (message,) = ask(gpt, "[[sim: refusal=No, thank you]]").output
    assert isinstance(message, ResponseOutputMessage)
    (part,) = message.content
    assert part.type == "refusal"
    assert part.refusal == "No, thank you"


@pytest.mark.parametrize("stream", [False, True])
def test_the_token_limit_leaves_the_response_incomplete(gpt: OpenAI, stream: bool) -> None:
    if stream:
        last = events(gpt, "[[sim: tokens=50]]", max_output_tokens=20)[-1]
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = ask(gpt, "[[sim: tokens=50]]", max_output_tokens=20)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[-1].status == "incomplete"
    assert response.usage is not None
    assert response.usage.output_tokens == 20


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_cover_the_text_token_by_token(gpt: OpenAI, stream: bool) -> None:
    more: Any = {"include": ["message.output_text.logprobs"], "top_logprobs": 3}
    if stream:
        found = events(gpt, "[[sim: text=grüße!]]", **more)
        deltas = [event for event in found if event.type == "response.output_text.delta"]
        assert "".join(row.token for event in deltas for row in event.logprobs) == "grüße!"
        response = found[-1].response
    else:
        response = ask(gpt, "[[sim: text=grüße!]]", **more)
    part = response.output[0].content[0]
    assert "".join(row.token for row in part.logprobs) == "grüße!"
    assert all(len(row.top_logprobs) == 3 and row.logprob <= 0 for row in part.logprobs)


def test_images_and_files_are_counted(gpt: OpenAI) -> None:
    content: Any = [
        {"type": "input_image", "image_url": "data:image/webp;base64,AAAA", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_text", "text": "What is this?"},
    ]
    response = ask(gpt, [{"role": "user", "content": content}])
    assert "1 image(s): image/webp" in response.output_text
    assert "1 document(s)" in response.output_text
    assert response.usage is not None
    assert response.usage.input_tokens == IMAGE_TOKENS + 2000 + count("What is this?")


def test_a_marked_prefix_is_written_then_read(gpt: OpenAI) -> None:
    mark = {"mode": "explicit"}
    content: Any = [{"type": "input_text", "text": "k" * 400, "prompt_cache_breakpoint": mark}]
    more: Any = [{"role": "user", "content": content}, {"role": "user", "content": "Hi"}]
    first, second = ask(gpt, more).usage, ask(gpt, more).usage
    assert first is not None
    assert second is not None
    assert (first.input_tokens_details.cache_write_tokens, first.input_tokens_details.cached_tokens) == (
        100,
        0,
    )
    assert (second.input_tokens_details.cache_write_tokens, second.input_tokens_details.cached_tokens) == (
        0,
        100,
    )
    assert first.input_tokens == second.input_tokens == 101


def test_settings_are_given_back(gpt: OpenAI) -> None:
    response = ask(
        gpt, "Hi", instructions="Be brief", temperature=0.5, metadata={"a": "b"}, tools=[WEATHER], service_tier="flex",
        max_output_tokens=500, truncation="auto", text={"verbosity": "low"}, reasoning={"effort": "low"},
    )  # fmt: skip
    assert (response.instructions, response.temperature, response.metadata) == ("Be brief", 0.5, {"a": "b"})
    assert (response.service_tier, response.max_output_tokens, response.truncation) == ("flex", 500, "auto")
    assert response.tools[0].to_dict()["name"] == "get_weather"
    assert response.text is not None
    assert response.text.verbosity == "low"
    assert response.reasoning is not None
    assert response.reasoning.effort == "low"


def test_a_stream_that_goes_wrong_tells_the_error_and_fails(gpt: OpenAI) -> None:
    with pytest.raises(openai.APIError, match="server had an error"):
        events(gpt, "[[sim: error_event_after=4]]")
    with pytest.raises(openai.InternalServerError):
        ask(gpt, "[[sim: error_event_after=4]]")


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("sim-bad", openai.AuthenticationError),
        ("sim-poor", openai.RateLimitError),
        ("sim-limited", openai.RateLimitError),
    ],
)
def test_bad_keys_fail_as_the_vendors(gpt: OpenAI, key: str, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error):
        gpt.with_options(api_key=key).responses.create(model="m", input="Hi")


def test_a_compatible_vendor_shows_its_thoughts_and_ignores_unknown_fields(gpt: OpenAI) -> None:
    text = "Hello [[sim: reasoning_content]]"
    thought = ask(gpt, text, extra_body={"thinking": {"type": "enabled"}}).output[0]
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert "simulator" in thought.content[0].text
    deltas = [event.delta for event in events(gpt, text) if event.type == "response.reasoning_text.delta"]
    assert "".join(deltas) == thought.content[0].text
