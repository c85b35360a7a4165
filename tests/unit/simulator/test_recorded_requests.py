"""The rules against life: what a vendor took, the simulator takes; what a vendor refused, it refuses in the same words.

The recordings have no request headers, so every Anthropic request is sent with a beta header, and thinking is signed
anew: the vendor's own signatures are not the simulator's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bytespike.providers.simulator import anthropic, openai_chat, proofs
from bytespike.providers.simulator.directives import Defaults
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.prefix_cache import PrefixCache

TRAFFIC = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[4] / "shared" / "traffic")
SEED = b"0"
HEADERS = {"authorization": "Bearer k", "anthropic-version": "2023-06-01", "anthropic-beta": "recorded"}

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
)


class Recorded(NamedTuple):
    name: str
    request: dict[str, Any]
    status: int
    response: Any


def recorded(*folders: str) -> Iterator[Recorded]:
    for folder in folders:
        for path in sorted((TRAFFIC / folder).glob("*.json")):
            found = json.loads(path.read_text())
            if isinstance(found["request"], dict):
                yield Recorded(path.name, found["request"], found["status"], found.get("response"))


def signed_anew(body: dict[str, Any]) -> dict[str, Any]:
    for message in body.get("messages", ()):
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block.get("type") == "thinking":
                block["signature"] = proofs.sign(SEED, bytes(12), block.get("thinking", ""))
            elif block.get("type") == "redacted_thinking":
                block["data"] = proofs.redact(SEED, bytes(12))
    return body


def tried(handler: Callable[[Incoming, World], Reply], body: dict[str, Any]) -> Fault | None:
    world = World(SEED, Defaults.of(""), PrefixCache(time.monotonic))
    try:
        reply = handler(Incoming("POST", "/", "", HEADERS, json.dumps(body).encode(), 1), world)
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
    ],
    ids=["anthropic", "openai"],
)
def test_the_simulator_takes_and_refuses_what_the_vendor_did(handler: Any, folders: tuple[str, ...]) -> None:
    taken = 0
    wrong: list[str] = []
    for exchange in recorded(*folders):
        fault = tried(handler, signed_anew(exchange.request))
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
