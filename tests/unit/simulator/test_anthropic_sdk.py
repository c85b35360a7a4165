"""The official `anthropic` SDK against the simulator itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import (
    ServerToolUseBlock,
    TextBlock,
    WebSearchToolResultBlock,
)
from pydantic import BaseModel

from bytespike.providers.simulator.server import Simulator
from bytespike.providers.simulator.tokens import IMAGE_TOKENS, count
from tests.support.simulator_claude import PIXEL, WEATHER, ask, said, user


def test_an_answer_says_that_it_is_the_simulators_and_quotes_the_question(claude: Anthropic) -> None:
    message = ask(claude, "How are you?")
    assert "simulator" in said(message)
    assert "How are you?" in said(message)
    assert message.stop_reason == "end_turn"
    assert message.model == "claude-x"


def test_usage_is_what_the_counting_rule_says(claude: Anthropic) -> None:
    message = ask(claude, "x" * 41, system="y" * 9)
    assert message.usage.input_tokens == 11 + 3
    assert message.usage.output_tokens == count(said(message))


def test_the_stream_helper_ends_with_the_message_of_the_unary_call(claude: Anthropic) -> None:
    text = "Please use the tool get_weather. [[sim: thinking=hm]]"
    unary = ask(claude, text, tools=[WEATHER])
    with claude.messages.stream(
        model="claude-x", max_tokens=4000, messages=user(text), tools=[WEATHER]
    ) as stream:
        events = list(stream)
        streamed = stream.get_final_message()
    assert streamed.to_dict(mode="json") == unary.to_dict(mode="json")
    assert any(event.type == "thinking" for event in events)
    assert any(event.type == "input_json" for event in events)


def test_streamed_text_arrives_in_pieces_that_add_up(claude: Anthropic) -> None:
    with claude.messages.stream(
        model="m", max_tokens=500, messages=user("[[sim: tokens=50 piece=8]]")
    ) as stream:
        pieces = list(stream.text_stream)
        assert "".join(pieces) == said(stream.get_final_message())
    assert len(pieces) == 25
    assert all(len(piece) == 8 for piece in pieces)


class Person(BaseModel):
    name: str
    age: int
    friends: list[str]


def test_structured_output_is_parsed_by_the_sdk(claude: Anthropic) -> None:
    message = claude.messages.parse(
        model="m", max_tokens=1000, messages=user("A person"), output_format=Person
    )
    assert isinstance(message.parsed_output, Person)


def test_images_are_counted_and_named_by_type(claude: Anthropic) -> None:
    message = claude.messages.create(
        model="m",
        max_tokens=1000,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ],
    )
    assert "2 image(s): image/png, image/*" in said(message)
    assert message.usage.input_tokens == 2 * IMAGE_TOKENS + count("What is this?")


def test_documents_are_cited_when_citations_are_on(claude: Anthropic) -> None:
    message = claude.messages.create(
        model="m",
        max_tokens=1000,
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "Facts",
                        "citations": {"enabled": True},
                        "source": {"type": "text", "media_type": "text/plain", "data": "Grass is green."},
                    },
                    {"type": "text", "text": "What colour is grass?"},
                ],
            }
        ],
    )
    (citation,) = [
        c for block in message.content if isinstance(block, TextBlock) for c in block.citations or ()
    ]
    assert citation.type == "char_location"
    assert (citation.cited_text, citation.document_title, citation.document_index) == (
        "Grass is green.",
        "Facts",
        0,
    )


@pytest.mark.parametrize("text", ["Please search for news", "[[sim: web_search]]"])
def test_web_search_runs_is_cited_and_billed(claude: Anthropic, text: str) -> None:
    arguments: Any = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    message = ask(claude, text, **arguments)
    call, found = message.content[:2]
    assert isinstance(call, ServerToolUseBlock)
    assert isinstance(found, WebSearchToolResultBlock)
    assert found.tool_use_id == call.id
    cited = [c for block in message.content if isinstance(block, TextBlock) for c in block.citations or ()]
    assert [citation.type for citation in cited] == ["web_search_result_location"]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1
    again = claude.messages.create(
        model="m", max_tokens=100, messages=[*user(text), message.to_param(), *user("Thanks")], **arguments
    )
    assert again.stop_reason == "end_turn"


def test_a_refusal_has_its_details(claude: Anthropic) -> None:
    message = ask(claude, "[[sim: refusal]]")
    assert message.stop_reason == "refusal"
    assert message.content == []
    assert message.stop_details is not None
    assert "simulator" in (message.stop_details.explanation or "")


def test_stop_sequences_cut_the_text(claude: Anthropic) -> None:
    message = ask(claude, "[[sim: text=one two three four]]", stop_sequences=["four", "three"])
    assert said(message) == "one two "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "three")


def test_max_tokens_cuts_the_answer(claude: Anthropic) -> None:
    message = ask(claude, "[[sim: tokens=50]]", max_tokens=10)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 10
    assert len(said(message)) == 40


def test_max_tokens_zero_answers_nothing(claude: Anthropic) -> None:
    message = ask(claude, "Warm the cache", max_tokens=0)
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "max_tokens", 0)


def test_count_tokens_agrees_with_the_bill(claude: Anthropic) -> None:
    arguments: Any = {
        "model": "m",
        "system": "Be brief.",
        "tools": [WEATHER],
        "messages": [*user("Hello"), {"role": "assistant", "content": "Hi"}, *user("Well?")],
    }
    counted = claude.messages.count_tokens(**arguments)
    assert counted.input_tokens == claude.messages.create(max_tokens=5, **arguments).usage.input_tokens


def test_models_are_listed_in_pages_and_any_model_exists(claude: Anthropic) -> None:
    assert [model.id for model in claude.models.list(limit=1)] == ["simulator-large", "simulator-small"]
    assert all("simulator" in model.display_name for model in claude.models.list())
    assert claude.models.retrieve("claude-whatever").id == "claude-whatever"


def test_cache_marks_write_first_and_read_afterwards(claude: Anthropic) -> None:
    system: Any = [{"type": "text", "text": "s" * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    history: list[Any] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "q" * 80, "cache_control": {"type": "ephemeral"}}],
        }
    ]
    first = claude.messages.create(model="m", max_tokens=50, system=system, messages=history).usage
    assert (first.input_tokens, first.cache_read_input_tokens, first.cache_creation_input_tokens) == (
        0,
        0,
        120,
    )
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens == 100
    assert first.cache_creation.ephemeral_5m_input_tokens == 20
    grown = [
        {"role": "user", "content": [{"type": "text", "text": "q" * 80}]},
        {"role": "assistant", "content": "a" * 40},
        {
            "role": "user",
            "content": [{"type": "text", "text": "r" * 20, "cache_control": {"type": "ephemeral"}}],
        },
    ]
    second = claude.messages.create(model="m", max_tokens=50, system=system, messages=grown).usage
    assert (second.input_tokens, second.cache_read_input_tokens, second.cache_creation_input_tokens) == (
        0,
        120,
        15,
    )
    other_model = claude.messages.create(model="n", max_tokens=50, system=system, messages=grown).usage
    assert other_model.cache_read_input_tokens == 0


def test_cache_figures_by_directive_come_on_top(claude: Anthropic) -> None:
    usage = ask(claude, "[[sim: cache_read=1000 cache_write=500 cache_write_1h=30]]").usage
    assert usage.input_tokens == count("[[sim: cache_read=1000 cache_write=500 cache_write_1h=30]]")
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (1000, 530)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.PaymentRequiredError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.ContentTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.ServiceUnavailableError, "api_error"),
        (504, anthropic.GatewayTimeoutError, "timeout_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own_classes(
    claude: Anthropic, status: int, error: type[anthropic.APIStatusError], kind: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        ask(claude, f"[[sim: error={status} retry_after=3]]", stream=stream)
    assert caught.value.type == kind
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.request_id
    body: Any = caught.value.body
    assert body["request_id"] == caught.value.request_id


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("sim-bad", anthropic.AuthenticationError),
        ("sim-poor", anthropic.PaymentRequiredError),
        ("sim-limited", anthropic.RateLimitError),
    ],
)
def test_some_keys_do_not_work(sim: Simulator, key: str, error: type[anthropic.APIStatusError]) -> None:
    with (
        Anthropic(base_url=sim.base_url, api_key=key, max_retries=0) as client,
        pytest.raises(error) as caught,
    ):
        ask(client, "Hello")
    assert (caught.value.response.headers.get("retry-after") == "2") == (key == "sim-limited")


def test_an_error_in_the_stream_is_the_sdks_own_exception(claude: Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(ask(claude, "[[sim: error_event_after=4]]", stream=True))
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"


def test_the_plain_path_serves_the_same(sim: Simulator) -> None:
    with Anthropic(base_url=sim.base_url, api_key="any", max_retries=0) as client:
        assert "simulator" in said(ask(client, "Hello"))
        assert json.loads(client.models.list().to_json())["data"][0]["type"] == "model"


def test_async_clients_in_the_same_loop() -> None:
    async def main() -> str:
        async with (
            Simulator() as sim,
            anthropic.AsyncAnthropic(base_url=sim.base_url, api_key="any", max_retries=0) as client,
        ):
            messages = await asyncio.gather(
                *(
                    client.messages.create(model="m", max_tokens=99, messages=user(f"no. {n}"))
                    for n in range(5)
                )
            )
            return " ".join(said(message) for message in messages)

    text = asyncio.run(main())
    assert all(f"no. {n}" in text for n in range(5))


def test_a_pdf_is_cited_by_page(claude: Anthropic) -> None:
    source: Any = {"type": "base64", "media_type": "application/pdf", "data": PIXEL}
    document: Any = {"type": "document", "source": source, "citations": {"enabled": True}}
    content: Any = [document, {"type": "text", "text": "What does it say?"}]
    message = claude.messages.create(
        model="m", max_tokens=500, messages=[{"role": "user", "content": content}]
    )
    cited = [c for block in message.content if isinstance(block, TextBlock) for c in block.citations or ()]
    assert [citation.type for citation in cited] == ["page_location"]


def test_a_wrong_page_of_models_is_refused(claude: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        claude.models.list(limit=0)
    assert [model.id for model in claude.models.list(after_id="simulator-large")] == ["simulator-small"]
