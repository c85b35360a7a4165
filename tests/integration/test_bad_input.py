"""Whatever arrives gets its envelope, and the process does not grow."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.support.gateway import CLAUDE, GPT, RunningGateway

MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"
GOOD = {
    MESSAGES: {"model": CLAUDE, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
    CHAT: {"model": GPT, "messages": [{"role": "user", "content": "hi"}]},
}
PATHS = pytest.mark.parametrize("path", [MESSAGES, CHAT])


def error_of(path: str, answer) -> dict:
    """The error object, after a check that the envelope is the dialect's own."""
    body = json.loads(answer.body)
    if path == MESSAGES:
        assert set(body) == {"type", "error", "request_id"}
        assert body["type"] == "error"
        assert body["request_id"] == answer.headers["request-id"]
        return body["error"]
    assert set(body) == {"error"}
    assert set(body["error"]) == {"type", "code", "message", "param"}
    return body["error"]


@PATHS
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b'{"model": 5, "messages": []}',
        b'{"messages": []}',
        b'{"model": "claude-sonnet-4-6", "messages": "hi", "max_tokens": 5}',
        b'{"model": "claude-sonnet-4-6", "messages": [], "max_tokens": "many"}',
        b'{"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": '
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}",
        b'{"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": '
        + b'{"a":' * 2000
        + b"1"
        + b"}" * 2000
        + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_wrong_bodies_are_invalid_requests(gateway: RunningGateway, path, body):
    answer = gateway.post(path, body)
    assert answer.status == 400
    assert error_of(path, answer)["type"] == "invalid_request_error"


@PATHS
@pytest.mark.parametrize("model", [CLAUDE, GPT])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", []),
        ("messages", [{"role": "user"}]),
        ("messages", [{"role": "nobody", "content": "hi"}]),
        ("messages", [{"role": "user", "content": [{"type": "text"}]}]),
        ("messages", [{"role": "user", "content": 7}]),
        ("tools", [{"name": 5}]),
        ("temperature", "hot"),
        ("max_tokens", -1),
        ("stream", "yes"),
    ],
)
def test_wrong_fields_are_told_by_whoever_reads_them(gateway: RunningGateway, path, model, field, value):
    body = {**GOOD[path], "model": model, field: value}
    answer = gateway.post(path, json.dumps(body).encode())
    assert answer.status == 400, answer.body
    error = error_of(path, answer)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@PATHS
def test_an_unknown_model_names_the_nearest(gateway: RunningGateway, path):
    answer = gateway.post(path, json.dumps({**GOOD[path], "model": "claude-sonet-4.6"}).encode())
    assert answer.status == 404
    assert CLAUDE in error_of(path, answer)["message"]


@PATHS
def test_a_body_of_33_mib_is_too_large(gateway: RunningGateway, path):
    before = gateway.memory_mb()
    for _ in range(3):
        answer = gateway.post(path, json.dumps({**GOOD[path], "junk": "x" * (33 * 1024 * 1024)}).encode())
        assert answer.status == 413
        assert error_of(path, answer)["type"] in ("request_too_large", "invalid_request_error")
    # The test's own copies of the body live in the same process.
    assert gateway.memory_mb() - before < 300


def test_no_key_and_wrong_keys_are_told_apart_from_nothing(gateway: RunningGateway):
    for headers in (
        {},
        {"x-api-key": "sk-byts-unknown"},
        {"authorization": "Bearer x"},
        {"x-api-key": "x" * 5000},
    ):
        for path, body in GOOD.items():
            answer = gateway.post(path, json.dumps(body).encode(), headers=headers)
            assert answer.status == 401
            assert error_of(path, answer)["type"] == "authentication_error"


@pytest.mark.parametrize("where", ["x-api-key", "bearer", "x-goog-api-key", "query"])
@PATHS
def test_the_key_is_accepted_wherever_clients_put_it(gateway: RunningGateway, path, where):
    headers, query = {}, ""
    if where == "bearer":
        headers = {"authorization": f"Bearer {gateway.key}"}
    elif where == "query":
        query = f"?key={gateway.key}"
    else:
        headers = {where: gateway.key}
    assert gateway.post(path + query, json.dumps(GOOD[path]).encode(), headers=headers).status == 200


def test_x_api_key_wins_over_the_others(gateway: RunningGateway):
    body = json.dumps(GOOD[CHAT]).encode()
    good, bad = gateway.key, "sk-byts-unknown"
    right = {"x-api-key": good, "authorization": f"Bearer {bad}", "x-goog-api-key": bad}
    wrong = {"x-api-key": bad, "authorization": f"Bearer {good}", "x-goog-api-key": good}
    assert gateway.post(CHAT, body, headers=right).status == 200
    assert gateway.post(CHAT, body, headers=wrong).status == 401


def test_a_key_in_the_body_is_not_a_key(gateway: RunningGateway):
    answer = gateway.post(CHAT, json.dumps({**GOOD[CHAT], "key": gateway.key}).encode(), headers={})
    assert answer.status == 401


def test_compressed_bodies_are_refused_clearly(gateway: RunningGateway):
    answer = gateway.post(CHAT, b"\x1f\x8b", headers={"x-api-key": gateway.key, "content-encoding": "gzip"})
    assert answer.status == 400
    assert "compressed" in error_of(CHAT, answer)["message"]


def test_unknown_paths_and_methods_say_what_there_is(gateway: RunningGateway):
    for path in ("/v1/nothing", "/v1/embeddings", "/v1/audio/speech", "/nothing", "/v1/files"):
        answer = gateway.post(path, b"{}")
        assert answer.status == 404
        assert error_of(CHAT, answer)["code"] == "not_found"
    answer = gateway.request("GET", CHAT)
    assert answer.status == 405
    assert gateway.request("OPTIONS", CHAT).status == 204
    assert gateway.request("HEAD", "/api/hello").status == 200


def test_an_offer_of_another_protocol_is_answered_in_this_one(gateway: RunningGateway):
    # The way in which Java's client asks for HTTP/2.
    body = json.dumps(GOOD[CHAT]).encode()
    headers = {
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2-settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "x-api-key": gateway.key,
    }
    answer = gateway.post(CHAT, body, headers=headers)
    assert answer.status == 200
    assert json.loads(answer.body)["model"] == GPT


def test_a_flood_of_headers_is_refused_and_the_connection_closed(gateway: RunningGateway):
    before = gateway.memory_mb()
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        sock.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n")
        answer = b""
        try:
            for _ in range(2000):
                sock.sendall(b"x-junk: " + b"y" * 4000 + b"\r\n")
        except OSError:
            pass
        try:
            while piece := sock.recv(65536):
                answer += piece
        except OSError:
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 431")
    assert gateway.memory_mb() - before < 50


def test_one_endless_header_is_refused_too(gateway: RunningGateway):
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-junk: ")
        with pytest.raises(OSError):
            for _ in range(200):
                sock.sendall(b"y" * 65536)
                time.sleep(0.005)


def test_what_is_not_http_gets_a_400_in_the_openai_envelope(gateway: RunningGateway):
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nonsense\r\n\r\n")
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"invalid_request_error" in answer


def test_a_slow_body_is_given_up_in_its_own_envelope(gateway: RunningGateway, monkeypatch):
    monkeypatch.setattr("bytespike.http.inbound.request.BODY_GAP_SECONDS", 0.3)
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: 1000\r\n\r\n"
        sock.sendall(head.encode() + b'{"model": ')
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"type":"error"' in answer


def test_a_slow_head_is_given_up(gateway: RunningGateway, monkeypatch):
    monkeypatch.setattr("bytespike.http.connection.HEAD_SECONDS_MAX", 0.3)
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        sock.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x")
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert sock.recv(65536) == b""


def test_nothing_is_billed_for_any_of_this(gateway: RunningGateway):
    gateway.settled()
    before = gateway.balance()
    for path, body in GOOD.items():
        gateway.post(path, b"{")
        gateway.post(path, json.dumps({**body, "model": "nothing"}).encode())
    gateway.settled()
    assert gateway.balance() == before


def test_the_model_lists_errors_come_in_the_callers_dialect(gateway: RunningGateway):
    for headers, keys in (
        ({}, {"error"}),
        ({"anthropic-version": "2023-06-01"}, {"type", "error", "request_id"}),
    ):
        answer = gateway.request("GET", "/v1/models", headers=headers)
        assert answer.status == 401
        assert set(json.loads(answer.body)) == keys
        answer = gateway.request(
            "GET", "/v1/models?limit=%C2%B2", headers={**headers, "x-api-key": gateway.key}
        )
        assert answer.status == 400
