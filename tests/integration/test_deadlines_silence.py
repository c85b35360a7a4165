"""Long silences: bridged in each dialect, in passthrough and in translation, between two events and never in one.

The upstream goes on only when the client has seen a keep-alive: nothing here waits for a fixed time.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from bytespike.accounts import channels
from bytespike.accounts.channels import NewChannel
from bytespike.core import fold
from bytespike.core.content import TextPart
from bytespike.protocols.registry import DIALECTS
from tests.support.gated_upstream import PATIENCE_S, Gated, recorded_stream
from tests.support.gateway import RunningGateway
from tests.support.sdk_ways import opened

pytestmark = pytest.mark.slow

PROMPT = "Tell a story [[sim: tokens=24 piece=12]]"
#: A model for each dialect of upstreams, each with one channel.
MODELS = {
    "anthropic_messages": "claude-haiku-4-5",
    "openai_chat": "gpt-4o-mini",
    "openai_responses": "gpt-5-mini",
    "gemini": "gemini-2-5-flash",
}
KEEP_ALIVES = {
    "anthropic_messages": b'event: ping\ndata: {"type":"ping"}\n\n',
    "openai_chat": b": keep-alive\n\n",
    "openai_responses": b": keep-alive\n\n",
    "gemini": b"\n",
}
PREFIXES = {
    "anthropic_messages": "/anthropic",
    "openai_chat": "/openai/v1",
    "openai_responses": "/openai/v1",
    "gemini": "/gemini",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("silence"), stream_ping_s=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def upstream(gateway: RunningGateway) -> Iterator[Gated]:
    with Gated() as running:
        gateway.run(create(gateway, running))
        yield running


async def create(gateway: RunningGateway, upstream: Gated) -> None:
    async with gateway.application.control.writing("test") as write:
        (group,) = {group for view in await channels.listing(write.connection) for group in view.group_ids}
        for dialect, model in MODELS.items():
            new = NewChannel(
                name=f"gated-{dialect}",
                platform="simulator",
                credential="x",
                base_urls={**dict.fromkeys(MODELS, ""), dialect: upstream.url},
                models={model: model},
                group_ids=(group,),
            )
            await channels.create(write, new)
    await gateway.application.parts.directory.poll()


def request_of(dialect: str, model: str) -> tuple[str, dict[str, object]]:
    """Path and body of a streamed request."""
    if dialect == "gemini":
        path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
        return path, {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    if dialect == "openai_responses":
        return "/v1/responses", {"model": model, "stream": True, "input": PROMPT, "store": False}
    body: dict[str, object] = {
        "model": model,
        "stream": True,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    if dialect == "openai_chat":
        return "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}
    return "/v1/messages", body


def answer_of(gateway: RunningGateway, dialect: str) -> bytes:
    """What an upstream of the dialect streams."""
    model = MODELS[dialect]
    path, body = request_of(dialect, model)
    if dialect.startswith("openai"):
        path = path.removeprefix("/v1")
    headers = {"x-api-key": "sim-good", "anthropic-version": "2023-06-01"}
    if dialect == "gemini":
        headers = {"x-goog-api-key": "sim-good"}
    elif dialect.startswith("openai"):
        headers = {"authorization": "Bearer sim-good"}
    return recorded_stream(gateway.sim.base_url, PREFIXES[dialect] + path, body, headers)


def cut_in_events(stream: bytes, count: int = 4) -> list[bytes]:
    """The stream in pieces whose borders lie inside of events, at the beginning, in between and at the end."""
    # Google ends its lines in CR LF.
    border = b"\r\n\r\n" if b"\r" in stream else b"\n\n"
    events = [event for event in stream.split(border) if event]
    cuts: list[int] = []
    for number in sorted({0, len(events) // 2, len(events) - 1})[:count]:
        before = sum(len(event) + len(border) for event in events[:number])
        cuts.append(before + len(events[number]) // 2)
    edges = [0, *cuts, len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def talk(
    gateway: RunningGateway, path: str, body: dict[str, object], heard: Callable[[bytes], None]
) -> bytes:
    """The whole answer; `heard` is told of each piece as it comes."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
    try:
        headers = {"content-type": "application/json", "x-api-key": gateway.key}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        assert answer.status == 200
        whole = b""
        while piece := answer.read1(65536):
            whole += piece
            heard(piece)
        return whole
    finally:
        connection.close()


def without(stream: bytes, keep_alive: bytes) -> list[bytes]:
    """The stream's events, but for what bridged its silences."""
    if keep_alive == KEEP_ALIVES["gemini"]:
        return [line for line in stream.splitlines() if line]
    return [event for event in stream.replace(keep_alive, b"").split(b"\n\n") if event.strip()]


def bridged(gateway: RunningGateway, upstream: Gated, path: str, body: dict[str, object], keep_alive: bytes):
    """The answer, through silences: each piece of the upstream's comes when the client has heard a keep-alive."""

    def heard(piece: bytes) -> None:
        if not piece.replace(keep_alive, b""):
            upstream.gate.release()

    while upstream.gate.acquire(blocking=False):
        pass
    return talk(gateway, path, body, heard)


def text_of(dialect: str, stream: bytes) -> str:
    reader = DIALECTS[dialect].stream_reader()
    response = fold.fold([*reader.feed(stream), *reader.end()])
    parts = response.candidates[0].parts
    return "".join(part.text for part in parts if isinstance(part, TextPart))


@pytest.mark.parametrize("upstream_dialect", MODELS)
@pytest.mark.parametrize("client_dialect", MODELS)
def test_silences_are_bridged_between_events(
    gateway: RunningGateway, upstream: Gated, client_dialect: str, upstream_dialect: str
) -> None:
    model = MODELS[upstream_dialect]
    keep_alive = KEEP_ALIVES[client_dialect]
    original = answer_of(gateway, upstream_dialect)
    upstream.pieces = cut_in_events(original)
    path, body = request_of(client_dialect, model)
    stream = bridged(gateway, upstream, path, body, keep_alive)
    assert text_of(client_dialect, stream) == text_of(upstream_dialect, original)
    receipt = gateway.newest_receipt()
    assert receipt["output_tokens"] == 24
    if client_dialect == upstream_dialect:
        bare = b"\n" if client_dialect == "gemini" else b""
        assert without(stream, keep_alive) == without(original, bare)
    assert stream.count(keep_alive) >= len(upstream.pieces)
    upstream.open_gate()
    undisturbed = talk(gateway, path, body, lambda _: None)
    assert text_of(client_dialect, undisturbed) == text_of(client_dialect, stream)
    again = gateway.newest_receipt()
    for figure in ("input_tokens", "output_tokens", "credits"):
        assert receipt[figure] == again[figure]
    gateway.nothing_left_over()


def test_an_array_stays_json(gateway: RunningGateway, upstream: Gated) -> None:
    """Gemini without server-sent events: white space between its chunks."""
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}]}
        for word in ("one ", "two ", "three")
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    chunks[-1]["usageMetadata"] = {"promptTokenCount": 3, "candidatesTokenCount": 3, "totalTokenCount": 6}
    raw = b"[" + b"\r\n,\r\n".join(json.dumps(chunk).encode() for chunk in chunks) + b"]"
    upstream.pieces = [raw[:1], raw[1:40], raw[40:130], raw[130:-1], raw[-1:]]
    upstream.kind = "application/json"
    path = f"/v1beta/models/{MODELS['gemini']}:streamGenerateContent"
    body: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    try:
        stream = bridged(gateway, upstream, path, body, b"\n")
    finally:
        upstream.kind = "text/event-stream"
    found = json.loads(stream)
    assert (
        "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in found) == "one two three"
    )


def test_events_that_say_nothing_to_the_client_are_a_silence_too(
    gateway: RunningGateway, upstream: Gated
) -> None:
    """A stream of comments alone, which come without end, is nothing to a client of another dialect."""
    original = answer_of(gateway, "openai_chat")
    comments = [b": still thinking\n\n"] * 100
    upstream.pieces = [*comments, original]
    while upstream.gate.acquire(blocking=False):
        pass
    heard: list[bytes] = []

    def hear(piece: bytes) -> None:
        heard.append(piece)
        upstream.open_gate()

    path, body = request_of("anthropic_messages", MODELS["openai_chat"])
    # The first comments come before anything is asked for.
    for _ in range(50):
        upstream.gate.release()
    stream = talk(gateway, path, body, hear)
    assert KEEP_ALIVES["anthropic_messages"] in heard[0]
    assert text_of("anthropic_messages", stream) == text_of("openai_chat", original)


def test_an_upstream_that_fails_behind_a_keep_alive_ends_the_stream_in_an_error(
    gateway: RunningGateway, upstream: Gated
) -> None:
    """The status is spent by then; nothing is billed."""
    upstream.pieces = [b"data: {nonsense\n\n"]
    balance = gateway.balance()
    path, body = request_of("openai_chat", MODELS["openai_chat"])
    stream = bridged(gateway, upstream, path, body, KEEP_ALIVES["openai_chat"])
    gateway.heal()
    events = without(stream, KEEP_ALIVES["openai_chat"])
    assert json.loads(events[0].removeprefix(b"data: "))["error"]["code"] == "upstream_error"
    assert events[-1] == b"data: [DONE]"
    assert gateway.balance() == balance


def test_a_client_that_leaves_in_a_silence_before_anything_was_said_pays_nothing(
    gateway: RunningGateway, upstream: Gated
) -> None:
    upstream.pieces = [b"data: never\n\n"]
    balance = gateway.balance()
    path, body = request_of("openai_chat", MODELS["openai_chat"])
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
    headers = {"content-type": "application/json", "x-api-key": gateway.key}
    connection.request("POST", path, json.dumps(body).encode(), headers)
    assert connection.getresponse().read1(100) == KEEP_ALIVES["openai_chat"]
    connection.close()
    gateway.nothing_left_over()
    # The upstream still waits to go on: it must not wait for the next test's gate.
    upstream.gate.release()
    assert gateway.balance() == balance


@pytest.mark.parametrize("way", ["anthropic", "chat", "responses", "gemini"])
@pytest.mark.parametrize("upstream_dialect", MODELS)
def test_the_vendors_sdks_read_on_through_silences(
    gateway: RunningGateway, upstream: Gated, way: str, upstream_dialect: str
) -> None:
    """An SDK does not show keep-alives, so these silences end by themselves: each is several of them long."""
    original = answer_of(gateway, upstream_dialect)
    upstream.pieces = cut_in_events(original)
    while upstream.gate.acquire(blocking=False):
        pass

    def go_on() -> None:
        for _ in upstream.pieces:
            upstream.stopping.wait(0.5)
            upstream.gate.release()

    opener = threading.Thread(target=go_on, daemon=True)
    with opened(gateway) as ways:
        talk = ways.talk(way)
        talk.user(PROMPT)
        opener.start()
        said = talk.answer(MODELS[upstream_dialect], stream=True)
    opener.join(timeout=PATIENCE_S)
    assert said.text == text_of(upstream_dialect, original)
    assert said.output_tokens == 24
