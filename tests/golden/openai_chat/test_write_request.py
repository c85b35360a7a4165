"""What a hub request becomes for an OpenAI or compatible upstream: one row for each feature and each quirk.

Reviewed by eye: the expectations are written by hand, from the wire's documentation and the vendors' facts in NOTES.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.dialect import Target
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import UnsupportedFeature
from bytespike.protocols import openai_chat
from bytespike.protocols.openai_chat import DIALECT, quirks

PARAMS: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)
ALL = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"})
HI = (c.Turn("user", (c.TextPart("hi"),)),)
MARK = c.CacheMark("5m")
CALL = c.Turn("assistant", (c.ToolCallPart("call_1", "f", '{"a":1}'),))
PDF = c.Base64Source("application/pdf", "JVBE")
PNG = c.ImagePart(c.Base64Source("image/png", "iVBO"))
PNG_OUT = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


class Row(NamedTuple):
    """`expected`: members of the body; None: absent. `notices`: as they stand in the header."""

    request: dict[str, Any]
    expected: dict[str, Any]
    quirks: str = ""
    notices: tuple[str, ...] = ()
    capabilities: frozenset[str] = ALL


def messages(*turns: c.Turn, **more: Any) -> dict[str, Any]:
    return {"turns": turns, **more}


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def results(*parts: c.Part) -> dict[str, Any]:
    return messages(*HI, CALL, c.Turn("user", parts))


def after_call(*expected: dict[str, Any]) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    return {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            *expected,
        ]
    }


def assistant(*parts: c.Part) -> dict[str, Any]:
    return messages(c.Turn("assistant", parts))


def said(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", **members}]}


#: 40 characters: as many as OpenAI takes.
LONG_ID_OUT = "call_" + hashlib.sha256(b"t" * 41).hexdigest()[:35]
HITS = [{"type": "web_search_result", "url": "https://a.test", "title": "A", "encrypted_content": "zzz"}]
THINKING = c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig"))
SEARCHED = (
    c.ServerToolCallPart("s1", "web_search", '{"query":"x"}', "anthropic_messages"),
    c.ServerToolResultPart(
        "s1",
        "web_search_tool_result",
        HITS,
        "anthropic_messages",
    ),
)
STRICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = t.FunctionTool("f", "does f", {"type": "object", "properties": {}}, strict=True)

INPUT = {"type": "string", "description": "The whole input of the tool, as text."}

ROWS: dict[str, Row] = {
    # --- free-form tools where there are none ---
    "no_custom_tools": Row(
        messages(
            *HI,
            tools=(t.CustomTool("g", "does g", "lark", "x"),),
            tool_choice=t.ToolChoice("named", ("g",), "custom"),
        ),
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "g",
                        "description": "does g\n\nThe input must match this lark grammar:\nx",
                        "parameters": {
                            "type": "object",
                            "properties": {"input": INPUT},
                            "required": ["input"],
                            "additionalProperties": False,
                        },
                    },
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "g"}},
        },
        "no_custom_tools",
        ("tools[0]: approximated (a free-form tool became a function with one string)",),
    ),
    "no_custom_tools in the history": Row(
        assistant(c.ToolCallPart("c", "g", 'x"y', "custom")),
        said(
            content=None,
            tool_calls=[
                {"id": "c", "type": "function", "function": {"name": "g", "arguments": '{"input":"x\\"y"}'}}
            ],
        ),
        "no_custom_tools",
    ),
    "extras of another dialect that the model lacks": Row(
        messages(
            *HI,
            tools=(
                t.CustomTool("g"),
                t.WebSearchTool(optional=True),
                t.ForeignTool("openai_responses", "image_generation", "image_generation", {}, optional=True),
            ),
        ),
        {"tools": [{"type": "custom", "custom": {"name": "g"}}], "web_search_options": None},
        notices=(
            "tools.web_search: dropped (the model has no search of its own)",
            "tools.image_generation: dropped (only openai_responses has it)",
        ),
        capabilities=ALL - {"web_search"},
    ),
    # --- messages ---
    "a text": Row(messages(*HI), user("hi")),
    "the system prompt": Row(
        messages(*HI, system=(c.TextPart("be nice"),)),
        {"messages": [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]},
    ),
    "a system prompt in parts": Row(
        messages(*HI, system=(c.TextPart("a"), c.TextPart("b"))),
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "user", "content": "hi"},
            ]
        },
    ),
    "developer_role": Row(
        messages(*HI, system=(c.TextPart("a"),)),
        {"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "hi"}]},
        "developer_role",
    ),
    "alternate_roles": Row(
        messages(
            *HI,
            c.Turn("user", (c.TextPart("a"), PNG)),
            c.Turn("assistant", (c.TextPart("b"),)),
            c.Turn("assistant", (c.ToolCallPart("call_1", "f", "{}"),)),
            c.Turn("user", (c.ToolResultPart("call_1", (c.TextPart("r"),)), c.TextPart("c"))),
            *HI,
        ),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "a"}, PNG_OUT],
                },
                {"role": "assistant", "content": "b"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "r"},
                {"role": "user", "content": "c\n\nhi"},
            ]
        },
        "alternate_roles",
    ),
    "no_developer_role": Row(
        messages(c.Turn("system", (c.TextPart("a"),), extras={"openai_chat": {"_role": "developer"}})),
        {"messages": [{"role": "system", "content": "a"}]},
        "no_developer_role",
    ),
    "merge_system": Row(
        messages(*HI, system=(c.TextPart("a"), c.TextPart("b"))),
        {"messages": [{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "hi"}]},
        "merge_system",
    ),
    "a system turn in mid-conversation": Row(
        messages(*HI, c.Turn("system", (c.TextPart("now"),))),
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "now"}]},
    ),
    "system_first": Row(
        messages(*HI, c.Turn("system", (c.TextPart("now"),)), system=(c.TextPart("a"),)),
        {
            "messages": [
                {
                    "role": "system",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "now"}],
                },
                {"role": "user", "content": "hi"},
            ]
        },
        "system_first",
        ("messages.system: approximated (moved to the start)",),
    ),
    "string_content": Row(
        messages(
            c.Turn("user", (c.TextPart("a"), c.TextPart("b"))),
            c.Turn("assistant", (c.TextPart("c"), c.TextPart("d"))),
        ),
        {"messages": [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "cd"}]},
        "string_content",
    ),
    "a participant's name": Row(
        messages(c.Turn("user", (c.TextPart("hi"),), "ann")),
        {"messages": [{"role": "user", "content": "hi", "name": "ann"}]},
    ),
    # --- images, documents, audio ---
    "an image in base64": Row(messages(c.Turn("user", (PNG,))), user([PNG_OUT])),
    "an image without a type": Row(
        messages(c.Turn("user", (c.ImagePart(c.Base64Source("", "/9j/4AAQ")),))),
        user([{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/4AAQ"}}]),
    ),
    "an image by URL": Row(
        messages(c.Turn("user", (c.ImagePart(c.UrlSource("https://x.test/a.png"), "low"),))),
        user([{"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}]),
    ),
    "a PDF": Row(
        messages(c.Turn("user", (c.DocumentPart(PDF, title="Report"),))),
        user(
            [
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "Report.pdf"},
                }
            ]
        ),
    ),
    "a PDF that shall be cited": Row(
        messages(c.Turn("user", (c.DocumentPart(PDF, cite=True),))),
        user(
            [
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "document.pdf"},
                }
            ]
        ),
        notices=("documents.citations: dropped (the model does not cite documents)",),
    ),
    "a text document": Row(
        messages(c.Turn("user", (c.DocumentPart(c.TextSource("words"), title="T", context="ctx"),))),
        user("[document: T]\nctx\n\nwords"),
        notices=("documents: approximated (written as text)",),
    ),
    "a document of parts": Row(
        messages(c.Turn("user", (c.DocumentPart(c.PartsSource((c.TextPart("a"), PNG)), title="T"),))),
        user([{"type": "text", "text": "[document: T]"}, {"type": "text", "text": "a"}, PNG_OUT]),
        notices=("documents: approximated (written as plain content)",),
    ),
    "file_urls": Row(
        messages(c.Turn("user", (c.DocumentPart(c.UrlSource("https://x.test/a.pdf")),))),
        user([{"type": "file", "file": {"file_data": "https://x.test/a.pdf", "filename": "document.pdf"}}]),
        "file_urls",
    ),
    "no_image_urls": Row(messages(c.Turn("user", (PNG,))), user([PNG_OUT]), "no_image_urls"),
    "a search result": Row(
        messages(
            c.Turn("user", (c.SearchResultPart("https://a.test", "A", (c.TextPart("x"), c.TextPart("y"))),))
        ),
        user("A\nhttps://a.test\n\nx\n\ny"),
        notices=("search_result: approximated (written as text)",),
    ),
    "audio": Row(
        messages(c.Turn("user", (c.AudioPart(c.Base64Source("audio/wav", "AAAA"), "wav"),))),
        user([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]),
    ),
    "a text document in base64": Row(
        messages(c.Turn("user", (c.DocumentPart(c.Base64Source("text/plain", "d29yZHM="), title="T"),))),
        user("[document: T]\n\nwords"),
        notices=("documents: approximated (written as text)",),
    ),
    "a named text file": Row(
        messages(
            c.Turn(
                "user", (c.DocumentPart(c.Base64Source("text/csv", "YQ=="), filename="a.csv", context="x"),)
            )
        ),
        user([{"type": "file", "file": {"file_data": "data:text/csv;base64,YQ==", "filename": "a.csv"}}]),
        notices=("documents.context: dropped (files have no such member)",),
    ),
    "an uploaded file": Row(
        messages(c.Turn("user", (c.DocumentPart(c.FileSource("file-1", "openai_chat")),))),
        user([{"type": "file", "file": {"file_id": "file-1"}}]),
    ),
    "a system prompt with a search result and a text document": Row(
        messages(
            *HI,
            system=(
                c.SearchResultPart("u", "T", (c.TextPart("x"),)),
                c.DocumentPart(c.PartsSource((c.TextPart("d"),))),
            ),
        ),
        {
            "messages": [
                {
                    "role": "system",
                    "content": [{"type": "text", "text": "T\nu\n\nx"}, {"type": "text", "text": "d"}],
                },
                {"role": "user", "content": "hi"},
            ]
        },
        notices=(
            "search_result: approximated (written as text)",
            "documents: approximated (written as plain content)",
        ),
    ),
    "cited text of a user": Row(
        messages(c.Turn("user", (c.TextPart("hi", (c.Citation("web", "u"),)),))),
        user("hi"),
        notices=("messages.citations: dropped (the model takes no citations back)",),
    ),
    "parts of this dialect alone": Row(
        messages(c.Turn("user", (c.ForeignPart("openai_chat", "video_url", {"type": "video_url"}),))),
        user([{"type": "video_url"}]),
    ),
    # --- cache marks ---
    "a cache mark": Row(
        messages(c.Turn("user", (c.TextPart("hi", cache=MARK),))),
        user("hi"),
        notices=("cache_control: dropped (provider caches by itself)",),
    ),
    "cache_breakpoints": Row(
        messages(
            c.Turn(
                "user", (c.TextPart("hi", cache=c.CacheMark("12h")), c.TextPart("x", cache=c.CacheMark("1h")))
            )
        ),
        user(
            [
                {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
            ]
        ),
        "cache_breakpoints",
        ("cache_control.ttl: approximated (30m)",),
    ),
    "a mark on the whole prompt": Row(
        messages(*HI, cache=c.CacheMark("1h")),
        {**user("hi"), "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        "cache_control",
    ),
    "cache_control": Row(
        messages(
            c.Turn("user", (c.TextPart("hi", cache=c.CacheMark("1h")),)),
            tools=(t.FunctionTool("f", cache=c.CacheMark()),),
        ),
        {
            **user([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
            "tools": [
                {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}
            ],
        },
        "cache_control",
    ),
    # --- tool calls and results ---
    "a result": Row(
        results(c.ToolResultPart("call_1", (c.TextPart("42"),)), c.TextPart("go on")),
        after_call(
            {"role": "tool", "tool_call_id": "call_1", "content": "42"}, {"role": "user", "content": "go on"}
        ),
    ),
    "text before a result": Row(
        results(c.TextPart("look"), c.ToolResultPart("call_1", (c.TextPart("42"),))),
        after_call(
            {"role": "tool", "tool_call_id": "call_1", "content": "42"}, {"role": "user", "content": "look"}
        ),
    ),
    "a result of several texts": Row(
        results(c.ToolResultPart("call_1", (c.TextPart("a"), c.TextPart("b")))),
        after_call(
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            }
        ),
    ),
    "an empty result": Row(
        results(c.ToolResultPart("call_1", ())),
        after_call({"role": "tool", "tool_call_id": "call_1", "content": ""}),
    ),
    "a failed result": Row(
        results(c.ToolResultPart("call_1", (c.TextPart("boom"),), is_error=True)),
        after_call({"role": "tool", "tool_call_id": "call_1", "content": "[tool error] boom"}),
        notices=("tool_result.is_error: approximated (written as a text prefix)",),
    ),
    "a failed result that says nothing": Row(
        results(c.ToolResultPart("call_1", (), is_error=True)),
        after_call({"role": "tool", "tool_call_id": "call_1", "content": "[tool error]"}),
        notices=("tool_result.is_error: approximated (written as a text prefix)",),
    ),
    "a result with an image": Row(
        results(c.ToolResultPart("call_1", (c.TextPart("see"), PNG)), c.TextPart("what is it?")),
        after_call(
            {"role": "tool", "tool_call_id": "call_1", "content": "see"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "[content of the tool result call_1]"},
                    PNG_OUT,
                    {"type": "text", "text": "what is it?"},
                ],
            },
        ),
        notices=("tool_result.content: approximated (images and files moved to a user message)",),
    ),
    "a result that is an image": Row(
        results(c.ToolResultPart("call_1", (PNG,))),
        after_call(
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": "[The tool returned content that is not text; it follows in the next user message.]",
            },
            {
                "role": "user",
                "content": [{"type": "text", "text": "[content of the tool result call_1]"}, PNG_OUT],
            },
        ),
        notices=("tool_result.content: approximated (images and files moved to a user message)",),
    ),
    "a result of documents": Row(
        results(
            c.ToolResultPart(
                "call_1",
                (
                    c.DocumentPart(c.TextSource("t")),
                    c.SearchResultPart("u", "", (c.TextPart("x"),)),
                    c.DocumentPart(c.PartsSource((c.TextPart("p"), PNG))),
                ),
                name="f",
                cache=MARK,
            ),
        ),
        after_call(
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "name": "f",
                "content": [{"type": "text", "text": "t"}, {"type": "text", "text": "u\n\nx"}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "[content of the tool result call_1]"},
                    {"type": "text", "text": "p"},
                    PNG_OUT,
                ],
            },
        ),
        notices=(
            "documents: approximated (written as text)",
            "search_result: approximated (written as text)",
            "tool_result.content: approximated (images and files moved to a user message)",
            "cache_control: dropped (provider caches by itself)",
        ),
    ),
    "a marked call": Row(
        assistant(c.ToolCallPart("c", "f", "{}", cache=MARK, proof=c.Proof("gemini", "s"))),
        said(
            content=None,
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        ),
        notices=(
            "messages.reasoning: dropped (the model takes no reasoning back)",
            "cache_control: dropped (provider caches by itself)",
        ),
    ),
    "a long result of a provider-side tool": Row(
        assistant(c.ServerToolResultPart("s", "k", "x" * 20_000)),
        said(content='[k: "' + "x" * 16_383 + "...]\n"),
        notices=("server_tools: approximated (past calls and results written as text)",),
    ),
    "a long call id": Row(
        messages(
            c.Turn("assistant", (c.ToolCallPart("t" * 41, "f", ""),)),
            c.Turn("user", (c.ToolResultPart("t" * 41, (c.TextPart("x"),)),)),
        ),
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": LONG_ID_OUT,
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": LONG_ID_OUT, "content": "x"},
            ]
        },
    ),
    "tool_call_id_9": Row(
        messages(
            c.Turn("assistant", (c.ToolCallPart("abcDEF123", "f", "{}"),)),
            c.Turn("user", (c.ToolResultPart("abcDEF123", (c.TextPart("x"),)),)),
        ),
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "abcDEF123", "content": "x"},
            ]
        },
        "tool_call_id_9",
    ),
    "a call of a free-form tool": Row(
        assistant(c.ToolCallPart("c", "g", "raw", "custom")),
        said(
            content=None, tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "g", "input": "raw"}}]
        ),
    ),
    # --- the assistant's history ---
    "text and calls": Row(
        assistant(c.TextPart("let me see"), c.ToolCallPart("c", "f", "{}")),
        said(
            content="let me see",
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        ),
    ),
    "an empty turn": Row(assistant(), said(content="")),
    "a refusal": Row(assistant(c.RefusalPart("no")), said(content=None, refusal="no")),
    "audio that the model spoke": Row(
        assistant(c.AudioPart(c.FileSource("audio_1", "openai_chat"), "")),
        said(content=None, audio={"id": "audio_1"}),
    ),
    "an image that the model drew": Row(
        messages(c.Turn("assistant", (c.TextPart("here"), PNG)), *HI),
        {
            "messages": [
                {"role": "assistant", "content": "here"},
                {"role": "user", "content": [PNG_OUT, {"type": "text", "text": "hi"}]},
            ]
        },
        notices=("assistant.images: approximated (moved to a user message)",),
    ),
    "reasoning": Row(
        assistant(THINKING, c.TextPart("x")),
        said(content="x"),
        notices=("messages.reasoning: dropped (the model takes no reasoning back)",),
    ),
    "reasoning_content": Row(
        assistant(THINKING, c.ReasoningPart("more"), c.TextPart("x")),
        said(content="x", reasoning_content="hm\n\nmore"),
        "reasoning_content",
    ),
    "reasoning_content of a call without any": Row(
        assistant(c.ToolCallPart("c", "f", "{}")),
        said(
            content=None,
            reasoning_content="",
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        ),
        "reasoning_content",
    ),
    "inline_think": Row(
        assistant(THINKING, c.ReasoningPart("more"), c.TextPart("x")),
        said(content="<think>\nhm\n\nmore\n</think>\n\nx"),
        "inline_think",
    ),
    "inline_think of a call without text": Row(
        assistant(THINKING, c.ToolCallPart("c", "f", "{}")),
        said(
            content="<think>\nhm\n</think>\n\n",
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        ),
        "inline_think",
    ),
    "inline_think where the details are taken": Row(
        assistant(c.ReasoningPart("hm"), c.TextPart("x")),
        said(content="x", reasoning_details=[{"type": "reasoning.text", "text": "hm", "index": 0}]),
        "inline_think reasoning_details",
    ),
    "reasoning_details": Row(
        assistant(
            THINKING,
            c.ReasoningPart(proof=c.Proof("anthropic_messages", "secret"), redacted=True),
            c.ReasoningPart("sum", c.Proof("openai_responses", "enc"), summary=True, id="rs_1"),
            c.TextPart("x"),
        ),
        said(
            content="x",
            reasoning_details=[
                {
                    "type": "reasoning.text",
                    "text": "hm",
                    "signature": "sig",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                },
                {
                    "type": "reasoning.encrypted",
                    "data": "secret",
                    "format": "anthropic-claude-v1",
                    "index": 1,
                },
                {
                    "type": "reasoning.summary",
                    "summary": "sum",
                    "id": "rs_1",
                    "format": "openai-responses-v1",
                    "index": 2,
                },
                {
                    "type": "reasoning.encrypted",
                    "data": "enc",
                    "format": "openai-responses-v1",
                    "id": "rs_1",
                    "index": 3,
                },
            ],
        ),
        "reasoning_details",
    ),
    "google_thought_signature": Row(
        assistant(
            c.ReasoningPart(proof=c.Proof("gemini", "m")),
            c.ToolCallPart("c", "f", "{}", proof=c.Proof("gemini", "s")),
        ),
        said(
            content=None,
            extra_content={"google": {"thought_signature": "m"}},
            tool_calls=[
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "s"}},
                }
            ],
        ),
        "google_thought_signature",
    ),
    "citations": Row(
        assistant(c.TextPart("x", (c.Citation("web", "https://a.test", "A"),))),
        said(content="x"),
        notices=("messages.citations: dropped (the model takes no citations back)",),
    ),
    "a provider-side search of another provider": Row(
        assistant(*SEARCHED, c.TextPart("found")),
        said(
            content=[
                {"type": "text", "text": '[web_search {"query":"x"}]\n'},
                {
                    "type": "text",
                    "text": '[web_search_tool_result: [{"type":"web_search_result","url":"https://a.test","title":"A"}]]\n',
                },
                {"type": "text", "text": "found"},
            ]
        ),
        notices=("server_tools: approximated (past calls and results written as text)",),
    ),
    "server_tool_calls": Row(
        assistant(*SEARCHED, c.TextPart("found", (c.Citation("web", "https://a.test", "A", proof="p"),))),
        said(
            content="found",
            server_tool_calls=[
                {
                    "index": 0,
                    "id": "s1",
                    "type": "web_search",
                    "name": "web_search",
                    "origin": "anthropic_messages",
                    "arguments": '{"query":"x"}',
                    "result": {
                        "kind": "web_search_tool_result",
                        "content": HITS,
                        "is_error": False,
                    },
                }
            ],
            annotations=[
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": "https://a.test",
                        "title": "A",
                        "start_index": 0,
                        "end_index": 5,
                        "block": True,
                        "encrypted_index": "p",
                    },
                }
            ],
        ),
        "server_tool_calls",
    ),
    # --- tools ---
    "a function": Row(
        messages(*HI, tools=(TOOL,)),
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "description": "does f",
                        "parameters": {"type": "object", "properties": {}},
                        "strict": True,
                    },
                }
            ]
        },
    ),
    "no_strict": Row(
        messages(*HI, tools=(t.FunctionTool("f", strict=True),)),
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "no_strict",
        ("tools.strict: dropped (the model does not enforce schemas)",),
    ),
    "a free-form tool": Row(
        messages(*HI, tools=(t.CustomTool("g", "d", "lark", "start: A"),)),
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "g",
                        "description": "d",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "start: A"},
                        },
                    },
                }
            ]
        },
    ),
    "members of a tool that only another dialect has": Row(
        messages(
            *HI, tools=(t.FunctionTool("f", extras={"anthropic_messages": {"defer_loading": True, "_x": 1}}),)
        ),
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        notices=("tools.defer_loading: dropped (only anthropic_messages has it)",),
    ),
    "web search": Row(
        messages(
            *HI, tools=(t.WebSearchTool(max_uses=3, user_location={"city": "Bern"}, context_size="low"),)
        ),
        {
            "tools": None,
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Bern"}},
            },
        },
        notices=("tools.max_uses: dropped (the provider decides how often to search)",),
    ),
    "tool choice auto": Row(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("auto")), {"tool_choice": "auto"}
    ),
    "tool choice none": Row(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("none")), {"tool_choice": "none"}
    ),
    "any tool": Row(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("required")), {"tool_choice": "required"}
    ),
    "a named tool": Row(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("named", ("f",), parallel=False)),
        {"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False},
    ),
    "parallel calls without tools": Row(
        messages(*HI, tool_choice=t.ToolChoice(parallel=False)), {"parallel_tool_calls": None}
    ),
    "no_parallel_tool_calls": Row(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice(parallel=False)),
        {"parallel_tool_calls": None},
        "no_parallel_tool_calls",
        ("parallel_tool_calls: dropped (the model decides how many tools it calls)",),
    ),
    "allowed tools": Row(
        messages(*HI, tools=(TOOL, t.CustomTool("g")), tool_choice=t.ToolChoice("auto", ("f", "g"))),
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "g"}},
                    ],
                },
            }
        },
    ),
    "no_allowed_tools": Row(
        messages(
            *HI,
            tools=(t.FunctionTool("f"), t.FunctionTool("g")),
            tool_choice=t.ToolChoice("required", ("g",)),
        ),
        {"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
        "no_allowed_tools",
        ("tool_choice.allowed_tools: approximated (the other tools were left out)",),
    ),
    # --- limits and sampling ---
    "a limit": Row(messages(*HI, max_output_tokens=50), {"max_completion_tokens": 50, "max_tokens": None}),
    "max_tokens_field": Row(
        messages(*HI, max_output_tokens=50),
        {"max_tokens": 50, "max_completion_tokens": None},
        "max_tokens_field",
    ),
    "a limit over the model's": Row(
        messages(*HI, max_output_tokens=100_000),
        {"max_completion_tokens": 8192},
        notices=("max_tokens: approximated (lowered to the model's limit of 8192)",),
    ),
    "sampling": Row(
        messages(*HI, sampling=Sampling(0.5, 0.9, None, 0.1, 0.2, 7, {"1": 5})),
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "seed": 7,
            "logit_bias": {"1": 5},
        },
    ),
    "top_k on OpenAI": Row(
        messages(*HI, sampling=Sampling(top_k=4)), {"top_k": None}, notices=("top_k: dropped",)
    ),
    "top_k": Row(messages(*HI, sampling=Sampling(top_k=4)), {"top_k": 4}, "top_k"),
    "fixed_sampling": Row(
        messages(*HI, sampling=Sampling(temperature=0.5)),
        {"temperature": None},
        "fixed_sampling",
        ("temperature: dropped (the model's sampling is fixed)",),
    ),
    "stop": Row(messages(*HI, stop=("a", "b")), {"stop": ["a", "b"]}),
    "n and logprobs": Row(
        messages(*HI, candidates=2, logprobs=3), {"n": 2, "logprobs": True, "top_logprobs": 3}
    ),
    "logprobs of the chosen token": Row(messages(*HI, logprobs=0), {"logprobs": True, "top_logprobs": None}),
    "no_logprobs": Row(
        messages(*HI, logprobs=0),
        {"logprobs": None},
        "no_logprobs",
        ("logprobs: dropped (the model gives none)",),
    ),
    # --- reasoning ---
    "an effort": Row(messages(*HI, reasoning=ReasoningConfig("on", "xhigh")), {"reasoning_effort": "xhigh"}),
    "a small budget": Row(
        messages(*HI, reasoning=ReasoningConfig("on", None, 4096)),
        {"reasoning_effort": "low"},
        notices=("thinking.budget_tokens: approximated (effort low)",),
    ),
    "a middle budget": Row(
        messages(*HI, reasoning=ReasoningConfig("on", None, 16_384)),
        {"reasoning_effort": "medium"},
        notices=("thinking.budget_tokens: approximated (effort medium)",),
    ),
    "a large budget": Row(
        messages(*HI, reasoning=ReasoningConfig("on", None, 16_385)),
        {"reasoning_effort": "high"},
        notices=("thinking.budget_tokens: approximated (effort high)",),
    ),
    "no budget": Row(messages(*HI, reasoning=ReasoningConfig("on", None, 0)), {"reasoning_effort": "none"}),
    "thinking off": Row(messages(*HI, reasoning=ReasoningConfig("off")), {"reasoning_effort": "none"}),
    "adaptive": Row(messages(*HI, reasoning=ReasoningConfig("adaptive")), {"reasoning_effort": None}),
    "adaptive with an effort": Row(
        messages(*HI, reasoning=ReasoningConfig("adaptive", "low", display="summarized")),
        {"reasoning_effort": "low"},
        notices=("reasoning.display: dropped (the provider decides what it shows)",),
    ),
    "thinking shown by who shows it anyway": Row(
        messages(*HI, reasoning=ReasoningConfig("adaptive", "low", display="summarized")),
        {"reasoning_effort": "low"},
        "reasoning_content",
    ),
    "no thinking to be shown": Row(
        messages(*HI, reasoning=ReasoningConfig("off", display="summarized")), {"reasoning_effort": "none"}
    ),
    "thinking not shown": Row(
        messages(*HI, reasoning=ReasoningConfig("adaptive", display="omitted")),
        {"reasoning_effort": None},
        notices=("reasoning.display: dropped (the provider decides what it shows)",),
    ),
    "thinking for a model that does not": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "high")),
        {"reasoning_effort": None},
        notices=("reasoning: dropped (the model does not think)",),
        capabilities=ALL - {"thinking"},
    ),
    "thinking off for a model that does not": Row(
        messages(*HI, reasoning=ReasoningConfig("off")),
        {"reasoning_effort": None},
        capabilities=ALL - {"thinking"},
    ),
    "no_reasoning_effort": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "high")),
        {"reasoning_effort": None},
        "no_reasoning_effort",
        ("reasoning_effort: dropped (the model decides)",),
    ),
    "effort_basic": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "max")),
        {"reasoning_effort": "high"},
        "effort_basic",
        ("reasoning_effort: approximated (max became high)",),
    ),
    "effort_basic off": Row(
        messages(*HI, reasoning=ReasoningConfig("off")),
        {"reasoning_effort": "low"},
        "effort_basic",
        ("reasoning_effort: approximated (none became low)",),
    ),
    "effort_no_none": Row(
        messages(*HI, reasoning=ReasoningConfig("off")),
        {"reasoning_effort": "minimal"},
        "effort_no_none",
        ("reasoning_effort: approximated (none became minimal)",),
    ),
    "effort_low_high_max": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "xhigh")),
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        "effort_low_high_max thinking_toggle_effort",
        ("reasoning_effort: approximated (xhigh became max)",),
    ),
    "thinking_toggle": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "high")),
        {"thinking": {"type": "enabled"}, "reasoning_effort": None},
        "thinking_toggle",
    ),
    "thinking_toggle off": Row(
        messages(*HI, reasoning=ReasoningConfig("off")),
        {"thinking": {"type": "disabled"}, "reasoning_effort": None},
        "thinking_toggle",
    ),
    "thinking_toggle adaptive": Row(
        messages(*HI, reasoning=ReasoningConfig("adaptive")), {"thinking": None}, "thinking_toggle"
    ),
    "thinking_toggle_effort": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "high")),
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        "thinking_toggle_effort",
    ),
    "thinking_adaptive": Row(
        messages(*HI, reasoning=ReasoningConfig("on", "high")),
        {"thinking": {"type": "adaptive"}, "reasoning_effort": None},
        "thinking_adaptive",
    ),
    "enable_thinking": Row(
        messages(*HI, reasoning=ReasoningConfig("on", None, 500)),
        {"enable_thinking": True, "thinking_budget": 500, "reasoning_effort": None},
        "enable_thinking",
    ),
    "enable_thinking off": Row(
        messages(*HI, reasoning=ReasoningConfig("off")), {"enable_thinking": False}, "enable_thinking"
    ),
    "reasoning_object": Row(
        messages(*HI, reasoning=ReasoningConfig("on", None, 500, "omitted")),
        {"reasoning": {"max_tokens": 500, "exclude": True}},
        "reasoning_object",
    ),
    "reasoning_object off": Row(
        messages(*HI, reasoning=ReasoningConfig("off")), {"reasoning": {"enabled": False}}, "reasoning_object"
    ),
    # --- structured output ---
    "json_object": Row(
        messages(*HI, output_format=OutputFormat("json_object")), {"response_format": {"type": "json_object"}}
    ),
    "a schema of another dialect that OpenAI can enforce": Row(
        messages(*HI, output_format=OutputFormat("json_schema", STRICT_SCHEMA)),
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "response", "schema": STRICT_SCHEMA, "strict": True},
            }
        },
    ),
    "a schema of another dialect that OpenAI cannot enforce": Row(
        messages(*HI, output_format=OutputFormat("json_schema", {"type": "object", "minProperties": 1})),
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "response", "schema": {"type": "object", "minProperties": 1}},
            }
        },
    ),
    # --- the rest ---
    "the end user": Row(messages(*HI, user_id="u"), {"safety_identifier": "u", "user": None}),
    "a long end user": Row(
        messages(*HI, user_id="u" * 129),
        {"safety_identifier": hashlib.sha256(b"u" * 129).hexdigest()},
        notices=("user_id: approximated (hashed because of its length)",),
    ),
    "user_field": Row(messages(*HI, user_id="u"), {"user": "u", "safety_identifier": None}, "user_field"),
    "user_id_field": Row(
        messages(*HI, user_id="u"), {"user_id": "u", "safety_identifier": None}, "user_id_field"
    ),
    "metadata with store": Row(
        messages(*HI, metadata={"a": "b"}, store=True), {"metadata": {"a": "b"}, "store": True}
    ),
    "metadata without store": Row(
        messages(*HI, metadata={"a": "b"}),
        {"metadata": None},
        notices=("metadata: dropped (kept only with store)",),
    ),
    "no_metadata": Row(
        messages(*HI, metadata={"a": "b"}, store=True),
        {"metadata": None},
        "no_metadata",
        ("metadata: dropped (kept only with store)",),
    ),
    "no_store": Row(messages(*HI, store=True), {"store": None}, "no_store", ("store: dropped",)),
    "no_store and none wanted": Row(messages(*HI, store=False), {"store": None}, "no_store"),
    "Anthropic's tier": Row(messages(*HI, service_tier="standard_only"), {"service_tier": "default"}),
    "no_service_tier": Row(
        messages(*HI, service_tier="flex"),
        {"service_tier": None},
        "no_service_tier",
        ("service_tier: dropped",),
    ),
    "verbosity and cache key": Row(
        messages(*HI, verbosity="low", prompt_cache_key="k"), {"verbosity": "low", "prompt_cache_key": "k"}
    ),
    "no_verbosity no_prompt_cache_key": Row(
        messages(*HI, verbosity="low", prompt_cache_key="k"),
        {"verbosity": None, "prompt_cache_key": None},
        "no_verbosity no_prompt_cache_key",
        ("verbosity: dropped", "prompt_cache_key: dropped"),
    ),
    "members that only another dialect has": Row(
        messages(*HI, extras={"anthropic_messages": {"context_management": {}}}),
        {},
        notices=("context_management: dropped (only anthropic_messages has it)",),
    ),
    "a stream": Row(messages(*HI, stream=True), {"stream": True, "stream_options": {"include_usage": True}}),
    "no_stream_options": Row(
        messages(*HI, stream=True), {"stream": True, "stream_options": None}, "no_stream_options"
    ),
}


def write(row: Row) -> tuple[dict[str, Any], tuple[str, ...]]:
    target = Target("up-1", capabilities=row.capabilities, quirks=frozenset(row.quirks.split()))
    written = DIALECT.write_request(ChatRequest(model="client", **row.request), target)
    return json.loads(written.body), tuple(str(notice) for notice in written.notices)


@pytest.mark.parametrize("name", ROWS)
def test_a_hub_request_becomes(name: str) -> None:
    row = ROWS[name]
    body, notices = write(row)
    assert {key: body.get(key) for key in row.expected} == row.expected
    assert notices == row.notices
    assert body["model"] == "up-1"


@pytest.mark.parametrize("name", ROWS)
def test_what_is_written_is_a_request_of_the_sdks_types(name: str) -> None:
    PARAMS.validate_python(write(ROWS[name])[0])


class Refused(NamedTuple):
    request: dict[str, Any]
    word: str
    param: str
    quirks: str = ""
    capabilities: frozenset[str] = ALL


REFUSED: dict[str, Refused] = {
    "an image for a model without eyes": Refused(
        messages(c.Turn("user", (PNG,))), "no images", "messages", capabilities=ALL - {"vision"}
    ),
    "an image in a result for a model without eyes": Refused(
        results(c.ToolResultPart("call_1", (PNG,))), "no images", "messages", capabilities=ALL - {"vision"}
    ),
    "a PDF for a model that cannot read it": Refused(
        messages(c.Turn("user", (c.DocumentPart(PDF),))),
        "no documents",
        "messages",
        capabilities=ALL - {"documents"},
    ),
    "a PDF by URL": Refused(
        messages(c.Turn("user", (c.DocumentPart(c.UrlSource("https://x.test/a.pdf")),))), "by URL", "messages"
    ),
    "a file of another provider": Refused(
        messages(c.Turn("user", (c.DocumentPart(c.FileSource("file_1", "anthropic_messages")),))),
        "uploaded to one provider",
        "messages",
    ),
    "an image file of another provider": Refused(
        messages(c.Turn("user", (c.ImagePart(c.FileSource("file_1", "anthropic_messages")),))),
        "only as base64 or by URL",
        "messages",
    ),
    "audio for a model without ears": Refused(
        messages(c.Turn("user", (c.AudioPart(c.Base64Source("", "AAAA"), "wav"),))),
        "no audio",
        "messages",
        capabilities=ALL - {"audio"},
    ),
    "a picture in the system prompt": Refused(messages(*HI, system=(PNG,)), "only text", "messages"),
    "audio by URL": Refused(
        messages(c.Turn("user", (c.AudioPart(c.UrlSource("https://x.test/a.wav"), "wav"),))),
        "base64",
        "messages",
    ),
    "a text document that is no base64": Refused(
        messages(c.Turn("user", (c.DocumentPart(c.Base64Source("text/plain", "%%")),))),
        "not valid base64",
        "messages",
    ),
    "reasoning of a user": Refused(
        messages(c.Turn("user", (c.ReasoningPart("x"),))), "cannot hold a ReasoningPart", "messages"
    ),
    "a result of an assistant": Refused(
        assistant(c.ToolResultPart("c", ())), "cannot hold a ToolResultPart", "messages"
    ),
    "audio in a result": Refused(
        results(c.ToolResultPart("call_1", (c.AudioPart(c.Base64Source("", "AA"), "wav"),))),
        "AudioPart",
        "messages",
    ),
    "unknown content of an assistant": Refused(
        assistant(c.ForeignPart("anthropic_messages", "compaction", {})), "'compaction'", "messages"
    ),
    "unknown content of a result": Refused(
        results(c.ToolResultPart("call_1", (c.ForeignPart("anthropic_messages", "tool_reference", {}),))),
        "'tool_reference'",
        "messages",
    ),
    "unknown content": Refused(
        messages(c.Turn("user", (c.ForeignPart("anthropic_messages", "container_upload", {}),))),
        "'container_upload'",
        "messages",
    ),
    "a tool of another provider": Refused(
        messages(*HI, tools=(t.ForeignTool("anthropic_messages", "bash_20250124", "bash", {}),)),
        "'bash_20250124'",
        "tools[0]",
    ),
    "tools for a model without": Refused(
        messages(*HI, tools=(TOOL,)), "takes no tools", "tools", capabilities=frozenset()
    ),
    "web search where there is none": Refused(
        messages(*HI, tools=(t.WebSearchTool(),)), "web search", "tools[0]", capabilities=ALL - {"web_search"}
    ),
    "web search in some domains only": Refused(
        messages(*HI, tools=(t.WebSearchTool(allowed_domains=("a.test",)),)),
        "domains",
        "tools[0].allowed_domains",
    ),
    "a schema for a model that cannot": Refused(
        messages(*HI, output_format=OutputFormat("json_schema", {})),
        "JSON schema",
        "response_format",
        capabilities=ALL - {"json_schema"},
    ),
    "no_json_schema": Refused(
        messages(*HI, output_format=OutputFormat("json_schema", {})),
        "JSON schema",
        "response_format",
        "no_json_schema",
    ),
    "no_json_object": Refused(
        messages(*HI, output_format=OutputFormat("json_object")),
        "JSON output",
        "response_format",
        "no_json_object",
    ),
    "tool_choice_no_required": Refused(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("required")),
        "cannot be forced",
        "tool_choice",
        "tool_choice_no_required",
    ),
    "tool_choice_no_required and a named tool": Refused(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("named", ("f",))),
        "cannot be forced",
        "tool_choice",
        "tool_choice_no_required",
    ),
    "tool_choice_auto_only": Refused(
        messages(*HI, tools=(TOOL,), tool_choice=t.ToolChoice("none")),
        "only tool_choice 'auto'",
        "tool_choice",
        "tool_choice_auto_only",
    ),
    "five stop sequences": Refused(messages(*HI, stop=("a", "b", "c", "d", "e")), "at most 4", "stop"),
    "no_stop": Refused(messages(*HI, stop=("a",)), "no stop sequences", "stop", "no_stop"),
    "single_choice": Refused(messages(*HI, candidates=2), "n must be 1", "n", "single_choice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_carried_is_refused(name: str) -> None:
    row = REFUSED[name]
    target = Target("m", capabilities=row.capabilities, quirks=frozenset(row.quirks.split()))
    with pytest.raises(UnsupportedFeature) as raised:
        DIALECT.write_request(ChatRequest(model="client", **row.request), target)
    assert row.word in raised.value.message
    assert raised.value.param == row.param


def test_every_quirk_has_a_row_here_and_in_the_notes() -> None:
    used = {quirk for row in [*ROWS.values(), *REFUSED.values()] for quirk in row.quirks.split()}
    assert used == quirks.ALL
    notes = (Path(openai_chat.__file__).parent / "NOTES.md").read_text()
    assert set(re.findall(r"^\| `([a-z_0-9]+)` \|", notes, re.MULTILINE)) >= quirks.ALL


def test_what_a_client_of_this_dialect_spelt_comes_back_as_it_was_spelt() -> None:
    body = {
        "model": "up-1",
        "messages": [
            {"role": "developer", "content": "one", "name": "x"},
            {"role": "system", "content": "two"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "name": "f", "content": "x"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": None},
            {"role": "developer", "content": "late"},
        ],
        "max_tokens": 5,
        "user": "u",
        "functions": [{"name": "f"}],
        "function_call": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}, "eager_input_streaming": True}],
        "thinking": {"type": "enabled", "clear_thinking": False},
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "provider": {"order": ["x"]},
        "modalities": ["text"],
    }
    request = DIALECT.read_request(json.dumps(body).encode())
    written = DIALECT.write_request(request, Target("up-1", capabilities=ALL))
    assert json.loads(written.body) == body
    assert written.notices == ()
