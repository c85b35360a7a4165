"""Small builders for the tests of the Responses dialect."""

from __future__ import annotations

import json
from typing import Any

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply, Target, Written
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSONObject
from bytespike.core.request import ChatRequest
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses import DIALECT, echo_of

ALL = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
REPLY = Reply(model="the-model", response_id="01TEST", created=1_700_000_000)
USAGE = Usage(input=5, cache_read=3, cache_write_5m=2, output=7, reasoning=4)


def body(**members: Any) -> bytes:
    """A request body: the least that is valid, and `members`."""
    return json.dumps({"model": "m", "input": "hi", **members}).encode()


def read(*items: dict[str, Any], **members: Any) -> ChatRequest:
    """A request with these items of input (none: the text "hi"), read."""
    return DIALECT.read_request(body(**({"input": list(items)} if items else {}), **members))


def written(request: ChatRequest, *quirks: str, can: frozenset[str] = ALL) -> tuple[dict[str, Any], Written]:
    target = Target("target", capabilities=can, max_output_tokens=64_000, quirks=frozenset(quirks))
    result = DIALECT.write_request(request, target)
    return json.loads(result.body), result


def asked(**members: Any) -> Reply:
    """The reply to a client whose request had these members."""
    return Reply(REPLY.model, REPLY.response_id, REPLY.created, echo=echo_of(body(**members)))


def answer(*parts: c.Part, finish: str = "stop", usage: Usage = USAGE, id: str = "") -> ChatResponse:
    return ChatResponse(id, "up", (Candidate(parts, Finish(finish)),), usage)


def shown(response: ChatResponse, reply: Reply = REPLY) -> dict[str, Any]:
    """The whole answer as a client sees it."""
    return json.loads(DIALECT.write_response(response, reply).body)


def output(*parts: c.Part, reply: Reply = REPLY) -> list[dict[str, Any]]:
    return shown(answer(*parts), reply)["output"]


def streamed(events: list[e.Event], reply: Reply = REPLY) -> bytes:
    writer = DIALECT.stream_writer(reply)
    return b"".join([writer.write([event]) for event in events])


def told(stream: bytes) -> list[dict[str, Any]]:
    """The data of each event."""
    blocks = [block for block in stream.split(b"\n\n") if b"data: " in block]
    return [json.loads(block.partition(b"data: ")[2]) for block in blocks]


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told(stream)]


def framed(*events: dict[str, Any]) -> bytes:
    """An upstream's stream of these events, numbered."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (event["type"].encode(), json.dumps({**event, "sequence_number": number}).encode())
        for number, event in enumerate(events)
    )


def response_of(*items: dict[str, Any], **members: Any) -> JSONObject:
    """An upstream's response object."""
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "up",
        "output": list(items),
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 17,
        },
        **members,
    }


def events_of(stream: bytes) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    return [*reader.feed(stream), *reader.end()]
