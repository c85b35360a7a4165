"""What a hub request becomes for an upstream that speaks Responses: one row for each feature and each quirk.

Reviewed by eye: the expectations are written by hand, from the SDK's types and the facts in NOTES.md.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import UnsupportedFeature
from bytespike.protocols import openai_responses
from bytespike.protocols.openai_responses import quirks
from tests.support.responses_bodies import ALL, read, written

PARAMS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming | ResponseCreateParamsStreaming)
OWN = "openai_responses"
HI = (c.Turn("user", (c.TextPart("hi"),)),)
USER = {"role": "user", "content": "hi"}
PNG = c.ImagePart(c.Base64Source("image/png", "iVBO"))
PDF = c.DocumentPart(c.Base64Source("application/pdf", "JVBE"))
CALL = c.ToolCallPart("c1", "f", '{"a":1}')
CALL_OUT = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
MARK = c.CacheMark("1h")
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


class Row(NamedTuple):
    """`expected`: members of the body; None: absent. `notices`: as they stand in the header."""

    request: dict[str, Any]
    expected: dict[str, Any]
    quirks: str = ""
    notices: tuple[str, ...] = ()
    capabilities: frozenset[str] = ALL


def turns(*said: c.Turn, **more: Any) -> dict[str, Any]:
    return {"turns": said, **more}


def user(*parts: c.Part) -> dict[str, Any]:
    return turns(c.Turn("user", parts))


def model(*parts: c.Part) -> dict[str, Any]:
    return turns(*HI, c.Turn("assistant", parts))


def items(*expected: dict[str, Any]) -> dict[str, Any]:
    return {"input": list(expected)}


def content(*expected: dict[str, Any]) -> dict[str, Any]:
    return items({"role": "user", "content": list(expected)})


def said(*expected: dict[str, Any]) -> dict[str, Any]:
    return items(USER, *expected)


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


ROWS: dict[str, Row] = {
    # --- the conversation ---
    "a text": Row(turns(*HI), items(USER)),
    "the system prompt": Row(
        turns(*HI, system=(c.TextPart("a"), c.TextPart("b"))), {"instructions": "a\n\nb"}
    ),
    "a system prompt with a cache mark": Row(
        turns(*HI, system=(c.TextPart("a", cache=MARK),)),
        {
            "instructions": None,
            "input": [
                {
                    "role": "system",
                    "content": [
                        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
                    ],
                },
                USER,
            ],
        },
        "cache_breakpoints",
        ("cache_control.ttl: approximated (30m)",),
    ),
    "a system turn": Row(
        turns(*HI, c.Turn("system", (c.TextPart("now"),))), said({"role": "system", "content": "now"})
    ),
    "images": Row(
        user(c.TextPart("x"), PNG, c.ImagePart(c.UrlSource("https://a.test/x.png"), "low")),
        content(
            {"type": "input_text", "text": "x"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"},
            {"type": "input_image", "detail": "low", "image_url": "https://a.test/x.png"},
        ),
    ),
    "documents": Row(
        user(
            PDF,
            c.DocumentPart(c.UrlSource("https://a.test/x.pdf"), title="T"),
            c.DocumentPart(c.TextSource("t"), "T"),
        ),
        content(
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,JVBE",
            },
            {"type": "input_file", "file_url": "https://a.test/x.pdf"},
            {"type": "input_text", "text": "T\n\nt"},
        ),
        notices=(
            "documents.title: dropped (with a URL the API takes no name)",
            "documents: approximated (written as text)",
        ),
    ),
    "a cache mark without breakpoints": Row(
        user(c.TextPart("hi", cache=MARK)),
        items(USER),
        notices=("cache_control: dropped (provider caches by itself)",),
    ),
    "what the model said": Row(model(c.TextPart("a")), said(message("a"))),
    "several texts want the item's whole form": Row(
        model(c.TextPart("a"), c.RefusalPart("no")),
        said(
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "annotations": [], "text": "a"},
                    {"type": "refusal", "refusal": "no"},
                ],
            }
        ),
    ),
    "calls and outputs": Row(
        turns(
            *HI,
            c.Turn("assistant", (c.TextPart("a"), CALL, c.ToolCallPart("c2", "g", "raw", "custom"))),
            c.Turn(
                "user",
                (
                    c.ToolResultPart("c1", (c.TextPart("one"), PNG)),
                    c.ToolResultPart("c2", (), kind="custom"),
                    c.TextPart("and"),
                ),
            ),
        ),
        said(
            message("a"),
            CALL_OUT,
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "raw"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [
                    {"type": "input_text", "text": "one"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"},
                ],
            },
            {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
            {"role": "user", "content": "and"},
        ),
    ),
    "a failed result": Row(
        turns(
            *HI,
            c.Turn("assistant", (CALL,)),
            c.Turn("user", (c.ToolResultPart("c1", (c.TextPart("x"),), True),)),
        ),
        said(CALL_OUT, {"type": "function_call_output", "call_id": "c1", "output": "[tool error] x"}),
        notices=("tool_result.is_error: approximated (written as a text prefix)",),
    ),
    "a long id of a call": Row(
        turns(
            c.Turn("assistant", (c.ToolCallPart("t" * 65, "f", ""),)),
            c.Turn("user", (c.ToolResultPart("t" * 65, (c.TextPart("x"),)),)),
        ),
        items(
            {
                "type": "function_call",
                "call_id": "call_" + hashlib.sha256(b"t" * 65).hexdigest()[:40],
                "name": "f",
                "arguments": "{}",
            },
            {
                "type": "function_call_output",
                "call_id": "call_" + hashlib.sha256(b"t" * 65).hexdigest()[:40],
                "output": "x",
            },
        ),
    ),
    "reasoning with OpenAI's own proof": Row(
        model(c.ReasoningPart("s", c.Proof(OWN, "enc"), summary=True, id="rs_1")),
        said(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "enc",
            }
        ),
    ),
    "a proof whose item nobody knows gets no id": Row(
        model(c.ReasoningPart("", c.Proof(OWN, "enc"))),
        said({"type": "reasoning", "summary": [], "encrypted_content": "enc"}),
    ),
    "reasoning of another provider": Row(
        model(c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")), c.TextPart("a")),
        said(message("a")),
        notices=("messages.reasoning: dropped (not made by this provider)",),
    ),
    "reasoning_content": Row(
        model(c.ReasoningPart("hm")),
        said({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}),
        "reasoning_content",
    ),
    "another provider's tools": Row(
        model(
            c.ServerToolCallPart("s", "web_search", '{"query":"q"}', "anthropic_messages"),
            c.ServerToolResultPart("s", "r", [{"url": "u", "encrypted_content": "e"}], "anthropic_messages"),
        ),
        said(
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "annotations": [], "text": '[web_search {"query":"q"}]\n'},
                    {"type": "output_text", "annotations": [], "text": '[r: [{"url":"u"}]]\n'},
                ],
            }
        ),
        notices=("server_tools: approximated (past calls and results written as text)",),
    ),
    "images that the model drew elsewhere": Row(
        model(PNG),
        said(
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"}
                ],
            }
        ),
        notices=("assistant.images: approximated (moved to a user message)",),
    ),
    # --- tools ---
    "a function of a dialect that enforces nothing by default": Row(
        turns(*HI, tools=(t.FunctionTool("f", "d", {"type": "object"}),)),
        {
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "description": "d",
                    "parameters": {"type": "object"},
                    "strict": False,
                }
            ]
        },
    ),
    "a free-form tool": Row(
        turns(*HI, tools=(t.CustomTool("g", "d", "regex", "x+"),)),
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "g",
                    "description": "d",
                    "format": {"type": "grammar", "syntax": "regex", "definition": "x+"},
                }
            ]
        },
    ),
    "web search": Row(
        turns(
            *HI,
            tools=(
                t.WebSearchTool(
                    max_uses=3,
                    allowed_domains=("a.test",),
                    user_location={"city": "Rome"},
                    context_size="low",
                ),
            ),
        ),
        {
            "tools": [
                {
                    "type": "web_search",
                    "search_context_size": "low",
                    "user_location": {"type": "approximate", "city": "Rome"},
                    "filters": {"allowed_domains": ["a.test"]},
                }
            ]
        },
        notices=("tools.max_uses: dropped (the provider decides how often to search)",),
    ),
    "extras that the model lacks": Row(
        turns(
            *HI,
            tools=(
                t.CustomTool("g"),
                t.WebSearchTool(optional=True),
                t.ForeignTool("gemini", "url_context", "url_context", {}, optional=True),
            ),
        ),
        {"tools": [{"type": "custom", "name": "g"}]},
        notices=(
            "tools.web_search: dropped (the model has no search of its own)",
            "tools.url_context: dropped (only gemini has it)",
        ),
        capabilities=ALL - {"web_search"},
    ),
    "a named tool": Row(
        turns(*HI, tools=(t.CustomTool("g"),), tool_choice=t.ToolChoice("named", ("g",), parallel=False)),
        {"tool_choice": {"type": "custom", "name": "g"}, "parallel_tool_calls": False},
    ),
    "any tool": Row(
        turns(*HI, tools=(t.CustomTool("g"),), tool_choice=t.ToolChoice("required")),
        {"tool_choice": "required"},
    ),
    "allowed tools": Row(
        turns(*HI, tools=(t.CustomTool("g"), t.CustomTool("h")), tool_choice=t.ToolChoice("auto", ("g",))),
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "custom", "name": "g"}],
            }
        },
    ),
    "no_allowed_tools": Row(
        turns(
            *HI, tools=(t.CustomTool("g"), t.CustomTool("h")), tool_choice=t.ToolChoice("required", ("g",))
        ),
        {"tools": [{"type": "custom", "name": "g"}], "tool_choice": "required"},
        "no_allowed_tools",
        ("tool_choice.allowed_tools: approximated (the other tools were left out)",),
    ),
    "no_parallel_tool_calls": Row(
        turns(*HI, tools=(t.CustomTool("g"),), tool_choice=t.ToolChoice(parallel=True)),
        {"parallel_tool_calls": None},
        "no_parallel_tool_calls",
        ("parallel_tool_calls: dropped (the model decides how many tools it calls)",),
    ),
    # --- how much to think ---
    "an effort": Row(
        turns(*HI, reasoning=ReasoningConfig("on", "high")),
        {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]},
    ),
    "a summary": Row(
        turns(*HI, reasoning=ReasoningConfig("on", "low", display="detailed")),
        {"reasoning": {"effort": "low", "summary": "detailed"}},
    ),
    "thinking that an Anthropic client would see": Row(
        turns(*HI, reasoning=ReasoningConfig("on", budget_tokens=9000, extras={"anthropic_messages": {}})),
        {"reasoning": {"effort": "medium", "summary": "auto"}},
        notices=("thinking.budget_tokens: approximated (effort medium)",),
    ),
    "and that it would not": Row(
        turns(
            *HI,
            reasoning=ReasoningConfig(
                "adaptive", "low", display="omitted", extras={"anthropic_messages": {}}
            ),
        ),
        {"reasoning": {"effort": "low"}},
    ),
    "no_reasoning_summary": Row(
        turns(*HI, reasoning=ReasoningConfig("on", "low", display="auto")),
        {"reasoning": {"effort": "low"}},
        "no_reasoning_summary",
        ("reasoning.summary: dropped (the provider decides what it shows)",),
    ),
    "no thinking": Row(turns(*HI, reasoning=ReasoningConfig("off")), {"reasoning": {"effort": "none"}}),
    "effort_no_none": Row(
        turns(*HI, reasoning=ReasoningConfig("off")),
        {"reasoning": {"effort": "minimal"}},
        "effort_no_none",
        ("reasoning_effort: approximated (none became minimal)",),
    ),
    "effort_basic": Row(
        turns(*HI, reasoning=ReasoningConfig("on", "max")),
        {"reasoning": {"effort": "high"}},
        "effort_basic",
        ("reasoning_effort: approximated (max became high)",),
    ),
    "a model that does not think": Row(
        turns(*HI, reasoning=ReasoningConfig("on", "high")),
        {"reasoning": None, "include": None},
        notices=("reasoning: dropped (the model does not think)",),
        capabilities=ALL - {"thinking"},
    ),
    "no_encrypted_reasoning": Row(turns(*HI), {"include": None}, "no_encrypted_reasoning"),
    # --- the rest ---
    "a limit": Row(turns(*HI, max_output_tokens=100), {"max_output_tokens": 100}),
    "a limit over the model's": Row(
        turns(*HI, max_output_tokens=100_000),
        {"max_output_tokens": 64_000},
        notices=("max_tokens: approximated (lowered to the model's limit of 64000)",),
    ),
    "a limit under the API's": Row(
        turns(*HI, max_output_tokens=1),
        {"max_output_tokens": 16},
        notices=("max_tokens: approximated (raised to the least that the API takes: 16)",),
    ),
    "sampling": Row(
        turns(*HI, sampling=Sampling(0.5, 0.9, 4, 0.1, 0.0, 7)),
        {"temperature": 0.5, "top_p": 0.9},
        notices=(
            "top_k: dropped (the Responses API has no such parameter)",
            "frequency_penalty: dropped (the Responses API has no such parameter)",
            "seed: dropped (the Responses API has no such parameter)",
        ),
    ),
    "fixed_sampling": Row(
        turns(*HI, sampling=Sampling(0.5)),
        {"temperature": None},
        "fixed_sampling",
        ("temperature: dropped (the model's sampling is fixed)",),
    ),
    "a schema that OpenAI would enforce": Row(
        turns(*HI, output_format=OutputFormat("json_schema", STRICT)),
        {"text": {"format": {"type": "json_schema", "name": "response", "schema": STRICT, "strict": True}}},
    ),
    "a schema that it would refuse stays a best effort": Row(
        turns(*HI, output_format=OutputFormat("json_schema", {"type": "object", "oneOf": []})),
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "response",
                    "schema": {"type": "object", "oneOf": []},
                }
            }
        },
    ),
    "json and verbosity": Row(
        turns(*HI, output_format=OutputFormat("json_object"), verbosity="low"),
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    ),
    "no_verbosity": Row(turns(*HI, verbosity="low"), {"text": None}, "no_verbosity", ("verbosity: dropped",)),
    "log probabilities": Row(
        turns(*HI, logprobs=3),
        {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "top_logprobs": 3},
    ),
    "no_logprobs": Row(
        turns(*HI, logprobs=3),
        {"top_logprobs": None},
        "no_logprobs",
        ("logprobs: dropped (the model gives none)",),
    ),
    "the end user": Row(turns(*HI, user_id="u"), {"safety_identifier": "u"}),
    "a long end user": Row(
        turns(*HI, user_id="u" * 65),
        {"safety_identifier": hashlib.sha256(b"u" * 65).hexdigest()},
        notices=("user_id: approximated (hashed because of its length)",),
    ),
    "user_field": Row(turns(*HI, user_id="u"), {"user": "u", "safety_identifier": None}, "user_field"),
    "nothing is stored unless asked for": Row(turns(*HI), {"store": False}),
    "something is": Row(turns(*HI, store=True, metadata={"a": "b"}), {"store": True, "metadata": {"a": "b"}}),
    "no_store": Row(turns(*HI, store=True), {"store": None}, "no_store", ("store: dropped",)),
    "no_metadata": Row(
        turns(*HI, metadata={"a": "b"}), {"metadata": None}, "no_metadata", ("metadata: dropped",)
    ),
    "a tier": Row(turns(*HI, service_tier="standard_only"), {"service_tier": "default"}),
    "another provider's tier": Row(
        turns(*HI, service_tier="on_demand"),
        {"service_tier": None},
        notices=("service_tier: dropped (OpenAI has no such tier)",),
    ),
    "no_service_tier": Row(
        turns(*HI, service_tier="flex"), {"service_tier": None}, "no_service_tier", ("service_tier: dropped",)
    ),
    "a cache key": Row(turns(*HI, prompt_cache_key="k"), {"prompt_cache_key": "k"}),
    "no_prompt_cache_key": Row(
        turns(*HI, prompt_cache_key="k"),
        {"prompt_cache_key": None},
        "no_prompt_cache_key",
        ("prompt_cache_key: dropped",),
    ),
    "a stream": Row(turns(*HI, stream=True), {"stream": True}),
    "members of another dialect": Row(
        turns(*HI, extras={"gemini": {"safetySettings": [], "_note": 1}}),
        {},
        notices=("safetySettings: dropped (only gemini has it)",),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_request_is_written_for_its_target(name: str) -> None:
    row = ROWS[name]
    body, result = written(ChatRequest(model="m", **row.request), *row.quirks.split(), can=row.capabilities)
    assert body["model"] == "target"
    assert {key: body.get(key) for key in row.expected} == row.expected
    assert tuple(str(notice) for notice in result.notices) == row.notices
    for item in body["input"]:
        if item.get("type") == "reasoning":
            item.setdefault("id", "rs_none")
    PARAMS.validate_python(body)


class Refused(NamedTuple):
    request: dict[str, Any]
    words: str
    quirks: str = ""
    capabilities: frozenset[str] = ALL


REFUSED: dict[str, Refused] = {
    "several answers": Refused(turns(*HI, candidates=2), "n must be 1"),
    "stop sequences": Refused(turns(*HI, stop=("x",)), "no stop sequences"),
    "an image for a model that sees none": Refused(
        user(PNG), "takes no images", capabilities=ALL - {"vision"}
    ),
    "a document for a model that reads none": Refused(
        user(PDF), "no documents", capabilities=ALL - {"documents"}
    ),
    "audio": Refused(
        user(c.AudioPart(c.Base64Source("audio/wav", "AA"), "wav")), "no audio", capabilities=ALL - {"audio"}
    ),
    "another provider's file": Refused(
        user(c.DocumentPart(c.FileSource("f", "gemini"))), "uploaded to one provider"
    ),
    "content of another dialect": Refused(user(c.ForeignPart("gemini", "x", {})), "only gemini knows"),
    "a tool of another dialect": Refused(
        turns(*HI, tools=(t.ForeignTool("anthropic_messages", "bash", "bash", {}),)),
        "only exists at its own provider",
    ),
    "search that the model lacks": Refused(
        turns(*HI, tools=(t.WebSearchTool(),)), "no web search", capabilities=ALL - {"web_search"}
    ),
    "tools for a model that has none": Refused(
        turns(*HI, tools=(t.CustomTool("g"),)), "takes no tools", capabilities=ALL - {"tools"}
    ),
    "no_custom_tools": Refused(turns(*HI, tools=(t.CustomTool("g"),)), "'g'", "no_custom_tools"),
    "no_custom_tools in the history": Refused(
        model(c.ToolCallPart("c", "g", "x", "custom")), "free-form", "no_custom_tools"
    ),
    "a choice without tools": Refused(turns(*HI, tool_choice=t.ToolChoice("required")), "no tool to choose"),
    "a schema": Refused(
        turns(*HI, output_format=OutputFormat("json_schema", {})),
        "JSON schema",
        capabilities=ALL - {"json_schema"},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_content_and_constraints_that_cannot_be_carried_are_refused(name: str) -> None:
    row = REFUSED[name]
    with pytest.raises(UnsupportedFeature, match=re.escape(row.words)):
        written(ChatRequest(model="m", **row.request), *row.quirks.split(), can=row.capabilities)


def test_a_long_name_of_a_tool_is_cut_everywhere_and_told() -> None:
    long = "f" * 65
    request = ChatRequest(
        model="m",
        turns=(*HI, c.Turn("assistant", (c.ToolCallPart("c", long, "{}"),))),
        tools=(t.FunctionTool(long),),
        tool_choice=t.ToolChoice("named", (long,)),
    )
    body, result = written(request)
    short = body["tools"][0]["name"]
    assert len(short) == 64
    assert (body["tool_choice"]["name"], body["input"][1]["name"]) == (short, short)
    assert result.renamed == {short: long}


def test_a_namespace_is_written_back_as_it_was() -> None:
    tools = [
        {"type": "function", "name": "f", "parameters": None, "strict": None},
        {
            "type": "namespace",
            "name": "crm",
            "description": "customers",
            "tools": [
                {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": True},
                {"type": "custom", "name": "note", "description": "n"},
            ],
        },
    ]
    call = {"type": "function_call", "call_id": "c", "namespace": "crm", "name": "find", "arguments": "{}"}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "find"}]}
    body, _ = written(read(USER, call, tools=tools, tool_choice=choice))
    assert body["tools"] == tools
    assert body["tool_choice"] == choice
    assert body["input"][1] == call


def test_every_quirk_stands_in_the_notes_and_has_a_row() -> None:
    notes = (Path(openai_responses.__file__).parent / "NOTES.md").read_text()
    section = notes.partition("## Quirks of targets")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    rows = {name for row in [*ROWS.values(), *REFUSED.values()] for name in row.quirks.split()}
    assert told == rows == quirks.ALL
