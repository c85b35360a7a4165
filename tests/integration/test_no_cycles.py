"""A request leaves nothing for the garbage collector: what it held is free when it is over.

The collector stops everything while it looks, and looks at the old rarely. What only it can free would stay for long,
with the bodies that hang on it.
"""

from __future__ import annotations

import collections
import gc
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway

ROUNDS = 5
MODELS = (CLAUDE, GPT, GPT_RESPONSES, GEMINI)
_TURN = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("cycles")) as running:
        yield running


def asked(dialect: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    if dialect == "gemini":
        way = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{way}", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    path, more = {
        "anthropic_messages": ("/v1/messages", {"max_tokens": 20, "messages": _TURN}),
        "openai_chat": ("/v1/chat/completions", {"messages": _TURN}),
        "openai_responses": ("/v1/responses", {"input": "hi", "store": False}),
    }[dialect]
    return path, {"model": model, "stream": stream, **more}


def left_by(gateway: RunningGateway, path: str, body: bytes, key: str, status: int) -> dict[str, int]:
    """What of the gateway only the collector could free after some such requests, by type."""

    def ask() -> None:
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        connection.request("POST", path, body, {"x-api-key": key, "content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == status

    return left_after(gateway, ask)


def left_after(gateway: RunningGateway, ask: Callable[[], None]) -> dict[str, int]:
    def over() -> None:
        gateway.settled()
        gateway.nothing_left_over()
        gateway.until(lambda: gateway.connections() == 0)

    gateway.heal()
    ask()
    over()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(ROUNDS):
            gateway.heal()
            ask()
        over()
        gc.collect()
        ours = [each for each in gc.garbage if type(each).__module__.startswith(("bytespike.", "httptools."))]
        return dict(collections.Counter(type(each).__qualname__ for each in ours))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", ["anthropic_messages", "openai_chat", "openai_responses", "gemini"])
def test_an_answered_request_leaves_nothing_to_collect(
    gateway: RunningGateway, dialect: str, model: str, stream: bool
) -> None:
    path, request = asked(dialect, model, stream=stream)
    assert left_by(gateway, path, json.dumps(request).encode(), gateway.key, 200) == {}


@pytest.mark.parametrize(
    ("path", "body", "key", "status"),
    [
        ("/v1/messages", b'{"model":"nobody"}', "", 401),
        ("/v1/messages", b'{"model":"nobody","max_tokens":1,"messages":[]}', "own", 404),
        ("/v1/messages", b"{", "own", 400),
        ("/v1/nowhere", b"{}", "own", 404),
    ],
)
def test_a_refused_request_leaves_nothing_to_collect(
    gateway: RunningGateway, path: str, body: bytes, key: str, status: int
) -> None:
    assert left_by(gateway, path, body, gateway.key if key else "sk-nobody", status) == {}


def said(model: str, words: str, **more: Any) -> bytes:
    turn = {"role": "user", "content": words}
    return json.dumps({"model": model, "max_tokens": 20, "messages": [turn], **more}).encode()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/messages", said(CLAUDE, "[[sim: error=400]]"), 400),
        ("/v1/messages", said(CLAUDE, "[[sim: error=500]]"), 503),
        ("/v1/messages", said(CLAUDE, "[[sim: error=500]]", stream=True), 503),
        ("/v1/chat/completions", said(CLAUDE, "hi", n=3), 400),
    ],
    ids=["refused upstream", "failed upstream", "failed stream", "unsupported"],
)
def test_a_failed_request_leaves_nothing_to_collect(
    gateway: RunningGateway, path: str, body: bytes, status: int
) -> None:
    assert left_by(gateway, path, body, gateway.key, status) == {}


def test_a_client_that_goes_away_leaves_nothing_to_collect(gateway: RunningGateway) -> None:
    def half(body: bytes, *, length: int, until: bytes = b"") -> None:
        """A request of which `body` is sent; hung up on once `until` has come back."""
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\ncontent-length: {length}\r\n\r\n"
        with socket.create_connection((gateway.host, gateway.port), timeout=60) as line:
            line.sendall(head.encode() + body)
            seen = b""
            while until not in seen:
                more = line.recv(65536)
                assert more, seen
                seen += more

    def ask() -> None:
        half(b'{"model":', length=100_000)
        stream = said(CLAUDE, "[[sim: tokens=400 pace=0.05]]", stream=True)
        half(stream, length=len(stream), until=b"content_block_delta")

    assert left_after(gateway, ask) == {}


def test_a_socket_that_is_closed_leaves_nothing_to_collect(gateway: RunningGateway) -> None:
    def ask() -> None:
        with connect(
            f"ws://{gateway.host}:{gateway.port}/v1/responses",
            additional_headers={"authorization": f"Bearer {gateway.key}"},
        ) as line:
            line.send(json.dumps({"type": "response.create", "model": GPT, "input": "hi", "store": False}))
            while json.loads(line.recv(60))["type"] != "response.completed":
                pass

    assert left_after(gateway, ask) == {}
