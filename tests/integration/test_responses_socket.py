"""Responses over a WebSocket, with the official SDK and with a plain client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway

FAMILIES = pytest.mark.parametrize("model", [CLAUDE, GPT, GPT_RESPONSES, GEMINI])


class Plain:
    """A socket, a message at a time."""

    def __init__(self, gateway: RunningGateway, key: str = "") -> None:
        headers = {"authorization": f"Bearer {key or gateway.key}"}
        self.socket = connect(
            f"ws://{gateway.host}:{gateway.port}/v1/responses", additional_headers=headers, max_size=None
        )

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, **event: Any) -> None:
        self.socket.send(json.dumps({"type": "response.create", **event}))

    def event(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=10))

    def turn(self, **event: Any) -> list[dict[str, Any]]:
        """A whole turn's events."""
        self.send(**event)
        events = [self.event()]
        while events[-1]["type"] not in ("response.completed", "response.failed", "error"):
            events.append(self.event())
        return events


def text_of(event: dict[str, Any]) -> str:
    items = event["response"]["output"]
    return "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])


@FAMILIES
def test_the_sdk_talks_over_a_socket_to_every_family(gateway: RunningGateway, model: str):
    client = OpenAI(api_key=gateway.key, base_url=f"{gateway.url}/v1")
    with client.responses.connect() as connection:
        for turn in range(2):
            connection.response.create(model=model, input=f"hello {turn}", store=False)
            kinds = []
            for event in connection:
                kinds.append(event.type)
                if event.type == "response.completed":
                    assert event.response.output_text
                    assert event.response.usage.output_tokens > 0
                    break
            assert kinds[:2] == ["response.created", "response.in_progress"]


@FAMILIES
def test_each_turn_is_billed_as_its_usage_says(gateway: RunningGateway, model: str):
    before = gateway.balance()
    with Plain(gateway) as plain:
        done = plain.turn(model=model, input="hello")[-1]
    receipt = gateway.newest_receipt()
    assert receipt["end_reason"] == "completed"
    assert receipt["output_tokens"] == done["response"]["usage"]["output_tokens"]
    assert before - gateway.balance() == receipt["credits"] > 0
    gateway.nothing_left_over()


@FAMILIES
def test_a_turn_goes_on_from_the_last_one_though_nothing_is_stored(gateway: RunningGateway, model: str):
    with Plain(gateway) as plain:
        first = plain.turn(model=model, input="my name is Ann", store=False)[-1]["response"]
        gateway.forget_upstream_requests()
        plain.turn(model=model, input="and now?", store=False, previous_response_id=first["id"])
        asked = json.dumps(gateway.newest_upstream_request().body)
        assert "my name is Ann" in asked
        assert "and now?" in asked
    stored = gateway.request(
        "GET", f"/v1/responses/{first['id']}", headers={"authorization": f"Bearer {gateway.key}"}
    )
    assert stored.status == 404
    with Plain(gateway) as other:
        (error,) = other.turn(model=model, input="and now?", previous_response_id=first["id"])
    assert error["type"] == "error"
    assert error["status"] == 400
    assert error["error"]["code"] == "previous_response_not_found"


@FAMILIES
def test_a_warm_up_asks_nobody_costs_nothing_and_can_be_gone_on_from(gateway: RunningGateway, model: str):
    rows = gateway.usage_rows()
    gateway.forget_upstream_requests()
    with Plain(gateway) as plain:
        events = plain.turn(
            model=model, input="remember the word pear", instructions="Be brief.", generate=False, store=False
        )
        assert [event["type"] for event in events] == ["response.created", "response.completed"]
        warm = events[-1]["response"]
        assert warm["output"] == []
        assert gateway.upstream_requests() == []
        assert gateway.usage_rows() == rows
        plain.turn(model=model, input="which word?", store=False, previous_response_id=warm["id"])
        assert "remember the word pear" in json.dumps(gateway.newest_upstream_request().body)
    assert gateway.usage_rows() == rows + 1


def test_lanes_run_beside_each_other_and_their_events_say_whose_they_are(gateway: RunningGateway):
    with Plain(gateway) as plain:
        plain.send(model=CLAUDE, input="[[sim: tokens=30 pace=0.02]]", stream_id="slow")
        plain.send(model=GPT, input="hello", stream_id="fast")
        ended: list[str] = []
        while len(ended) < 2:
            event = plain.event()
            assert event["stream_id"] in ("slow", "fast")
            if event["type"] == "response.completed":
                ended.append(event["stream_id"])
    assert ended == ["fast", "slow"]


def test_turns_of_one_lane_run_one_after_the_other(gateway: RunningGateway):
    with Plain(gateway) as plain:
        for number in range(3):
            plain.send(model=GPT, input=f"[[sim: text=answer-{number}]]")
        texts = []
        while len(texts) < 3:
            event = plain.event()
            if event["type"] == "response.completed":
                texts.append(text_of(event))
    assert [f"answer-{number}" in text for number, text in enumerate(texts)] == [True] * 3


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"type": "response.append"}', 400),
        ('{"type": "response.create"}', 400),
        ('{"type": "response.create", "model": "nothing-like-it", "input": "hi"}', 404),
        ('{"type": "response.create", "model": "gpt-5-5", "input": 5}', 400),
        ('{"type": "response.create", "model": "gpt-5-5", "input": "hi", "stream_id": 5}', 400),
        ('{"type": "response.create", "model": "gpt-5-5", "input": "[[sim: error=500]]"}', 503),
    ],
)
def test_errors_are_events_and_the_socket_stays_open(gateway: RunningGateway, message: str, status: int):
    with Plain(gateway) as plain:
        plain.socket.send(message)
        error = plain.event()
        assert error["type"] == "error"
        assert error["status"] == status
        assert error["error"]["message"]
        gateway.heal()
        assert plain.turn(model=GPT, input="hello")[-1]["type"] == "response.completed"


def test_who_closes_the_socket_in_mid_stream_pays_for_what_was_produced(gateway: RunningGateway):
    gateway.forget_upstream_requests()
    answered = gateway.answered()
    with Plain(gateway) as plain:
        plain.send(model=CLAUDE, input="[[sim: tokens=300 pace=0.02]]")
        deltas = 0
        while deltas < 3:
            deltas += plain.event()["type"] == "response.output_text.delta"
    gateway.until_answered(answered + 1)
    assert gateway.newest_receipt()["end_reason"] == "client_gone"
    gateway.until(lambda: gateway.newest_upstream_request().state == "aborted")
    gateway.nothing_left_over()


def test_a_wrong_key_is_told_before_the_socket_opens(gateway: RunningGateway):
    with pytest.raises(InvalidStatus) as refused:
        Plain(gateway, key="sk-byts-unknown")
    assert refused.value.response.status_code == 401


def test_a_plain_get_says_what_is_there(gateway: RunningGateway):
    answer = gateway.request("GET", "/v1/responses", headers={"authorization": f"Bearer {gateway.key}"})
    assert answer.status == 400
    assert b"WebSocket" in answer.body


def test_a_revoked_key_stops_working_on_an_open_socket(gateway: RunningGateway):
    key = gateway.new_key()
    with Plain(gateway, key) as plain:
        assert plain.turn(model=GPT, input="hello")[-1]["type"] == "response.completed"
        gateway.revoke(key)
        gateway.until(lambda: plain.turn(model=GPT, input="hello")[-1].get("status") == 401, seconds=3)


def test_a_message_that_is_too_large_closes_the_socket(gateway: RunningGateway):
    with Plain(gateway) as plain:
        try:
            plain.socket.send("x" * (33 * 1024 * 1024))
            plain.socket.recv(timeout=10)
        except Exception as closed:
            assert "1009" in str(closed) or "reset" in str(closed).lower()
        else:
            raise AssertionError("the socket is still open")
