"""What a client's connection may do to the gateway, and what it may not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.gateway import CLAUDE, GPT, RunningGateway

CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": GPT, "messages": [{"role": "user", "content": "hi"}]}).encode()


@contextmanager
def connected(gateway: RunningGateway) -> Iterator[socket.socket]:
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as sock:
        yield sock


def head(gateway: RunningGateway, *lines: str, key: str | None = None, version: str = "1.1") -> bytes:
    key = gateway.key if key is None else key
    first = [f"POST {CHAT} HTTP/{version}", "host: x", f"x-api-key: {key}"]
    return "\r\n".join([*first, *lines]).encode() + b"\r\n\r\n"


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One whole answer with a content-length, off an open connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"the connection closed after {data!r}"
        data += piece
    raw, _, body = data.partition(b"\r\n\r\n")
    first, *lines = raw.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += sock.recv(65536)
    return int(first.split()[1]), headers, body


def test_a_caller_without_a_key_is_told_so_before_its_body_is_kept(gateway: RunningGateway):
    with connected(gateway) as sock:
        sock.sendall(head(gateway, "content-length: 30000000", key="sk-byts-unknown") + b"{")
        status, headers, _ = answer(sock)
        assert status == 401
        assert "connection" not in headers
        # What is still sent is read and thrown away, and the connection goes on.
        sock.sendall(b" " * 29_999_999)
        sock.sendall(head(gateway, f"content-length: {len(BODY)}") + BODY)
        assert answer(sock)[0] == 200


def test_a_body_that_nobody_asked_for_is_not_taken_from_the_socket(gateway: RunningGateway, monkeypatch):
    monkeypatch.setattr("bytespike.http.connection.DISCARD_BYTES_MAX", 1_000_000)
    before = gateway.memory_mb()
    with connected(gateway) as sock:
        sock.sendall(head(gateway, "content-length: 100000000", key="sk-byts-unknown"))
        assert answer(sock)[0] == 401
        with pytest.raises(OSError):
            for _ in range(1000):
                sock.sendall(b" " * 100_000)
    assert gateway.memory_mb() - before < 50


def test_a_large_body_that_came_at_once_does_not_stop_the_connection(gateway: RunningGateway):
    large = json.dumps({"model": GPT, "messages": [{"role": "user", "content": "x" * 90_000}]}).encode()
    with connected(gateway) as sock:
        for _ in range(4):
            sock.sendall(head(gateway, f"content-length: {len(large)}") + large)
            assert answer(sock)[0] == 200


def test_leave_to_send_a_body_is_given_once_the_key_is_known(gateway: RunningGateway):
    lines = (f"content-length: {len(BODY)}", "expect: 100-continue")
    with connected(gateway) as sock:
        sock.sendall(head(gateway, *lines))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        sock.sendall(BODY)
        assert answer(sock)[0] == 200
    with connected(gateway) as sock:
        sock.sendall(head(gateway, *lines, key="sk-byts-unknown"))
        status, headers, _ = answer(sock)
        assert status == 401
        assert headers["connection"] == "close"
        assert sock.recv(100) == b""


def test_a_body_may_come_in_chunks_with_trailers_that_mean_nothing(gateway: RunningGateway):
    with connected(gateway) as sock:
        sock.sendall(head(gateway, "transfer-encoding: chunked"))
        for start in range(0, len(BODY), 20):
            piece = BODY[start : start + 20]
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(0.005)
        sock.sendall(b"0\r\nx-bytespike-dry-run: true\r\n\r\n")
        status, _, body = answer(sock)
        assert status == 200
        assert json.loads(body)["object"] == "chat.completion"


def test_http_1_0_gets_its_answer_and_the_end_of_the_connection(gateway: RunningGateway):
    stream = json.dumps({**json.loads(BODY), "stream": True}).encode()
    for sent in (BODY, stream):
        with connected(gateway) as sock:
            sock.sendall(head(gateway, f"content-length: {len(sent)}", version="1.0") + sent)
            data = b""
            while piece := sock.recv(65536):
                data += piece
        raw, _, body = data.partition(b"\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in raw
        assert b"chunked" not in raw
        assert body.endswith(b"data: [DONE]\n\n") if sent is stream else json.loads(body)


def test_several_requests_share_a_connection(gateway: RunningGateway):
    with connected(gateway) as sock:
        for _ in range(5):
            sock.sendall(head(gateway, f"content-length: {len(BODY)}") + BODY)
            status, headers, _ = answer(sock)
            assert status == 200
            assert "date" in headers


def test_a_whole_url_may_stand_in_the_request_line(gateway: RunningGateway):
    with connected(gateway) as sock:
        line = f"POST http://x{CHAT}?a=b HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\n"
        sock.sendall(f"{line}content-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        assert answer(sock)[0] == 200


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(gateway: RunningGateway, monkeypatch):
    monkeypatch.setattr("bytespike.http.connection.KEEP_ALIVE_SECONDS", 0.3)
    slow = json.dumps(
        {"model": GPT, "messages": [{"role": "user", "content": "[[sim: delay=1.5]]"}]}
    ).encode()
    with connected(gateway) as sock:
        sock.sendall(head(gateway, f"content-length: {len(slow)}") + slow)
        assert answer(sock)[0] == 200
        assert sock.recv(100) == b""


def test_a_stream_whose_reader_stops_is_cut_and_paid_as_far_as_it_went(gateway: RunningGateway, monkeypatch):
    monkeypatch.setattr("bytespike.http.connection.STALL_SECONDS_MAX", 0.7)
    gateway.forget_upstream_requests()
    answered = gateway.answered()
    body = json.dumps(
        {
            "model": CLAUDE,
            "max_tokens": 128_000,
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim: tokens=100000]]"}],
        }
    ).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((gateway.host, gateway.port))
        lines = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\n"
        sock.sendall(f"{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        gateway.until_answered(answered + 1)
    receipt = gateway.newest_receipt()
    assert receipt["end_reason"] == "client_gone"
    assert receipt["credits"] > 0
    gateway.nothing_left_over()


def test_a_client_that_goes_while_a_whole_answer_is_made_is_noticed_at_once(gateway: RunningGateway):
    gateway.forget_upstream_requests()
    answered = gateway.answered()
    slow = json.dumps({"model": GPT, "messages": [{"role": "user", "content": "[[sim: delay=20]]"}]}).encode()
    with connected(gateway) as sock:
        sock.sendall(head(gateway, f"content-length: {len(slow)}") + slow)
        gateway.until(lambda: len(gateway.upstream_requests()) == 1)
    gateway.until_answered(answered + 1)
    gateway.until(lambda: gateway.newest_upstream_request().state == "aborted", seconds=2)
    gateway.nothing_left_over()


def test_many_connections_come_and_go_and_nothing_is_left(gateway: RunningGateway):
    before = threading.active_count()
    for _ in range(200):
        with connected(gateway) as sock:
            sock.sendall(head(gateway, f"content-length: {len(BODY)}") + BODY[:10])
    gateway.nothing_left_over()
    assert gateway.post(CHAT, BODY).status == 200
    assert threading.active_count() == before
