"""The rules against life: what a vendor took, the simulator takes; what a vendor refused, it refuses in the same words.

The recordings have no request headers, so every Anthropic request is sent with a beta header, and thinking is signed
anew: the vendor's own signatures are not the simulator's. What goes on from a response that the vendor stored is left
out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bytespike.providers.simulator import anthropic, gemini, openai_chat, openai_responses, proofs
from bytespike.providers.simulator.directives import Defaults
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.prefix_cache import PrefixCache

TRAFFIC = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[4] / "shared" / "traffic")
SEED = b"0"
HEADERS = {
    "authorization": "Bearer k",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "recorded",
    "x-goog-api-key": "k",
}

#: Refusals that depend on the model or the account, which the simulator knows nothing of.
OF_THE_MODEL = (
    "model: claude",
    "The model `",
    "does not support",
    "not supported with this model",
    "not supported in this model",
    "is not supported in the v1/chat/completions",
    "This is not a chat model",
    "not allowed to sample",
    "prompt is too long",
    "invalid x-api-key",
    "expected to be either text or image_url",
    "does not exist",
    "Incorrect API key",
    "exceeds the context window",
    "unsupported MIME type",
    "file type you uploaded is not supported",
    "is not found for API version",
    "API key not valid",
    "exceeded your current quota",
    # Told by the ids of items that the vendor stored, which are left out here.
    "without its required following item",
)
#: Of Responses: what lives at the vendor, or is played by it alone.
OF_THE_VENDOR = ("previous_response_id", "conversation", "background", "prompt")


class Recorded(NamedTuple):
    name: str
    request: dict[str, Any]
    status: int
    response: Any
    path: str


def recorded(*folders: str) -> Iterator[Recorded]:
    for folder in folders:
        for path in sorted((TRAFFIC / folder).glob("*.json")):
            found = json.loads(path.read_text())
            if isinstance(found["request"], dict) and not any(found["request"].get(n) for n in OF_THE_VENDOR):
                yield Recorded(
                    path.name, found["request"], found["status"], found.get("response"), found["path"]
                )


def signed_anew(body: dict[str, Any]) -> dict[str, Any]:
    for message in body.get("messages", ()):
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block.get("type") == "thinking":
                block["signature"] = proofs.sign(SEED, bytes(12), block.get("thinking", ""))
            elif block.get("type") == "redacted_thinking":
                block["data"] = proofs.redact(SEED, bytes(12))
    for item in body["input"] if isinstance(body.get("input"), list) else ():
        if item.get("type") == "reasoning":
            item.pop("id", None)
            item["encrypted_content"] = proofs.encrypt_reasoning(SEED, bytes(12))
        elif item.get("type") == "compaction":
            item["encrypted_content"] = proofs.encrypt_reasoning(SEED, bytes(12))
    for content in body.get("contents", ()):
        for part in content.get("parts", ()):
            if "thoughtSignature" in part:
                part["thoughtSignature"] = proofs.sign_thought(SEED, bytes(12))
    return body


def tried(handler: Callable[[Incoming, World], Reply], exchange: Recorded) -> Fault | None:
    world = World(SEED, Defaults.of(""), PrefixCache(time.monotonic))
    path, _, query = exchange.path.partition("?")
    body = json.dumps(signed_anew(exchange.request)).encode()
    try:
        reply = handler(Incoming("POST", path, query, HEADERS, body, 1), world)
    except Fault as fault:
        return fault
    assert all(reply.frames or (reply.body,))
    return None


@pytest.mark.traffic
@pytest.mark.skipif(not TRAFFIC.is_dir(), reason=f"no recorded traffic at {TRAFFIC}")
@pytest.mark.parametrize(
    ("handler", "folders"),
    [
        (anthropic.messages, ("anthropic-messages", "streams/anthropic-messages")),
        (openai_chat.completions, ("openai-chat", "streams/openai-chat")),
        (openai_responses.responses, ("openai-responses", "streams/openai-responses")),
        (gemini.stream, ("gemini-gemini", "streams/gemini-gemini")),
    ],
    ids=["anthropic", "openai", "responses", "gemini"],
)
def test_the_simulator_takes_and_refuses_what_the_vendor_did(handler: Any, folders: tuple[str, ...]) -> None:
    taken = 0
    wrong: list[str] = []
    for exchange in recorded(*folders):
        fault = tried(handler, exchange)
        if exchange.status == 200:
            taken += 1
            if fault is not None:
                wrong.append(f"{exchange.name}: refused: {fault.message}")
            continue
        theirs = exchange.response["error"]["message"]
        if any(words in theirs for words in OF_THE_MODEL):
            continue
        if fault is None or (fault.status, fault.message) != (
            exchange.status,
            theirs.replace("output_format.", ""),
        ):
            wrong.append(
                f"{exchange.name}: {exchange.status} {theirs!r}, ours {fault.message if fault else None!r}"
            )
    assert wrong == []
    assert taken > 150
