"""Probes of what answers say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from bytespike.core import content as c
from bytespike.core.response import ChatResponse
from tests.support.fidelity import ANSWER, Answered, C, G, M, R
from tests.support.fidelity_words import PNG


def chat(message: dict[str, Any], finish: str = "stop", **choice: Any) -> dict[str, Any]:
    return {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", **message},
                "finish_reason": finish,
                **choice,
            }
        ]
    }


def said(*parts: dict[str, Any], finish: str = "STOP", **candidate: Any) -> dict[str, Any]:
    return {
        "candidates": [
            {
                "index": 0,
                "content": {"role": "model", "parts": [*parts]},
                "finishReason": finish,
                **candidate,
            }
        ]
    }


MESSAGE: dict[str, Any] = ANSWER[R]["output"][0]


def message(**members: Any) -> dict[str, Any]:
    """Responses: the message with members of its text."""
    return {**MESSAGE, "content": [{**MESSAGE["content"][0], **members}]}


def of(response: ChatResponse, kind: type[Any]) -> list[Any]:
    return [part for part in response.candidates[0].parts if isinstance(part, kind)]


def some(kind: type[Any], test: Callable[[Any], bool]) -> Callable[[ChatResponse], bool]:
    return lambda response: any(test(part) for part in of(response, kind))


TEXT = {"type": "text", "text": "Hello"}
HELLO = {"text": "Hello"}


def words() -> Iterator[tuple[str, Answered]]:
    yield (
        "text",
        Answered(
            lambda response: "".join(part.text for part in of(response, c.TextPart)) == "Hello",
            {each: {} for each in (M, C, R, G)},
        ),
    )
    yield (
        "refusal",
        Answered(
            # Messages has no block for it: the text, and a stop reason that says what it is.
            lambda response: (
                some(c.RefusalPart, lambda part: part.text == "I will not.")(response)
                or (
                    response.candidates[0].finish.reason == "refusal"
                    and some(c.TextPart, lambda part: part.text == "I will not.")(response)
                )
            ),
            {
                C: chat({"content": None, "refusal": "I will not."}),
                R: {"output": [{**MESSAGE, "content": [{"type": "refusal", "refusal": "I will not."}]}]},
            },
        ),
    )
    token = {"token": "Hello", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
    yield (
        "answer_logprobs",
        Answered(
            lambda response: (
                response.candidates[0].logprobs is not None
                and len(response.candidates[0].logprobs.content) == 1
            ),
            {
                C: chat({}, logprobs={"content": [token], "refusal": None}),
                R: {"output": [message(logprobs=[token])]},
                G: said(
                    HELLO,
                    logprobsResult={
                        "chosenCandidates": [{"token": "Hello", "tokenId": 1, "logProbability": -0.1}],
                        "topCandidates": [{"candidates": []}],
                    },
                ),
            },
            frozenset({C, R, G}),
        ),
    )
    two_chat = [
        {"index": index, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        for index in (0, 1)
    ]
    two_gemini = [
        {"index": index, "content": {"role": "model", "parts": [HELLO]}, "finishReason": "STOP"}
        for index in (0, 1)
    ]
    yield (
        "several_answers",
        Answered(
            lambda response: len(response.candidates) == 2,
            {C: {"choices": two_chat}, G: {"candidates": two_gemini}},
            frozenset({C, G}),
        ),
    )
    yield (
        "answer_image",
        Answered(
            some(c.ImagePart, lambda part: getattr(part.source, "data", "") == PNG),
            {
                C: chat(
                    {
                        "images": [
                            {
                                "type": "image_url",
                                "image_url": {"url": f"data:image/png;base64,{PNG}"},
                            }
                        ]
                    }
                ),
                R: {
                    "output": [
                        MESSAGE,
                        {
                            "type": "image_generation_call",
                            "id": "ig_1",
                            "status": "completed",
                            "result": PNG,
                        },
                    ]
                },
                G: said(HELLO, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
            },
        ),
    )
    yield (
        "answer_unknown",
        Answered(
            some(c.ForeignPart, lambda part: True),
            {
                M: {"content": [TEXT, {"type": "hologram", "depth": 3}]},
                R: {"output": [MESSAGE, {"type": "hologram", "id": "h_1", "depth": 3}]},
                G: said(HELLO, {"hologram": {"depth": 3}}),
            },
        ),
    )


CALLS: dict[str, dict[str, Any]] = {
    M: {
        "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}},
            {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {"city": "Rome"}},
        ],
        "stop_reason": "tool_use",
    },
    C: chat(
        {
            "content": None,
            "tool_calls": [
                {
                    "id": f"call_{number}",
                    "type": "function",
                    "function": {"name": "weather", "arguments": json.dumps({"city": city})},
                }
                for number, city in ((1, "Paris"), (2, "Rome"))
            ],
        },
        "tool_calls",
    ),
    R: {
        "output": [
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "status": "completed",
                "name": "weather",
                "arguments": json.dumps({"city": city}),
            }
            for number, city in ((1, "Paris"), (2, "Rome"))
        ]
    },
    G: said(
        {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Paris"}}},
        {"functionCall": {"id": "call_2", "name": "weather", "args": {"city": "Rome"}}},
    ),
}


def calling() -> Iterator[tuple[str, Answered]]:
    def made(response: ChatResponse) -> list[tuple[str, Any]]:
        return [(part.name, json.loads(part.arguments)) for part in of(response, c.ToolCallPart)]

    yield (
        "answer_calls",
        Answered(
            lambda response: (
                made(response) == [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})]
            ),
            CALLS,
        ),
    )
    yield (
        "answer_call_ids",
        Answered(
            lambda response: [part.id[-2:] for part in of(response, c.ToolCallPart)] == ["_1", "_2"], CALLS
        ),
    )
    yield (
        "answer_custom_call",
        Answered(
            some(c.ToolCallPart, lambda part: (part.kind, part.arguments) == ("custom", "SELECT 1")),
            {
                C: chat(
                    {
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "custom",
                                "custom": {"name": "sql", "input": "SELECT 1"},
                            }
                        ],
                    },
                    "tool_calls",
                ),
                R: {
                    "output": [
                        {
                            "type": "custom_tool_call",
                            "id": "ctc_1",
                            "call_id": "call_1",
                            "status": "completed",
                            "name": "sql",
                            "input": "SELECT 1",
                        }
                    ]
                },
            },
            frozenset({C, R}),
        ),
    )


def searching() -> Iterator[tuple[str, Answered]]:
    url, title = "https://example.com/paris", "Paris"
    web = {
        "type": "web_search_result_location",
        "url": url,
        "title": title,
        "encrypted_index": "aW5kZXg=",
        "cited_text": "Paris is",
    }
    cited = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": url, "title": title}
    yield (
        "web_citations",
        Answered(
            some(
                c.TextPart,
                lambda part: any((each.url, each.title) == (url, title) for each in part.citations),
            ),
            {
                M: {"content": [{**TEXT, "citations": [web]}]},
                C: chat(
                    {
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url_citation": {
                                    name: value for name, value in cited.items() if name != "type"
                                },
                            }
                        ]
                    }
                ),
                R: {"output": [message(annotations=[cited])]},
                G: said(
                    HELLO,
                    groundingMetadata={
                        "webSearchQueries": ["paris"],
                        "groundingChunks": [{"web": {"uri": url, "title": title}}],
                        "groundingSupports": [
                            {
                                "segment": {"startIndex": 0, "endIndex": 5, "text": "Hello"},
                                "groundingChunkIndices": [0],
                            }
                        ],
                    },
                ),
            },
        ),
    )
    page = {
        "type": "page_location",
        "cited_text": "Facts",
        "document_index": 0,
        "document_title": "Report",
        "start_page_number": 2,
        "end_page_number": 3,
        "file_id": None,
    }
    yield (
        "document_citations",
        Answered(
            some(
                c.TextPart,
                lambda part: any((each.kind, each.start) == ("page", 2) for each in part.citations),
            ),
            {M: {"content": [{**TEXT, "citations": [page]}]}},
        ),
    )
    found = {
        "type": "web_search_result",
        "url": url,
        "title": title,
        "encrypted_content": "Y29udGVudA==",
        "page_age": None,
    }
    yield (
        "server_search",
        Answered(
            some(
                c.ServerToolCallPart,
                lambda part: part.name == "web_search" and "paris" in part.arguments,
            ),
            {
                M: {
                    "content": [
                        {
                            "type": "server_tool_use",
                            "id": "srvtoolu_1",
                            "name": "web_search",
                            "input": {"query": "paris"},
                        },
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "srvtoolu_1",
                            "content": [found],
                        },
                        TEXT,
                    ]
                },
                R: {
                    "output": [
                        {
                            "type": "web_search_call",
                            "id": "ws_1",
                            "status": "completed",
                            "action": {"type": "search", "query": "paris"},
                        },
                        MESSAGE,
                    ]
                },
            },
        ),
    )
