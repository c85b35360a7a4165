"""A request leaves nothing for the garbage collector: what it held is free when it is over.

The collector stops everything while it looks, and looks at the old rarely. What only it can free would stay for long,
with the bodies that hang on it.
"""

from __future__ import annotations

import collections
import gc
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

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

    def over() -> None:
        gateway.settled()
        gateway.nothing_left_over()
        gateway.until(lambda: gateway.connections() == 0)

    ask()
    over()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(ROUNDS):
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
