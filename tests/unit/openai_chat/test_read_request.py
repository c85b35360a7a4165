"""A client's request in the hub's terms: one row for each feature of the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import InvalidRequest
from bytespike.protocols.openai_chat import DIALECT

NAME = "openai_chat"


def read(**members: Any) -> ChatRequest:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], **members}
    return DIALECT.read_request(json.dumps(body).encode())


def parts_of(content: Any, role: str = "user") -> tuple[c.Part, ...]:
    return read(messages=[{"role": role, "content": content}]).turns[0].parts


def own(**members: Any) -> dict[str, Any]:
    return {NAME: members}


PARTS = {
    "a string": ("hello", (c.TextPart("hello"),)),
    "text parts": (
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        (c.TextPart("a"), c.TextPart("b")),
    ),
    "an image by URL": (
        [{"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "high"}}],
        (c.ImagePart(c.UrlSource("https://x.test/a.png"), "high"),),
    ),
    "an image as a data URL": (
        [{"type": "image_url", "image_url": {"url": "data:image/PNG;base64,iVBO"}}],
        (c.ImagePart(c.Base64Source("image/png", "iVBO")),),
    ),
    "an image as a bare string": (
        [{"type": "image_url", "image_url": "https://x.test/a.png"}],
        (c.ImagePart(c.UrlSource("https://x.test/a.png")),),
    ),
    "audio": (
        [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
        (c.AudioPart(c.Base64Source("audio/wav", "AAAA"), "wav"),),
    ),
    "a PDF": (
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}],
        (c.DocumentPart(c.Base64Source("application/pdf", "JVBE"), filename="a.pdf"),),
    ),
    "a PDF without a data URL": (
        [{"type": "file", "file": {"file_data": "JVBE", "filename": "a.PDF"}}],
        (c.DocumentPart(c.Base64Source("application/pdf", "JVBE"), filename="a.PDF"),),
    ),
    "an uploaded file": (
        [{"type": "file", "file": {"file_id": "file-1"}}],
        (c.DocumentPart(c.FileSource("file-1", NAME)),),
    ),
    "a file by URL (OpenRouter)": (
        [{"type": "file", "file": {"file_data": "https://x.test/a.pdf"}}],
        (c.DocumentPart(c.UrlSource("https://x.test/a.pdf")),),
    ),
    "a document by URL (Mistral)": (
        [{"type": "document_url", "document_url": "https://x.test/a.pdf"}],
        (c.DocumentPart(c.UrlSource("https://x.test/a.pdf"), extras=own(_type="document_url")),),
    ),
    "a cache breakpoint": (
        [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}],
        (
            c.TextPart(
                "a",
                cache=c.CacheMark("12h"),
                extras=own(_prompt_cache_breakpoint={"mode": "explicit", "ttl": "12h"}),
            ),
        ),
    ),
    "a cache mark in Anthropic's spelling (OpenRouter)": (
        [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        (c.TextPart("a", cache=c.CacheMark(), extras=own(_cache_control={"type": "ephemeral"})),),
    ),
    "a stray string": (["hello"], (c.TextPart("hello"),)),
    "an unknown part": (
        [{"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}}],
        (
            c.ForeignPart(
                NAME, "video_url", {"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}}
            ),
        ),
    ),
}


@pytest.mark.parametrize("row", PARTS)
def test_the_parts_of_a_users_message(row: str) -> None:
    content, parts = PARTS[row]
    assert parts_of(content) == parts


def test_what_opens_the_conversation_is_the_system_prompt_and_later_system_messages_are_turns() -> None:
    request = read(
        messages=[
            {"role": "developer", "content": "one"},
            {
                "role": "system",
                "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}],
            },
            {"role": "user", "content": "hi", "name": "ann"},
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": "be kind"},
        ]
    )
    assert request.system == (c.TextPart("one"), c.TextPart("two"), c.TextPart("three"))
    assert request.turns == (
        c.Turn("user", (c.TextPart("hi"),), "ann"),
        c.Turn("system", (c.TextPart("be brief"),)),
        c.Turn("system", (c.TextPart("be kind"),), extras=own(_role="developer")),
    )


def test_consecutive_tool_messages_are_one_turn_and_the_users_message_after_them_another() -> None:
    request = read(
        messages=[
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "raw"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": "go on"},
        ]
    )
    assert request.turns[1:] == (
        c.Turn(
            "assistant",
            (
                c.ToolCallPart("call_1", "f", '{"a": 1}'),
                c.ToolCallPart("call_2", "g", "raw", "custom"),
            ),
        ),
        c.Turn(
            "user",
            (
                c.ToolResultPart("call_1", (c.TextPart("one"),)),
                c.ToolResultPart("call_2", (c.TextPart("two"),), kind="custom"),
            ),
        ),
        c.Turn("user", (c.TextPart("go on"),)),
    )


def test_the_deprecated_function_call_and_its_result_belong_together() -> None:
    request = read(
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call = request.turns[1].parts[0]
    result = request.turns[2].parts[0]
    assert isinstance(call, c.ToolCallPart)
    assert isinstance(result, c.ToolResultPart)
    assert call.id == result.call_id
    assert request.tools == (t.FunctionTool("f", None, {"type": "object"}, extras=own(_legacy=True)),)
    assert request.tool_choice == t.ToolChoice("named", ("f",), extras=own(_legacy=True))


def test_an_assistants_message_in_canonical_order() -> None:
    turn = read(
        messages=[
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
                "content": "text",
                "refusal": "no",
                "audio": {"id": "audio_1"},
                "reasoning_content": "hm",
                "name": "bot",
                "prefix": True,
            },
        ]
    ).turns[1]
    assert turn == c.Turn(
        "assistant",
        (
            c.ReasoningPart("hm"),
            c.TextPart("text"),
            c.RefusalPart("no"),
            c.AudioPart(c.FileSource("audio_1", NAME), ""),
            c.ToolCallPart("c", "f", ""),
        ),
        "bot",
        own(prefix=True),
    )


@pytest.mark.parametrize("content", ["", [], None])
def test_empty_assistant_content_is_no_part_but_is_remembered(content: Any) -> None:
    turn = read(messages=[{"role": "assistant", "content": content}]).turns[0]
    assert turn.parts == ()
    assert turn.extras == ({} if content is None else own(_content=content))


SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_completion_tokens": ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_output_tokens": 5}),
    "an integer written as a float": ({"max_completion_tokens": 5.0}, {"max_output_tokens": 5}),
    "one stop sequence": ({"stop": "x"}, {"stop": ("x",)}),
    "stop sequences": ({"stop": ["x", "y"]}, {"stop": ("x", "y")}),
    "nulls": (
        {
            "stop": None,
            "temperature": None,
            "n": None,
            "logprobs": None,
            "max_tokens": None,
            "metadata": None,
            "stream": None,
            "stream_options": None,
            "store": None,
            "seed": None,
            "reasoning_effort": None,
            "audio": None,
            "service_tier": None,
            "response_format": None,
        },
        {},
    ),
    "sampling": (
        {
            "temperature": 0.5,
            "top_p": 1,
            "top_k": 4,
            "frequency_penalty": 0.1,
            "presence_penalty": -0.1,
            "seed": 7,
            "logit_bias": {"50256": -100},
        },
        {"sampling": Sampling(0.5, 1, 4, 0.1, -0.1, 7, {"50256": -100})},
    ),
    "n": ({"n": 3}, {"candidates": 3}),
    "logprobs": ({"logprobs": True}, {"logprobs": 0}),
    "top_logprobs": ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}),
    "logprobs off": ({"logprobs": False}, {"logprobs": None}),
    "the end user": ({"safety_identifier": "s"}, {"user_id": "s"}),
    "store, tier, verbosity, cache key": (
        {
            "store": True,
            "service_tier": "flex",
            "verbosity": "low",
            "prompt_cache_key": "k",
            "metadata": {"a": "b"},
        },
        {
            "store": True,
            "service_tier": "flex",
            "verbosity": "low",
            "prompt_cache_key": "k",
            "metadata": {"a": "b"},
        },
    ),
    "text": ({"response_format": {"type": "text"}}, {"output_format": OutputFormat("text")}),
    "json_object": (
        {"response_format": {"type": "json_object"}},
        {"output_format": OutputFormat("json_object")},
    ),
    "json_schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
            }
        },
        {"output_format": OutputFormat("json_schema", {"type": "object"}, "n", None, True)},
    ),
    "parallel calls off": ({"parallel_tool_calls": False}, {"tool_choice": t.ToolChoice(parallel=False)}),
    "tool choice none": ({"tool_choice": "none"}, {"tool_choice": t.ToolChoice("none")}),
    "tool choice any (Mistral)": ({"tool_choice": "any"}, {"tool_choice": t.ToolChoice("required")}),
    "a named tool": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": t.ToolChoice("named", ("f",))},
    ),
    "a named custom tool": (
        {"tool_choice": {"type": "custom", "custom": {"name": "g"}}},
        {"tool_choice": t.ToolChoice("named", ("g",), "custom")},
    ),
    "allowed tools": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            }
        },
        {"tool_choice": t.ToolChoice("required", ("f",))},
    ),
    "web search": (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Bern"}},
            }
        },
        {"tools": (t.WebSearchTool(context_size="low", user_location={"city": "Bern"}),)},
    ),
    "tools of every type": (
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "strict": True}},
                {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
                {
                    "type": "custom",
                    "custom": {
                        "name": "h",
                        "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
                    },
                },
                {"type": "openrouter:web_search", "parameters": {}},
            ]
        },
        {
            "tools": (
                t.FunctionTool("f", "d", strict=True),
                t.CustomTool("g", extras=own(format={"type": "text"})),
                t.CustomTool("h", None, "regex", "a+"),
                t.ForeignTool(
                    NAME,
                    "openrouter:web_search",
                    "openrouter:web_search",
                    {"type": "openrouter:web_search", "parameters": {}},
                ),
            )
        },
    ),
}


@pytest.mark.parametrize("row", SETTINGS)
def test_settings(row: str) -> None:
    members, expected = SETTINGS[row]
    plain = read()
    request = read(**members)
    for name in ChatRequest.__struct_fields__:
        if name != "extras":
            assert getattr(request, name) == expected.get(name, getattr(plain, name)), name


REASONING: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "effort": ({"reasoning_effort": "xhigh"}, ("on", "xhigh", None, None)),
    "effort none": ({"reasoning_effort": "none"}, ("off", "none", None, None)),
    "OpenRouter: effort": ({"reasoning": {"effort": "low"}}, ("on", "low", None, None)),
    "OpenRouter: budget": ({"reasoning": {"max_tokens": 2000}}, ("on", None, 2000, None)),
    "OpenRouter: off": ({"reasoning": {"enabled": False}}, ("off", None, None, None)),
    "OpenRouter: on, not shown": (
        {"reasoning": {"enabled": True, "exclude": True}},
        ("on", None, None, "omitted"),
    ),
    "thinking on": ({"thinking": {"type": "enabled", "budget_tokens": 99}}, ("on", None, 99, None)),
    "thinking off": ({"thinking": {"type": "disabled"}}, ("off", None, None, None)),
    "thinking auto (Volcengine)": ({"thinking": {"type": "auto"}}, ("adaptive", None, None, None)),
    "thinking with an effort (DeepSeek)": (
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        ("on", "max", None, None),
    ),
    "Alibaba": ({"enable_thinking": True, "thinking_budget": 50}, ("on", None, 50, None)),
    "Alibaba: off": ({"enable_thinking": False}, ("off", None, None, None)),
}


@pytest.mark.parametrize("row", REASONING)
def test_how_much_to_think(row: str) -> None:
    members, (mode, effort, budget, display) = REASONING[row]
    reasoning = read(**members).reasoning
    assert isinstance(reasoning, ReasoningConfig)
    assert (reasoning.mode, reasoning.effort, reasoning.budget_tokens, reasoning.display) == (
        mode,
        effort,
        budget,
        display,
    )


def test_usage_in_the_stream_is_wanted_only_when_asked_for() -> None:
    assert read(stream=True).stream_usage is False
    assert read(stream=True, stream_options={"include_usage": True}).stream_usage is True
    assert read(stream=True, stream_options={"include_obfuscation": False}).stream_usage is False


def test_a_format_of_an_unknown_type_is_kept() -> None:
    request = read(response_format={"type": "grammar", "grammar": "x"})
    assert request.output_format is None
    assert request.extras[NAME] == {"response_format": {"type": "grammar", "grammar": "x"}}


def test_a_location_without_its_wrapper() -> None:
    tool = read(web_search_options={"user_location": {"city": "Bern", "x": 1}}).tools[0]
    assert isinstance(tool, t.WebSearchTool)
    assert tool.user_location == {"city": "Bern"}


def test_a_mark_on_the_whole_request() -> None:
    request = read(cache_control={"type": "ephemeral", "ttl": "1h"})
    assert request.cache == c.CacheMark("1h")
    # OpenRouter's spelling is not told as a loss elsewhere.
    assert request.extras[NAME] == {"_cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert read(cache_control=None).cache is None


def test_a_marked_tool() -> None:
    tool = read(
        tools=[{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]
    ).tools[0]
    assert isinstance(tool, t.FunctionTool)
    assert tool.cache == c.CacheMark()


def test_what_the_hub_does_not_know_is_kept() -> None:
    request = read(
        modalities=["text"], prediction={"type": "content", "content": "x"}, moderation={"model": "m"}, zzz=1
    )
    assert request.extras[NAME] == {
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "moderation": {"model": "m"},
        "zzz": 1,
    }


#: Body members, the path of the fault, and a word of the message.
FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no model": ({"model": None}, "model", "string"),
    "a model that is a number": ({"model": 4}, "model", "must be a string, not a number"),
    "an empty model": ({"model": ""}, "model", "empty"),
    "no messages": ({"messages": []}, "messages", "at least one"),
    "messages that are no array": ({"messages": {}}, "messages", "must be an array, not an object"),
    "a message that is no object": ({"messages": ["hi"]}, "messages[0]", "must be an object"),
    "a message without role": ({"messages": [{"content": "x"}]}, "messages[0].role", "is required"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "'robot'"),
    "a user's message without content": (
        {"messages": [{"role": "user"}]},
        "messages[0].content",
        "is required",
    ),
    "a user's message with null": (
        {"messages": [{"role": "user", "content": None}]},
        "messages[0].content",
        "not null",
    ),
    "a part without type": (
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        "messages[0].content[0].type",
        "is required",
    ),
    "a text part without text": (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "is required",
    ),
    "an image without URL": (
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            ]
        },
        "messages[1].content[0].image_url.url",
        "is required",
    ),
    "an image URL that is none": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}]},
        "messages[0].content[0].image_url.url",
        "URL",
    ),
    "a data URL without base64": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png,xx"}}],
                }
            ]
        },
        "messages[0].content[0].image_url.url",
        "base64",
    ),
    "a file without data": (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
        "messages[0].content[0].file",
        "file_data or file_id",
    ),
    "a tool message without its call": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages[0].tool_call_id",
        "is required",
    ),
    "a call without a name": (
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {}}]}
            ]
        },
        "messages[0].tool_calls[0].function.name",
        "is required",
    ),
    "a tool without a name": (
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {}}]},
        "tools[1].function.name",
        "is required",
    ),
    "a tool choice that is none": ({"tool_choice": "maybe"}, "tool_choice", "'none', 'auto', 'required'"),
    "a named tool without a name": (
        {"tool_choice": {"type": "function", "function": {}}},
        "tool_choice.function.name",
        "is required",
    ),
    "an unknown reasoning type": ({"reasoning": {"effort": 3}}, "reasoning.effort", "must be a string"),
    "a stop sequence that is a number": ({"stop": ["a", 1]}, "stop[1]", "must be a string"),
    "a part that is a number": (
        {"messages": [{"role": "user", "content": [5]}]},
        "messages[0].content[0]",
        "an object",
    ),
    "content that is a number": (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content",
        "not a number",
    ),
    "audio without data": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {"format": "wav"}}]}
            ]
        },
        "messages[0].content[0].input_audio.data",
        "is required",
    ),
    "a cache mark that is text": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": "yes"}]}]},
        "messages[0].content[0].cache_control",
        "must be an object",
    ),
    "a TTL that is a number": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"ttl": 5}}]}
            ]
        },
        "messages[0].content[0].cache_control.ttl",
        "must be a string",
    ),
    "an unknown citation": (
        {"messages": [{"role": "assistant", "content": "x", "citation_details": [{"kind": "dream"}]}]},
        "messages[0].citation_details[0].kind",
        "must be one of",
    ),
    "a citation that is wrong": (
        {
            "messages": [
                {
                    "role": "assistant",
                    "annotations": [{"type": "url_citation", "url_citation": {"start_index": -1}}],
                }
            ]
        },
        "messages[0].annotations[0].start_index",
        "at least 0",
    ),
    "a detail without a type": (
        {"messages": [{"role": "assistant", "reasoning_details": [{"text": "x"}]}]},
        "messages[0].reasoning_details[0].type",
        "is required",
    ),
    "a provider-side call that is wrong": (
        {"messages": [{"role": "assistant", "server_tool_calls": [{"name": 5}]}]},
        "messages[0].server_tool_calls[0].name",
        "must be a string",
    ),
    "an image that is wrong": (
        {"messages": [{"role": "assistant", "images": [{"image_url": {"url": "x"}}]}]},
        "messages[0].images[0].image_url.url",
        "URL",
    ),
    "a function call without a name": (
        {"messages": [{"role": "assistant", "function_call": {"arguments": "{}"}}]},
        "messages[0].function_call.name",
        "is required",
    ),
    "a tool without a type": ({"tools": [{"name": "x"}]}, "tools[0].type", "is required"),
    "a grammar that is none": (
        {"tools": [{"type": "custom", "custom": {"name": "g", "format": {"type": "grammar"}}}]},
        "tools[0].custom.format.grammar",
        "is required",
    ),
    "a location that is text": (
        {"web_search_options": {"user_location": "here"}},
        "web_search_options.user_location",
        "an object",
    ),
    "a tool choice of an unknown type": (
        {"tool_choice": {"type": "maybe"}},
        "tool_choice.type",
        "'function'",
    ),
    "a tool choice that is a number": ({"tool_choice": 5}, "tool_choice", "a string or an object"),
    "allowed tools of an unknown mode": (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x", "tools": []}}},
        "tool_choice.allowed_tools.mode",
        "'auto' or 'required'",
    ),
    "an allowed tool without a name": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]},
            }
        },
        "tool_choice.allowed_tools.tools[0]",
        "must name a tool",
    ),
    "a function choice that is a number": ({"function_call": 5}, "function_call", "must be 'none', 'auto'"),
    "a function choice without a name": ({"function_call": {}}, "function_call.name", "is required"),
    "a stop that is a number": ({"stop": 5}, "stop", "a string or an array"),
    "a budget that is text": (
        {"thinking": {"type": "enabled", "budget_tokens": "x"}},
        "thinking.budget_tokens",
        "an integer",
    ),
    "an unknown format": ({"response_format": {"type": 5}}, "response_format.type", "must be a string"),
    "a temperature that is a string": ({"temperature": "hot"}, "temperature", "must be a number"),
    "a fraction of tokens": ({"max_tokens": 1.5}, "max_tokens", "must be an integer"),
    "no tokens": ({"max_completion_tokens": 0}, "max_completion_tokens", "at least 1"),
    "no choices": ({"n": 0}, "n", "at least 1"),
    "too many choices": ({"n": 129}, "n", "at most 128"),
    "a stream that is a string": ({"stream": "yes"}, "stream", "must be a boolean"),
    "a schema without a name": (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "response_format.json_schema.name",
        "is required",
    ),
    "top_logprobs alone": ({"top_logprobs": 3}, "top_logprobs", "logprobs"),
    "a flag that is a number": (
        {"stream_options": {"include_usage": 1}},
        "stream_options.include_usage",
        "must be a boolean",
    ),
}


@pytest.mark.parametrize("row", FAULTS)
def test_a_fault_names_the_member(row: str) -> None:
    members, param, word = FAULTS[row]
    with pytest.raises(InvalidRequest) as raised:
        read(**members)
    assert raised.value.param == param
    assert word in raised.value.message
    assert f"'{param}'" in raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.read_request(body)


def test_a_body_that_nests_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="deep"):
        read(tools=[{"type": "function", "function": {"name": "f", "parameters": deep}}])
