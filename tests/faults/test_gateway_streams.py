"""A streamed answer that goes wrong at any event, on either side: the hold resolves, the pool is whole, the wallet is
right, nothing hangs."""

from __future__ import annotations

import json
import socket

import pytest

from tests.support.gateway import CLAUDE, GPT, RunningGateway

PAIRS = pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/messages", CLAUDE),
        ("/v1/messages", GPT),
        ("/v1/chat/completions", CLAUDE),
        ("/v1/chat/completions", GPT),
    ],
    ids=["messages-claude", "messages-gpt", "chat-claude", "chat-gpt"],
)


def ask(model: str, directive: str, **more: object) -> bytes:
    content = f"[[sim: {directive}]]"
    return json.dumps(
        {
            "model": model,
            "max_tokens": 400,
            "stream": True,
            "messages": [{"role": "user", "content": content}],
            **more,
        }
    ).encode()


def events_of(body: bytes) -> list[bytes]:
    return [block for block in body.split(b"\n\n") if block.strip()]


def whole(gateway: RunningGateway, path: str, model: str, directive: str) -> list[bytes]:
    answer = gateway.post(path, ask(model, directive))
    assert answer.status == 200, answer.body
    return events_of(answer.body)


def ended_well(path: str, events: list[bytes]) -> bool:
    """For chat, a connection that breaks between the finish reason and `[DONE]` has delivered the whole answer."""
    if path == "/v1/messages":
        return b"message_stop" in events[-1]
    return events[-1].endswith(b"[DONE]") or b'"finish_reason":"' in events[-1]


def error_in(events: list[bytes]) -> bool:
    return any(b'"error"' in event for event in events)


@PAIRS
def test_byte_by_byte_is_the_same_as_whole(gateway, path, model):
    def text(events: list[bytes]) -> str:
        found = ""
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data: {"):
                    data = json.loads(line[6:])
                    found += (data.get("delta") or {}).get("text", "")
                    for choice in data.get("choices", []):
                        found += choice["delta"].get("content") or ""
        return found

    usual = whole(gateway, path, model, "tokens=30")
    cut = whole(gateway, path, model, "tokens=30 chunk=1")
    assert text(cut)
    assert text(cut) == text(usual)
    assert ended_well(path, cut)


@PAIRS
def test_the_upstream_breaks_at_every_event(gateway, path, model):
    count = len(whole(gateway, path, model, "tokens=12"))
    gateway.settled()
    before = gateway.balance()
    rows = gateway.usage_rows()
    for event in range(count + 1):
        gateway.heal()
        answer = gateway.post(path, ask(model, f"tokens=12 break_after={event}"))
        if answer.status == 200:
            events = events_of(answer.body)
            if error_in(events):
                continue
            # The break came after the answer was whole.
            assert ended_well(path, events)
            gateway.settled()
            assert gateway.usage_rows() == rows + 1
            rows += 1
            before = gateway.balance()
        else:
            assert answer.status in (502, 503)
    gateway.settled()
    assert gateway.balance() == before
    assert gateway.usage_rows() == rows
    gateway.nothing_left_over()
    gateway.heal()


@PAIRS
def test_the_client_goes_at_every_event(gateway, path, model):
    count = len(whole(gateway, path, model, "tokens=8"))
    gateway.settled()
    for event in range(count):
        gateway.forget_upstream_requests()
        before = gateway.balance()
        rows = gateway.usage_rows()
        answered = gateway.answered()
        body = ask(model, "tokens=8 pace=0.01")
        with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
            seen = b""
            while seen.count(b"\n\n") < event:
                piece = sock.recv(4096)
                assert piece, "the stream ended before its time"
                seen += piece
        gateway.until_answered(answered + 1)
        gateway.settled()
        gateway.nothing_left_over()
        added = gateway.usage_rows() - rows
        assert added in (0, 1)
        spent = before - gateway.balance()
        if added:
            newest = gateway.newest_receipt()
            assert spent == newest["credits"]
            assert newest["end_reason"] in ("client_gone", "completed")
        else:
            assert spent == 0
        if event > 1:
            assert added == 1


def test_a_client_that_goes_cuts_the_upstream_at_once(gateway):
    gateway.forget_upstream_requests()
    body = ask(CLAUDE, "tokens=400 pace=0.05")
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        seen = b""
        while seen.count(b"content_block_delta") < 3:
            seen += sock.recv(4096)
    gateway.settled()
    upstream = gateway.newest_upstream_request()
    assert upstream.state == "aborted"
    receipt = gateway.newest_receipt()
    assert receipt["end_reason"] == "client_gone"
    assert receipt["estimated"]
    assert 0 < receipt["output_tokens"] < 100


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_a_client_that_goes_before_a_whole_answer_cuts_the_upstream_and_pays_nothing(gateway, path):
    gateway.forget_upstream_requests()
    before = gateway.balance()
    body = json.dumps(
        {
            "model": CLAUDE,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "[[sim: delay=5]]"}],
        }
    ).encode()
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        gateway.until(lambda: gateway.open_holds() == 1)
    gateway.until(lambda: gateway.open_holds() == 0, seconds=2)
    gateway.nothing_left_over()
    assert gateway.balance() == before


@PAIRS
def test_an_upstream_that_stalls_is_given_up_within_its_deadline(impatient_gateway, path, model):
    gateway = impatient_gateway
    before = gateway.balance()
    late = gateway.post(path, ask(model, "delay=30"))
    assert late.status == 504
    gateway.heal()
    stalled = gateway.post(path, ask(model, "tokens=20 stall_after=5"))
    assert stalled.status == 200
    assert error_in(events_of(stalled.body))
    gateway.settled()
    gateway.nothing_left_over()
    assert gateway.balance() == before
    gateway.heal()
