"""Both ends of a crossing, for tests of all pairs: models that can do all that their dialect can say, what goes with an
answer, and the strict reader of each dialect's streams."""

from __future__ import annotations

from bytespike.catalog.models import CAPABILITIES
from bytespike.core import events as e
from bytespike.core.dialect import Reply, Target
from bytespike.protocols.registry import DIALECTS
from bytespike.testing import anthropic_stream, chat_stream, gemini_stream, responses_stream

UPSTREAM = Reply("the-upstreams-name", "01UPSTREAMUPSTREAMUPSTREAM", 1_700_000_000)
CLIENT = Reply("the-clients-name", "01CLIENTCLIENTCLIENTCLIENT", 1_700_000_001)
PAIRS = [(upstream, client) for upstream in DIALECTS for client in DIALECTS]
PAIR_IDS = [" > ".join(pair) for pair in PAIRS]


def able_target(dialect: str) -> Target:
    """The same for every dialect, so far; quirks would only take away."""
    return Target(f"{dialect}-model", "", frozenset(CAPABILITIES), 64_000)


def validate_stream(dialect: str, stream: bytes) -> None:
    """Raises `AssertionError` where a strict client of the dialect would refuse the stream."""
    match dialect:
        case "anthropic_messages":
            anthropic_stream.validate_stream(stream)
        case "openai_chat":
            chat_stream.validate_stream(stream)
        case "openai_responses":
            # A proof of OpenAI's is held against the id that it came with.
            responses_stream.validate_stream(stream, native_ids=True)
        case _:
            gemini_stream.validate_stream(stream)


def read_stream(dialect: str, stream: bytes, size: int = 0) -> list[e.Event]:
    """The events of a whole stream. `size`: it comes in pieces of so many bytes."""
    reader = DIALECTS[dialect].stream_reader()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)] if size else [stream]
    return [event for piece in pieces for event in reader.feed(piece)] + reader.end()
