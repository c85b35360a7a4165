"""What a chat client gets, frame by frame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.usage import Usage
from bytespike.errors import RateLimited, UpstreamTimeout
from bytespike.protocols.openai_chat import DIALECT
from bytespike.testing.chat_stream import validate_stream

REPLY = Reply("gpt", "chatcmpl-fallback", 7)
QUIET = Reply("gpt", "chatcmpl-fallback", 7, stream_usage=False)
HEAD = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 5, "model": "gpt"}
START = [e.Started("chatcmpl-up", "upstream-name", 5)]
END = [e.Finished(Finish("stop")), e.Done(Usage(3, output=2))]


def frames(events: list[e.Event], reply: Reply = REPLY) -> list[Any]:
    stream = DIALECT.stream_writer(reply).write(events)
    validate_stream(stream)
    return [
        "[DONE]" if data == b"data: [DONE]" else json.loads(data.removeprefix(b"data: "))
        for data in stream.split(b"\n\n")[:-1]
    ]


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **members}
    return {**HEAD, "choices": [choice], "usage": None}


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
STOP = chunk({}, "stop")
TOTAL = {
    **HEAD,
    "choices": [],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}

ROWS: dict[str, tuple[list[e.Event], list[dict[str, Any]]]] = {
    "text": (
        [e.PartStart(0, c.TextPart("")), e.TextDelta(0, "h\n"), e.TextDelta(0, 'i"'), e.PartEnd(0)],
        [chunk({"content": "h\n"}), chunk({"content": 'i"'})],
    ),
    "text that came with the start": (
        [e.PartStart(0, c.TextPart("hi")), e.PartEnd(0)],
        [chunk({"content": "hi"})],
    ),
    "text that came with the end": (
        [e.PartStart(0, c.TextPart("")), e.PartEnd(0, c.TextPart("hi"))],
        [chunk({"content": "hi"})],
    ),
    "empty pieces": ([e.PartStart(0, c.TextPart("")), e.TextDelta(0, ""), e.PartEnd(0)], []),
    "reasoning": (
        [
            e.PartStart(0, c.ReasoningPart("")),
            e.TextDelta(0, "h"),
            e.TextDelta(0, "m"),
            e.ProofDelta(0, c.Proof("anthropic_messages", "sig")),
            e.PartEnd(0),
        ],
        [
            chunk(
                {
                    "reasoning_content": "h",
                    "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "h"}],
                }
            ),
            chunk(
                {
                    "reasoning_content": "m",
                    "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "m"}],
                }
            ),
            chunk(
                {
                    "reasoning_details": [
                        {
                            "index": 0,
                            "signature": "sig",
                            "type": "reasoning.text",
                            "format": "anthropic-claude-v1",
                        }
                    ]
                }
            ),
        ],
    ),
    "a second piece of reasoning stands apart": (
        [
            e.PartStart(0, c.ReasoningPart("a")),
            e.PartEnd(0),
            e.PartStart(1, c.ReasoningPart("b", summary=True, id="rs")),
            e.PartEnd(1),
        ],
        [
            chunk(
                {
                    "reasoning_content": "a",
                    "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "a"}],
                }
            ),
            chunk(
                {
                    "reasoning_content": "\n\nb",
                    "reasoning_details": [
                        {"index": 1, "type": "reasoning.summary", "summary": "b", "id": "rs"}
                    ],
                }
            ),
        ],
    ),
    "a call": (
        [
            e.PartStart(0, c.ToolCallPart("id1", "f", "")),
            e.InputDelta(0, '{"a"'),
            e.InputDelta(0, ":1}"),
            e.PartEnd(0),
        ],
        [
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "id1",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        }
                    ]
                }
            ),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        ],
    ),
    "a call without arguments": (
        [e.PartStart(0, c.ToolCallPart("id1", "f", "")), e.PartEnd(0)],
        [
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "id1",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        }
                    ]
                }
            ),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        ],
    ),
    "interleaved calls keep their indices": (
        [
            e.PartStart(0, c.ToolCallPart("a", "f", "")),
            e.PartStart(1, c.ToolCallPart("b", "g", "", "custom")),
            e.InputDelta(1, "raw"),
            e.InputDelta(0, "{}"),
            e.PartEnd(0),
            e.PartEnd(1),
        ],
        [
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "a",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        }
                    ]
                }
            ),
            chunk(
                {
                    "tool_calls": [
                        {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": ""}}
                    ]
                }
            ),
            chunk({"tool_calls": [{"index": 1, "custom": {"input": "raw"}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        ],
    ),
    "a refusal": (
        [e.PartStart(0, c.RefusalPart("")), e.TextDelta(0, "no"), e.PartEnd(0)],
        [chunk({"refusal": "no"})],
    ),
    "a citation waits for the end of its text": (
        [
            e.PartStart(0, c.TextPart("ab")),
            e.PartEnd(0),
            e.PartStart(1, c.TextPart("")),
            e.CitationDelta(1, c.Citation("web", "u", "t")),
            e.TextDelta(1, "cd"),
            e.PartEnd(1),
        ],
        [
            chunk({"content": "ab"}),
            chunk({"content": "cd"}),
            chunk(
                {
                    "annotations": [
                        {
                            "index": 0,
                            "type": "url_citation",
                            "url_citation": {
                                "url": "u",
                                "title": "t",
                                "start_index": 2,
                                "end_index": 4,
                                "block": True,
                            },
                        }
                    ]
                }
            ),
        ],
    ),
    "a provider-side tool": (
        [
            e.PartStart(0, c.ServerToolCallPart("s", "web_search", "", "anthropic_messages")),
            e.InputDelta(0, "{}"),
            e.PartEnd(0),
            e.PartStart(1, c.ServerToolResultPart("s", "k", [1], "anthropic_messages")),
            e.PartEnd(1),
        ],
        [
            chunk(
                {
                    "server_tool_calls": [
                        {
                            "index": 0,
                            "id": "s",
                            "type": "web_search",
                            "name": "web_search",
                            "origin": "anthropic_messages",
                            "arguments": "{}",
                        }
                    ]
                }
            ),
            chunk(
                {
                    "server_tool_calls": [
                        {"index": 0, "result": {"kind": "k", "content": [1], "is_error": False}}
                    ]
                }
            ),
        ],
    ),
    "logprobs": (
        [e.PartStart(0, c.TextPart("a")), e.LogprobsDelta(({"token": "a"},)), e.PartEnd(0)],
        [
            chunk({"content": "a"}),
            {
                **HEAD,
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "logprobs": {"content": [{"token": "a"}], "refusal": None},
                        "finish_reason": None,
                    }
                ],
                "usage": None,
            },
        ],
    ),
    "usage so far is not told": ([e.UsageUpdate(Usage(1))], []),
}


@pytest.mark.parametrize("row", ROWS)
def test_events_become(row: str) -> None:
    events, expected = ROWS[row]
    assert frames([*START, *events, *END]) == [ROLE, *expected, STOP, TOTAL, "[DONE]"]


def test_usage_is_told_only_to_those_who_asked() -> None:
    told = frames([*START, e.PartStart(0, c.TextPart("hi")), e.PartEnd(0), *END], QUIET)
    assert all("usage" not in frame for frame in told[:-1])
    assert [frame["choices"][0]["finish_reason"] for frame in told[:-1]] == [None, None, "stop"]


def test_the_gateways_id_and_time_stand_in_for_those_of_other_dialects() -> None:
    first = frames([e.Started("msg_1", "claude"), *END])[0]
    assert (first["id"], first["created"], first["model"]) == ("chatcmpl-fallback", 7, "gpt")
    bare = frames([e.Started("msg_1", "claude"), *END], Reply("gpt", "req_1", 7))[0]
    assert bare["id"] == "chatcmpl-req_1"


def test_every_choice_speaks_and_finishes() -> None:
    told = frames(
        [
            *START,
            e.PartStart(0, c.TextPart("a")),
            e.PartStart(1, c.TextPart("b"), 1),
            e.PartEnd(0),
            e.PartEnd(1),
            e.Finished(Finish("length"), 1),
            e.Done(Usage(1, output=1)),
        ]
    )
    finishes = {
        choice["index"]: choice["finish_reason"]
        for frame in told[:-1]
        for choice in frame["choices"]
        if choice["finish_reason"]
    }
    assert finishes == {0: "stop", 1: "length"}


def test_an_end_without_anything_is_an_empty_answer() -> None:
    first, last, *_ = frames([e.Done(Usage(1))])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert last["choices"][0]["finish_reason"] == "stop"


ERROR = {
    "error": {
        "message": "slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}


def test_a_failure_is_an_error_frame_and_done_and_nothing_follows() -> None:
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.write([*START, e.Failed("rate_limit_exceeded", "slow down"), *END])
    validate_stream(stream)
    assert json.loads(stream.split(b"\n\n")[-3].removeprefix(b"data: ")) == ERROR
    assert stream.endswith(b"data: [DONE]\n\n")
    assert writer.write(END) == writer.fail(UpstreamTimeout("x")) == writer.keep_alive() == b""


def test_fail_at_any_point_is_the_same_frame() -> None:
    writer = DIALECT.stream_writer(REPLY)
    writer.write([*START, e.PartStart(0, c.TextPart("hal"))])
    stream = writer.fail(RateLimited("slow down"))
    assert json.loads(stream.split(b"\n\n")[0].removeprefix(b"data: ")) == ERROR
    validate_stream(DIALECT.stream_writer(REPLY).fail(RateLimited("slow down")))


def test_silence_is_bridged_by_a_comment() -> None:
    writer = DIALECT.stream_writer(REPLY)
    assert writer.keep_alive() == writer.write([e.Ping()]) == b": keep-alive\n\n"
