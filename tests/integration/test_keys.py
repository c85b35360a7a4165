"""Which keys open the gateway, through the running gateway."""

from __future__ import annotations

import json

import pytest

from tests.support.gateway import CLAUDE, GPT, RunningGateway

BODY = json.dumps(
    {"model": CLAUDE, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
).encode()


def status_of(gateway: RunningGateway, key: str, path: str = "/v1/messages", body: bytes = BODY) -> int:
    return gateway.post(path, body, headers={"x-api-key": key}).status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"ip_whitelist": ("127.0.0.0/8",)}, 200),
        ({"ip_whitelist": ("10.0.0.0/8", "2001:db8::/32")}, 403),
        ({"ip_blacklist": ("127.0.0.1/32",)}, 403),
        ({"ip_blacklist": ("::/0",)}, 200),
        ({"ip_whitelist": ("127.0.0.1/32",), "ip_blacklist": ("127.0.0.1/32",)}, 403),
        ({"allowed_models": (CLAUDE,)}, 200),
        ({"allowed_models": (GPT,)}, 403),
    ],
    ids=str,
)
def test_a_keys_own_rules_hold(gateway: RunningGateway, fields: dict, status: int):
    assert status_of(gateway, gateway.new_key(**fields)) == status


def test_a_forwarded_address_is_not_believed_from_strangers(gateway: RunningGateway):
    key = gateway.new_key(ip_whitelist=("10.0.0.0/8",))
    answer = gateway.post("/v1/messages", BODY, headers={"x-api-key": key, "x-forwarded-for": "10.0.0.1"})
    assert answer.status == 403


def test_a_model_that_no_channel_of_the_group_serves_is_told_apart_from_one_that_does_not_exist(gateway):
    served_elsewhere = json.dumps(json.loads(BODY) | {"model": "glm-5"}).encode()
    answer = gateway.post("/v1/messages", served_elsewhere)
    assert answer.status == 403
    assert b"no channel of the group" in answer.body
    chat = json.dumps({"model": "glm-5", "messages": [{"role": "user", "content": "hi"}]}).encode()
    assert (
        json.loads(gateway.post("/v1/chat/completions", chat).body)["error"]["code"] == "model_not_in_group"
    )


@pytest.mark.parametrize("name", ["claude-sonnet-4.6", "Claude-Sonnet-4-6", "models/claude-sonnet-4-6"])
def test_a_model_is_found_under_its_other_spellings_and_answers_under_the_one_that_was_asked(gateway, name):
    body = json.dumps(json.loads(BODY) | {"model": name}).encode()
    answer = gateway.post("/v1/messages", body)
    assert answer.status == 200
    assert json.loads(answer.body)["model"] == name


def test_a_newer_default_of_a_client_is_answered_by_what_there_is_and_told(gateway):
    body = json.dumps(json.loads(BODY) | {"model": "claude-opus-5-5"}).encode()
    answer = gateway.post("/v1/messages", body)
    assert answer.status == 200
    assert "claude-opus-4-8" in answer.headers["x-bytespike-notices"]
    assert json.loads(answer.body)["model"] == "claude-opus-5-5"
