"""gpt-4o-image through Chat Completions: pictures in the answer, edited by sending the answer back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from PIL import Image

from tests.support.image_gateway import ImageGateway

MODEL = "gpt-4o-image"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageGateway]:
    with ImageGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(autouse=True)
def well(gateway: ImageGateway) -> None:
    """What channels failed at in one test is not held against them in the next."""
    gateway.heal()
    gateway.forget_upstream_requests()


@pytest.fixture(scope="module")
def client(gateway: ImageGateway) -> OpenAI:
    return OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0, timeout=60)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def turn(client: OpenAI, messages: list[Any], **more: Any) -> dict[str, Any]:
    """The answer's message."""
    answer = client.chat.completions.create(model=MODEL, messages=messages, **more)
    assert answer.model == MODEL
    return answer.choices[0].message.to_dict(warnings=False)


def urls_of(message: dict[str, Any]) -> list[str]:
    return [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]


def picture(gateway: ImageGateway, url: str) -> Image.Image:
    found = gateway.request("GET", gateway.path_of(url))
    assert found.status == 200
    return Image.open(io.BytesIO(found.body))


@pytest.mark.parametrize("where", ["markdown", "inline", "parts", "images"])
def test_pictures_are_parts_of_the_answer_wherever_the_vendor_puts_them(
    gateway: ImageGateway, client: OpenAI, where: str
) -> None:
    message = turn(client, [user(f"Draw a koi pond at dusk. [[sim: pictures={where}]]")])
    assert message["role"] == "assistant"
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][0]["text"] == "The simulator drew it from words."
    (url,) = urls_of(message)
    assert picture(gateway, url).size == (1024, 1024)


def test_a_turn_is_billed_as_one_whatever_it_draws(gateway: ImageGateway, client: OpenAI) -> None:
    before = gateway.usage_rows()
    message = turn(client, [user("Draw two.")], extra_body={"image_output": {"n": 2}})
    assert len(urls_of(message)) == 2
    row = gateway.billed()[-1]
    assert gateway.usage_rows() == before + 1
    assert (row.model, row.protocol, row.credits, row.held, row.images) == (
        MODEL,
        "openai_chat",
        80_000,
        80_000,
        1,
    )


def test_image_output_says_how_pictures_shall_be(gateway: ImageGateway, client: OpenAI) -> None:
    asked = {"size": "1536x1024", "quality": "high"}
    message = turn(client, [user("Draw a ship.")], extra_body={"image_output": asked})
    assert picture(gateway, urls_of(message)[0]).size == (1536, 1024)
    sent = gateway.sim.requests[0].body
    assert isinstance(sent, dict)
    assert sent["image_output"] == asked


def test_without_image_output_the_vendor_gets_none(gateway: ImageGateway, client: OpenAI) -> None:
    turn(client, [user("Draw a ship.")], temperature=0.5)
    sent = gateway.sim.requests[0].body
    assert isinstance(sent, dict)
    assert "image_output" not in sent
    assert sent["temperature"] == 0.5


def test_an_answer_that_is_sent_back_is_what_the_next_turn_changes(
    gateway: ImageGateway, client: OpenAI
) -> None:
    messages: list[Any] = [user("Draw a koi pond."), turn(client, [user("Draw a koi pond.")])]
    gateway.forget_upstream_requests()
    messages.append(user("Now make the sky purple."))
    second = turn(client, messages)
    assert second["content"][0]["text"] == "The simulator drew it from 1 picture, the first 1024x1024."
    sent = gateway.sim.requests[0].body
    assert isinstance(sent, dict)
    told = sent["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == [{"type": "text", "text": "The simulator drew it from words."}]
    image, words = told[2]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert words == {"type": "text", "text": "Now make the sky purple."}
    messages += [second, user("And add a dog.")]
    third = turn(client, messages)
    assert picture(gateway, urls_of(third)[0]).size == (1024, 1024)
    assert third["content"][0]["text"] == "The simulator drew it from 1 picture, the first 1024x1024."


def test_a_link_that_was_changed_is_not_opened(gateway: ImageGateway, client: OpenAI) -> None:
    message = turn(client, [user("Draw a cat.")])
    (url,) = urls_of(message)
    message["content"][1]["image_url"]["url"] = url[:-1] + ("A" if url[-1] != "A" else "B")
    gateway.forget_upstream_requests()
    turn(client, [user("Draw a cat."), message, user("Bigger.")])
    sent = json.dumps(gateway.sim.requests[0].body)
    assert "base64" not in sent


def test_a_stream_tells_words_then_pictures_and_ends(gateway: ImageGateway, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Draw a fox."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk.to_dict(warnings=False) for chunk in stream]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "The simulator drew it from words."
    (images,) = [delta["images"] for delta in deltas if "images" in delta]
    assert picture(gateway, images[0]["image_url"]["url"]).size == (1024, 1024)
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert gateway.billed()[-1].stream


def test_an_answer_in_words_is_an_answer(gateway: ImageGateway, client: OpenAI) -> None:
    message = turn(client, [user("Draw it. [[sim: images=0]]")])
    assert message["content"] == "The simulator asks: of which colour?"
    assert gateway.billed()[-1].credits == 80_000


def test_a_refusal_is_451_and_costs_nothing(gateway: ImageGateway, client: OpenAI) -> None:
    before = gateway.usage_rows()
    with pytest.raises(openai.APIStatusError) as refused:
        turn(client, [user("Draw a fight. [[sim: fail=moderation]]")])
    assert refused.value.status_code == 451
    assert refused.value.code == "content_policy_violation"
    assert gateway.usage_rows() == before


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"image_output": {"size": "9x9"}}, "image_output.size"),
        ({"image_output": {"quality": "best"}}, "image_output.quality"),
        ({"image_output": {"n": 3}}, "image_output.n"),
        ({"image_output": {"n": 0}}, "image_output.n"),
        ({"image_output": "large"}, "image_output"),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": "draw"}, "messages"),
        ({"messages": ["draw"]}, "messages[0]"),
    ],
    ids=str,
)
def test_wrong_fields_are_named(gateway: ImageGateway, body: dict[str, Any], param: str) -> None:
    whole = {"model": MODEL, "messages": [user("Draw.")], **body}
    answer = gateway.post("/v1/chat/completions", json.dumps(whole).encode())
    assert answer.status == 400
    error = json.loads(answer.body)["error"]
    assert (error["code"], error["param"]) == ("invalid_param", param)
    assert gateway.sim.requests == []


def test_a_dry_run_of_a_turn_asks_nobody(gateway: ImageGateway) -> None:
    body = {"model": MODEL, "messages": [user("Draw.")]}
    headers = {"x-api-key": gateway.key, "x-bytespike-dry-run": "1"}
    answer = gateway.post("/v1/chat/completions", json.dumps(body).encode(), headers)
    assert json.loads(answer.body)["estimated_credits"] == "0.08"
    assert gateway.sim.requests == []
    assert gateway.application.parts.ledger.stats().open_holds == 0


def test_a_channel_that_fails_is_passed_over(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ImageGateway(tmp_path_factory.mktemp("failover")) as gateway:
        gateway.add_first("gpt-image", credential="sim-bad")
        client = OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0)
        assert urls_of(turn(client, [user("Draw a cat.")]))
        assert [row.outcome for row in gateway.attempt_rows()] == ["failed", "completed"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_the_other_dialects_say_where_to_ask(gateway: ImageGateway, path: str) -> None:
    body = {"model": MODEL, "max_tokens": 9, "messages": [user("Draw.")], "input": "Draw."}
    answer = gateway.post(path, json.dumps(body).encode())
    assert answer.status == 400
    assert b"/v1/images/generations" in answer.body
