"""What a Claude upstream is sent, for requests from any dialect: one row per feature.

The file is long because it is one table: a row for each feature, so that a missing one is seen.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Target
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, ToolChoice, WebSearchTool
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.anthropic_messages import DIALECT
from tests.support.anthropic_sdk import valid_request
from tests.support.anthropic_targets import CAPABILITIES, NEWER, OLDER, notices, written

OWN = "anthropic_messages"
PNG = c.Base64Source("image/png", "iVBORw0KGgo=")
WEATHER = FunctionTool("weather", "Tells it", {"type": "object", "properties": {"city": {"type": "string"}}})
WEATHER_OUT = {
    "name": "weather",
    "description": "Tells it",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def turn(role: Any, *parts: c.Part | str, **members: Any) -> c.Turn:
    return c.Turn(role, tuple(c.TextPart(p) if isinstance(p, str) else p for p in parts), **members)


def request(*turns: c.Turn, **members: Any) -> ChatRequest:
    return ChatRequest("asked-for", turns or (turn("user", "hi"),), **members)


def call(call_id: str = "c1", arguments: str = "{}", **members: Any) -> c.ToolCallPart:
    return c.ToolCallPart(call_id, "weather", arguments, **members)


def result(call_id: str = "c1", *content: c.Part | str, **members: Any) -> c.ToolResultPart:
    return c.ToolResultPart(
        call_id, tuple(c.TextPart(p) if isinstance(p, str) else p for p in content), **members
    )


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words} | members


CALL_OUT = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
LOOP = (turn("user", "hi"), turn("assistant", call()), turn("user", result("c1", "42")))
HIGH = ReasoningConfig("on", "high")

#: name: request, target, members of the body (None: absent), notices
CASES: dict[str, tuple[ChatRequest, Target, dict[str, Any], list[str]]] = {
    "the model is the target's and max_tokens its limit": (
        request(),
        OLDER,
        {"model": "claude-haiku-4-5", "max_tokens": 64_000, "messages": [user("hi")], "stream": None},
        [],
    ),
    "a limit over the model's is lowered": (
        request(max_output_tokens=100_000),
        OLDER,
        {"max_tokens": 64_000},
        ["max_tokens: approximated"],
    ),
    "a stream": (request(stream=True), OLDER, {"stream": True}, []),
    # --- system
    "one system text is a string": (
        request(system=(c.TextPart("be kind"),)),
        OLDER,
        {"system": "be kind"},
        [],
    ),
    "several system texts are blocks, with their marks": (
        request(system=(c.TextPart("a", cache=c.CacheMark("1h")), c.TextPart(""), c.TextPart("b"))),
        OLDER,
        {"system": [text("a", cache_control={"type": "ephemeral", "ttl": "1h"}), text("b")]},
        [],
    ),
    "system turns before the first message join the system prompt": (
        request(turn("system", "b"), turn("user", "hi"), system=(c.TextPart("a"),)),
        OLDER,
        {"system": [text("a"), text("b")], "messages": [user("hi")]},
        [],
    ),
    "a later system turn is text of the user's turn on an older model": (
        request(turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("system", "d")),
        OLDER,
        {"messages": [user("a"), assistant("b"), user([text("c"), text("<system>d</system>")])]},
        ["messages.role: approximated"],
    ),
    "a later system turn stands after a user turn on a newer model": (
        request(turn("user", "a"), turn("system", "b"), turn("assistant", "c")),
        NEWER,
        {"messages": [user("a"), {"role": "system", "content": "b"}, assistant("c")]},
        [],
    ),
    "a system turn after an assistant's is text there too": (
        request(turn("user", "a"), turn("assistant", "b"), turn("system", "c"), turn("user", "d")),
        NEWER,
        {"messages": [user("a"), assistant("b"), user([text("<system>c</system>"), text("d")])]},
        ["messages.role: approximated"],
    ),
    "a request that is all system prompt is a user's turn": (
        request(turn("system", "b"), system=(c.TextPart("a"),)),
        OLDER,
        {"system": None, "messages": [user([text("a"), text("b")])]},
        ["messages.role: approximated"],
    ),
    # --- turns
    "turns of one role are merged": (
        request(turn("user", "a"), turn("user", "b"), turn("assistant", "c"), turn("assistant", "d")),
        OLDER,
        {"messages": [user([text("a"), text("b")]), assistant([text("c"), text("d")])]},
        [],
    ),
    "tool results come first in their turn": (
        request(
            turn("user", "hi"),
            turn("assistant", call("c1"), call("c2")),
            turn("user", "meanwhile"),
            turn("user", result("c1", "1")),
            turn("user", result("c2", "2")),
            tools=(WEATHER,),
        ),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant([CALL_OUT, CALL_OUT | {"id": "c2"}]),
                user(
                    [
                        {"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]},
                        {"type": "tool_result", "tool_use_id": "c2", "content": [text("2")]},
                        text("meanwhile"),
                    ]
                ),
            ]
        },
        [],
    ),
    "empty texts and empty turns are left out": (
        request(turn("user", "", "  "), turn("assistant", ""), turn("user", "hi", ""), turn("assistant", "")),
        OLDER,
        {"messages": [user("hi")]},
        [],
    ),
    "the mark of an empty text moves to the block before it": (
        request(turn("user", "hi", c.TextPart("", cache=c.CacheMark()))),
        OLDER,
        {"messages": [user([text("hi", cache_control={"type": "ephemeral"})])]},
        [],
    ),
    "an answer to be continued does not end in white space": (
        request(turn("user", "hi"), turn("assistant", "The answer is \n")),
        OLDER,
        {"messages": [user("hi"), assistant("The answer is")]},
        [],
    ),
    "the first turn may be the assistant's": (
        request(turn("assistant", "Welcome!"), turn("user", "hi")),
        OLDER,
        {"messages": [assistant("Welcome!"), user("hi")]},
        [],
    ),
    "participants have no names": (
        request(turn("user", "hi", name="bob")),
        OLDER,
        {"messages": [user("hi")]},
        ["messages.name: dropped"],
    ),
    "a refusal of the past is text": (
        request(turn("user", "a"), turn("assistant", c.RefusalPart("no")), turn("user", "b")),
        OLDER,
        {"messages": [user("a"), assistant("no"), user("b")]},
        [],
    ),
    # --- tool calls and results
    "ids are made safe, alike in call and result": (
        request(
            turn("user", "hi"),
            turn("assistant", call("call:1/é")),
            turn("user", result("call:1/é", "42")),
            tools=(WEATHER,),
        ),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant([CALL_OUT | {"id": "call_1_25f8cd705821a430"}]),
                user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_1_25f8cd705821a430",
                            "content": [text("42")],
                        }
                    ]
                ),
            ]
        },
        [],
    ),
    "calls of one turn that share an id are told apart": (
        request(
            turn("user", "hi"),
            turn("assistant", call("c1"), call("c1")),
            turn("user", result("c1", "1"), result("c1", "2")),
            tools=(WEATHER,),
        ),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant([CALL_OUT, CALL_OUT | {"id": "c1_2"}]),
                user(
                    [
                        {"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]},
                        {"type": "tool_result", "tool_use_id": "c1_2", "content": [text("2")]},
                    ]
                ),
            ]
        },
        [],
    ),
    "an id may come again in a later turn": (
        request(*LOOP, *LOOP[1:], tools=(WEATHER,)),
        OLDER,
        {
            "messages": [
                user("hi"),
                *[
                    assistant([CALL_OUT]),
                    user([{"type": "tool_result", "tool_use_id": "c1", "content": [text("42")]}]),
                ]
                * 2,
            ]
        },
        [],
    ),
    "arguments that are no object are wrapped": (
        request(
            turn("user", "hi"),
            turn("assistant", call("a", '{"x": 1.0}'), call("b", '{"x": '), call("c", "[1]"), call("d", " ")),
            turn("user", *(result(i, "r") for i in "abcd")),
            tools=(WEATHER,),
        ),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant(
                    [
                        CALL_OUT | {"id": "a", "input": {"x": 1.0}},
                        CALL_OUT | {"id": "b", "input": {"invalid_arguments": '{"x": '}},
                        CALL_OUT | {"id": "c", "input": {"invalid_arguments": "[1]"}},
                        CALL_OUT | {"id": "d", "input": {}},
                    ]
                ),
                user([{"type": "tool_result", "tool_use_id": i, "content": [text("r")]} for i in "abcd"]),
            ]
        },
        [],
    ),
    "a failed tool must say something": (
        request(*LOOP[:2], turn("user", result("c1", is_error=True)), tools=(WEATHER,)),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant([CALL_OUT]),
                user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c1",
                            "is_error": True,
                            "content": [text("(no output)")],
                        }
                    ]
                ),
            ]
        },
        [],
    ),
    "a tool result can hold images and documents": (
        request(
            *LOOP[:2],
            turn("user", result("c1", c.ImagePart(PNG), c.DocumentPart(c.TextSource("d")))),
            tools=(WEATHER,),
        ),
        OLDER,
        {
            "messages": [
                user("hi"),
                assistant([CALL_OUT]),
                user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c1",
                            "content": [
                                {
                                    "type": "image",
                                    "source": {
                                        "type": "base64",
                                        "media_type": "image/png",
                                        "data": "iVBORw0KGgo=",
                                    },
                                },
                                {
                                    "type": "document",
                                    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                                },
                            ],
                        }
                    ]
                ),
            ]
        },
        [],
    ),
    # --- media
    "images by data URL, by URL and without a type": (
        request(
            turn(
                "user",
                c.ImagePart(c.UrlSource("data:image/jpeg;base64,/9j/AA==")),
                c.ImagePart(c.UrlSource("https://x/y.png"), detail="auto"),
                c.ImagePart(c.Base64Source("", "UklGRg=="), detail="high"),
                c.ImagePart(c.Base64Source("image/jpg", "/9j/AA==")),
            )
        ),
        OLDER,
        {
            "messages": [
                user(
                    [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AA=="},
                        },
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/webp", "data": "UklGRg=="},
                        },
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AA=="},
                        },
                    ]
                )
            ]
        },
        ["image_url.detail: dropped"],
    ),
    "documents as PDF, as text and by URL": (
        request(
            turn(
                "user",
                c.DocumentPart(c.Base64Source("application/pdf", "JVBERi0="), filename="a.pdf"),
                c.DocumentPart(c.Base64Source("text/csv", "YSxi"), title="T"),
                c.DocumentPart(c.UrlSource("data:application/pdf;base64,JVBERi0=")),
                c.DocumentPart(c.UrlSource("https://x/y.pdf"), cite=True),
            )
        ),
        OLDER,
        {
            "messages": [
                user(
                    [
                        {
                            "type": "document",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": "JVBERi0=",
                            },
                            "title": "a.pdf",
                        },
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
                            "title": "T",
                        },
                        {
                            "type": "document",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": "JVBERi0=",
                            },
                        },
                        {
                            "type": "document",
                            "source": {"type": "url", "url": "https://x/y.pdf"},
                            "citations": {"enabled": True},
                        },
                    ]
                )
            ]
        },
        [],
    ),
    # --- reasoning of the past
    "only our own proofs are sent": (
        request(
            turn("user", "a"),
            turn(
                "assistant",
                c.ReasoningPart("mine", c.Proof(OWN, "SIG")),
                c.ReasoningPart("", c.Proof(OWN, "ENC"), redacted=True),
                c.ReasoningPart("theirs", c.Proof("openai_responses", "X")),
                c.ReasoningPart("nobody's"),
                "b",
            ),
            turn("user", "c"),
        ),
        OLDER,
        {
            "messages": [
                user("a"),
                assistant(
                    [
                        {"type": "thinking", "thinking": "mine", "signature": "SIG"},
                        {"type": "redacted_thinking", "data": "ENC"},
                        text("b"),
                    ]
                ),
                user("c"),
            ]
        },
        ["messages.reasoning: dropped"],
    ),
    "web citations of another provider are dropped": (
        request(
            turn("user", "a"),
            turn(
                "assistant",
                c.TextPart("b", (c.Citation("web", "https://x"), c.Citation("web", "https://y", proof="E"))),
            ),
            turn("user", "c"),
        ),
        OLDER,
        {
            "messages": [
                user("a"),
                assistant(
                    [
                        text(
                            "b",
                            citations=[
                                {
                                    "type": "web_search_result_location",
                                    "url": "https://y",
                                    "title": None,
                                    "cited_text": "",
                                    "encrypted_index": "E",
                                }
                            ],
                        )
                    ]
                ),
                user("c"),
            ]
        },
        ["citations: dropped"],
    ),
    "white space that is all of the last answer goes with it": (
        request(turn("user", "a"), turn("assistant", " ")),
        OLDER,
        {"messages": [user("a")]},
        [],
    ),
    "what another provider's model said in a form of its own is dropped": (
        request(
            turn("user", "a"), turn("assistant", c.ForeignPart("gemini", "x", {}), "b"), turn("user", "c")
        ),
        OLDER,
        {"messages": [user("a"), assistant("b"), user("c")]},
        ["server tool history: dropped"],
    ),
    "another provider's search history is dropped": (
        request(
            turn("user", "a"),
            turn(
                "assistant",
                c.ServerToolCallPart("ws_1", "web_search", "{}", "openai_responses"),
                c.ServerToolResultPart("ws_1", "web_search_call", None, "openai_responses"),
                "b",
            ),
            turn("user", "c"),
        ),
        OLDER,
        {"messages": [user("a"), assistant("b"), user("c")]},
        ["server tool history: dropped"],
    ),
    # --- tools
    "a function tool": (request(tools=(WEATHER,)), OLDER, {"tools": [WEATHER_OUT], "tool_choice": None}, []),
    "a tool without parameters takes an object": (
        request(tools=(FunctionTool("f"), FunctionTool("g", parameters={"properties": {}}))),
        OLDER,
        {
            "tools": [
                {"name": "f", "input_schema": {"type": "object", "properties": {}}},
                {"name": "g", "input_schema": {"type": "object", "properties": {}}},
            ]
        },
        [],
    ),
    "a strict tool": (
        request(tools=(structs.replace(WEATHER, strict=True, cache=c.CacheMark("24h")),)),
        OLDER,
        {"tools": [WEATHER_OUT | {"strict": True, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        ["cache_control.ttl: approximated"],
    ),
    "a strict tool on a model that cannot enforce it": (
        request(tools=(structs.replace(WEATHER, strict=True),)),
        structs.replace(OLDER, capabilities=CAPABILITIES - {"json_schema"}),
        {"tools": [WEATHER_OUT]},
        ["tools.strict: dropped"],
    ),
    "a free-form tool becomes a function, and so do its calls": (
        request(
            turn("user", "hi"),
            turn("assistant", c.ToolCallPart("c1", "run", 'say "x"\n', kind="custom")),
            turn("user", result("c1", "done", kind="custom")),
            tools=(CustomTool("run", "Runs it", "lark", "start: WORD"),),
        ),
        OLDER,
        {
            "tools": [
                {
                    "name": "run",
                    "description": "Runs it\n\nThe input must match this lark grammar:\nstart: WORD",
                    "input_schema": {
                        "type": "object",
                        "properties": {
                            "input": {
                                "type": "string",
                                "description": "The whole input of the tool, as text.",
                            }
                        },
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                }
            ],
            "messages": [
                user("hi"),
                assistant([{"type": "tool_use", "id": "c1", "name": "run", "input": {"input": 'say "x"\n'}}]),
                user([{"type": "tool_result", "tool_use_id": "c1", "content": [text("done")]}]),
            ],
        },
        ["tools.0: approximated"],
    ),
    "web search": (
        request(
            tools=(
                WebSearchTool(3, ("a.b",), None, {"city": "Bonn"}, context_size="high"),
                WebSearchTool(blocked_domains=("c.d",), extras={OWN: {"_type": "web_search_20260209"}}),
            )
        ),
        OLDER,
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 3,
                    "allowed_domains": ["a.b"],
                    "user_location": {"type": "approximate", "city": "Bonn"},
                },
                {"type": "web_search_20260209", "name": "web_search", "blocked_domains": ["c.d"]},
            ]
        },
        ["web_search.search_context_size: dropped"],
    ),
    "tools of a history that offers none are defined and cannot be called": (
        request(*LOOP),
        OLDER,
        {
            "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "none"},
        },
        ["tools: approximated"],
    ),
    "choice: auto": (
        request(tools=(WEATHER,), tool_choice=ToolChoice("auto")),
        OLDER,
        {"tool_choice": {"type": "auto"}},
        [],
    ),
    "choice: none": (
        request(tools=(WEATHER,), tool_choice=ToolChoice("none", parallel=False)),
        OLDER,
        {"tool_choice": {"type": "none"}},
        [],
    ),
    "choice: required, one call at most": (
        request(tools=(WEATHER,), tool_choice=ToolChoice("required", parallel=False)),
        OLDER,
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        [],
    ),
    "choice: one call at most": (
        request(tools=(WEATHER,), tool_choice=ToolChoice(parallel=False)),
        OLDER,
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        [],
    ),
    "choice: a named tool": (
        request(tools=(WEATHER,), tool_choice=ToolChoice("named", ("weather",))),
        OLDER,
        {"tool_choice": {"type": "tool", "name": "weather"}},
        [],
    ),
    "choice: an allowed subset is all that is offered": (
        request(tools=(WEATHER, FunctionTool("g")), tool_choice=ToolChoice("required", ("weather",))),
        OLDER,
        {"tools": [WEATHER_OUT], "tool_choice": {"type": "any"}},
        [],
    ),
    "choice without tools": (
        request(tool_choice=ToolChoice("auto")),
        OLDER,
        {"tools": None, "tool_choice": None},
        [],
    ),
    # --- output
    "json_object is an instruction": (
        request(system=(c.TextPart("a"),), output_format=OutputFormat("json_object")),
        OLDER,
        {
            "system": [
                text("a"),
                text("Answer with one valid JSON object and nothing else: no prose, no code fence."),
            ]
        },
        ["response_format: approximated"],
    ),
    "text is the default": (request(output_format=OutputFormat("text")), OLDER, {"output_config": None}, []),
    "json_schema, made to fit": (
        request(
            output_format=OutputFormat(
                "json_schema",
                {
                    "type": "object",
                    "properties": {
                        "n": {"type": "integer", "minimum": 1, "description": "a count"},
                        "l": {"type": "array", "minItems": 2, "items": {"type": "object"}},
                    },
                    "$defs": {"d": {"anyOf": [{"type": ["object", "null"]}]}},
                },
                name="x",
                strict=True,
            )
        ),
        OLDER,
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {
                            "n": {"type": "integer", "description": "a count (minimum: 1)"},
                            "l": {
                                "type": "array",
                                "items": {"type": "object", "additionalProperties": False},
                                "description": "minItems: 2",
                            },
                        },
                        "$defs": {
                            "d": {"anyOf": [{"type": ["object", "null"], "additionalProperties": False}]}
                        },
                        "additionalProperties": False,
                    },
                }
            }
        },
        ["response_format.schema: approximated"],
    ),
    # --- sampling and the rest
    "sampling": (
        request(sampling=Sampling(temperature=0.5, top_k=5), stop=("END", " ")),
        OLDER,
        {"temperature": 0.5, "top_k": 5, "stop_sequences": ["END"]},
        ["stop: dropped"],
    ),
    "temperature goes to one": (
        request(sampling=Sampling(temperature=1.7)),
        OLDER,
        {"temperature": 1},
        ["temperature: approximated"],
    ),
    "temperature and top_p exclude each other": (
        request(sampling=Sampling(temperature=0.5, top_p=0.9)),
        OLDER,
        {"temperature": 0.5, "top_p": None},
        ["top_p: dropped"],
    ),
    "of two parameters the default one goes": (
        request(sampling=Sampling(temperature=1, top_p=0.9)),
        OLDER,
        {"temperature": None, "top_p": 0.9},
        [],
    ),
    "a newer model takes no sampling": (
        request(sampling=Sampling(temperature=0.5, top_p=1, top_k=5)),
        NEWER,
        {"temperature": None, "top_p": None, "top_k": None},
        ["temperature: dropped", "top_k: dropped"],
    ),
    "knobs that Anthropic lacks": (
        request(
            sampling=Sampling(seed=1, frequency_penalty=0.1, presence_penalty=0.1, logit_bias={"1": 2}),
            logprobs=2,
            verbosity="low",
            prompt_cache_key="k",
            metadata={"a": "b"},
            store=True,
        ),
        OLDER,
        {"metadata": None},
        [
            "logprobs: dropped",
            "seed: dropped",
            "frequency_penalty: dropped",
            "presence_penalty: dropped",
            "logit_bias: dropped",
            "verbosity: dropped",
            "prompt_cache_key: dropped",
            "metadata: dropped",
            "store: dropped",
        ],
    ),
    "knobs that say nothing are no loss": (
        request(sampling=Sampling(frequency_penalty=0, presence_penalty=0), store=False, metadata={}),
        OLDER,
        {},
        [],
    ),
    "another dialect's own parameters": (
        request(extras={"openai_chat": {"prediction": {}, "we,ird;": 1, "_spelling": 2}}),
        OLDER,
        {"prediction": None},
        ["prediction: dropped", "weird: dropped"],
    ),
    "user, tier and a mark on the whole prompt": (
        request(user_id="u", service_tier="default", cache=c.CacheMark("5m")),
        OLDER,
        {
            "metadata": {"user_id": "u"},
            "service_tier": "standard_only",
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
        },
        [],
    ),
    "a tier that Anthropic lacks": (
        request(service_tier="flex"),
        OLDER,
        {"service_tier": None},
        ["service_tier: dropped"],
    ),
    # --- thinking
    "an effort becomes a budget": (
        request(reasoning=HIGH),
        OLDER,
        {
            "thinking": {"type": "enabled", "budget_tokens": 16_384},
            "max_tokens": 64_000,
            "output_config": None,
        },
        [],
    ),
    "an effort alone is enough, where it comes from elsewhere": (
        request(reasoning=ReasoningConfig(effort="low")),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        [],
    ),
    "a budget leaves a quarter of max_tokens to the answer": (
        request(reasoning=HIGH, max_output_tokens=8000),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 6000}, "max_tokens": 8000},
        [],
    ),
    "max_tokens is raised where no budget fits": (
        request(reasoning=HIGH, max_output_tokens=300),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1324},
        ["max_tokens: approximated"],
    ),
    "without a limit the answer is as long as what is held for": (
        request(),
        structs.replace(OLDER, output_tokens_held=8192),
        {"max_tokens": 8192},
        [],
    ),
    "no more than the model has is asked for, whatever is held": (
        request(),
        structs.replace(OLDER, output_tokens_held=100_000),
        {"max_tokens": 64_000},
        [],
    ),
    "without a limit thinking stays within what is held for": (
        request(reasoning=HIGH),
        structs.replace(OLDER, output_tokens_held=8192),
        {"thinking": {"type": "enabled", "budget_tokens": 6144}, "max_tokens": 8192},
        [],
    ),
    "an explicit budget stays within what is held for": (
        request(reasoning=ReasoningConfig(mode="on", budget_tokens=50_000)),
        structs.replace(OLDER, output_tokens_held=8192),
        {"thinking": {"type": "enabled", "budget_tokens": 6144}, "max_tokens": 8192},
        ["reasoning.budget: approximated"],
    ),
    "max_tokens is raised as far as is held for": (
        request(reasoning=HIGH, max_output_tokens=300),
        structs.replace(OLDER, output_tokens_held=1100),
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1100},
        ["max_tokens: approximated"],
    ),
    "max_tokens is not raised where nothing more is held": (
        request(reasoning=HIGH, max_output_tokens=300),
        structs.replace(OLDER, output_tokens_held=300),
        {"thinking": None, "max_tokens": 300},
        ["reasoning: dropped"],
    ),
    "no thinking where not even that fits": (
        request(reasoning=HIGH, max_output_tokens=300),
        structs.replace(OLDER, max_output_tokens=1000),
        {"thinking": None, "max_tokens": 300},
        ["reasoning: dropped"],
    ),
    "an explicit budget stays": (
        request(reasoning=ReasoningConfig("on", budget_tokens=7999), max_output_tokens=8000),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 7999}},
        [],
    ),
    "an explicit budget over max_tokens is lowered": (
        request(reasoning=ReasoningConfig("on", budget_tokens=9000), max_output_tokens=8000),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 6000}},
        ["reasoning.budget: approximated"],
    ),
    "an explicit budget under the least is raised": (
        request(reasoning=ReasoningConfig("on", budget_tokens=100), max_output_tokens=8000),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        ["reasoning.budget: approximated"],
    ),
    "effort none is no thinking": (
        request(reasoning=ReasoningConfig(effort="none")),
        OLDER,
        {"thinking": {"type": "disabled"}, "output_config": None},
        [],
    ),
    "a newer model takes the effort as it is": (
        request(reasoning=ReasoningConfig("on", "xhigh", display="auto")),
        NEWER,
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
        ["reasoning.summary: approximated"],
    ),
    "minimal is low": (
        request(reasoning=ReasoningConfig("on", "minimal")),
        NEWER,
        {"output_config": {"effort": "low"}},
        ["reasoning_effort: approximated"],
    ),
    "xhigh is high on a model without it": (
        request(reasoning=ReasoningConfig("on", "xhigh")),
        structs.replace(NEWER, quirks=NEWER.quirks - {"effort_xhigh"}),
        {"output_config": {"effort": "high"}},
        ["reasoning_effort: approximated"],
    ),
    "a budget becomes an effort on a newer model": (
        request(reasoning=ReasoningConfig("on", budget_tokens=5000)),
        NEWER,
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
        ["reasoning.budget: approximated"],
    ),
    "adaptive thinking becomes a budget on an older model": (
        request(reasoning=ReasoningConfig("adaptive")),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 8192}},
        ["reasoning: approximated"],
    ),
    "an own effort does not switch thinking on": (
        request(reasoning=ReasoningConfig(effort="low", extras={OWN: {}})),
        NEWER,
        {"thinking": None, "output_config": {"effort": "low"}},
        [],
    ),
    "a model that does not think": (
        request(reasoning=HIGH),
        structs.replace(OLDER, capabilities=CAPABILITIES - {"thinking"}),
        {"thinking": None},
        ["reasoning: dropped"],
    ),
    "sampling with thinking": (
        request(reasoning=HIGH, sampling=Sampling(temperature=0.5, top_p=0.96, top_k=5)),
        OLDER,
        {"temperature": None, "top_p": 0.96, "top_k": None},
        ["temperature: dropped", "top_k: dropped"],
    ),
    "a forced tool wins over a budget": (
        request(reasoning=HIGH, tools=(WEATHER,), tool_choice=ToolChoice("required")),
        OLDER,
        {"thinking": None, "tool_choice": {"type": "any"}},
        ["reasoning: dropped"],
    ),
    "a forced tool goes with adaptive thinking": (
        request(reasoning=HIGH, tools=(WEATHER,), tool_choice=ToolChoice("required")),
        NEWER,
        {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "any"}},
        [],
    ),
    "a tool loop that was begun without our thinking goes on without a budget": (
        request(*LOOP, reasoning=HIGH, tools=(WEATHER,)),
        OLDER,
        {"thinking": None},
        ["reasoning: dropped"],
    ),
    "a tool loop that was begun with our thinking goes on with it": (
        request(
            LOOP[0],
            turn("assistant", c.ReasoningPart("hm", c.Proof(OWN, "S")), call()),
            LOOP[2],
            reasoning=HIGH,
            tools=(WEATHER,),
        ),
        OLDER,
        {"thinking": {"type": "enabled", "budget_tokens": 16_384}},
        [],
    ),
}


@pytest.mark.parametrize(("asked", "target", "members", "losses"), CASES.values(), ids=CASES)
def test_a_request_for_claude(
    asked: ChatRequest, target: Target, members: dict[str, Any], losses: list[str]
) -> None:
    body, result = written(asked, target)
    assert {name: body.get(name) for name in members} == members
    assert notices(result) == losses
    assert dict(result.headers)["anthropic-version"] == "2023-06-01"
    for notice in result.notices:
        assert str(notice).isascii()
        assert not set(str(notice)) & set(",;\n")


@pytest.mark.parametrize(("asked", "target"), [case[:2] for case in CASES.values()], ids=CASES)
def test_every_such_request_is_one_that_the_sdk_could_send(asked: ChatRequest, target: Target) -> None:
    valid_request(DIALECT.write_request(asked, target).body)


def without(capability: str) -> Target:
    return structs.replace(OLDER, capabilities=CAPABILITIES - {capability})


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(200):
    DEEP = {"type": "array", "items": DEEP}
SCHEMA = OutputFormat("json_schema", {"type": "object"})
REFUSED: dict[str, tuple[ChatRequest, Target, str]] = {
    "several candidates": (request(candidates=2), OLDER, "n"),
    "audio": (
        request(turn("user", "a"), turn("user", c.AudioPart(c.Base64Source("", "AA=="), "wav"))),
        OLDER,
        "messages.1.content",
    ),
    "images for a blind model": (
        request(turn("user", c.ImagePart(PNG))),
        without("vision"),
        "messages.0.content",
    ),
    "images in a tool result for a blind model": (
        request(*LOOP[:2], turn("user", result("c1", c.ImagePart(PNG))), tools=(WEATHER,)),
        without("vision"),
        "messages.2.content",
    ),
    "documents for a model that reads none": (
        request(turn("user", c.DocumentPart(c.TextSource("a")))),
        without("documents"),
        "messages.0.content",
    ),
    "tools for a model that calls none": (request(tools=(WEATHER,)), without("tools"), "tools"),
    "web search on a model without it": (
        request(tools=(WEATHER, WebSearchTool())),
        without("web_search"),
        "tools.1",
    ),
    "a schema on a model that cannot be held to it": (
        request(output_format=SCHEMA),
        without("json_schema"),
        "response_format",
    ),
    "another provider's tool": (
        request(tools=(ForeignTool("openai_responses", "computer_use", "c", {}),)),
        OLDER,
        "tools.0",
    ),
    "another provider's file": (
        request(turn("user", c.ImagePart(c.FileSource("file-1", "openai_chat")))),
        OLDER,
        "messages.0.content",
    ),
    "an image of a type that Claude does not see": (
        request(turn("user", c.ImagePart(c.Base64Source("image/bmp", "Qk0=")))),
        OLDER,
        "messages.0.content",
    ),
    "a document that Claude does not read": (
        request(turn("user", c.DocumentPart(c.Base64Source("application/msword", "0M8=")))),
        OLDER,
        "messages.0.content",
    ),
    "a text document that is no text": (
        request(turn("user", c.DocumentPart(c.Base64Source("text/plain", "/w==")))),
        OLDER,
        "messages.0.content",
    ),
    "another provider's kind of content": (
        request(turn("user", c.ForeignPart("gemini", "hologram", {}))),
        OLDER,
        "messages.0.content",
    ),
    "an image given as text": (
        request(turn("user", c.ImagePart(c.TextSource("a cat")))),
        OLDER,
        "messages.0.content",
    ),
    "a data URL that is not base64": (
        request(turn("user", c.DocumentPart(c.Base64Source("text/plain", "%%%")))),
        OLDER,
        "messages.0.content",
    ),
    "a schema that nests too deeply": (
        request(output_format=OutputFormat("json_schema", DEEP)),
        OLDER,
        "response_format",
    ),
    "an image in the system prompt": (request(system=(c.ImagePart(PNG),)), OLDER, "system"),
    "a forced choice without tools": (request(tool_choice=ToolChoice("required")), OLDER, "tool_choice"),
}


@pytest.mark.parametrize(("asked", "target", "param"), REFUSED.values(), ids=REFUSED)
def test_what_claude_cannot_do_is_refused(asked: ChatRequest, target: Target, param: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        DIALECT.write_request(asked, target)
    assert caught.value.param == param


def test_a_request_with_nothing_to_say_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="at least one message"):
        DIALECT.write_request(request(turn("user", "")), OLDER)


def test_beta_features_bring_their_flags() -> None:
    asked = request(
        turn(
            "user", "a", c.ForeignPart(OWN, "container_upload", {"type": "container_upload", "file_id": "f"})
        ),
        turn("system", c.ForeignPart(OWN, "tool_addition", {"type": "tool_addition", "tool": {}})),
        turn("assistant", c.ForeignPart(OWN, "compaction", {"type": "compaction", "content": "s"})),
        tools=(ForeignTool(OWN, "computer_20251124", "computer", {"type": "computer_20251124"}),),
        extras={
            OWN: {
                "mcp_servers": [],
                "context_management": {"edits": [{"type": "compact_20260112"}]},
                "output_config": {"task_budget": {"type": "tokens", "total": 5}},
            }
        },
    )
    flags = dict(DIALECT.write_request(asked, NEWER).headers)["anthropic-beta"].split(",")
    assert flags == [
        "context-management-2025-06-27",
        "mcp-client-2025-11-20",
        "compact-2026-01-12",
        "task-budgets-2026-03-13",
        "computer-use-2025-11-24",
        "files-api-2025-04-14",
        "mid-conversation-tool-changes-2026-07-01",
    ]


def test_settings_bring_their_flags_too() -> None:
    asked = request(
        turn("user", "a"),
        c.Turn("system", (), extras={OWN: {"output_config": {"effort": "low"}, "clear_at": "never"}}),
        reasoning=ReasoningConfig("adaptive", display="updates", extras={OWN: {"block_binding": {}}}),
        extras={OWN: {"container": {"skills": []}}},
    )
    flags = dict(DIALECT.write_request(asked, NEWER).headers)["anthropic-beta"].split(",")
    assert flags == [
        "skills-2025-10-02",
        "thinking-display-updates-2026-08-18",
        "thinking-binding-controls-2026-08-01",
        "mid-conversation-system-clear-at-2026-08-21",
        "mid-conversation-output-config-2026-07-01",
    ]


def test_members_of_unknown_shapes_are_put_back() -> None:
    kept = {
        "metadata": {"other": 1},
        "output_config": {"format": {"type": "xml"}},
        "output_format": {"type": "xml"},
        "anything": [1],
    }
    body, result = written(request(user_id="u", extras={OWN: kept}))
    assert {name: body[name] for name in kept} == kept | {"metadata": {"user_id": "u", "other": 1}}
    assert result.notices == ()


def test_a_plain_request_needs_no_flags() -> None:
    assert dict(DIALECT.write_request(request(), OLDER).headers).keys() == {"anthropic-version"}


def test_extras_that_claude_lacks_are_left_out_with_a_notice() -> None:
    tools = (
        WEATHER,
        WebSearchTool(optional=True),
        ForeignTool("openai_responses", "image_generation", "image_generation", {}, optional=True),
    )
    target = structs.replace(OLDER, capabilities=CAPABILITIES - {"web_search"})
    body, written_ = written(request(tools=tools), target)
    assert body["tools"] == [WEATHER_OUT]
    assert notices(written_) == ["tools.web_search: dropped", "tools.image_generation: dropped"]
