"""What an upstream says is wrong, told to whom it concerns: the caller hears of their request, the operator of the channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from bytespike.accounts import channels, groups, keys
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from tests.support.gateway import RunningGateway

GPT = "gpt-5-5"
PRIVATE = "acme/secret-gpt-7b"
JSON = ((b"content-type", b"application/json"),)
EVENTS = ((b"content-type", b"text/event-stream"),)
ANSWER = {
    "id": "chatcmpl-1",
    "model": PRIVATE,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "from the second"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}
BAD_KEY = [
    {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
]


class House:
    """A group with two channels for one model: the first says what a test puts into `says`, the second answers."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.says: tuple[int, Any, Any] = (200, JSON, b"")
        self.asked: list[str] = []
        self.first = ScriptedUpstream(self._first)
        self.second = ScriptedUpstream(self._second)

    async def _first(self, peer: Peer) -> None:
        self.asked.append("first")
        status, headers, body = self.says
        if headers is EVENTS:
            # Apart, so that the client has seen the first event when the second one comes.
            pieces = [event + b"\n\n" for event in body.split(b"\n\n") if event]
            await peer.answer_chunked(pieces, status, headers, pause=0.1)
        else:
            await peer.answer(status, headers, body)

    async def _second(self, peer: Peer) -> None:
        self.asked.append("second")
        await peer.answer(200, JSON, json.dumps(ANSWER).encode())

    async def open(self) -> None:
        await self.first.__aenter__()
        await self.second.__aenter__()
        application = self.gateway.application
        # Not the object's id: the next one may have it again.
        tag = uuid4().hex
        async with application.control.writing("test") as write:
            group = await groups.create(write, NewGroup(name=f"refusals {tag}"))
            self.ids: list[Any] = []
            for priority, (name, upstream) in enumerate((("first", self.first), ("second", self.second))):
                urls = dict.fromkeys(("anthropic_messages", "openai_responses", "gemini"), "")
                new = NewChannel(
                    name=f"{name} {tag}",
                    platform="simulator",
                    credential="secret",
                    base_urls={**urls, "openai_chat": upstream.url},
                    models={GPT: PRIVATE},
                    group_ids=(group.id,),
                    priority=priority,
                )
                self.ids.append((await channels.create(write, new)).channel.id)
            minted = await keys.create(
                write, NewKey(name=f"k {tag}", user_id=self.gateway.user, group_id=group.id)
            )
        await application.parts.directory.poll()
        self.key = minted.plaintext

    async def close(self) -> None:
        await self.first.__aexit__(None, None, None)
        await self.second.__aexit__(None, None, None)

    def say(self, status: int, body: Any, headers: Any = JSON) -> None:
        self.says = (status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())

    def ask(self, path: str, *, stream: bool = False) -> Any:
        self.asked.clear()
        body = {
            "model": GPT,
            "max_tokens": 50,
            "stream": stream,
            "messages": [{"role": "user", "content": "hi"}],
        }
        return self.gateway.post(path, json.dumps(body).encode(), headers={"x-api-key": self.key})

    def needs_operator(self) -> bool:
        return self.gateway.application.parts.health.of(self.ids[0]).needs_operator


@pytest.fixture
def house(gateway: RunningGateway) -> Iterator[House]:
    made = House(gateway)
    gateway.run(made.open())
    yield made
    gateway.run(made.close())


PATHS = pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])


@PATHS
@pytest.mark.parametrize("stream", [False, True])
def test_a_content_refusal_inside_of_a_success_is_the_callers_451(
    house: House, path: str, stream: bool
) -> None:
    house.say(200, {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}})
    answer = house.ask(path, stream=stream)
    assert answer.status == 451
    assert b"input new_sensitive" in answer.body
    assert house.asked == ["first"], "it is not tried elsewhere"
    house.gateway.nothing_left_over()


@PATHS
@pytest.mark.parametrize(
    ("status", "body", "disabled"),
    [
        (400, BAD_KEY, True),
        (200, {"error": {"code": 401, "message": "bad key of ops@example.com"}}, True),
        (200, {"error": {"code": 429, "message": "slow down"}}, False),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, False),
        (
            404,
            {"error": {"message": f"The model `{PRIVATE}` does not exist", "code": "model_not_found"}},
            False,
        ),
        (400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}, False),
    ],
)
def test_a_channels_fault_goes_to_the_next_channel_and_never_to_the_client(
    house: House, path: str, status: int, body: Any, disabled: bool
) -> None:
    house.say(status, body)
    answer = house.ask(path)
    assert answer.status == 200
    assert b"from the second" in answer.body
    assert house.asked == ["first", "second"]
    assert house.needs_operator() == disabled


def test_a_model_that_no_upstream_knows_is_a_503(house: House) -> None:
    house.say(404, {"error": {"message": f"The model `{PRIVATE}` does not exist", "code": "model_not_found"}})
    house.gateway.run(house.second.__aexit__(None, None, None))
    answer = house.ask("/v1/chat/completions")
    assert answer.status == 503
    assert PRIVATE.encode() not in answer.body
    house.gateway.run(house.second.__aenter__())


@PATHS
def test_an_error_about_the_request_names_the_model_as_the_client_did(house: House, path: str) -> None:
    house.say(400, {"error": {"message": f"{PRIVATE} takes no images", "type": "invalid_request_error"}})
    answer = house.ask(path)
    assert answer.status == 400
    assert f"{GPT} takes no images".encode() in answer.body
    assert PRIVATE.encode() not in answer.body
    assert house.asked == ["first"]


CHUNK = (
    b'data: {"id":"x","model":"up","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
)


@PATHS
def test_an_accounts_trouble_in_mid_stream_is_an_upstream_that_failed(house: House, path: str) -> None:
    error = {
        "error": {"message": "org-1234 of ops@example.com is out of credit", "code": "insufficient_quota"}
    }
    house.say(200, CHUNK + b"data: " + json.dumps(error).encode() + b"\n\n", EVENTS)
    answer = house.ask(path, stream=True)
    assert answer.status == 200
    assert b"hi" in answer.body
    assert b"1234" not in answer.body
    assert b"credit" not in answer.body
    wanted = b'"overloaded_error"' if path == "/v1/messages" else b'"no_available_channel"'
    assert wanted in answer.body
    assert house.needs_operator()
    house.gateway.nothing_left_over()
