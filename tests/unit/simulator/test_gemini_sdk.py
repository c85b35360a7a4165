"""The official `google-genai` SDK against the simulator itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors
from google.genai import types as t
from pydantic import BaseModel

from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count
from tests.support.json_schema_check import violations

MODEL = "gemini-3-pro"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = t.FunctionDeclaration(name="get_weather", parameters_json_schema=PARAMETERS)
CLOCK = t.FunctionDeclaration(name="get_time")
TOOLS = [t.Tool(function_declarations=[WEATHER, CLOCK])]
SEARCH = [t.Tool(google_search=t.GoogleSearch())]


def ask(google: genai.Client, asked: Any, **config: Any) -> t.GenerateContentResponse:
    return google.models.generate_content(
        model=MODEL, contents=asked, config=t.GenerateContentConfig(**config)
    )


def streamed(google: genai.Client, asked: Any, **config: Any) -> list[t.GenerateContentResponse]:
    found = google.models.generate_content_stream(
        model=MODEL, contents=asked, config=t.GenerateContentConfig(**config)
    )
    return list(found)


def parts(response: t.GenerateContentResponse) -> list[t.Part]:
    assert response.candidates
    content = response.candidates[0].content
    return (content.parts or []) if content is not None else []


def calls(response: t.GenerateContentResponse) -> list[str]:
    return [part.function_call.name or "" for part in parts(response) if part.function_call]


def usage(response: t.GenerateContentResponse) -> t.GenerateContentResponseUsageMetadata:
    assert response.usage_metadata is not None
    return response.usage_metadata


def test_an_answer_says_that_it_is_the_simulators_and_quotes_the_question(google: genai.Client) -> None:
    response = ask(google, "How are you?")
    assert "simulator" in (response.text or "")
    assert "How are you?" in (response.text or "")
    assert response.candidates
    assert response.candidates[0].finish_reason == t.FinishReason.STOP
    assert response.model_version == MODEL
    assert response.response_id


def test_usage_is_what_the_counting_rule_says(google: genai.Client) -> None:
    response = ask(google, "x" * 41, system_instruction="y" * 9)
    figures = usage(response)
    assert figures.prompt_token_count == 11 + 3
    assert figures.candidates_token_count == count(response.text or "")
    assert figures.total_token_count == 14 + (figures.candidates_token_count or 0)


@pytest.mark.parametrize("asked", ["Hello", "get_weather and get_time in parallel", "search the news"])
def test_the_stream_says_what_the_unary_call_says(google: genai.Client, asked: str) -> None:
    tools = [*TOOLS, *SEARCH]
    thinking = t.ThinkingConfig(include_thoughts=True)
    unary = ask(google, asked, tools=tools, thinking_config=thinking)
    chunks = streamed(google, asked, tools=tools, thinking_config=thinking)
    pieces = [part for chunk in chunks for part in parts(chunk)]
    for thought in (True, None):
        whole = "".join(part.text or "" for part in parts(unary) if part.thought == thought)
        assert "".join(part.text or "" for part in pieces if part.thought == thought) == whole
    assert [part.function_call for part in pieces if part.function_call] == [
        part.function_call for part in parts(unary) if part.function_call
    ]
    assert [part.thought_signature for part in pieces if part.thought_signature] == [
        part.thought_signature for part in parts(unary) if part.thought_signature
    ]
    assert chunks[-1].usage_metadata == unary.usage_metadata
    assert chunks[-1].candidates
    assert unary.candidates
    assert chunks[-1].candidates[0].finish_reason == unary.candidates[0].finish_reason
    assert chunks[-1].candidates[0].grounding_metadata == unary.candidates[0].grounding_metadata
    assert all(chunk.candidates and chunk.candidates[0].finish_reason is None for chunk in chunks[:-1])
    assert len({chunk.response_id for chunk in chunks}) == 1


def test_a_tool_round_trip_in_a_chat(google: genai.Client) -> None:
    chat = google.chats.create(model=MODEL, config=t.GenerateContentConfig(tools=list(TOOLS)))
    first = chat.send_message("Use get_weather")
    (call,) = [part.function_call for part in parts(first) if part.function_call]
    assert violations(call.args, PARAMETERS) == []
    answer = t.Part.from_function_response(name="get_weather", response={"result": "sunny"})
    assert 'get_weather gave: "sunny"' in (chat.send_message([answer]).text or "")
    assert "You said" in (chat.send_message("And then?").text or "")


def test_functions_that_the_sdk_calls_by_itself(google: genai.Client) -> None:
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    response = ask(google, "Use get_weather", tools=[get_weather])
    assert "sunny in simulated city" in (response.text or "")


@pytest.mark.parametrize(
    ("mode", "allowed", "names"),
    [
        ("AUTO", None, []),
        ("NONE", None, []),
        ("ANY", None, ["get_weather"]),
        ("ANY", ["get_time"], ["get_time"]),
        ("VALIDATED", None, []),
    ],
)
def test_the_calling_mode_is_obeyed(
    google: genai.Client, mode: str, allowed: list[str] | None, names: list[str]
) -> None:
    calling = t.FunctionCallingConfig(mode=t.FunctionCallingConfigMode(mode), allowed_function_names=allowed)
    response = ask(google, "Hello", tools=TOOLS, tool_config=t.ToolConfig(function_calling_config=calling))
    assert calls(response) == names


def test_of_parallel_calls_the_first_is_signed_and_each_has_its_id(google: genai.Client) -> None:
    response = ask(google, "In parallel: get_weather, get_time", tools=TOOLS)
    assert calls(response) == ["get_weather", "get_time"]
    assert [part.thought_signature is not None for part in parts(response)] == [True, False]
    assert len({part.function_call.id for part in parts(response) if part.function_call}) == 2


def test_thoughts_are_counted_and_shown_only_on_request(google: genai.Client) -> None:
    quiet = ask(google, "Hello", thinking_config=t.ThinkingConfig(thinking_level=t.ThinkingLevel.LOW))
    assert [part.thought for part in parts(quiet)] == [None]
    assert usage(quiet).thoughts_token_count
    assert parts(quiet)[0].thought_signature
    loud = ask(google, "Hello", thinking_config=t.ThinkingConfig(include_thoughts=True))
    assert [part.thought for part in parts(loud)] == [True, None]
    assert usage(loud).thoughts_token_count == count(parts(loud)[0].text or "")
    off = ask(google, "Hello", thinking_config=t.ThinkingConfig(thinking_budget=0))
    assert usage(off).thoughts_token_count is None
    assert parts(off)[0].thought_signature is None


class Person(BaseModel):
    name: str
    age: int
    friends: list[str]


def test_structured_output_is_parsed_by_the_sdk(google: genai.Client) -> None:
    response = ask(google, "A person", response_mime_type="application/json", response_schema=Person)
    assert isinstance(response.parsed, Person)
    plain = ask(google, "A person", response_mime_type="application/json", response_json_schema=PARAMETERS)
    assert violations(json.loads(plain.text or ""), PARAMETERS) == []
    assert (
        json.loads(ask(google, "Any", response_mime_type="application/json").text or "")["simulator"] is True
    )


def test_types_in_upper_case_and_bare_words_are_understood(google: genai.Client) -> None:
    colours = {"type": "STRING", "enum": ["red", "green"]}
    word = ask(google, "A colour", response_mime_type="text/x.enum", response_schema=colours)
    assert word.text in ("red", "green")
    schema = {"type": "OBJECT", "properties": {"score": {"type": "INTEGER"}}, "required": ["score"]}
    scored = ask(google, "A score", response_mime_type="application/json", response_json_schema=schema)
    assert isinstance(json.loads(scored.text or "")["score"], int)


def test_a_search_is_grounded_in_bytes(google: genai.Client) -> None:
    response = ask(google, "search it [[sim: text=Gefunden in Köln:]]", tools=SEARCH)
    assert response.candidates
    found = response.candidates[0].grounding_metadata
    assert found is not None
    assert found.web_search_queries == ["search it"]
    assert len(found.grounding_chunks or []) == 2
    (support,) = found.grounding_supports or []
    segment = support.segment
    assert segment is not None
    raw = (response.text or "").encode()
    assert raw[segment.start_index : segment.end_index].decode() == segment.text == "its page has an answer"
    assert segment.start_index == len("Gefunden in Köln:".encode())
    quiet = ask(google, "Hello", tools=SEARCH)
    assert quiet.candidates
    assert quiet.candidates[0].grounding_metadata is None


def test_a_refusal_blocks_the_prompt_and_one_in_words_the_candidate(google: genai.Client) -> None:
    blocked = ask(google, "[[sim: refusal]]")
    assert blocked.prompt_feedback is not None
    assert blocked.prompt_feedback.block_reason == t.BlockedReason.PROHIBITED_CONTENT
    assert blocked.candidates is None
    assert usage(blocked).candidates_token_count is None
    (chunk,) = streamed(google, "[[sim: refusal]]")
    assert chunk.prompt_feedback == blocked.prompt_feedback
    unsafe = ask(google, "[[sim: refusal=No, thank you]]")
    assert unsafe.candidates
    assert unsafe.candidates[0].finish_reason == t.FinishReason.SAFETY
    assert unsafe.candidates[0].safety_ratings
    assert not unsafe.text


def test_limits_and_stop_sequences(google: genai.Client) -> None:
    cut = ask(google, "[[sim: tokens=50]]", max_output_tokens=10)
    assert cut.candidates
    assert cut.candidates[0].finish_reason == t.FinishReason.MAX_TOKENS
    assert usage(cut).candidates_token_count == 10
    stopped = ask(google, "[[sim: text=one two three]]", stop_sequences=["three"])
    assert stopped.text == "one two "


@pytest.mark.parametrize("stream", [False, True])
def test_several_candidates_differ_and_are_all_billed(google: genai.Client, stream: bool) -> None:
    responses = (
        streamed(google, "Hello", candidate_count=3) if stream else [ask(google, "Hello", candidate_count=3)]
    )
    texts = {0: "", 1: "", 2: ""}
    for response in responses:
        for candidate in response.candidates or []:
            for part in candidate.content.parts or [] if candidate.content else []:
                texts[candidate.index or 0] += part.text or ""
    assert len(set(texts.values())) == 3
    assert usage(responses[-1]).candidates_token_count == sum(map(count, texts.values()))


def test_logprobs_cover_the_text_token_by_token(google: genai.Client) -> None:
    response = ask(google, "[[sim: text=grüße!]]", response_logprobs=True, logprobs=2)
    assert response.candidates
    found = response.candidates[0].logprobs_result
    assert found is not None
    assert "".join(row.token or "" for row in found.chosen_candidates or []) == "grüße!"
    assert all(len(row.candidates or []) == 2 for row in found.top_candidates or [])
    assert (response.candidates[0].avg_logprobs or 0) <= 0


def test_media_are_counted_and_named_by_type(google: genai.Client) -> None:
    image = t.Part.from_bytes(data=b"picture", mime_type="image/webp")
    pdf = t.Part.from_uri(file_uri="https://example.com/a.pdf", mime_type="application/pdf")
    response = ask(google, [image, pdf, "What is this?"])
    assert "1 image(s): image/webp" in (response.text or "")
    assert "1 document(s)" in (response.text or "")
    assert usage(response).prompt_token_count == IMAGE_TOKENS + 2000 + count("What is this?")


def test_tokens_are_counted(google: genai.Client) -> None:
    assert google.models.count_tokens(model=MODEL, contents="x" * 41).total_tokens == 11


def test_models_are_listed_and_every_name_exists(google: genai.Client) -> None:
    assert "models/simulator-large" in [model.name for model in google.models.list()]
    assert google.models.get(model="whatever").name == "models/whatever"


def test_cached_tokens_can_be_asked_for(google: genai.Client) -> None:
    figures = usage(ask(google, "Hi [[sim: cache_read=30]]"))
    assert figures.cached_content_token_count == 30
    assert (figures.prompt_token_count or 0) > 30
    assert "usageMetadata" not in ask(google, "[[sim: no_usage]]").model_dump(
        exclude_none=True, by_alias=True
    )


def test_errors_are_the_sdks_own(google: genai.Client) -> None:
    with pytest.raises(errors.ServerError) as broken:
        ask(google, "[[sim: error=503]]")
    assert (broken.value.code, broken.value.status) == (503, "UNAVAILABLE")
    with pytest.raises(errors.ClientError) as limited:
        ask(google, "[[sim: error=429 retry_after=3]]")
    assert limited.value.status == "RESOURCE_EXHAUSTED"
    (detail,) = limited.value.details["error"]["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
