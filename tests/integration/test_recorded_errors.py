"""What real providers answered with when they did not answer, told to callers in each dialect: CONTRACT.md, section 5.

An error about the request reaches the caller as that, in his own envelope, with the provider's words. One about the
channel's credential, its quota or what it serves never does: another channel answers, or the caller hears that none is
there. So does an upstream that is overloaded. What each recording is about is read from it by the rules below, which know
statuses and what the vendors document, and nothing of how the gateway tells them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import recordings
from tests.support.error_house import DIALECTS, EVENTS, JSON, ErrorHouse
from tests.support.gateway import RunningGateway
from tests.support.raw_http import Answer
from tests.support.recordings import Exchange

_KINDS = {
    "messages": "anthropic_messages",
    "chat": "openai_chat",
    "responses": "openai_responses",
    "gemini": "gemini",
}
_STATUSES_OF_CHANNELS = {401, 402, 403, 429}
#: Statuses of requests that say in words, or with a code, that it is the credential or the upstream's own model.
_WORDS_OF_CHANNELS = ("API key not valid", "Incorrect API key")
_NO_SUCH_MODEL = (
    "model_not_found",
    "is not found for API version",
    "not_found_error",
    "This is not a chat model",
)
_TOO_LONG = ("context_length_exceeded", "prompt is too long")

_GOOGLE = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 451: "INVALID_ARGUMENT", 503: "UNAVAILABLE"}
_ANTHROPIC = {
    400: "invalid_request_error",
    404: "not_found_error",
    451: "invalid_request_error",
    503: "overloaded_error",
}


def _recorded() -> list[Any]:
    found: list[Any] = []
    if not recordings.present():
        return [
            pytest.param(
                None, "", marks=pytest.mark.skip(reason="the recorded traffic is absent"), id="absent"
            )
        ]
    for path in sorted(recordings.ROOT.rglob("*.json")):
        told = json.loads(path.read_bytes())
        if isinstance(told, dict) and told.get("kind") in _KINDS and told.get("status", 0) >= 400:
            exchange = recordings.exchange_at(path, Exchange)
            found.append(pytest.param(exchange, _KINDS[told["kind"]], id=exchange.name))
    assert len(found) > 40, "the recordings are not all there"
    return found


RECORDED = pytest.mark.parametrize(("exchange", "upstream"), _recorded())
CLIENTS = pytest.mark.parametrize("client", DIALECTS)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErrorHouse]:
    with RunningGateway(Path(tmp_path_factory.mktemp("errors"))) as gateway:
        made = ErrorHouse(gateway)
        gateway.run(made.open())
        yield made
        gateway.nothing_left_over()
        gateway.run(made.close())


def about_the_channel(exchange: Exchange) -> bool:
    body = (exchange.answer or b"").decode()
    return exchange.status in _STATUSES_OF_CHANNELS or any(
        words in body for words in (*_WORDS_OF_CHANNELS, *_NO_SUCH_MODEL)
    )


def refuses_the_credential(exchange: Exchange) -> bool:
    body = (exchange.answer or b"").decode()
    return exchange.status in (401, 402, 403) or any(words in body for words in _WORDS_OF_CHANNELS)


def check(client: str, answer: Answer, status: int, code: str) -> str:
    """The envelope of the client's dialect. Gives the message."""
    assert answer.status == status, answer.body
    told = json.loads(answer.body)
    error = told["error"]
    if client == "anthropic_messages":
        assert told["type"] == "error"
        assert error["type"] == _ANTHROPIC[status]
        assert told["request_id"] == answer.headers["request-id"]
    elif client == "gemini":
        assert (error["code"], error["status"]) == (status, _GOOGLE[status])
        assert isinstance(error["details"], list)
    else:
        assert error["code"] == code, error
        assert error["type"] == ("api_error" if status == 503 else "invalid_request_error")
        assert "param" in error
    return error["message"]


def words_of(exchange: Exchange) -> str:
    """The provider's message."""
    told = json.loads(exchange.answer or b"{}").get("error", "")
    return told if isinstance(told, str) else told["message"]


@pytest.mark.traffic
@CLIENTS
@RECORDED
def test_a_recorded_error_reaches_the_caller_only_if_it_is_about_the_request(
    house: ErrorHouse, exchange: Exchange, upstream: str, client: str
):
    headers = tuple(
        (name.lower().encode(), value.encode())
        for name, value in exchange.headers.items()
        if name.lower() == "retry-after"
    )
    house.say(exchange.status, exchange.answer or b"", (*JSON, *headers))
    if about_the_channel(exchange):
        served = house.ask(client, upstream, second=True)
        assert served.status == 200, served.body
        assert house.asked == 1
        credential = refuses_the_credential(exchange)
        if credential:
            house.gateway.until(lambda: not house.enabled(upstream))
            house.enable(upstream)
        house.say(exchange.status, exchange.answer or b"", (*JSON, *headers))
        answer = house.ask(client, upstream)
        message = check(client, answer, 503, "no_available_channel")
        assert int(answer.headers["retry-after"]) >= 1
        assert words_of(exchange) not in message
        if credential:
            house.gateway.until(lambda: not house.enabled(upstream))
            house.enable(upstream)
        return
    # The same request would fail elsewhere too: nobody else is asked.
    answer = house.ask(client, upstream, second=True)
    assert house.asked == 1
    too_long = any(words in (exchange.answer or b"").decode() for words in _TOO_LONG)
    code = (
        "context_length_exceeded" if too_long else "not_found" if exchange.status == 404 else "invalid_param"
    )
    message = check(client, answer, exchange.status, code)
    assert words_of(exchange) in message
    assert house.enabled(upstream)


# --- overloaded: as the vendors document it, for none was recorded -----------------------------------------------------

OVERLOADED = {
    "anthropic_messages": (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ),
    "openai_chat": (
        503,
        {"error": {"message": "The engine is currently overloaded", "type": "server_error"}},
    ),
    "openai_responses": (503, {"error": {"message": "Slow Down", "type": "server_error", "code": None}}),
    "gemini": (503, {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("upstream", DIALECTS)
@CLIENTS
def test_an_overloaded_upstream_is_a_channel_that_failed(
    house: ErrorHouse, upstream: str, client: str, stream: bool
):
    status, body = OVERLOADED[upstream]
    house.say(status, json.dumps(body).encode())
    assert house.ask(client, upstream, second=True, stream=stream).status == 200
    assert house.asked == 1
    house.say(status, json.dumps(body).encode())
    message = check(client, house.ask(client, upstream, stream=stream), 503, "no_available_channel")
    assert "verload" not in message


#: The safety system refused the prompt: nobody else is asked.
POLICY = {
    "openai_chat": (
        400,
        {"error": {"message": "Rejected by our safety system.", "code": "content_policy_violation"}},
    ),
    "openai_responses": (
        400,
        {"error": {"message": "Rejected by our safety system.", "code": "content_policy_violation"}},
    ),
    "gemini": (
        200,
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}},
    ),
}


@pytest.mark.parametrize("upstream", POLICY)
@CLIENTS
def test_a_prompt_that_the_safety_system_refuses_is_told_as_that(
    house: ErrorHouse, upstream: str, client: str
):
    status, body = POLICY[upstream]
    house.say(status, json.dumps(body).encode())
    answer = house.ask(client, upstream, second=True)
    assert house.asked == 1
    if client == upstream == "gemini":
        # Its own clients know this answer, and get it as it is.
        assert answer.status == 200
        assert json.loads(answer.body)["promptFeedback"] == body["promptFeedback"]
        return
    check(client, answer, 451, "content_policy_violation")


# --- within a success ------------------------------------------------------------------------------------------------


@pytest.mark.traffic
@pytest.mark.skipif(not recordings.present(), reason="the recorded traffic is absent")
@CLIENTS
def test_a_recorded_stream_that_begins_with_an_error_is_an_upstream_that_failed(
    house: ErrorHouse, client: str
):
    """OpenAI's own: quota, told in a stream with a status of 200."""
    lines = (
        (recordings.ROOT / "responses-only/openai-responses/openai-error.1.chunks.txt")
        .read_bytes()
        .splitlines()
    )
    events = [json.loads(line) for line in lines if line.strip()]
    told = next(event for event in events if event["type"] == "error")
    stream = b"".join(
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in events
    )
    house.say(200, stream, EVENTS)
    answer = house.ask(client, "openai_responses", second=True, stream=True)
    assert answer.status == 200
    message = (told.get("error") or told)["message"]
    assert message.encode() not in answer.body, (
        "what is wrong with the channel's account is not the caller's business"
    )
    assert b"This is" in answer.body, "the healthy channel's answer"


@pytest.mark.traffic
@pytest.mark.skipif(not recordings.present(), reason="the recorded traffic is absent")
@CLIENTS
def test_a_recorded_refusal_is_an_answer_with_its_reason(house: ErrorHouse, client: str):
    """The model declined. That is no error: it is told, in each dialect's own words, and billed."""
    body = (recordings.ROOT / "responses-only/anthropic/anthropic-refusal-no-details.json").read_bytes()
    house.say(200, body)
    answer = house.ask(client, "anthropic_messages")
    assert answer.status == 200, answer.body
    told = json.loads(answer.body)
    if client == "anthropic_messages":
        assert told["stop_reason"] == "refusal"
    elif client == "openai_chat":
        assert told["choices"][0]["finish_reason"] == "content_filter"
    elif client == "openai_responses":
        assert told["status"] == "incomplete"
        assert told["incomplete_details"]["reason"] == "content_filter"
    else:
        assert told["candidates"][0]["finishReason"] == "SAFETY"
