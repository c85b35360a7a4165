"""Callers and upstreams that do what hardly anybody does."""

from __future__ import annotations

import base64
import json
import resource
import socket

from bytespike.wire.jsonedit import replace_string_member
from tests.support.gateway import CLAUDE, GPT, GPT_RESPONSES, RunningGateway
from tests.support.pixels import tiny_png


def test_a_second_request_before_the_first_is_answered_does_not_make_the_first_one_free(
    gateway: RunningGateway,
):
    gateway.forget_upstream_requests()
    before = gateway.balance()
    answered = gateway.answered()
    body = json.dumps(
        {
            "model": CLAUDE,
            "max_tokens": 400,
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim: tokens=300 pace=0.02]]"}],
        }
    ).encode()
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        seen = b""
        while seen.count(b"content_block_delta") < 3:
            seen += sock.recv(4096)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        gateway.until_answered(answered + 1)
    assert gateway.newest_upstream_request().state == "aborted"
    receipt = gateway.newest_receipt()
    assert receipt["end_reason"] == "client_gone"
    assert before - gateway.balance() == receipt["credits"] > 0
    gateway.nothing_left_over()


def test_a_refused_credential_disables_the_channel_until_an_operator_looks(tmp_path):
    with RunningGateway(tmp_path) as gateway:
        body = {
            "model": CLAUDE,
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "[[sim: error=401]]"}],
        }
        answer = gateway.post("/v1/messages", json.dumps(body).encode())
        assert answer.status == 503
        assert b"401" not in answer.body
        channels = gateway.application.parts.directory
        gateway.until(lambda: any(not each.enabled for each in channels.routes.channels.values()), seconds=3)
        body["messages"][0]["content"] = "hello"
        later = gateway.post("/v1/messages", json.dumps(body).encode())
        assert later.status == 503
        assert b"disabled" in later.body
        other = json.dumps({**body, "model": GPT}).encode()
        assert gateway.post("/v1/messages", other).status == 200


def test_an_upstreams_complaint_about_one_request_does_not_make_the_channel_rest(gateway: RunningGateway):
    for path, model in (("/v1/messages", CLAUDE), ("/v1/chat/completions", GPT)):
        bad = {
            "model": model,
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "[[sim: error=400]]"}],
        }
        good = {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
        for _ in range(3):
            assert gateway.post(path, json.dumps(bad).encode()).status == 400
            assert gateway.post(path, json.dumps(good).encode()).status == 200


def test_an_image_is_counted_as_an_image_where_the_gateway_counts(gateway: RunningGateway):
    image = base64.b64encode(tiny_png(400, 400) + b"\0" * 200_000).decode()
    source = {"type": "base64", "media_type": "image/png", "data": image}
    body = {"model": GPT, "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    answer = gateway.post("/v1/messages/count_tokens", json.dumps(body).encode())
    assert answer.status == 200
    assert "counted by the gateway" in answer.headers["x-bytespike-notices"]
    assert 100 < json.loads(answer.body)["input_tokens"] < 5_000


def test_a_long_string_beside_two_model_members_takes_little_memory():
    body = json.dumps({"model": "a", "x": {"model": "b"}, "text": "y" * 8_000_000}).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changed = replace_string_member(body, "model", b'"c"')
    assert json.loads(changed)["model"] == "c"
    assert json.loads(changed)["x"] == {"model": "b"}
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100


def test_reasoning_that_another_account_encrypted_is_left_out_when_the_channel_cannot_read_it(
    gateway: RunningGateway,
):
    gateway.forget_upstream_requests()
    foreign = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "gAAAAA-of-another-account",
    }
    body = {
        "model": GPT_RESPONSES,
        "store": False,
        "input": [{"role": "user", "content": "hello"}, foreign, {"role": "user", "content": "more"}],
    }
    answer = gateway.post("/v1/responses", json.dumps(body).encode())
    assert answer.status == 200
    assert len(gateway.upstream_requests()) == 2
    assert "reasoning" not in json.dumps(gateway.newest_upstream_request().body["input"])
    assert gateway.newest_receipt()["end_reason"] == "completed"
